"""Scans whose rows never meet: all steps for some rows at a time, by several threads."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import croton
import croton.tensor as T
from croton.codegen.targets import cpu
from croton.gradient.numeric import evaluate
from croton.runtime.program import Loop, Split
from croton.runtime.threads import pool_statistics, use_threads
from croton.schedule import looping
from croton.schedule.apart import rows_apart

RNG = np.random.default_rng(0)
WIDE, HIDDEN = 5, 6


@pytest.fixture(autouse=True)
def _threads():
    yield
    use_threads(croton.config.threads)


def rows(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


def count(f, kind):
    return sum(isinstance(i, kind) for i in f.program.instructions)


def inputs():
    return [T.dtensor3("x"), T.dmatrix("h"), T.dmatrix("u"), T.dmatrix("w"), T.dvector("b")]


def values(steps, batch):
    return [
        rows(steps, batch, WIDE), rows(batch, HIDDEN), rows(WIDE, HIDDEN) / 3,
        rows(HIDDEN, HIDDEN) / 4, rows(HIDDEN),
    ]  # fmt: skip


def agree(f, given, outputs, found_inputs):
    want = evaluate(outputs, dict(zip(found_inputs, given, strict=True)))
    alone = None
    for threads in (1, 2, 3):
        use_threads(threads)
        for _ in range(2):
            got = f(*given)
        for a, b in zip(got, want, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
        alone = alone or got
        # To the last bit the same on any number of threads.
        for a, b in zip(got, alone, strict=True):
            np.testing.assert_array_equal(a, b)


STEPS = {
    "plain": lambda x, h, u, w, b: T.tanh(T.dot(x, u) + T.dot(h, w) + b),
    "gated": lambda x, h, u, w, b: (
        T.nnet.sigmoid(T.dot(h, w)) * h + T.concatenate([x, x[:, :1]], axis=1)
    ),
    "parts": lambda x, h, u, w, b: T.set_subtensor(
        T.zeros_like(h)[:, 2:4], T.dot(h, w)[:, 1:3]
    ) + b,
    "normalised": lambda x, h, u, w, b: (
        (h - h.mean(axis=1, keepdims=True)) / (1 + h.std(axis=1, keepdims=True)) + T.dot(x, u)
    ),
    "softmax": lambda x, h, u, w, b: T.nnet.softmax(T.dot(h, w) + b) + T.dot(x, u),
    "one for all": lambda x, h, u, w, b: h * 0.5 + T.dot(x, u).sum(axis=0),
    "the same for all": lambda x, h, u, w, b: T.dot(h, w) / (1 + T.sqr(u).sum()) + T.dot(x, u),
}  # fmt: skip
MEETING = {
    "mean": lambda x, h, u, w, b: h - h.mean(axis=0) + T.dot(x, u),
    "product": lambda x, h, u, w, b: T.dot(T.dot(h, h.T), h) / 50 + T.dot(x, u),
    "reversed": lambda x, h, u, w, b: h[::-1] / 2 + T.dot(x, u),
    "some": lambda x, h, u, w, b: T.set_subtensor(h[:1], T.dot(x, u)[:1]),
    "their number": lambda x, h, u, w, b: h / h.shape[0].astype("float64") + T.dot(x, u),
    "joined": lambda x, h, u, w, b: T.concatenate([h[1:], T.dot(x[:1], u)], axis=0),
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_rows_apart(name, backwards):
    given = x, h, u, w, b = inputs()
    hs, _ = croton.scan(STEPS[name], [x], h, [u, w, b], go_backwards=backwards)
    f = croton.function(given, [hs, hs[-1]], mode="FAST_RUN", on_unused_input="ignore")
    assert count(f, Split) == 1
    for batch in (0, 1, 7, 16, 31, 32, 40, 100):
        agree(f, values(4, batch), [hs, hs[-1]], given)
    agree(f, values(1, HIDDEN), [hs, hs[-1]], given)


@pytest.mark.parametrize("name", MEETING)
def test_rows_that_meet(name):
    given = x, h, u, w, b = inputs()
    hs, _ = croton.scan(MEETING[name], [x], h, [u, w, b])
    f = croton.function(given, [hs], mode="FAST_RUN", on_unused_input="ignore")
    assert count(f, Split) == 0
    assert count(f, Loop) == 1
    for batch in (1, 40):
        agree(f, values(4, batch), [hs], given)


@pytest.mark.parametrize("batch", [None, 32])
def test_gradients(batch):
    given = _, _, u, w, b = inputs()
    x, h = T.tensor("float64", (None, batch, WIDE)), T.tensor("float64", (batch, HIDDEN))
    given[:2] = x, h
    hs, _ = croton.scan(STEPS["plain"], [x], h, [u, w, b])
    outputs = [hs[-1], *T.grad(T.sqr(hs[-1]).sum(), [x, h, u, w, b])]
    f = croton.function(given, outputs, mode="FAST_RUN", on_unused_input="ignore")
    assert count(f, Split) == 2
    for n in (32,) if batch else (3, 32, 50):
        agree(f, values(3, n), outputs, given)


def test_gradients_of_a_product_with_inputs_and_states_together():
    x, h = T.dtensor3("x"), T.dmatrix("h")
    weights, b = T.dmatrix("weights"), T.dvector("b")

    def step(x, h, weights, b):
        gates = T.dot(T.concatenate([x, h], axis=1), weights) + b
        return T.nnet.sigmoid(gates[:, :HIDDEN]) * T.tanh(gates[:, HIDDEN:])

    hs, _ = croton.scan(step, [x], h, [weights, b])
    given = [x, h, weights, b]
    outputs = T.grad(T.sqr(hs).sum(), given)
    f = croton.function(given, outputs, mode="FAST_RUN")
    assert count(f, Split) == 2
    for batch in (5, 40):
        call = [rows(4, batch, WIDE), rows(batch, HIDDEN), rows(WIDE + HIDDEN, 2 * HIDDEN) / 4]
        agree(f, [*call, rows(2 * HIDDEN)], outputs, given)


def test_a_batch_that_is_as_wide_as_the_state():
    """Sizes that are equal by chance, or by the program's own word, are not mixed up."""
    h, w = T.dmatrix("h"), T.dmatrix("w")
    hs, _ = croton.scan(lambda h, w: T.dot(h, w), outputs_info=h, non_sequences=w, n_steps=3)
    f = croton.function([h, w], [hs])
    agree(f, [rows(32, 32), rows(32, 32) / 6], [hs], [h, w])
    square, _ = croton.scan(lambda h: T.dot(h, h.T) / 50, outputs_info=h, n_steps=3)
    agree(croton.function([h], [square]), [rows(32, 32)], [square], [h])


def test_masks_and_memories_of_several_steps():
    x, mask, h = T.dtensor3("x"), T.dmatrix("mask"), T.dtensor3("h")
    weights = T.dmatrix("weights")

    def step(x, m, older, old, weights, whole):
        new = T.tanh(x + T.dot(old, weights) - older)
        m = m.dimshuffle(0, "x")
        return m * new + (1 - m) * old + 0.1 * whole

    whole = T.dmatrix("whole")
    hs, _ = croton.scan(
        step, [x, mask], {"initial": h, "taps": [-2, -1]}, [weights, whole]
    )  # fmt: skip
    given = [x, mask, h, weights, whole]
    f = croton.function(given, [hs[-1]], mode="FAST_RUN", on_unused_input="ignore")
    assert count(f, Split) == 1
    for batch in (3, 33):
        call = [
            rows(5, batch, 4), (rows(5, batch) > 0).astype(float), rows(2, batch, 4),
            rows(4, 4) / 4, rows(batch, 4),
        ]  # fmt: skip
        agree(f, call, [hs[-1]], given)


def test_vectors_are_batches_of_numbers():
    x, h = T.dmatrix("x"), T.dvector("h")
    hs, _ = croton.scan(lambda x, h: 0.9 * h + 0.1 * T.sqr(x), [x], h)
    f = croton.function([x, h], [hs[-1]], mode="FAST_RUN", on_unused_input="ignore")
    assert count(f, Split) == 1
    for n in (1, 5000, 100_001):
        agree(f, [rows(3, n), rows(n)], [hs[-1]], [x, h])


def test_sizes_that_do_not_fit_are_told():
    given = x, h, u, w, b = inputs()
    hs, _ = croton.scan(STEPS["plain"], [x], h, [u, w, b])
    f = croton.function(given, hs)
    call = values(3, 40)
    call[1] = rows(39, HIDDEN)
    with pytest.raises(ValueError, match=r"40.*39|39.*40"):
        f(*call)
    call = values(3, 40)
    call[3] = rows(HIDDEN + 1, HIDDEN)
    with pytest.raises(ValueError, match=r"shapes do not fit in dot"):
        f(*call)


def test_rows_of_a_table_by_their_numbers():
    ids, h, table, w = T.lmatrix("ids"), T.dmatrix("h"), T.dmatrix("table"), T.dmatrix("w")
    step = lambda i, h, table, w: T.tanh(T.dot(h, w) * table[i] + table[i])
    hs, _ = croton.scan(step, [ids], h, [table, w])
    given = [ids, h, table, w]
    outputs = [hs[-1], *T.grad(T.sqr(hs).sum(), [h, table, w])]
    f = croton.function(given, outputs, mode="FAST_RUN")
    assert count(f, Split) >= 1
    for batch in (3, 40):
        call = [RNG.integers(-9, 9, (5, batch)), rows(batch, 4), rows(9, 4), rows(4, 4) / 4]
        agree(f, call, outputs, given)
    call[0][3, 17] = 9
    with pytest.raises(IndexError, match="index 9 is out of bounds for a dimension of size 9"):
        f(*call)


def test_a_step_that_may_fail_tells_of_it():
    x, h, table = T.lmatrix("x"), T.dvector("h"), T.dvector("table")
    hs, _ = croton.scan(lambda x, h, table: h + table[x], [x], h, table)
    f = croton.function([x, h, table], hs[-1])
    places = RNG.integers(0, 9, (4, 10_000))
    want = np.zeros(10_000)
    numbers = rows(9)
    for row in places:
        want = want + numbers[row]
    np.testing.assert_allclose(f(places, np.zeros(10_000), numbers), want, rtol=1e-12)
    places[2, 9_000] = 9
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        f(places, np.zeros(10_000), numbers)


def test_a_single_row_is_no_batch():
    h = T.row("h", dtype="float64")
    hs, _ = croton.scan(lambda h: h * 2, outputs_info=T.unbroadcast(h, 0), n_steps=3)
    node = next(v.owner for v in hs.owner.inputs if v.owner is not None)
    while not hasattr(node.op, "layout"):
        node = node.inputs[0].owner
    assert rows_apart(node) is None
    np.testing.assert_array_equal(croton.function([h], hs)(np.ones((1, 3)))[-1], [[8, 8, 8]])


#: What a step may do with two matrices, some of it with rows that need others.
WORDS = {
    "add": lambda a, b, w, m: T.tanh(a + b),
    "dot": lambda a, b, w, m: T.dot(a, w) / 2 - b,
    "mean": lambda a, b, w, m: a - b.mean(axis=1, keepdims=True),
    "softmax": lambda a, b, w, m: T.nnet.softmax(a) * b,
    "slices": lambda a, b, w, m: T.concatenate([b[:, 2:], a[:, :2]], axis=1),
    "put": lambda a, b, w, m: T.set_subtensor(a[:, 1:3], b[:, :2]),
    "mask": lambda a, b, w, m: m.dimshuffle(0, "x") * a + b,
    "shared": lambda a, b, w, m: a * T.tanh(w.sum()) + w[0],
    "zeros": lambda a, b, w, m: T.zeros_like(a) + T.sqr(b) / 4,
    "whole": lambda a, b, w, m: a - b.mean(axis=0),
    "turned": lambda a, b, w, m: T.dot(T.dot(a, b.T), b) / 20,
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@hypothesis.given(data=st.data())
def test_random_steps_of_a_batch(data):
    """Parts of one row or more, whatever a step does."""
    count_of = lambda low, high: data.draw(st.integers(low, high))
    x, h, w, m = T.dtensor3("x"), T.dmatrix("h"), T.dmatrix("w"), T.dmatrix("m")
    names = [data.draw(st.sampled_from(sorted(WORDS))) for _ in range(count_of(1, 4))]
    places = [(count_of(0, 1 + k), count_of(0, 1 + k)) for k in range(len(names))]
    kept = data.draw(st.booleans())

    def step(xt, mt, h, w):
        values = [xt, h]
        for name, (a, b) in zip(names, places, strict=True):
            values.append(WORDS[name](values[a], values[b], w, mt))
        new = T.tanh(values[-1])
        return [new, values[-2]] if kept else [new]

    info = [h, None] if kept else [h]
    found, _ = croton.scan(
        step, [x, m], info, w, go_backwards=data.draw(st.booleans()), return_list=True
    )
    total = sum(T.sqr(v).sum() for v in found)
    wanted = [*found, *T.grad(total, [x, h, w], disconnected_inputs="ignore")]
    given_inputs = [x, m, h, w]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looping, "_ROWS", 1)
        patch.setattr(looping, "_ELEMENTS", 1)
        f = croton.function(given_inputs, wanted, on_unused_input="ignore")
    for batch in (count_of(0, 1), count_of(2, 20)):
        steps = count_of(0, 3)
        call = [rows(steps, batch, 4), rows(steps, batch), rows(batch, 4), rows(4, 4) / 2]
        agree(f, call, wanted, given_inputs)


@pytest.mark.parametrize("large", [False, True])
def test_matrices_that_fill_a_cache_are_shared_out_by_columns(large):
    """Every part would read all of them in each step, from where the threads contend for it."""
    fitting = math.isqrt(cpu.host().machine.l2 // 2 // 8)
    size = fitting + 1 if large else fitting // 2
    h, w = T.dmatrix("h"), T.dmatrix("w")
    hs, _ = croton.scan(lambda h, w: T.dot(h, w), outputs_info=h, non_sequences=w, n_steps=20)
    f = croton.function([h, w], [hs[-1]])
    assert count(f, Split) == 1
    use_threads(2)
    call = [rows(32, size), rows(size, size) / size]
    agree(f, call, [hs[-1]], [h, w])
    before = pool_statistics()["spread"]
    f(*call)
    assert (pool_statistics()["spread"] - before >= 20) == large
