"""Scans as native loops, against their NumPy definition."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.traversal import ancestors, toposort
from croton.loop import Inner, Layout, Scan
from croton.loop.layout import Sequence, State
from croton.runtime.program import Host, Launch, Loop, Next
from croton.runtime.threads import use_threads

RNG = np.random.default_rng(0)


def check(inputs, outputs, *calls):
    f = croton.function(inputs, outputs, mode="FAST_RUN")
    assert any(isinstance(i, Loop) for i in f.program.instructions)
    for values in calls:
        want = evaluate(outputs, dict(zip(inputs, values, strict=True)))
        for _ in range(2):
            for a, b in zip(f(*values), want, strict=True):
                assert a.dtype == b.dtype
                assert a.shape == b.shape
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    return f


class Sorted(Op):
    """Runs in Python."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def infer_shape(self, node, shapes):
        return shapes

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.sort(inputs[0])


def rows(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("lags", [(1,), (2,), (1, 2), (3, 1)])
def test_lags(backwards, history, lags):
    past = T.dvectors(len(lags))
    new = sum((k + 1) * x for k, x in enumerate(past)) / 3 + 1
    layout = Layout(states=(State(lags, history),), backwards=backwards)
    n, first = T.lscalar("n"), T.dmatrix("first")
    calls = [(k, rows(max(lags), 2)) for k in (0, 1, 2, 7)]
    f = check([n, first], [Scan(Inner(past, [new]), layout)(n, first)], *calls)
    assert not any(isinstance(i, Host) for i in f.program.instructions)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("taps", [(0,), (0, 2), (1,)])
def test_a_recurrent_network(backwards, history, taps):
    xs, h = T.fmatrices(len(taps)), T.fmatrix("h")
    w, u, b = T.fmatrix("w"), T.fmatrix("u"), T.fvector("b")
    new = T.tanh(sum(T.dot(x, w) for x in xs) + T.dot(h, u) + b)
    layout = Layout((Sequence(taps),), (State((1,), history),), 0, 3, False, backwards)
    op = Scan(Inner([*xs, h, w, u, b], [new]), layout)
    x, first = T.ftensor3("x"), T.ftensor3("first")
    hs = op(x.shape[0] - max(taps), x, first, w, u, b)
    f32 = {"dtype": "float32"}
    calls = [
        (
            rows(n + max(taps), m, 5, **f32), rows(1, m, 6, **f32),
            rows(5, 6, **f32) / 3, rows(6, 6, **f32) / 6, rows(6, **f32),
        )
        for n, m in ((0, 3), (1, 1), (9, 4), (5, 40))
    ]  # fmt: skip
    f = check([x, first, w, u, b], [hs], *calls)
    assert not any(isinstance(i, Host) for i in f.program.instructions)


def test_states_that_change_places_and_what_steps_only_hand_on():
    a, b, x = T.dvectors("abx")
    inner = Inner([x, a, b], [b, a, x, a + x, x])
    op = Scan(inner, Layout((Sequence(),), (State(), State()), 3))
    first, second, xs = T.dmatrices("first", "second", "xs")
    outputs = op(xs.shape[0], xs, first, second)
    calls = [(rows(n, 3), rows(1, 3), rows(1, 3)) for n in (0, 1, 4, 5)]
    check([xs, first, second], outputs, *calls)
    # What nobody asks for is not computed.
    for wanted in outputs:
        check([xs, first, second], [wanted], *calls)


def test_an_end_by_a_condition():
    v = T.dscalar("v")
    inner = Inner([v], [v * 2, v + 1, T.gt(v, 50.0)])
    op = Scan(inner, Layout(states=(State(),), collected=1, until=True))
    n, first = T.lscalar("n"), T.dvector("first")
    outputs = op(n, first)
    calls = [(n, np.ones(1)) for n in (0, 1, 6, 7, 8, 100)]
    check([n, first], outputs, *calls)
    check([n, first], [outputs[1].sum()], *calls)
    last = Scan(inner, Layout(states=(State((1,), False),), collected=1, until=True))
    check([n, first], [last(n, first)[0]], *calls)


def test_loops_in_steps():
    total, x = T.dscalars("total", "x")
    summed = Scan(Inner([x, total], [total + x]), Layout((Sequence(),), (State((1,), False),)))
    row, acc = T.dvector("row"), T.dscalar("acc")
    zero = T.constant(np.zeros(1))
    inner = Inner([row, acc], [acc * 0.5 + summed(row.shape[0], row, zero)[0]])
    op = Scan(inner, Layout((Sequence(),), (State(),)))
    table, first = T.dmatrix("table"), T.dvector("first")
    calls = [(rows(n, m), rows(1)) for n, m in ((0, 3), (3, 0), (4, 5))]
    check([table, first], [op(table.shape[0], table, first)], *calls)


def test_python_ops_and_sizes_that_change_in_steps():
    k, x = T.lscalar("k"), T.dvector("x")
    # The least of so many elements of x.
    part = Sorted()(x[:k])[0]
    op = Scan(Inner([k, x], [part]), Layout((Sequence(),), (), 1, 1))
    ks, v = T.lvector("ks"), T.dvector("v")
    f = check([ks, v], [op(ks.shape[0], ks, v)], (np.array([3, 1, 7, 100, 1]), rows(7)))
    assert any(isinstance(i, Host) for i in f.program.instructions)


def test_rows_that_do_not_fit():
    h, w = T.dvector("h"), T.dmatrix("w")
    op = Scan(Inner([h, w], [T.dot(h, w)]), Layout((), (State(),), 0, 1), "turning")
    n, first = T.lscalar("n"), T.dmatrix("first")
    f = croton.function([n, first, w], op(n, first, w))
    assert f(3, rows(1, 4), rows(4, 4)).shape == (4, 4)
    with pytest.raises(ValueError, match=r"state 0 changes its shape: expected \(4,\), .* \(5,\)"):
        f(3, rows(1, 4), rows(4, 5))
    with pytest.raises(ValueError, match=r"turning.*number of steps cannot be negative: -1"):
        f(-1, rows(1, 4), rows(4, 4))
    with pytest.raises(ValueError, match="rows that state 0 starts from: 2 and 1"):
        f(3, rows(2, 4), rows(4, 4))
    assert f(0, rows(1, 4), rows(4, 5)).shape == (1, 4)
    x = T.dmatrix("x")
    op = Scan(Inner([h], [h * 2]), Layout((Sequence((0,)),), (), 1))
    g = croton.function([n, x], op(n, x))
    with pytest.raises(ValueError, match="rows of sequence 0 that are needed and there: 4 and 3"):
        g(4, rows(3, 2))


def test_the_same_for_every_number_of_threads():
    x, h, u = T.fmatrix("x"), T.fmatrix("h"), T.fmatrix("u")
    op = Scan(Inner([x, h, u], [T.tanh(x + T.dot(h, u))]), Layout((Sequence(),), (State(),), 0, 1))
    xs, first = T.ftensor3("xs"), T.ftensor3("first")
    f = croton.function([xs, first, u], op(xs.shape[0], xs, first, u))
    values = rows(20, 64, 96, dtype="f4"), rows(1, 64, 96, dtype="f4"), rows(96, 96, dtype="f4") / 9
    try:
        found = []
        for count in (1, 2, 3):
            use_threads(count)
            found.append(f(*values))
    finally:
        use_threads(croton.config.threads)
    assert all(np.array_equal(found[0], r) for r in found[1:])


def recurrent(steps, width=40):
    """A function of a network's gradients, and values for it."""
    x, w = T.ftensor3("x"), croton.shared(rows(width, width, dtype="float32") / 10)
    start = T.zeros((x.shape[1], width), dtype="float32")
    hs, _ = croton.scan(lambda r, h, w: T.tanh(r + T.dot(h, w)), [x], [start], [w])
    f = croton.function([x], T.grad((hs**2).sum(), [w, x]))
    return f, rows(steps, 24, width, dtype="float32")


def in_loops(f):
    """The kernels that steps of loops launch, and whether each hands on what it computes."""
    found, depth = [], 0
    for i in f.program.instructions:
        depth += isinstance(i, Loop) - isinstance(i, Next)
        if isinstance(i, Launch) and depth:
            found.append((f.program.kernels[i.kernel], bool(i.calls)))
    return found


def test_a_matrix_of_all_steps_is_copied_before_them():
    f, _ = recurrent(3)
    names = {f.program.kernels[i.kernel] for i in f.program.instructions if isinstance(i, Launch)}
    assert "product_float32_panels" in names
    assert "product_float32_panels" not in dict(in_loops(f))


def lstm(steps=6, batch=4, width=8):
    """A function of the gradients of a network of that kind."""
    x = T.TensorType("float32", (steps, batch, width))("x")
    of_input, of_state = (
        croton.shared(rows(width, 4 * width, dtype="float32") / 10) for _ in range(2)
    )

    def step(gates, h, c, w):
        gates = gates + T.dot(h, w)
        i, f, g, o = (gates[:, k * width : (k + 1) * width] for k in range(4))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return T.nnet.sigmoid(o) * T.tanh(c), c

    gates = T.dot(x.reshape((steps * batch, -1)), of_input).reshape((steps, batch, -1))
    start = T.zeros((batch, width), dtype="float32")
    (hs, _), _ = croton.scan(step, [gates], [start, start], [of_state])
    return croton.function([x], T.grad((hs**2).sum(), [of_input, of_state]))


def test_what_is_added_to_a_product_takes_no_kernel_of_its_own():
    launched = in_loops(lstm())
    assert launched.count(("product_float32", False)) == 2
    assert ("product_float32", True) not in launched


def test_rows_that_a_simplified_step_does_not_read_are_not_kept():
    scans = [n for n in toposort(lstm().maker.fgraph.outputs) if isinstance(n.op, Scan)]
    assert len(scans) == 2
    for node in scans:
        assert set(node.op.inner.inputs) <= set(ancestors(node.op.inner.outputs))
