"""Versions of loops do what the loops did."""

import numpy as np
import pytest

from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.nodes import Buffer, For, Function, If, Load, Store, Var, walk_statements
from croton.kernel.verify import verify
from croton.schedule.versions import versions

X, OUT = Buffer("x", "float64"), Buffer("out", "float64")
ROW, LANE, N, C = Var("row"), Var("lane"), Var("n"), Var("c")


def names():
    taken = []

    def fresh(base):
        taken.append(base)
        return f"{base}{len(taken)}"

    return fresh


def spread(window, stride, pad):
    """Row i adds up the rows of windows that hold it, by as many guarded loads."""
    at = b.add(ROW, b.index(pad))
    last = b.op("floordiv", at, b.index(stride))
    rest = b.sub(at, b.mul(last, b.index(stride)))
    total = b.const(0.0, "float64")
    for t in range(-(-window // stride)):
        o = b.sub(last, b.index(t))
        inside = b.op("lt", b.add(rest, b.index(t * stride)), b.index(window))
        for test in (b.op("ge", o, b.index(0)), b.op("lt", o, N)):
            inside = b.op("and", inside, test)
        value = Load(X, b.add(b.mul(o, C), LANE), mask=inside)
        total = b.add(total, b.select(inside, value, b.const(0.0, "float64")))
    return For(LANE, b.index(0), C, (Store(OUT, b.add(b.mul(ROW, C), LANE), total),), "vector")


def function(body, rows):
    return Function("f", (X, OUT), (N, C), (For(ROW, b.index(0), b.index(rows), body),), True)


def evaluate(body, rows, n, c):
    f = function(tuple(body), rows)
    verify(f)
    x = np.random.default_rng(0).normal(size=n * c)
    out = np.full(rows * c, np.nan)
    interpret(f, {"x": x, "out": out}, {"n": n, "c": c})
    return out.reshape(rows, c), x.reshape(n, c)


@pytest.mark.parametrize(
    ("window", "stride", "pad"), [(3, 2, 1), (5, 3, 2), (2, 3, 0), (3, 1, 1), (2, 2, 0)]
)
def test_windows_over_rows(window, stride, pad):
    rows, n, c = 11, (11 + 2 * pad - window) // stride + 1, 3
    loop = spread(window, stride, pad)
    made = versions(loop, names())
    assert len(made) > 1 or isinstance(made[0], If)
    got, x = evaluate(made, rows, n, c)
    want = np.zeros((rows + 2 * pad, c))
    for o in range(n):
        want[o * stride : o * stride + window] += x[o]
    np.testing.assert_allclose(got, want[pad : pad + rows], rtol=1e-14, atol=1e-15)
    before, _ = evaluate((loop,), rows, n, c)
    np.testing.assert_array_equal(got, before)


def test_a_version_has_no_conditions():
    loops = [s for s in walk_statements(versions(spread(3, 2, 1), names())) if isinstance(s, For)]
    # One for even rows, one for odd ones, and the loop as it was.
    assert len(loops) == 3
    guarded = []
    for loop in loops:
        (store,) = loop.body
        stack, masks = [store.value], 0
        while stack:
            e = stack.pop()
            masks += isinstance(e, Load) and e.mask is not None
            stack.extend(getattr(e, "args", ()))
        guarded.append(masks)
    assert sorted(guarded)[:2] == [0, 0] and max(guarded) == 2


def test_what_differs_between_lanes_stays():
    inside = b.op("lt", LANE, N)
    store = Store(OUT, LANE, Load(X, LANE, mask=inside))
    loop = For(LANE, b.index(0), C, (store,), "vector")
    assert versions(loop, names()) == (loop,)
