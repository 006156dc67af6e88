"""Products of matrices and vectors, against NumPy."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses

import croton.tensor as T


def array(*shape, dtype="float64"):
    rng = np.random.default_rng(sum(shape) + len(shape))
    return rng.integers(-5, 6, shape).astype(dtype)


def variables(*values):
    return [T.TensorType(v.dtype, (None,) * v.ndim)() for v in values]


@pytest.mark.parametrize(
    "a, b",
    [
        ((), ()),
        ((), (3,)),
        ((2, 3), ()),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((1, 1), (1, 1)),
        ((2, 3), (3, 1)),
        ((1, 3), (3, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 2)),
        ((0,), (0,)),
        ((2, 3, 4), (4,)),
        ((2, 3, 4), (4, 2)),
        ((4,), (2, 4, 3)),
        ((2, 3, 4), (5, 4, 2)),
    ],
)
def test_dot(a, b):
    p, q = array(*a), array(*b)
    x, y = variables(p, q)
    got = compute([T.dot(x, y), x.dot(y)], {x: p, y: q})
    assert np.array_equal(got[0], np.dot(p, q)) and got[0].shape == np.dot(p, q).shape


@pytest.mark.parametrize(
    "a, b",
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((2, 5, 2, 3), (2, 5, 3, 4)),
        ((2, 1, 2, 3), (1, 5, 3, 4)),
        ((2, 1, 2, 3), (5, 3, 4)),
        ((0, 2, 3), (0, 3, 4)),
    ],
)
def test_matmul(a, b):
    p, q = array(*a), array(*b)
    x, y = (T.TensorType("float64", [1 if n == 1 else None for n in s])() for s in (a, b))
    got = compute([T.matmul(x, y), x @ y], {x: p, y: q})
    for g in got:
        assert np.array_equal(g, p @ q) and g.shape == (p @ q).shape


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 5, 7), (16, 16, 16), (33, 65, 17), (64, 128, 200), (130, 3, 260)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_of_matrices(shape, dtype):
    m, k, n = shape
    rng = np.random.default_rng(1)
    p, q = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    x, y = variables(p, q)
    u, v = variables(p.T, q.T)
    given = {x: p, y: q, u: np.ascontiguousarray(p.T), v: np.ascontiguousarray(q.T)}
    cases = [T.dot(x, y), T.dot(u.T, y), T.dot(x, v.T), T.dot(u.T, v.T), T.dot(x, y) + 1]
    results = compute(cases, given, ulp=100)
    want = p.astype(np.float64) @ q.astype(np.float64)
    limit = {"float32": 1e-6, "float64": 1e-15}[dtype] * np.sqrt(k) * 20
    for got in results[:4]:
        assert got.dtype == dtype and np.abs(got - want).max() <= limit


@pytest.mark.parametrize(
    "dtypes",
    [
        ("int8", "int8"),
        ("int32", "int32"),
        ("int64", "int64"),
        ("uint8", "int8"),
        ("float32", "int8"),
        ("float32", "float64"),
        ("int32", "float32"),
        ("float16", "float16"),
        ("bool", "bool"),
    ],
)
def test_dtypes(dtypes):
    p, q = (array(3, 4, dtype=dtypes[0]) > 0, array(4, 5, dtype=dtypes[1]) > 1)
    p, q = p.astype(dtypes[0]), q.astype(dtypes[1])
    x, y = variables(p, q)
    got = compute(T.dot(x, y), {x: p, y: q})
    want = np.dot(p, q)
    assert got.dtype == want.dtype and np.array_equal(got, want)


def test_nan_and_infinity_go_through():
    x, y = T.dmatrices("x", "y")
    p = np.ones((3, 4))
    p[1, 2] = np.nan
    p[2, 0] = np.inf
    q = np.ones((4, 2))
    q[0, 1] = 0
    with np.errstate(invalid="ignore"):
        want = p @ q
    np.testing.assert_array_equal(compute(T.dot(x, y), {x: p, y: q}), want)


def test_sizes_that_do_not_fit():
    x, y, v = T.dmatrix("x"), T.dmatrix("y"), T.dvector("v")
    given = {x: np.zeros((2, 3)), y: np.zeros((4, 2)), v: np.zeros(2)}
    refuses(T.dot(x, y), given, ValueError)
    refuses(T.dot(x, v), given, ValueError)
    refuses(T.dot(v, v[:1]), given, ValueError)
    fixed = T.TensorType("float64", (2, 3))()
    with pytest.raises(ValueError, match="do not fit"):
        T.dot(fixed, fixed)
    with pytest.raises(ValueError, match="scalars"):
        T.matmul(T.dscalar(), fixed)
    assert T.dot(fixed, fixed.T).type.shape == (2, 2)
    assert T.dot(fixed, T.dvector()).type.shape == (2,)


def test_batched_dot():
    for a, b in itertools.product([(5, 2, 3), (5, 3)], [(5, 3, 4), (5, 3)]):
        p, q = array(*a), array(*b)
        x, y = variables(p, q)
        want = np.stack([np.dot(i, j) for i, j in zip(p, q, strict=True)])
        got = compute(T.batched_dot(x, y), {x: p, y: q})
        assert np.array_equal(got, want) and got.shape == want.shape
    refuses(
        T.batched_dot(*(v := T.dtensor3s(2))),
        dict(zip(v, (np.zeros((2, 3, 4)), np.zeros((3, 4, 2))), strict=True)),
        ValueError,
    )
    with pytest.raises(TypeError, match="ranks 2 and 3"):
        T.batched_dot(T.dvector(), T.dmatrix())


@pytest.mark.parametrize("axes", [0, 1, 2, ([1], [0]), ([0, 2], [1, 0]), ([-1], [0]), (2, 0)])
def test_tensordot(axes):
    p = array(3, 4, 5)
    shapes = {0: (2,), 1: (5, 2), 2: (4, 5, 2)}
    if isinstance(axes, int):
        q = array(*shapes[axes])
    else:
        q = (
            array(5, 3, 2)
            if axes == ([0, 2], [1, 0])
            else array(4, 2)
            if axes == ([1], [0])
            else (array(5, 2))
        )
    x, y = variables(p, q)
    want = np.tensordot(p, q, axes)
    got = compute(T.tensordot(x, y, axes), {x: p, y: q})
    assert np.array_equal(got, want) and got.shape == want.shape


def test_tensordot_refuses():
    x, y = T.dtensor3("x"), T.dmatrix("y")
    with pytest.raises(ValueError, match="over 2 and 1"):
        T.tensordot(x, y, [[0, 1], [0]])
    for axes in ([[3], [0]], [[0], [2]], [[-4], [0]], 3):
        with pytest.raises(ValueError, match=r"range|tensordot"):
            T.tensordot(x, y, axes)
    refuses(T.tensordot(x, y, 1), {x: np.zeros((2, 3, 4)), y: np.zeros((3, 2))}, ValueError)


def test_outer_and_inner():
    p, q = array(3), array(4)
    x, y = variables(p, q)
    assert np.array_equal(compute(T.outer(x, y), {x: p, y: q}), np.outer(p, q))
    m, n = array(2, 3), array(4, 3)
    u, v = variables(m, n)
    assert np.array_equal(compute(T.outer(u, y), {u: m, y: q}), np.outer(m, q))
    assert np.array_equal(compute(T.inner(u, v), {u: m, v: n}), np.inner(m, n))
    assert compute(T.inner(x, x), {x: p}) == np.inner(p, p)


@pytest.mark.parametrize("swap", list(itertools.product([False, True], repeat=2)))
def test_products_of_transposed_parts(swap):
    p, q = array(6, 8), array(8, 6)
    x, y = variables(p, q)
    a, b = (x.T if swap[0] else x), (y.T if swap[1] else y)
    m, n = (p.T if swap[0] else p), (q.T if swap[1] else q)
    if swap[0] != swap[1]:
        b, n = b.T, n.T
        b, n = b.T, n.T
    cases = [(T.dot(a[:4, :5], b[:5, 1:]), m[:4, :5] @ n[:5, 1:])]
    cases.append((T.dot(a[::2, ::-1][:, :5], b[:5]), m[::2, ::-1][:, :5] @ n[:5]))
    cases.append((T.dot(a[0][:5], b[:5]), m[0][:5] @ n[:5]))
    for got, (_, want) in zip(compute([c[0] for c in cases], {x: p, y: q}), cases, strict=True):
        assert np.array_equal(got, want)
