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


TABLE = rows(5, 4)
PLACES = {
    "a vector": lambda k, h, x, m, s: x[k] * h + x[0],
    "a matrix": lambda k, h, x, m, s: m[k, -1] + m[-k, k] * m[k - 1, 0] + h / 2,
    "a row": lambda k, h, x, m, s: (m[k][:2] * 2).sum() + h / 2,
    "slices": lambda k, h, x, m, s: s[::-1][k] - (s[:2] * h)[k - 2] + h / 2,
    "a constant": lambda k, h, x, m, s: T.constant(TABLE)[k, 3 - k] - h / 2,
    "few numbers": lambda k, h, x, m, s: s[k] + T.concatenate([s, s * h])[3 - k] / 2,
    "a sum": lambda k, h, x, m, s: x[T.switch(h > 0, k, -k)] + x[(k + 1) // 2] + h / 2,
    "places in memory": lambda k, h, x, m, s: T.take(x, k) + x[T.stack([k, -k])].sum() - h,
    "its size": lambda k, h, x, m, s: x[T.minimum(k, x.shape[0] - 1)] / x.shape[0] + h / 2,
}


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8"])
@pytest.mark.parametrize("name", PLACES)
def test_places_that_values_tell(name, dtype):
    ks, x, s = T.vector("ks", dtype), T.dvector("x"), of("float64", 3)
    m = T.specify_shape(T.dmatrix("m"), (None, 4))
    step = lambda k, h: PLACES[name](k.astype("int64") if dtype == "int64" else k, h, x, m, s)
    out, _ = scan(step, ks, T.constant(0.5, dtype="float64"))
    given = [ks, x, m.owner.inputs[0], s]
    f = croton.function(given, out, on_unused_input="ignore", mode="FAST_RUN")
    assert not _looks_at_rows(f)
    for k in (9, 1, 0):
        values = RNG.integers(0, 3, k).astype(dtype), rows(6), rows(5, 4), rows(3)
        (want,) = evaluate([out], dict(zip(given, values, strict=True)))
        np.testing.assert_allclose(f(*values), want, rtol=1e-12)


def test_places_that_steps_compute():
    n, x, counts = T.lscalar("n"), T.dvector("x"), of("int64", 4)

    def step(k, h, c):
        k = (k * 5 + 3) % x.shape[0]
        return k, h * 0.5 + x[k], T.inc_subtensor(c[k % 4], 1)

    start = [T.constant(1, dtype="int64"), T.constant(0.0, dtype="float64"), counts]
    outputs, _ = scan(step, outputs_info=start, n_steps=n)
    for k in (1, 7, 40):
        check([n, x, counts], outputs, *((n, rows(k), np.arange(4)) for n in (0, 1, 9)))
    low, high = while_loop(
        lambda v: v[0] < v[1],
        lambda v: (lambda k: (T.switch(x[k] < 0, k + 1, v[0]), T.switch(x[k] < 0, v[1], k)))(
            (v[0] + v[1]) // 2
        ),
        (T.constant(0, dtype="int64"), x.shape[0]),
    )
    f = check([x], [low, high], (np.arange(-3.0, 20),), (np.arange(-9.0, 0),), (np.arange(3.0),))
    assert [int(k) for k in f(np.linspace(-1, 2, 100_000))] == [33_333, 33_333]


def test_places_out_of_bounds():
    ks, x = T.lvector("ks"), T.dvector("x")
    out, _ = scan(lambda k, h: h + x[k], ks, T.constant(0.0, dtype="float64"))
    f = check([ks, x], [out], (np.array([0, -3, 2]), rows(3)), (np.zeros(0, "int64"), rows(0)))
    for bad in (3, -4, 2**40):
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds for .* of size 3") as e:
            f(np.array([1, bad, 0]), rows(3))
        assert "test_recurrence.py" in str(e.value)
    taken, _ = scan(lambda k, h: h + T.take(x, k), ks, T.constant(0.0, dtype="float64"))
    g = croton.function([ks, x], taken)
    with pytest.raises(IndexError, match=r"index 7 is out of bounds for .* of size 3"):
        g(np.array([1, 7, 0]), rows(3))
    # What fails leaves shared variables as they are.
    total = croton.shared(1.0)
    h = croton.function([ks, x], out[-1], updates=[(total, total + out[-1])])
    with pytest.raises(IndexError, match="index 9"):
        h(np.array([1, 9]), rows(3))
    assert total.get_value() == 1


def test_what_is_not_tiny():
    h = of("float64", 30)
    n = T.lscalar("n")
    large = Scan(Inner([h], [h * 2]), Layout((), (State(),)))(n, of("float64", 1, 30))
    check([n, large.owner.inputs[1]], [large], (3, rows(1, 30)), tiny=False)
    # How many numbers are read only the values tell.
    ks, x = T.lvector("ks"), T.dvector("x")
    sums, _ = scan(lambda k: x[:k].sum(), ks)
    check([ks, x], [sums], (np.array([1, 3, 0]), rows(4)), tiny=False)
    # All of what is large.
    means, _ = scan(lambda k, h: T.exp(h * x).sum(), ks, T.constant(0.0, dtype="float64"))
    check([ks, x], [means], (np.array([1, 3, 0]), rows(4)), tiny=False)
