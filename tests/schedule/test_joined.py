"""Values put together from parts of one shape, which are stored where they are computed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import croton
import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.runtime.program import Launch

RNG = np.random.default_rng(0)


def launches(f):
    return sum(isinstance(i, Launch) for i in f.program.instructions)


def check(inputs, outputs, *calls):
    f = croton.function(inputs, outputs, mode="FAST_RUN")
    for values in calls:
        want = evaluate(outputs, dict(zip(inputs, values, strict=True)))
        for a, b in zip(f(*values), want, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    return f


def values(*shapes):
    return [RNG.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_parts_that_share_what_they_need(axis):
    x, y = T.dtensor3s("x", "y")
    z = T.exp(x) * y
    out = T.concatenate([z, z - x, T.tanh(y), x], axis=axis)
    shapes = [(3, 4, 5), (1, 1, 1), (2, 0, 3), (7, 33, 65)]
    f = check([x, y], [out], *(values(s, s) for s in shapes))
    assert launches(f) == 1
    assert "?" not in str(f.kernels())


def test_what_is_read_behind_it_is_read_from_memory():
    x = T.dmatrix("x")
    joined = T.concatenate([T.exp(x), T.sin(x)], axis=1)
    outputs = [joined, joined.sum(axis=1), joined[:, 1:] * 2, T.exp(x) + joined[:, : x.shape[1]]]
    check([x], outputs, values((4, 6)), values((1, 1)), values((100, 70)))


def test_a_stack_of_numbers_and_of_rows():
    x = T.dvector("x")
    check([x], [T.stack([x[0], x[1] * 2, x.sum()])], values(5))
    check([x], [T.stack([x, x[::-1], T.exp(x)]), T.stack([x, T.sqr(x)], axis=1)], values(9))


def test_parts_of_different_sizes():
    x, y = T.dmatrices("x", "y")
    out = T.concatenate([T.exp(x), y], axis=0)
    check([x, y], [out], values((2, 5), (4, 5)), values((3, 5), (3, 5)), values((0, 5), (3, 5)))


def test_many_parts():
    x = T.dmatrix("x")
    check([x], [T.concatenate([x * k for k in range(40)], axis=1)], values((3, 7)))


def test_updates_in_place():
    s = croton.shared(np.arange(12.0).reshape(2, 6))
    x = s[:, :3]
    swapped = T.concatenate([s[:, 3:], T.exp(-x)], axis=1)
    f = croton.function([], swapped.sum(), updates=[(s, swapped)])
    want = s.get_value()
    for _ in range(3):
        want = np.concatenate([want[:, 3:], np.exp(-want[:, :3])], axis=1)
        np.testing.assert_allclose(f(), want.sum())
        np.testing.assert_allclose(s.get_value(), want)


def test_an_update_of_what_parts_are_made_of():
    s = croton.shared(np.arange(6.0).reshape(2, 3))
    joined = T.concatenate([s * 2, s + 1], axis=1)
    f = croton.function([], joined, updates=[(s, s * s + 1)])
    for _ in range(3):
        now = s.get_value()
        np.testing.assert_allclose(f(), np.concatenate([now * 2, now + 1], axis=1))
        np.testing.assert_allclose(s.get_value(), now * now + 1)


def test_reductions_beside_it():
    x = T.dmatrix("x")
    z = T.exp(x)
    outputs = [T.concatenate([z, -z], axis=1), z.sum(axis=1), z.sum(axis=0), z.max()]
    check([x], outputs, values((5, 6)), values((300, 40)))
    normal = z / z.sum(axis=1, keepdims=True)
    check([x], [T.concatenate([normal, x], axis=0), normal], values((5, 6)), values((70, 130)))


def test_an_index_out_of_bounds_is_told():
    x, i = T.dmatrix("x"), T.lvector("i")
    f = croton.function([x, i], T.concatenate([x[i], x[i] * 2], axis=1))
    (rows,) = values((5, 3))
    np.testing.assert_array_equal(f(rows, [4, 0])[:, 3:], 2 * rows[[4, 0]])
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        f(rows, [0, 5])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_random_graphs_with_joins(data):
    x, y = T.dmatrices("x", "y")
    pool = [x, y, x * y]
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["map", "join", "part"]))
        a = data.draw(st.sampled_from(pool))
        if kind == "map":
            pool.append(T.tanh(a) + a)
        elif kind == "join":
            axis = data.draw(st.integers(0, 1))
            pool.append(T.concatenate([a, T.sin(a), a], axis=axis))
        else:
            pool.append(a[:, 1:] if data.draw(st.booleans()) else a[::-1])
    outputs = [pool[-1], pool[-1].sum(axis=0), pool[data.draw(st.integers(0, len(pool) - 1))]]
    inputs = [x, y]
    f = croton.function(inputs, outputs, on_unused_input="ignore")
    call = values((3, 4), (3, 4))
    want = evaluate(outputs, dict(zip(inputs, call, strict=True)))
    for got, expected in zip(f(*call), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
