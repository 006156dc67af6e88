"""What steps collect of the columns of a row is one history, and takes the row's memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import croton
import croton.tensor as T
from croton.config import config
from croton.gradient.numeric import evaluate
from croton.graph.traversal import toposort
from croton.loop import Scan
from croton.rewrite import rewrite
from croton.schedule import heirs
from croton.tensor.joining import Join

RNG = np.random.default_rng(0)
SIZE = 4


def lstm(order, batch, inputs, gate=False, size=SIZE):
    """The states of an LSTM whose gates are in that order; and its forget ``gate``."""
    x, w, u, b = inputs
    x = T.specify_shape(x, (None, batch, 5))
    w = T.specify_shape(w, (5, 4 * size))
    u = T.specify_shape(u, (size, 4 * size))

    def step(xt, h, c):
        gates = T.dot(xt, w) + b + T.dot(h, u)
        part = {k: gates[:, size * n : size * (n + 1)] for n, k in enumerate(order)}
        kept = T.nnet.sigmoid(part["f"])
        c = kept * c + T.nnet.sigmoid(part["i"]) * T.tanh(part["g"])
        return T.nnet.sigmoid(part["o"]) * T.tanh(c), c, kept

    start = T.zeros((batch, size))
    (hs, _, kept), _ = croton.scan(step, [x], [start, start, None])
    return (hs, kept) if gate else hs


def variables():
    x, b = T.tensor3("x", dtype="float64"), T.dvector("b")
    w, u = T.dmatrices("w", "u")
    return x, w, u, b


def numbers(steps, batch, size=SIZE):
    sizes = (steps, batch, 5), (5, 4 * size), (size, 4 * size), (4 * size,)
    return [RNG.standard_normal(s) for s in sizes]


def scans(outputs):
    return [n for n in toposort(outputs) if isinstance(n.op, Scan)]


def collected(outputs):
    return sorted(n.op.layout.collected for n in scans(outputs))


def slots(f):
    """How many temporaries there are, and in how many slots."""
    found = [b.slot for b in f.program.buffers if b.kind == "temporary"]
    return len(found), len(set(found))


@pytest.mark.parametrize("order", ["ifgo", "ogfi"])
def test_the_activations_of_an_lstm_are_one_history(order):
    known = variables()
    hs = lstm(order, 3, known)
    wanted = [hs[-1], *T.grad((hs[-1] ** 2).sum(), list(known[1:]))]
    new, report = rewrite(wanted)
    assert report.hits["collected_beside"] == 1
    assert report.hits["columns_of_rows"] == 1
    forth, back = scans(new)
    # The activations, and tanh of the cell; the gradients of the gates.
    assert (forth.op.layout.collected, back.op.layout.collected) == (2, 1)
    (join,) = (n for n in forth.op.inner.nodes if isinstance(n.op, Join))
    assert len(join.inputs) == 4
    values = dict(zip(known, numbers(6, 3), strict=True))
    for a, b in zip(evaluate(new, values), evaluate(wanted, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_what_others_read_lies_by_itself():
    known = variables()
    hs, gate = lstm("ifgo", 3, known, gate=True)
    loss = (hs[-1] ** 2).sum()
    assert rewrite(T.grad(loss, [known[1]]))[1].hits["collected_beside"] == 1
    for more in (gate, gate.sum(), T.grad((gate[:-1] * gate[1:]).sum(), known[1])):
        _, report = rewrite([*T.grad(loss, [known[1]]), more])
        assert report.hits.get("collected_beside", 0) == 0


def test_columns_that_are_not_all_or_overlap_stay_apart():
    x = T.tensor3("x", dtype="float64")
    x = T.specify_shape(x, (None, 3, 12))
    for ends in (((0, 4), (4, 8)), ((0, 8), (4, 12)), ((0, 4), (8, 12))):

        def step(xt, h, ends=ends):
            parts = [T.tanh(xt[:, a:b] * 2) for a, b in ends]
            return h * parts[0][:, :4] * parts[1][:, :4]

        hs, _ = croton.scan(step, [x], T.ones((3, 4)))
        _, report = rewrite([T.grad(hs[-1].sum(), x)])
        assert report.hits.get("collected_beside", 0) == 0, ends


def function(order, batch, size=SIZE, **flags):
    known = variables()
    hs = lstm(order, batch, known, size=size)
    loss = (hs[-1] ** 2).sum()
    return croton.function(list(known), [loss, *T.grad(loss, list(known))], **flags)


@pytest.mark.parametrize("order", ["ifgo", "fogi"])
@pytest.mark.parametrize("batch", [1, 3, 40, 64])
def test_the_history_takes_the_memory_of_the_gates(order, batch):
    f = function(order, batch)
    total, used = slots(f)
    with config.change_flags(optimizer_excluding="collected_beside"):
        plain = function(order, batch)
    reference = function(order, batch, mode="reference") if batch == 3 else plain
    for steps in (0, 1, 2, 17):
        values = numbers(steps, batch)
        if steps == 0:
            for g in (f, plain):
                with pytest.raises(Exception, match="index"):
                    g(*values)
            continue
        # Twice: what was left in memory means nothing.
        for _ in range(2):
            for a, b in zip(f(*values), reference(*values), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert used < total


@pytest.mark.parametrize("order", ["ifgo", "gofi"])
def test_gates_activations_and_gradients_are_in_one_place(order, monkeypatch, tmp_path):
    found = []
    can_inherit = heirs._can_inherit

    def asked(instructions, touches, heir):
        found.append((heir.at_once, can_inherit(instructions, touches, heir)))
        return found[-1][1]

    monkeypatch.setattr(heirs, "_can_inherit", asked)
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    f = function(order, 40, 64)
    # Activations do where gates were, and their gradients where they were themselves.
    assert found == [(True, True), (True, True)]
    want = function(order, 40, 64, mode="reference")
    for steps in (3, 1, 5):
        values = [v / 8 for v in numbers(steps, 40, 64)]
        for a, b in zip(f(*values), want(*values), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


ACTIVATIONS = (T.tanh, T.nnet.sigmoid, T.exp, lambda v: v * T.nnet.sigmoid(v))


@st.composite
def cells(draw):
    """A cell of some gates: what each goes through, which columns it is, and what is made of it."""
    count = draw(st.integers(2, 4))
    places = draw(st.permutations(range(count)))
    through = [draw(st.sampled_from(ACTIVATIONS)) for _ in range(count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count))
    terms = draw(st.lists(pairs, min_size=count, max_size=count + 2))
    return places, through, terms


@settings(max_examples=20, deadline=None, derandomize=True)
@given(cells(), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_random_cells(cell, batch, steps, backwards):
    places, through, terms = cell
    width = SIZE * len(places)
    x, w, u, b = given_ = variables()
    w, u = T.specify_shape(w, (5, width)), T.specify_shape(u, (SIZE, width))

    def step(xt, h):
        gates = T.dot(xt, w) + b + T.dot(h, u)
        parts = [
            f(gates[:, SIZE * place : SIZE * (place + 1)])
            for f, place in zip(through, places, strict=True)
        ]
        factors = [*parts, h]
        return T.tanh(sum(factors[j] * factors[k] for j, k in terms))

    start = T.zeros((batch, SIZE)) + 0.5
    hs, _ = croton.scan(step, [x], [start], go_backwards=backwards)
    loss = (hs[-1] ** 2).sum() + hs.sum()
    wanted = [loss, *T.grad(loss, list(given_))]
    sizes = (steps, batch, 5), (5, width), (SIZE, width), (width,)
    rng = np.random.default_rng(batch)
    values = [rng.standard_normal(s) / 2 for s in sizes]
    f = croton.function(list(given_), wanted)
    want = croton.function(list(given_), wanted, mode="reference")(*values)
    for _ in range(2):
        for a, e in zip(f(*values), want, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("rank", "hits"), [(1, 0), (2, 1), (3, 0)])
def test_ends_may_be_left_out_and_rows_of_another_rank_stay_apart(rank, hits):
    """Steps that deal with vectors, with matrices, or with stacks of them."""
    # As many rows as columns: those are not to be taken for these.
    lead = (3, 2 * SIZE)[: rank - 1]
    given_, w = T.tensor("float64", (False,) * (rank + 1), "x"), T.dmatrix("w")
    x = T.specify_shape(given_, (None, *lead, 2 * SIZE))
    u = T.specify_shape(w, (SIZE, 2 * SIZE))

    def step(xt, h):
        gates = xt + T.dot(h, u) if rank < 3 else xt * T.concatenate([h, h], axis=-1)
        return T.tanh(gates[..., :SIZE]) * T.nnet.sigmoid(gates[..., -SIZE:])

    hs, _ = croton.scan(step, [x], [T.ones((*lead, SIZE))])
    wanted = [hs[-1].sum(), T.grad(hs[-1].sum(), given_)]
    new, report = rewrite(wanted)
    assert report.hits.get("collected_beside", 0) == hits
    values = {given_: RNG.standard_normal((4, *lead, 2 * SIZE)), w: RNG.standard_normal((4, 8))}
    for a, b in zip(evaluate(new, values), evaluate(wanted, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
