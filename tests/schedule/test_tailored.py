"""Scans of unknown sizes, for which calls with few numbers in a step get kernels of their own."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.config import config
from croton.gradient import grad
from croton.gradient.numeric import evaluate
from croton.loop import Inner, Layout, Scan, scan, until
from croton.loop.layout import State
from croton.runtime.program import Ask, LaunchAt
from croton.schedule import launching, recurrence, tailored
from croton.schedule.tailored import Tailored

RNG = np.random.default_rng(0)


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The sizes that kernels were asked for, and whether there were any; one step is enough."""
    # Programs that were compiled for more steps are not to be found.
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    monkeypatch.setattr(tailored, "_LAUNCHES", 1)
    found = []
    make = Tailored.kernel

    def spy(self, numbers):
        function = make(self, numbers)
        found.append((numbers, function is not None))
        return function

    monkeypatch.setattr(Tailored, "kernel", spy)
    return found


def check(inputs, outputs, *calls):
    f = croton.function(inputs, outputs, mode="FAST_RUN")
    for values in calls:
        want = evaluate(outputs, dict(zip(inputs, values, strict=True)))
        for a, b in zip(f(*values), want, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    return f


def rows(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("lags", [(1,), (2, 1), (3, 1)])
def test_states(made, backwards, history, lags):
    m, past = T.dmatrix("m"), [T.dvector() for _ in lags]
    new = T.dot(m, sum(past)) / 3
    inner = Inner([*past, m], [new, new.sum()])
    layout = Layout((), (State(lags, history),), 1, 1, backwards=backwards)
    n, first, a = T.lscalar("n"), T.dmatrix("first"), T.dmatrix("a")
    depth, sizes = max(lags), (2, 3, 2, 0, 1, 16, 17, 40)
    calls = [(n, rows(depth, k), rows(k, k)) for k in sizes for n in (0, 1, 2, 7)]
    check([n, first, a], Scan(inner, layout)(n, first, a), *calls)
    assert made == [((k, k), k in (2, 3, 1)) for k in (2, 3, 0, 1, 16)]


def test_few_steps_are_not_worth_a_kernel(made, monkeypatch):
    monkeypatch.setattr(tailored, "_LAUNCHES", 100)
    x, n, a = T.dvector("x"), T.lscalar("n"), T.dmatrix("a")
    last, _ = scan(lambda x: T.dot(a, x), outputs_info=x, n_steps=n)
    f = check([x, a, n], [last[-1]], (rows(2), rows(2, 2) / 2, 9))
    assert not made
    f(rows(2), rows(2, 2) / 2, 100)
    assert made == [((2, 2), True)]


def test_sequences_and_gradients(made):
    xs, h, w, c = T.dmatrix("xs"), T.dvector("h"), T.dmatrix("w"), T.dvector("c")
    states, _ = scan(lambda x, h: T.tanh(T.dot(w, h) + T.dot(x, c) * h), xs, h)
    cost = (states**2).sum()
    outputs = [cost, *grad(cost, [xs, h, w, c])]
    calls = [(rows(n, k), rows(m), rows(m, m), rows(k)) for n, k, m in
             ((5, 2, 3), (1, 2, 3), (4, 4, 1), (3, 30, 3), (3, 2, 30), (2, 1, 1))]  # fmt: skip
    check([xs, h, w, c], outputs, *calls)
    assert {tuple(sorted(numbers)) for numbers, fits in made if fits} >= {(2, 3), (1, 4)}


@pytest.mark.parametrize("steps", [3, 1 << 16])
def test_loops_that_end_early(made, monkeypatch, steps):
    for room in (launching, recurrence):
        monkeypatch.setattr(room, "STEPS", steps)
    xs, h, w = T.dmatrix("xs"), T.dvector("h"), T.dmatrix("w")

    def step(x, h, g):
        h = T.dot(w, h) + x
        return [h, g * 0.5 + h, h * g.sum()], until(h.sum() > 2)

    (hs, gs, ys), _ = scan(step, xs, [h, h, None])
    calls = [(x, h, np.eye(k)) for k in (2, 3, 20) for x, h in
             ((rows(8, k), rows(k)), (-np.ones((8, k)), np.zeros(k)), (np.ones((8, k)) / k,
              -np.ones(k)), (rows(1, k), rows(k)))]  # fmt: skip
    for wanted in ([hs, gs, ys], [gs[-1]], [ys], [hs.shape[0]], grad(ys.sum(), [xs, w])):
        made.clear()
        check([xs, h, w], wanted, *calls)
        assert {numbers[0] for numbers, fits in made if fits} == {2, 3}


def test_loops_in_loops(made):
    xs, w = T.dtensor3("xs"), T.dmatrix("w")

    def inner(x):
        return scan(lambda v, h: T.dot(w, h) + v, x, T.zeros_like(x[0]))[0][-1]

    result, _ = scan(inner, xs)
    f = check([xs, w], [result], *((rows(3, 4, k), rows(k, k)) for k in (2, 20, 3)))
    assert [numbers for numbers, _ in made] == [(2,), (3,)]
    assert any(isinstance(i, LaunchAt) for i in f.program.instructions)


def test_no_more_kernels_than_a_few(made):
    x, y, n = T.dvector("x"), T.dvector("y"), T.lscalar("n")
    last, _ = scan(lambda v, w: (v / 2, w + w.sum()), outputs_info=[x, y], n_steps=n)
    calls = [(rows(1 + k % 4), rows(1 + k // 4), 2) for k in range(12)]
    check([x, y, n], [v[-1] for v in last], *calls)
    assert len(made) == 8


def test_places_that_the_values_tell(made):
    """Of what is the same in every step any number may be large."""
    seen, start, move = T.lvector("seen"), T.dvector("start"), T.dmatrix("move")
    show, log = T.dmatrix("show"), T.constant(rows(30))

    def step(k, h):
        h = T.dot(h, move) * show[:, k]
        return h / h.sum(), h.sum() + T.take(show, k, axis=1)[-1] + log[k]

    (states, sums), _ = scan(step, seen, [start, None])
    inputs = [seen, start, move, show]
    calls = [
        (RNG.integers(-m, m, 9), rows(k) ** 2, rows(k, k) ** 2, rows(k, m) ** 2)
        for k, m in ((2, 20), (3, 5), (2, 29), (20, 20), (3, 7))
    ]
    f = check(inputs, [states, sums], *calls)
    assert [fits for _, fits in made] == [True, True]
    assert all(20 not in numbers and 5 not in numbers for numbers, _ in made)
    seen, *others = calls[0]
    with pytest.raises(IndexError, match=r"index 20 is out of bounds for .* of size 20") as error:
        f(np.array([1, 20, 3]), *others)
    assert "test_tailored.py" in str(error.value)
    np.testing.assert_array_equal(f(seen, *others)[0], f(seen, *others)[0])


def test_sizes_as_numbers(made):
    x, n = T.dvector("x"), T.lscalar("n")
    last, _ = scan(lambda v: v - v.mean() + T.arange(v.shape[0]), outputs_info=x, n_steps=n)
    check([x, n], [last], (rows(3), 5), (rows(4), 5), (rows(33), 5))
    assert made == [((3,), True), ((4,), True)]


def test_shapes_that_do_not_fit(made):
    x, a, n = T.dvector("x"), T.dmatrix("a"), T.lscalar("n")
    last, _ = scan(lambda x: T.dot(a, x), outputs_info=x, n_steps=n)
    f = croton.function([x, a, n], last[-1])
    with pytest.raises(ValueError, match="shapes do not fit"):
        f(rows(2), rows(2, 3), 4)
    with pytest.raises(ValueError, match=r"changes its shape|shapes do not fit"):
        f(rows(2), rows(3, 2), 4)
    assert not made


def test_what_cannot_be_tiny(made):
    x, n = T.dvector("x"), T.lscalar("n")
    start = [x, T.zeros((17,))]
    (long, _), _ = scan(lambda v, w: (v + w.sum(), w + 1), outputs_info=start, n_steps=n)
    f = check([x, n], [long], (rows(3), 3))
    assert not any(isinstance(i, Ask) for i in f.program.instructions)
