"""Rearranging, joining and making arrays, against NumPy."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses

import croton.tensor as T

DTYPES = ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"]


def array(*shape, dtype="float64"):
    return np.random.default_rng(sum(shape)).integers(-9, 9, shape).astype(dtype)


def variable(value, promise_ones=True):
    shape = [1 if n == 1 and promise_ones else None for n in value.shape]
    return T.TensorType(value.dtype, shape)("x")


# -- order and rank ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 4), (0, 3), (1, 3, 1)])
def test_transpose(shape):
    value = array(*shape)
    x = variable(value)
    orders = list(itertools.permutations(range(len(shape))))[:6]
    cases = [x.T, T.transpose(x), *(x.transpose(o) for o in orders)]
    wanted = [value.T, value.T, *(value.transpose(o) for o in orders)]
    for got, want in zip(compute(cases, {x: value}), wanted, strict=True):
        assert np.array_equal(got, want) and got.shape == want.shape
    if len(shape) == 3:
        assert np.array_equal(compute(x.transpose(2, 0, 1), {x: value}), value.transpose(2, 0, 1))
        assert np.array_equal(compute(x.transpose(-1, 0, 1), {x: value}), value.transpose(2, 0, 1))


def test_transpose_of_transposed():
    x = T.dtensor3("x")
    assert x.transpose(2, 0, 1).transpose(1, 2, 0) is x
    assert x.dimshuffle(0, 1, 2) is x
    with pytest.raises(ValueError, match="order"):
        x.transpose(0, 1)
    with pytest.raises(ValueError, match="order"):
        x.transpose(0, 0, 1)


@pytest.mark.parametrize(
    "shape, pattern, want",
    [
        ((), ("x",), (1,)),
        ((3,), ("x", 0), (1, 3)),
        ((3,), (0, "x"), (3, 1)),
        ((2, 3), (1, "x", 0), (3, 1, 2)),
        ((2, 1), (0,), (2,)),
        ((1, 3, 1), (1,), (3,)),
        ((1,), (), ()),
        ((2, 3, 4), (-1, "x", 0, "x", 1), (4, 1, 2, 1, 3)),
        ((0, 1), ("x", 0), (1, 0)),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dimshuffle(shape, pattern, want, dtype):
    value = array(*shape, dtype=dtype)
    x = variable(value)
    got, again = compute([x.dimshuffle(*pattern), x.dimshuffle(pattern)], {x: value})
    assert got.dtype == dtype and got.shape == want and np.array_equal(got, again)
    kept = [d % len(shape) for d in pattern if d != "x"]
    dropped = [d for d in range(len(shape)) if d not in kept]
    assert np.array_equal(got.ravel(), value.transpose([*kept, *dropped]).ravel())


def test_dimshuffle_refuses():
    x = T.dmatrix("x")
    for pattern in [(0,), (0, 0, 1), (0, 1, 2), (0, "y"), (0, 1.5), (-3, 0)]:
        with pytest.raises(ValueError, match=r"dimension|pattern"):
            x.dimshuffle(*pattern)
    assert x.dimshuffle(1, "x", 0).type.shape == (None, 1, None)


def test_adding_and_dropping_dimensions():
    value = array(2, 3)
    x = variable(value)
    cases = [
        (T.shape_padleft(x, 2), value[None, None]),
        (T.shape_padright(x, 2), value[..., None, None]),
        (T.shape_padaxis(x, 1), value[:, None]),
        (T.shape_padaxis(x, -1), value[..., None]),
        (T.expand_dims(x, 0), value[None]),
        (T.squeeze(x.dimshuffle(0, "x", 1, "x")), value),
        (T.squeeze(x.dimshuffle("x", 0, "x", 1), 0), value[:, None]),
        (x.dimshuffle("x", 0, "x", 1).squeeze((0, -2)), value),
        (T.swapaxes(x, 0, 1), value.T),
        (x.swapaxes(-1, 0), value.T),
        (T.moveaxis(x, 0, -1), value.T),
        (T.moveaxis(x, -1, 0), value.T),
    ]
    for got, (e, want) in zip(compute([c[0] for c in cases], {x: value}), cases, strict=True):
        assert np.array_equal(got, want) and got.shape == want.shape, str(e)
    with pytest.raises(ValueError, match="left out"):
        T.squeeze(x, 0)
    for wrong in (
        lambda: T.shape_padaxis(x, 4),
        lambda: T.swapaxes(x, 0, 2),
        lambda: T.moveaxis(x, 2, 0),
        lambda: T.moveaxis(x, 0, 2),
        lambda: T.squeeze(x, 5),
    ):
        with pytest.raises((IndexError, ValueError), match=r"range|dimension"):
            wrong()


def test_moveaxis_of_many_dimensions():
    value = array(2, 3, 4, 5)
    x = variable(value)
    pairs = list(itertools.product(range(-4, 4), range(-4, 4)))
    results = compute([T.moveaxis(x, a, b) for a, b in pairs], {x: value})
    for got, (a, b) in zip(results, pairs, strict=True):
        assert np.array_equal(got, np.moveaxis(value, a, b))


# -- sizes -------------------------------------------------------------------------------


def test_shape_and_size():
    value = array(2, 0, 3)
    x = variable(value)
    shape, size, one, ndim = x.shape, x.size, x.shape[2], x.ndim
    assert compute(shape, {x: value}).tolist() == [2, 0, 3] and shape.dtype == "int64"
    assert compute(size, {x: value}) == 0 and compute(one, {x: value}) == 3 and ndim == 3
    assert compute(x.shape[-3], {x: value}) == 2
    assert compute(x.shape[1:], {x: value}).tolist() == [0, 3]
    assert compute(T.prod(x.shape), {x: value}) == 0
    fixed = T.TensorType("float64", (2, None))("y")
    assert int(fixed.shape[0].data) == 2
    with pytest.raises(IndexError):
        x.shape[3]
    assert compute(T.dscalar("s").shape, {}).shape == (0,)


@pytest.mark.parametrize(
    "shape, new",
    [
        ((2, 3), (3, 2)),
        ((2, 3), (6,)),
        ((2, 3), (-1,)),
        ((2, 3), (-1, 1)),
        ((2, 3), (1, -1, 2)),
        ((6,), (2, 3)),
        ((), (1, 1)),
        ((1,), ()),
        ((0, 3), (3, 0)),
        ((0,), (0, 5)),
        ((2, 3, 4), (6, 4)),
        ((2, 3, 4), (2, 12)),
        ((2, 3, 4), (4, 3, 2)),
    ],
)
def test_reshape(shape, new):
    value = array(*shape)
    x = variable(value, promise_ones=False)
    n = T.lscalar("n")
    symbolic = tuple(n - 7 + k if k >= 0 else -1 for k in new)
    cases = [T.reshape(x, new), x.reshape(new), x.T.reshape(new), T.reshape(x, symbolic)]
    if new:
        cases.append(x.reshape(*new))
    results = compute(cases, {x: value, n: 7})
    for got, e in zip(results, cases, strict=True):
        want = (value.T if e is cases[2] else value).reshape(new)
        assert np.array_equal(got, want) and got.shape == want.shape


def test_reshape_by_the_shape_of_another():
    x, y = T.dvector("x"), T.dmatrix("y")
    given = {x: np.arange(6.0), y: np.zeros((2, 3))}
    assert compute(x.reshape(y.shape), given).shape == (2, 3)
    assert compute(x.reshape((y.shape[1], -1)), given).shape == (3, 2)
    sizes = T.lvector("sizes")
    assert compute(x.reshape(sizes, ndim=2), {x: given[x], sizes: [2, 3]}).shape == (2, 3)
    assert x.reshape((2, 3)).type.shape == (2, 3)
    assert T.TensorType("float64", (4, 3))().reshape((2, -1)).type.shape == (2, 6)


def test_reshape_refuses():
    x = T.dvector("x")
    with pytest.raises(ValueError, match="only one"):
        x.reshape((-1, -1))
    with pytest.raises(ValueError, match="negative"):
        x.reshape((-2, 3))
    with pytest.raises(TypeError, match="unknown length"):
        x.reshape(T.lvector("sizes"))
    with pytest.raises(TypeError, match="integer"):
        x.reshape((2.5,))
    with pytest.raises(ValueError, match="ndim"):
        x.reshape((2, 3), ndim=3)
    with pytest.raises(ValueError, match="cannot reshape"):
        T.TensorType("float64", (2, 3))().reshape((4,))
    with pytest.raises(ValueError, match="cannot reshape"):
        T.TensorType("float64", (2, 3))().reshape((4, -1))
    refuses(x.reshape((2, 3)), {x: np.zeros(5)}, ValueError, "reshape")
    refuses(x.reshape((2, -1)), {x: np.zeros(5)}, ValueError, "reshape")


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_flatten(ndim):
    value = array(2, 3, 4)
    x = variable(value)
    want = value.reshape((*value.shape[: ndim - 1], -1))
    for e in (T.flatten(x, ndim), x.flatten(ndim), T.flatten(x, outdim=ndim)):
        assert np.array_equal(compute(e, {x: value}), want)
    assert np.array_equal(compute(x.ravel(), {x: value}), value.ravel())
    s = T.dscalar()
    assert compute(s.flatten(), {s: 3.0}).tolist() == [3.0]
    with pytest.raises(ValueError, match="flatten"):
        T.flatten(x, 4)
    with pytest.raises(ValueError, match="flatten"):
        T.flatten(x, 0)


def test_promises_about_sizes():
    x = T.dmatrix("x")
    y = T.specify_shape(x, (None, 1))
    assert y.type.shape == (None, 1) and y.broadcastable == (False, True)
    assert np.array_equal(compute(y + np.ones((2, 3)), {x: np.zeros((2, 1))}), np.ones((2, 3)))
    refuses(y, {x: np.zeros((2, 3))}, ValueError)
    assert T.addbroadcast(x, 0).type.shape == (1, None)
    assert T.patternbroadcast(x, (False, True)).type.shape == (None, 1)
    assert T.unbroadcast(T.row("r"), 0).type.ndim == 2
    with pytest.raises(ValueError, match="rank 2"):
        T.patternbroadcast(x, (True,))
    with pytest.raises(ValueError, match="rank 2"):
        T.specify_shape(x, (1,))
    with pytest.raises(ValueError, match="not 3"):
        T.specify_shape(y, (None, 3))


# -- joining and cutting -----------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_join(axis):
    parts = [array(2, 3), array(2, 3) + 1]
    other = array(2, 5) if axis in (1, -1) else array(4, 3)
    parts.append(other)
    variables = [variable(p, False) for p in parts]
    given = dict(zip(variables, parts, strict=True))
    want = np.concatenate(parts, axis=axis)
    for e in (T.join(axis, *variables), T.concatenate(variables, axis=axis)):
        assert np.array_equal(compute(e, given), want)


def test_join_promotes_and_takes_what_is_empty():
    a, b, c = T.bvector("a"), T.fvector("b"), T.ivector("c")
    given = {a: [1, 2], b: [], c: [3]}
    got = compute(T.concatenate([a, b, c]), given)
    assert got.dtype == np.float64 and got.tolist() == [1, 2, 3]
    got = compute(T.concatenate([a, [5]]), given)
    assert got.tolist() == [1, 2, 5]
    assert compute(T.join(0, a), given).tolist() == [1, 2]


def test_join_refuses():
    x, y = T.dmatrices("x", "y")
    with pytest.raises(TypeError, match="same rank"):
        T.join(0, x, T.dvector())
    with pytest.raises(IndexError, match="out of range"):
        T.join(2, x, y)
    with pytest.raises(TypeError, match="scalars"):
        T.concatenate([T.dscalar(), T.dscalar()])
    with pytest.raises(ValueError, match="nothing"):
        T.concatenate([])
    with pytest.raises(TypeError, match="list"):
        T.concatenate(x)
    with pytest.raises(ValueError, match="do not fit"):
        T.join(0, *(T.TensorType("float64", (2, n))() for n in (3, 4)))
    with pytest.raises(TypeError, match="axis"):
        T.join(T.lscalar("axis"), x, y)
    refuses(T.join(0, x, y), {x: np.zeros((2, 3)), y: np.zeros((2, 4))}, ValueError)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_stack(axis):
    parts = [array(2, 3), array(2, 3) + 1, array(2, 3) * 2]
    variables = [variable(p) for p in parts]
    given = dict(zip(variables, parts, strict=True))
    assert np.array_equal(compute(T.stack(variables, axis=axis), given), np.stack(parts, axis))


def test_stack_of_scalars_and_in_the_old_form():
    a, b = T.dscalar("a"), T.iscalar("b")
    given = {a: 1.5, b: 2}
    assert compute(T.stack([a, b]), given).tolist() == [1.5, 2]
    assert compute(T.stack(a, b, 3), given).tolist() == [1.5, 2, 3]
    assert compute(T.as_tensor_variable([a, 2, [b][0]]), given).tolist() == [1.5, 2, 2]
    nested = T.as_tensor_variable([[a, 1], [2, b]])
    assert compute(nested, given).tolist() == [[1.5, 1], [2, 2]]
    with pytest.raises(IndexError, match="out of range"):
        T.stack([a, b], axis=1)
    with pytest.raises(ValueError, match="nothing"):
        T.stack([])


def test_split():
    value = array(6, 4)
    x = variable(value)
    for axis, sizes in [(0, [1, 2, 3]), (1, [4]), (-1, [1, 3]), (0, [0, 6])]:
        parts = T.split(x, sizes, len(sizes), axis=axis)
        wanted = np.split(value, np.cumsum(sizes)[:-1], axis=axis)
        for got, want in zip(compute(parts, {x: value}), wanted, strict=True):
            assert np.array_equal(got, want) and got.shape == want.shape
    sizes = T.lvector("sizes")
    parts = compute(T.split(x, sizes, 2), {x: value, sizes: [2, 4]})
    assert [p.shape for p in parts] == [(2, 4), (4, 4)]
    with pytest.raises(ValueError, match="n_splits"):
        T.split(x, sizes)
    with pytest.raises(ValueError, match="parts"):
        T.split(x, [1, 5], 3)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2), ()])
@pytest.mark.parametrize("reps", [2, (2,), (3, 2), (1, 1), (2, 1, 2), (0,), (0, 2)])
def test_tile(shape, reps):
    value = array(*shape)
    x = variable(value, False)
    want = np.tile(value, reps)
    n = T.lscalar("n")
    symbolic = tuple(n - 3 + r for r in (reps if isinstance(reps, tuple) else (reps,)))
    for got in compute([T.tile(x, reps), T.tile(x, symbolic)], {x: value, n: 3}):
        assert np.array_equal(got, want) and got.shape == want.shape


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_repeat(axis, repeats):
    value = array(2, 3)
    x, n = variable(value), T.lscalar("n")
    want = np.repeat(value, repeats, axis)
    cases = [T.repeat(x, repeats, axis), x.repeat(n, axis)]
    for got in compute(cases, {x: value, n: repeats}):
        assert np.array_equal(got, want) and got.shape == want.shape


# -- making ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, *DTYPES])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_filled_arrays(dtype, shape):
    n = T.lscalar("n")
    symbolic = tuple(n - 5 + s for s in shape)
    cases = [
        (T.zeros(shape, dtype), np.zeros),
        (T.ones(shape, dtype), np.ones),
        (T.zeros(symbolic, dtype), np.zeros),
        (T.full(shape, 1, "float64" if dtype is None else dtype), np.ones),
        (T.empty(shape, dtype), np.zeros),
    ]
    results = compute([c[0] for c in cases], {n: 5})
    for got, (_, oracle) in zip(results, cases, strict=True):
        want = oracle(shape, "float64" if dtype is None else dtype)
        assert got.dtype == want.dtype and np.array_equal(got, want) and got.shape == shape


def test_filled_as_others():
    x = T.imatrix("x")
    value = np.arange(6, dtype="int32").reshape(2, 3)
    cases = [
        (T.zeros_like(x), np.zeros_like(value)),
        (T.ones_like(x), np.ones_like(value)),
        (T.zeros_like(x, dtype="float32"), np.zeros((2, 3), "float32")),
        (T.full_like(x, 7), np.full_like(value, 7)),
        (x.zeros_like(), np.zeros_like(value)),
        (x.ones_like("int8"), np.ones((2, 3), "int8")),
        (T.fill(x, 2.5), np.full((2, 3), 2.5, "float32")),
        (x.fill(3), np.full((2, 3), 3, "int8")),
        (T.alloc(5, 2, 2), np.full((2, 2), 5, "int8")),
        (T.alloc(x[0], 4, x.shape[1]), np.tile(value[0], (4, 1))),
        (T.second(x, 1), np.ones((2, 3), "int8")),
    ]
    for got, (e, want) in zip(compute([c[0] for c in cases], {x: value}), cases, strict=True):
        assert got.dtype == want.dtype and np.array_equal(got, want), str(e)


def test_alloc_repeats_only_what_is_known_to_be_one():
    x = T.dvector("x")
    refuses(T.alloc(x, 3, 4), {x: np.zeros(3)}, ValueError)
    refuses(T.alloc(x, 3, 4), {x: np.zeros(1)}, ValueError)
    with pytest.raises(TypeError, match="rank 1"):
        T.alloc(x)
    with pytest.raises(ValueError, match="negative"):
        T.zeros((2, -1))
    n = T.lscalar("n")
    refuses(T.zeros((n,)), {n: -1}, ValueError)
    with pytest.raises(ValueError, match="not 1 or 4"):
        T.alloc(T.TensorType("float64", (3,))(), 4)


@pytest.mark.parametrize(
    "args",
    [
        (5,),
        (0,),
        (-3,),
        (2, 7),
        (7, 2),
        (2, 9, 3),
        (2, 8, 3),
        (9, 2, -2),
        (0, -5, -1),
        (0.0, 1.0, 0.25),
        (1.0, 0.0, -0.3),
        (2.5,),
    ],
)
def test_arange(args):
    want = np.arange(*args)
    assert np.allclose(compute(T.arange(*args)), want, rtol=1e-14, atol=0)
    variables = [T.lscalar() if isinstance(a, int) else T.dscalar() for a in args]
    got = compute(T.arange(*variables), dict(zip(variables, args, strict=True)))
    assert np.allclose(got, want) and got.dtype == want.dtype and got.shape == want.shape


@pytest.mark.parametrize("dtype", ["int8", "int32", "float16", "float32", "float64"])
def test_arange_of_a_dtype(dtype):
    got = compute(T.arange(2, 9, 2, dtype=dtype))
    assert got.dtype == dtype and got.tolist() == [2, 4, 6, 8]
    n = T.bscalar("n")
    assert compute(T.arange(n, dtype=dtype), {n: 3}).tolist() == [0, 1, 2]
    assert T.arange(5).type.shape == (5,)
    with pytest.raises(TypeError, match="scalars"):
        T.arange(T.dvector())
    with pytest.raises(ValueError, match="step"):
        T.arange(0, 5, 0)
    step = T.lscalar("step")
    refuses(T.arange(0, 5, step), {step: 0}, ValueError, "step")


def test_triangles():
    value = array(4, 5) + 0.5
    x = variable(value)
    for k in (-2, 0, 1, 6):
        got = compute([T.tri(4, 5, k), T.tril(x, k), T.triu(x, k), T.eye(4, 5, k)], {x: value})
        wanted = [np.tri(4, 5, k), np.tril(value, k), np.triu(value, k), np.eye(4, 5, k)]
        for g, w in zip(got, wanted, strict=True):
            assert np.array_equal(g, w)
    n = T.lscalar("n")
    assert np.array_equal(compute(T.eye(n), {n: 3}), np.eye(3))
    assert compute(T.eye(2, dtype="int8")).dtype == np.int8
    assert np.array_equal(compute(T.identity_like(x), {x: value}), np.eye(4, 5))


def test_triangles_of_infinite_numbers():
    x = T.dmatrix("x")
    value = np.full((3, 3), np.inf)
    value[0, 2] = np.nan
    assert np.array_equal(compute(T.triu(x), {x: value}), np.triu(value), equal_nan=True)
    assert np.array_equal(compute(T.tril(x), {x: value}), np.tril(value), equal_nan=True)


def test_iteration_and_length():
    x = T.TensorType("float64", (3, None))("x")
    value = array(3, 2)
    assert len(x) == 3
    rows = compute(list(x), {x: value})
    assert np.array_equal(rows, value)
    y = T.dvector("y")
    for use in (lambda: list(y), lambda: len(y), lambda: list(T.dscalar())):
        with pytest.raises(TypeError, match=r"length|iterate"):
            use()
    a, b = T.TensorType("float64", (2,))()
    assert a.ndim == b.ndim == 0
    n, m = T.dmatrix().shape
    assert n.dtype == m.dtype == "int64"
