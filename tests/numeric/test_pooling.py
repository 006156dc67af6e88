"""Pooling and its gradients, against explicit loops that follow Theano's definition."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses
from hypothesis import given, settings
from hypothesis import strategies as st

import croton
import croton.tensor as T
from croton.gradient import Rop, grad, verify_grad
from croton.tensor.signal import Pool, downsample, pool_2d, pool_3d
from croton.tensor.signal import conv as signal_conv
from croton.tensor.signal.pool import max_pool_2d_same_size

RANKS = [T.dscalar, T.dvector, T.dmatrix, T.dtensor3, T.dtensor4, T.dtensor5]
MODES = ["max", "sum", "average_inc_pad", "average_exc_pad"]


def theano_count(size, ws, stride, pad, ignore_border):
    """Theano 1.0's Pool.out_shape."""
    v = size + 2 * pad
    if ignore_border:
        if ws == stride:
            return v // stride
        return max((v - ws) // stride + 1, 0)
    if stride >= ws:
        return (v - 1) // stride + 1
    return max(0, (v - 1 - ws + stride) // stride) + 1


def regions(shape, ws, stride, pad, ignore_border):
    """For each window: its index, the indices it holds, its size with padding."""
    n = len(ws)
    inner = shape[len(shape) - n :]
    counts = [
        theano_count(*numbers, ignore_border)
        for numbers in zip(inner, ws, stride, pad, strict=True)
    ]
    for at in np.ndindex(*counts):
        ranges, area = [], 1
        for d in range(n):
            start = at[d] * stride[d]
            end = min(start + ws[d], inner[d] + 2 * pad[d])
            area *= end - start
            ranges.append(range(max(start, pad[d]) - pad[d], min(end, inner[d] + pad[d]) - pad[d]))
        yield at, list(itertools.product(*ranges)), area
    return counts


def by_loops(x, ws, stride, pad, ignore_border, mode):
    n = len(ws)
    inner = x.shape[x.ndim - n :]
    counts = [
        theano_count(*numbers, ignore_border)
        for numbers in zip(inner, ws, stride, pad, strict=True)
    ]
    result = np.zeros((*x.shape[: x.ndim - n], *counts))
    for at, held, area in regions(x.shape, ws, stride, pad, ignore_border):
        values = np.stack([x[(..., *i)] for i in held], -1)
        result[(..., *at)] = {
            "max": lambda v, _: v.max(-1),
            "sum": lambda v, _: v.sum(-1),
            "average_exc_pad": lambda v, _: v.mean(-1),
            "average_inc_pad": lambda v, area: v.sum(-1) / area,
        }[mode](values, area)
    return result


def gradient_by_loops(x, z, g, ws, stride, pad, ignore_border, mode):
    result = np.zeros(x.shape)
    for at, held, area in regions(x.shape, ws, stride, pad, ignore_border):
        for i in held:
            share = {
                "max": x[(..., *i)] == z[(..., *at)],
                "sum": 1,
                "average_exc_pad": 1 / len(held),
                "average_inc_pad": 1 / area,
            }[mode]
            result[(..., *i)] += share * g[(..., *at)]
    return result


@st.composite
def poolings(draw):
    n = draw(st.sampled_from([2, 2, 3]))
    ws = tuple(draw(st.integers(1, 3)) for _ in range(n))
    stride = tuple(draw(st.integers(1, 4)) for _ in range(n))
    ignore_border = draw(st.booleans())
    pad = tuple(draw(st.integers(0, k - 1)) if ignore_border else 0 for k in ws)
    inner = [draw(st.integers(1, 7 if n == 2 else 4)) for _ in range(n)]
    lead = [draw(st.integers(0, 2)) for _ in range(draw(st.integers(0, 5 - n)))]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    # Few different values, so that maxima come more than once.
    x = rng.integers(0, 4, (*lead, *inner)).astype(float)
    return x, ws, stride, pad, ignore_border


@settings(max_examples=60, deadline=None)
@given(poolings(), st.sampled_from(MODES))
def test_against_loops(case, mode):
    value, ws, stride, pad, ignore_border = case
    x, g = RANKS[value.ndim]("x"), RANKS[value.ndim]("g")
    function = pool_2d if len(ws) == 2 else pool_3d
    z = function(x, ws, ignore_border, stride, pad, mode)
    want = by_loops(value, ws, stride, pad, ignore_border, mode)
    g_value = np.random.default_rng(1).normal(size=want.shape)
    inputs = {x: value, g: g_value}
    got, dx = compute([z, grad((z * g).sum(), x)], inputs, ulp=16)
    np.testing.assert_allclose(got, want, rtol=1e-13)
    want_x = gradient_by_loops(value, want, g_value, ws, stride, pad, ignore_border, mode)
    np.testing.assert_allclose(dx, want_x, rtol=1e-12, atol=1e-14)
    assert [s.eval({x: value}) for s in z.shape] == list(want.shape)
    shape = Pool.out_shape(value.shape, ws, ignore_border, stride, pad, len(ws))
    assert shape == list(want.shape)
    known = T.TensorType("float64", value.shape)()
    assert function(known, ws, ignore_border, stride, pad, mode).type.shape == want.shape


def test_sizes_are_theanos():
    n = T.lscalar("n")
    for size, ws, stride, pad in itertools.product(range(1, 9), [1, 2, 3], [1, 2, 3, 4], [0, 1]):
        if pad >= ws:
            continue
        for ignore_border in [True] if pad else [True, False]:
            arguments = (ws, ws), ignore_border, (stride, stride), (pad, pad)
            want = theano_count(size, ws, stride, pad, ignore_border)
            assert Pool.out_shape((2, size, size), *arguments) == [2, want, want]
            if size in (1, 5):
                symbolic = Pool.out_shape((2, n, size), *arguments)[1]
                assert compute(symbolic, {n: size}) == want


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("ws", "stride", "pad", "ignore_border"),
    [
        ((2, 2), None, (0, 0), True),
        ((3, 2), (2, 1), (1, 0), True),
        ((2, 3), (1, 2), (0, 0), False),
        ((2, 2), (3, 2), (0, 0), False),
    ],
)
def test_gradients_of_all_orders(mode, ws, stride, pad, ignore_border):
    value = np.random.default_rng(2).permutation(50).reshape(2, 5, 5) / 50

    def pooled(x):
        return pool_2d(x, ws, ignore_border, stride, pad, mode)

    def second(x):
        return grad((pooled(x) ** 3).sum(), x)

    def third(x):
        return grad((second(x) ** 2).sum(), x)

    verify_grad(pooled, [value])
    verify_grad(second, [value])
    verify_grad(third, [value])


def test_forward_mode():
    x, d = T.dmatrix("x"), T.dmatrix("d")
    given = {x: [[1.0, 1.0, 0.0], [0.0, 1.0, 2.0]], d: [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]}
    got = compute([Rop(pool_2d(x, (2, 2), False, mode=mode), x, d) for mode in MODES], given)
    np.testing.assert_array_equal(got[0], [[19, 32]])
    np.testing.assert_array_equal(got[1], [[27, 36]])
    np.testing.assert_array_equal(got[2], [[27 / 4, 36 / 2]])
    dx = grad((pool_2d(x, (2, 2), True, mode="max") ** 2).sum(), x)
    got = compute(Rop(dx, x, d), given)
    np.testing.assert_array_equal(got, [[38, 38, 0], [0, 38, 0]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint8", "int64", "bool"])
def test_dtypes(dtype):
    rng = np.random.default_rng(3)
    x = T.TensorType(dtype, (None,) * 3)("x")
    value = rng.integers(0, 2 if dtype == "bool" else 8, (2, 4, 5)).astype(dtype)
    if dtype != "bool" and dtype[0] != "u":
        value = -value
    z = pool_2d(x, (2, 2), True, (1, 1), (1, 1))
    assert z.type.dtype == dtype
    wide = value.astype(float)
    numbers = (2, 2), (1, 1), (1, 1), True
    np.testing.assert_array_equal(compute(z, {x: value}), by_loops(wide, *numbers, "max"))
    if dtype == "bool":
        with pytest.raises(TypeError, match="bool"):
            pool_2d(x, (2, 2), mode="sum")
        return
    z = pool_2d(x, (2, 2), True, (1, 1), (1, 1), "sum")
    assert z.type.dtype == dtype
    np.testing.assert_array_equal(compute(z, {x: value}), by_loops(wide, *numbers, "sum"))
    z = pool_2d(x, (2, 2), True, (1, 1), (1, 1), "average_inc_pad")
    assert z.type.dtype == (dtype if dtype[0] == "f" else "float64")
    np.testing.assert_array_equal(
        compute(z, {x: value}), by_loops(wide, *numbers, "average_inc_pad")
    )


def test_half_precision_averages_do_not_overflow():
    x = T.TensorType("float16", (None, None))("x")
    z = pool_2d(x, (2, 2), True, mode="average_exc_pad")
    assert compute(z, {x: np.full((2, 2), 6e4, np.float16)}).item() == np.float16(6e4)


def test_nan_and_infinity():
    x = T.dmatrix("x")
    value = np.array([[np.nan, 1, -np.inf, -np.inf], [0, 2, -np.inf, -np.inf]])
    z = pool_2d(x, (2, 2), True)
    np.testing.assert_array_equal(compute(z, {x: value}), [[np.nan, -np.inf]])
    dx = compute(grad(z.sum(), x), {x: value})
    np.testing.assert_array_equal(dx, [[0, 0, 1, 1], [0, 0, 1, 1]])


def test_nothing_to_pool():
    x = T.dtensor4("x")
    for mode in MODES:
        z = pool_2d(x, (2, 2), True, mode=mode)
        for shape, want in [
            ((0, 3, 4, 4), (0, 3, 2, 2)),
            ((2, 3, 1, 4), (2, 3, 0, 2)),
            ((2, 3, 0, 4), (2, 3, 0, 2)),
        ]:
            got, dx = compute([z, grad((z**2).sum(), x)], {x: np.ones(shape)})
            assert got.shape == want
            np.testing.assert_array_equal(dx, np.zeros(shape))
        z = pool_2d(x, (2, 2), False, (1, 1), mode=mode)
        refuses(z, {x: np.ones((2, 3, 0, 4))}, ValueError, "pooling of no elements")


def test_old_names_of_arguments():
    x = T.dmatrix("x")
    value = np.arange(30.0).reshape(5, 6)
    want = compute(pool_2d(x, (2, 2), True, (1, 1), (1, 0)), {x: value})
    for z in (
        pool_2d(x, ds=(2, 2), ignore_border=True, st=(1, 1), padding=(1, 0)),
        downsample.max_pool_2d(x, (2, 2), True, (1, 1), (1, 0)),
        downsample.DownsampleFactorMax((2, 2), True, (1, 1), (1, 0))(x),
        Pool(True)(x, (2, 2), (1, 1), (1, 0)),
        pool_2d(x, [2, 2], True, np.array([1, 1]), [1, 0], "max_deterministic"),
        pool_2d(x, T.constant((2, 2)), True, 1, (1, 0)),
    ):
        np.testing.assert_array_equal(compute(z, {x: value}), want)
    assert Pool.out_shape((5, 6), ds=(2, 2), ignore_border=True, st=(1, 1)) == [4, 5]


def test_max_pool_2d_same_size():
    x = T.dmatrix("x")
    value = np.array([[1.0, 1, 3, 2, 9], [0, -1, 4, 4, 9]])
    got = compute(max_pool_2d_same_size(x, (2, 2)), {x: value})
    np.testing.assert_array_equal(got, [[1, 1, 0, 0, 0], [0, 0, 4, 4, 0]])


def test_errors():
    x = T.dmatrix("x")
    with pytest.raises(TypeError, match="rank 1"):
        pool_2d(T.dvector(), (2, 2))
    with pytest.raises(ValueError, match="ws"):
        pool_2d(x)
    with pytest.raises(ValueError, match="ws and ds"):
        pool_2d(x, (2, 2), ds=(2, 2))
    with pytest.raises(ValueError, match="pad and padding"):
        pool_2d(x, (2, 2), pad=(1, 1), padding=(1, 1))
    with pytest.raises(ValueError, match="mode"):
        pool_2d(x, (2, 2), mode="median")
    with pytest.raises(ValueError, match="ws takes 2"):
        pool_2d(x, (2, 2, 2))
    with pytest.raises(ValueError, match="at least 1"):
        pool_2d(x, (2, 2), stride=(0, 1))
    with pytest.raises(ValueError, match="at least 0"):
        pool_2d(x, (2, 2), pad=(-1, 1))
    with pytest.raises(ValueError, match="smaller than the window"):
        pool_2d(x, (2, 2), True, pad=(2, 0))
    with pytest.raises(NotImplementedError, match="ignore_border"):
        pool_2d(x, (2, 2), False, pad=(1, 0))
    with pytest.raises(TypeError, match="known when building"):
        pool_2d(x, (T.lscalar(), 2))
    with pytest.raises(TypeError, match="at least 2 sizes"):
        Pool.out_shape((3,), (2, 2))


def test_convolution_of_plain_images():
    rng = np.random.default_rng(4)
    images, filters = rng.normal(size=(2, 5, 6)), rng.normal(size=(3, 2, 3))
    xs, ws = T.dtensor3("xs"), T.dtensor3("ws")
    x, w = T.dmatrix("x"), T.dmatrix("w")
    given = {xs: images, ws: filters, x: images[1], w: filters[2]}
    full = compute(signal_conv.conv2d(xs, ws, border_mode="full"), given, ulp=16)
    assert full.shape == (2, 3, 6, 8)
    for a, b, part in ((x, ws, full[1]), (xs, w, full[:, 2]), (x, w, full[1, 2])):
        got = compute(signal_conv.conv2d(a, b, border_mode="full"), given, ulp=16)
        np.testing.assert_allclose(got, part, rtol=1e-12)
    y = signal_conv.conv2d(x, w, image_shape=(5, 6), filter_shape=(2, 3), subsample=(2, 1))
    assert y.type.shape == (2, 4)
    np.testing.assert_allclose(compute(y, given, ulp=16), full[1, 2][1:-1:2, 2:-2], rtol=1e-12)
    with pytest.raises(TypeError, match="rank 2 or 3"):
        signal_conv.conv2d(T.dtensor4(), w)


def test_a_network_trains():
    """A convolution, a pooling and the gradients through both in one function."""
    rng = np.random.default_rng(5)
    x = T.dtensor4("x")
    w = croton.shared(rng.normal(size=(4, 1, 3, 3)) * 0.5)
    h = T.nnet.relu(T.nnet.conv2d(x, w, border_mode="half"))
    out = pool_2d(h, (2, 2), ignore_border=True).mean(axis=(1, 2, 3))
    cost = T.sqr(out - 1).mean()
    step = croton.function([x], cost, updates=[(w, w - grad(cost, w))])
    value = rng.normal(size=(8, 1, 6, 6))
    first = step(value)
    for _ in range(20):
        last = step(value)
    assert last < first / 2
