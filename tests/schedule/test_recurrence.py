"""Scans with tiny steps, which one kernel runs, against their NumPy definition."""

import signal

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.config import config
from croton.gradient import grad
from croton.gradient.numeric import evaluate
from croton.loop import Inner, Layout, Scan, scan, until, while_loop
from croton.loop.layout import Sequence, State
from croton.runtime.program import Loop, Next, View
from croton.schedule import launching, recurrence

RNG = np.random.default_rng(0)


def check(inputs, outputs, *calls, tiny=True):
    f = croton.function(inputs, outputs, mode="FAST_RUN")
    assert _looks_at_rows(f) != tiny
    for values in calls:
        want = evaluate(outputs, dict(zip(inputs, values, strict=True)))
        for a, b in zip(f(*values), want, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            room = 1e-12 if a.dtype == "float64" else 1e-5
            np.testing.assert_allclose(a, b, rtol=room, atol=room)
    return f


def _looks_at_rows(f):
    """Whether instructions of a loop find the rows that its steps read and write."""
    inside = 0
    for i in f.program.instructions:
        inside += isinstance(i, Loop) - isinstance(i, Next)
        if inside and isinstance(i, View):
            return True
    return False


def of(dtype, *shape):
    return T.TensorType(dtype, shape)()


def rows(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("lags", [(1,), (2,), (1, 2), (3, 1)])
def test_lags(backwards, history, lags):
    past = [of("float64", 2) for _ in lags]
    new = sum((k + 1) * x for k, x in enumerate(past)) / 3 + 1
    layout = Layout(states=(State(lags, history),), backwards=backwards)
    n, first = T.lscalar("n"), of("float64", max(lags), 2)
    calls = [(k, rows(max(lags), 2)) for k in (0, 1, 2, 7)]
    check([n, first], [Scan(Inner(past, [new]), layout)(n, first)], *calls)


@pytest.fixture
def few_at_a_time(monkeypatch, tmp_path):
    """Steps of a loop that may end early are done three at a time."""
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    for room in (launching, recurrence):
        monkeypatch.setattr(room, "STEPS", 3)


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("lags", [(1,), (2,), (3, 1)])
def test_loops_that_end_early(few_at_a_time, history, lags):
    v, past, other = of("float64", 2), [of("float64", 2) for _ in lags], of("float64")
    new = sum((k + 1) * x for k, x in enumerate(past)) / 4 + v
    inner = Inner([v, *past, other], [new, other + 1, v * other, T.gt(new.sum(), 2)])
    layout = Layout((Sequence(),), (State(lags, history), State((1,), False)), 1, until=True)
    n, vs, first = T.lscalar("n"), T.dmatrix("vs"), of("float64", max(lags), 2)
    vs = T.specify_shape(vs, (None, 2))
    op, start = Scan(inner, layout), T.dvector("start")
    outputs = op(n, vs, first, start)
    inputs = [n, vs.owner.inputs[0], first, start]
    ends = [np.full((9, 2), -1.0), np.full((9, 2), 0.4), np.eye(9, 2, -2) * 9 - 1]
    calls = [(n, x, rows(max(lags), 2) / 9, rows(1)) for x in ends for n in (0, 1, 2, 3, 4, 6, 9)]
    f = check(inputs, outputs, *calls)
    assert [type(i).__name__ for i in f.program.instructions].count("Loop") == 1
    for wanted in outputs:
        check(inputs, [wanted], *calls, tiny=True)


def test_gradients_of_loops_that_end_early(few_at_a_time):
    x, a = T.dvector("x"), T.dscalar("a")
    out, _ = scan(lambda v, h: (T.tanh(a * h) + v, until(h > 2)), x, a)
    wanted = [out, *grad((out**2).sum(), [x, a])]
    check([x, a], wanted, *((k * np.ones(8), 0.5) for k in (0.0, 0.4, 0.9, 3.0)))


def test_while_loops(few_at_a_time):
    a, b = T.lscalars("ab")
    outputs = while_loop(lambda v: v[1] > 0, lambda v: (v[1], v[0] % v[1]), (a, b))
    f = check([a, b], list(outputs), (1071, 462), (462, 1071), (5, 0), (0, 7), (13, 8))
    # As many steps as it takes: there is no history of them.
    k = T.lscalar("k")
    last = while_loop(lambda v: v[0] < k, lambda v: (v[0] + 1, v[1] * 3 % 1000003), (a, b))
    g = croton.function([a, b, k], list(last))
    count, value = g(0, 1, 50_000)
    assert (int(count), int(value)) == (50_000, pow(3, 50_000, 1000003))
    assert any(isinstance(i, Loop) for i in f.program.instructions)


def test_what_never_ends_can_be_interrupted():
    a = T.dscalar("a")
    last = while_loop(lambda v: v > 0, lambda v: v / 2 + 1, a)
    f = check([a], [last], (-1.0,))

    def ring(number, frame):
        raise TimeoutError("it is time")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError, match="it is time"):
            f(1.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


STEPS = {
    "dot": lambda x, h, m: (T.dot(m, h) + x).astype(h.dtype),
    "outer": lambda x, h, m: (m * h.dimshuffle(0, "x")).sum(0) + x,
    "maximum": lambda x, h, m: T.maximum(m.max(axis=1), h) - m.min() * x,
    "product": lambda x, h, m: (m[1:, ::-1] * x).prod(axis=0) + h[0],
    "joined": lambda x, h, m: T.concatenate([h[1:] * 0.5, x[:1], h[:1] + 1])[:3],
    "replaced": lambda x, h, m: T.set_subtensor(h[1], x[2] + 1),
    "reshaped": lambda x, h, m: m.reshape((9,))[::3] * h + x,
    "chosen": lambda x, h, m: T.switch(T.gt(x, 0), T.exp(-h), T.tanh(h) + m[2]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STEPS)
def test_steps_of_few_numbers(name, dtype):
    x, h, m = of(dtype, 3), of(dtype, 3), of(dtype, 3, 3)
    new = STEPS[name](x, h, m)
    layout = Layout((Sequence((0, 1)),), (State(),), 1, 1)
    op = Scan(Inner([x, of(dtype, 3), h, m], [new, h.sum()]), layout)
    xs, first, ms = T.TensorType(dtype, (None,) * 2)(), of(dtype, 1, 3), of(dtype, 3, 3)
    xs = T.specify_shape(xs, (None, 3))
    calls = [(rows(n, 3, dtype=dtype), rows(1, 3, dtype=dtype), rows(3, 3, dtype=dtype) / 3)
             for n in (1, 2, 9)]  # fmt: skip
    check([xs.owner.inputs[0], first, ms], op(xs.shape[0] - 1, xs, first, ms), *calls)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", "float16"])
def test_dtypes(dtype):
    x, h = of(dtype), of(dtype)
    new = T.xor(x, h) if dtype == "bool" else (x + h).astype(dtype)
    op = Scan(Inner([x, h], [new]), Layout((Sequence(),), (State(),)))
    xs, first = T.TensorType(dtype, (None,))(), of(dtype, 1)
    values = RNG.integers(0, 2, 20).astype(dtype)
    check([xs, first], [op(xs.shape[0], xs, first)], (values, values[:1]))


def test_states_that_change_places():
    a, b = T.dscalars("ab")
    op = Scan(Inner([a, b], [b, a + b, a]), Layout((), (State(), State((1,), False)), 1))
    n, first, second = T.lscalar("n"), T.dvector("first"), T.dvector("second")
    outputs = op(n, first, second)
    check([n, first, second], outputs, *((n, rows(1), rows(1)) for n in (0, 1, 5)))
    for wanted in outputs:
        check([n, first, second], [wanted], (5, rows(1), rows(1)))


def test_sizes_that_a_check_tells():
    """A state of unknown size fits a matrix of known size, or fails the call."""
    h, m = T.dvector("h"), T.constant(rows(2, 2))
    op = Scan(Inner([h], [T.dot(m, h)]), Layout((), (State(),)))
    n, first = T.lscalar("n"), T.dmatrix("first")
    f = check([n, first], [op(n, first)], (4, rows(1, 2)))
    assert f(0, rows(1, 3))[0].shape == (1, 3)
    with pytest.raises(ValueError, match=r"shapes do not fit in .*: 2 and 3"):
        f(1, rows(1, 3))


def test_what_is_not_tiny():
    h, m, k = of("float64", 30), of("float64", 4), of("int64")
    n = T.lscalar("n")
    large = Scan(Inner([h], [h * 2]), Layout((), (State(),)))(n, of("float64", 1, 30))
    check([n, large.owner.inputs[1]], [large], (3, rows(1, 30)), tiny=False)
    # Which number of m is read only the values tell.
    told = Scan(Inner([k, m], [m[k]]), Layout((Sequence(),), (), 1, 1))
    ks, ms = T.lvector("ks"), of("float64", 4)
    check([ks, ms], [told(ks.shape[0], ks, ms)], (np.array([1, 3, 0]), rows(4)), tiny=False)
