"""Upsampling, and pixels from channels, against loops and Theano's transposed convolution."""

import numpy as np
import pytest
from helpers import compute, refuses

import croton
import croton.tensor as T
from croton.gradient import grad, verify_grad
from croton.tensor import nnet


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def interpolated(x, axis, places):
    """The values of ``x`` at real places along ``axis``, the ends going on."""
    line = np.arange(x.shape[axis])
    return np.apply_along_axis(lambda v: np.interp(places, line, v), axis, x)


@pytest.mark.parametrize("factor", [1, 2, 3, (1, 2), (3, 1), (2, 5)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (1, 2, 1, 3), (0, 2, 3, 3)])
def test_upsample(shape, factor):
    x, x_ = T.dtensor4("x"), normal(*shape)
    rows, columns = factor if isinstance(factor, tuple) else (factor, factor)
    got = compute(nnet.upsample(x, factor), {x: x_})
    np.testing.assert_array_equal(got, x_.repeat(rows, 2).repeat(columns, 3))
    got = compute(nnet.upsample(x, factor, "bilinear"), {x: x_})
    want = x_
    for axis, f in ((2, rows), (3, columns)):
        places = (np.arange(x_.shape[axis] * f) + 0.5) / f - 0.5
        want = interpolated(want, axis, places) if x_.size else want.repeat(f, axis)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_dtypes_and_known_sizes():
    x = T.tensor("float32", (None, 3, 4, 5))
    assert nnet.upsample(x, 2).type.shape == (None, 3, 8, 10)
    assert nnet.upsample(x, 2, "bilinear").type.dtype == "float32"
    assert nnet.bilinear_upsampling(x, 3).type.dtype == "float32"
    i = T.ltensor4("i")
    got = compute(nnet.upsample(i, 2), {i: [[[[1, 2]]]]})
    assert got.dtype == np.int64 and got.tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]
    assert nnet.upsample(i, 2, "bilinear").type.dtype == "float64"


def test_kernels_of_bilinear_filters():
    for ratio in (1, 2, 3, 4):
        triangle = ratio - np.abs(np.arange(1 - ratio, ratio))
        got = compute(nnet.bilinear_kernel_1D(ratio))
        np.testing.assert_allclose(got, triangle / ratio)
        np.testing.assert_allclose(compute(nnet.bilinear_kernel_1D(ratio, False)), triangle)
    got = compute(nnet.bilinear_kernel_2D((2, 3), normalize=False))
    np.testing.assert_allclose(got, np.outer([1, 2, 1], [1, 2, 3, 2, 1]))
    assert compute(nnet.bilinear_kernel_2D(2)).shape == (3, 3)
    n = T.lscalar("n")
    np.testing.assert_allclose(compute(nnet.bilinear_kernel_1D(n), {n: 2}), [0.5, 1, 0.5])
    with croton.config.change_flags(floatX="float32"):
        assert nnet.bilinear_kernel_1D(2).type.dtype == "float32"


def by_transposed_convolution(x, ratio):
    """Theano's construction, in one dimension of an array (n, size)."""
    kernel = (ratio - np.abs(np.arange(1 - ratio, ratio))) / ratio
    padded = np.pad(x, [(0, 0), (1, 1)], mode="edge")
    spread = np.zeros((len(x), (padded.shape[1] - 1) * ratio + 1))
    spread[:, ::ratio] = padded
    full = np.array([np.convolve(row, kernel) for row in spread])
    start = 2 * ratio - (ratio - 1) // 2 - 1
    return full[:, start : start + x.shape[1] * ratio]


@pytest.mark.parametrize("ratio", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(2, 2, 3, 4), (1, 1, 1, 2)])
def test_bilinear_upsampling(shape, ratio):
    x, x_ = T.dtensor4("x"), normal(*shape)
    n, c, h, w = shape
    want = by_transposed_convolution(x_.reshape(-1, w), ratio).reshape(n, c, h, -1)
    want = want.transpose(0, 1, 3, 2).reshape(-1, h)
    want = by_transposed_convolution(want, ratio).reshape(n, c, w * ratio, -1)
    want = want.transpose(0, 1, 3, 2)
    r = T.lscalar("r")
    outs = [nnet.bilinear_upsampling(x, ratio), nnet.bilinear_upsampling(x, r)]
    for got in compute(outs, {x: x_, r: ratio}):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_bilinear_upsampling_by_fractions():
    x, x_ = T.dtensor4("x"), normal(2, 2, 3, 4)
    up = nnet.bilinear_upsampling
    pairs = [
        (up(x, frac_ratio=(6, 3)), up(x, 2)),
        (up(x, frac_ratio=(3, 2), use_1D_kernel=False), up(x, 3)[:, :, ::2, ::2]),
        (up(x, frac_ratio=((4, 3), (2, 2)), batch_size=2), up(x, 4)[:, :, ::3, 1::4]),
    ]
    got = compute([v for pair in pairs for v in pair], {x: x_})
    for a, b in zip(got[::2], got[1::2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle(factor):
    x, x_ = T.dtensor4("x"), normal(2, 3 * factor**2, 4, 5)
    want = np.empty((2, 3, 4 * factor, 5 * factor))
    for c, a, b in np.ndindex(3, factor, factor):
        want[:, c, a::factor, b::factor] = x_[:, (c * factor + a) * factor + b]
    np.testing.assert_array_equal(compute(nnet.pixel_shuffle(x, factor), {x: x_}), want)
    np.testing.assert_array_equal(compute(nnet.pixel_unshuffle(x, factor), {x: want}), x_)
    known = T.tensor("int8", (2, 36, 6, None))
    assert nnet.pixel_shuffle(known, 3).type.shape == (2, 4, 18, None)
    assert nnet.pixel_unshuffle(known, 3).type.shape == (2, 324, 2, None)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: nnet.upsample(x, (2, 3)),
        lambda x: nnet.upsample(x, (3, 2), "bilinear"),
        lambda x: nnet.bilinear_upsampling(x, 2),
        lambda x: nnet.bilinear_upsampling(x, frac_ratio=(3, 2)),
        lambda x: nnet.pixel_shuffle(x, 2),
        lambda x: nnet.pixel_unshuffle(x, 2),
    ],
)
def test_gradients(function):
    def slope(x):
        return T.sin(grad((T.sqr(function(x)) ** 2).sum(), x))

    verify_grad(function, [normal(1, 4, 2, 4)])
    verify_grad(slope, [normal(1, 4, 2, 4)])


def test_errors():
    x = T.dtensor4("x")
    for function in (
        lambda v: nnet.upsample(v, 2),
        lambda v: nnet.bilinear_upsampling(v, 2),
        lambda v: nnet.pixel_shuffle(v, 2),
        lambda v: nnet.pixel_unshuffle(v, 2),
    ):
        with pytest.raises(TypeError, match=r"got .* of rank 3"):
            function(T.dtensor3())
    for factor in (0, -1, 1.5, (2, 0), (2, 2, 2), True):
        with pytest.raises(ValueError, match="factor is"):
            nnet.upsample(x, factor)
    with pytest.raises(ValueError, match="nearest"):
        nnet.upsample(x, 2, "cubic")
    for given in ({}, {"ratio": 2, "frac_ratio": (3, 2)}):
        with pytest.raises(ValueError, match="ratio or frac_ratio is given"):
            nnet.bilinear_upsampling(x, **given)
    for fraction in (2, (1, 2, 3), ((1, 2), 3), ((1, 2), (1, 2), (1, 2)), (1.5, 1)):
        with pytest.raises(ValueError, match="frac_ratio"):
            nnet.bilinear_upsampling(x, frac_ratio=fraction)
    for ratio in (T.dscalar(), T.lvector(), 1.5):
        with pytest.raises(TypeError, match="ratio is an integer"):
            nnet.bilinear_upsampling(x, ratio)
    with pytest.raises(ValueError, match="positive int"):
        nnet.bilinear_upsampling(x, 0)
    with pytest.raises(ValueError, match=r"7 channels .* 2\*\*2"):
        nnet.pixel_shuffle(T.tensor("float32", (None, 7, None, None)), 2)
    with pytest.raises(ValueError, match="not divisible by 2"):
        nnet.pixel_unshuffle(T.tensor("float32", (None, None, 3, None)), 2)
    refuses(nnet.pixel_shuffle(x, 2), {x: normal(1, 3, 2, 2)}, ValueError)
    refuses(nnet.pixel_unshuffle(x, 2), {x: normal(1, 3, 3, 2)}, ValueError)
    out = nnet.bilinear_upsampling(x, 2, batch_size=3)
    refuses(out, {x: normal(1, 3, 3, 2)}, ValueError)
