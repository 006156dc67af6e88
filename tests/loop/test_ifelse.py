"""One of two expressions, by a condition."""

import numpy as np
import pytest
from helpers import compute

import croton.tensor as T
from croton.gradient import Rop, grad, verify_grad
from croton.loop import ifelse, scan


@pytest.mark.parametrize("dtype", ["bool", "int8", "float32"])
def test_one_of_two(dtype):
    c, x, y = T.scalar("c", dtype), T.fvector("x"), T.fvector("y")
    out = ifelse(c, x * 2, y - 1, name="out")
    given = {x: np.ones(3, "float32"), y: np.ones(2, "float32")}
    assert out.name == "out"
    assert compute([out, out.shape[0]], given | {c: 1})[0].tolist() == [2, 2, 2]
    assert compute([out, out.shape[0]], given | {c: 0})[0].tolist() == [0, 0]
    assert compute(out.shape[0], given | {c: 0}) == 2


def test_several_of_several():
    c, x = T.bscalar("c"), T.dvector("x")
    a, b = ifelse(c, [x, x.sum()], [x * 0, T.constant(7, dtype="int8")])
    assert b.type.dtype == "float64"
    for condition, want in ((1, ([1, 2], 3)), (0, ([0, 0], 7))):
        found = compute([a, b], {c: condition, x: [1.0, 2.0]})
        assert found[0].tolist() == want[0] and found[1] == want[1]
    assert isinstance(ifelse(c, (x,), (x,)), list) and ifelse(c, [], []) == []


def test_known_sizes():
    c = T.scalar("c", "bool")
    a, b = T.constant(np.zeros((2, 3))), T.constant(np.zeros((2, 4)))
    assert ifelse(c, a, a).type.shape == (2, 3) and ifelse(c, a, b).type.shape == (2, None)


def test_gradients():
    c, x, y = T.scalar("c", "bool"), T.dvector("x"), T.dvector("y")
    a, b = ifelse(c, [x**2, x * y], [y**3, x])
    cost = a.sum() + 2 * b.sum()
    given = {x: np.array([1.0, 2.0]), y: np.array([3.0, 4.0])}
    by_x, by_y = compute(grad(cost, [x, y]), given | {c: True})
    assert by_x.tolist() == [2 + 6, 4 + 8] and by_y.tolist() == [2, 4]
    by_x, by_y = compute(grad(cost, [x, y]), given | {c: False})
    assert by_x.tolist() == [2, 2] and by_y.tolist() == [27, 48]
    # Of only one of them, and of second order.
    assert compute(grad(a.sum(), x), given | {c: False}).tolist() == [0, 0]
    second = grad((grad(a.sum(), y) ** 2).sum(), y)
    assert compute(second, given | {c: False}).tolist() == [4 * 27 * 27 / 3, 36 * 64]
    assert compute(Rop(a, [x, y], [x, y]), given | {c: True}).tolist() == [2, 8]
    assert compute(Rop(a, y, y), given | {c: False}).tolist() == [81, 192]
    verify_grad(lambda x: ifelse(x.sum() > 0, T.sin(x), x**2)[:1], [np.array([0.4, 0.3])])


def test_inside_of_loops():
    x = T.dvector("x")
    out, _ = scan(lambda v, h: ifelse(v > 0, h + v, h * 2), x, T.constant(1.0, dtype="float64"))
    assert compute(out, {x: [1.0, -1.0, 2.0]}).tolist() == [2, 4, 6]
    assert compute(grad(out[-1], x), {x: [1.0, -1.0, 2.0]}).tolist() == [2, 0, 1]


def test_what_does_not_match():
    c, x, y = T.bscalar("c"), T.dvector("x"), T.dmatrix("y")
    with pytest.raises(TypeError, match="the condition of ifelse is a scalar"):
        ifelse(x, x, x)
    with pytest.raises(TypeError, match="the same rank"):
        ifelse(c, x, y)
    with pytest.raises(TypeError, match="two tensors, or two lists"):
        ifelse(c, [x], x)
    with pytest.raises(ValueError, match="got 1 and 2"):
        ifelse(c, [x], [x, x])
