"""Convolutions of films with Theano's older names, against loops."""

import numpy as np
import pytest
from helpers import compute

import croton.tensor as T
from croton.gradient import verify_grad
from croton.tensor.nnet import Conv3D, ConvGrad3D, ConvTransp3D, conv3d2d
from croton.tensor.nnet import conv3D as conv3D_last
from croton.tensor.nnet import convGrad3D as gradient_last
from croton.tensor.nnet import convTransp3D as transposed_last


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def correlated(v, w, d):
    """Films and filters with their channels last."""
    counts = [(n - k) // s + 1 for n, k, s in zip(v.shape[1:4], w.shape[1:4], d, strict=True)]
    out = np.empty((len(v), *counts, len(w)))
    for at in np.ndindex(*counts):
        part = tuple(slice(p * s, p * s + k) for p, s, k in zip(at, d, w.shape[1:4], strict=True))
        seen = v[(slice(None), *part)]
        out[(slice(None), *at)] = np.einsum("nabcz,jabcz->nj", seen, w)
    return out


@pytest.mark.parametrize("mode", ["valid", "full", "half", ("full", "valid", "half")])
@pytest.mark.parametrize("filters", [(2, 1, 3, 3, 2), (3, 3, 3, 2, 4), (1, 2, 3, 1, 1)])
def test_conv3d2d(mode, filters):
    x_, w_ = normal(2, 4, 3, 5, 6), normal(*filters, seed=1)
    x, w = T.dtensor5("x"), T.dtensor5("w")
    modes = (mode,) * 3 if isinstance(mode, str) else mode
    sizes = (filters[1], filters[3], filters[4])
    pads = [
        {"valid": 0, "full": k - 1, "half": k // 2}[m] for m, k in zip(modes, sizes, strict=True)
    ]
    padded = np.pad(x_, [(0, 0), (pads[0],) * 2, (0, 0), (pads[1],) * 2, (pads[2],) * 2])
    turned = w_[:, ::-1, :, ::-1, ::-1].transpose(0, 1, 3, 4, 2)
    want = correlated(padded.transpose(0, 1, 3, 4, 2), turned, (1, 1, 1)).transpose(0, 1, 4, 2, 3)
    shapes = {"filters_shape": filters}
    if isinstance(mode, str):
        got = compute(conv3d2d.conv3d(x, w, border_mode=mode), {x: x_, w: w_}, ulp=64)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
        shapes["signals_shape"] = (2, None, 3, 5, 6)
    out = conv3d2d.conv3d(signals=x, filters=w, border_mode=mode, **shapes)
    assert out.type.shape[2] == filters[0]
    got = compute(out, {x: x_, w: w_}, ulp=64)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_conv3d2d_gradients_and_errors():
    verify_grad(conv3d2d.conv3d, [normal(1, 3, 2, 3, 3), normal(2, 2, 2, 2, 2)], n_tests=1)
    x, w = T.dtensor5("x"), T.dtensor5("w")
    with pytest.raises(TypeError, match="signals of rank 5"):
        conv3d2d.conv3d(T.dtensor4(), w)
    with pytest.raises(ValueError, match="filters_shape has 5 sizes"):
        conv3d2d.conv3d(x, w, filters_shape=(2, 2))
    with pytest.raises(ValueError, match="'valid', 'full' or 'half', got 'same'"):
        conv3d2d.conv3d(x, w, border_mode="same")
    with pytest.raises(ValueError, match="or three of them"):
        conv3d2d.conv3d(x, w, border_mode=("full", "valid"))
    with pytest.raises(ValueError, match="give filters_shape"):
        conv3d2d.conv3d(x, w, border_mode=("full", "valid", "valid"))


@pytest.mark.parametrize("d", [(1, 1, 1), (2, 1, 3)])
def test_channels_last(d):
    v_, w_, b_, c_ = normal(2, 5, 4, 6, 2), normal(3, 2, 3, 2, 2, seed=1), normal(3), normal(2)
    h_ = correlated(v_, w_, d)
    v, w, h = T.dtensor5("v"), T.dtensor5("w"), T.dtensor5("h")
    b, c = T.dvector("b"), T.dvector("c")
    given = {v: v_, w: w_, h: h_, b: b_, c: c_}
    outs = [
        conv3D_last(v, w, b, d),
        transposed_last(w, c, d, h, v_.shape[1:4]),
        transposed_last(w, c, d, h, v.shape[1:4]),
        transposed_last(w, c, d, h),
        gradient_last(v, d, w_.shape, h),
        gradient_last(v, d, w.shape, h),
    ]
    once, back, back_too, least, slope, slope_too = compute(outs, given, ulp=256)
    np.testing.assert_allclose(once, h_ + b_, rtol=1e-11, atol=1e-12)
    want, filters = np.zeros(v_.shape), np.zeros(w_.shape)
    for at in np.ndindex(*h_.shape[1:4]):
        part = tuple(slice(p * s, p * s + k) for p, s, k in zip(at, d, w_.shape[1:4], strict=True))
        here = h_[(slice(None), *at)]
        want[(slice(None), *part)] += np.einsum("nj,jabcz->nabcz", here, w_)
        filters += np.einsum("nj,nabcz->jabcz", here, v_[(slice(None), *part)])
    for got in (back, back_too):
        np.testing.assert_allclose(got, want + c_, rtol=1e-11, atol=1e-11)
    inner = tuple(slice(0, n) for n in least.shape[1:4])
    np.testing.assert_allclose(least, (want + c_)[(slice(None), *inner)], rtol=1e-11, atol=1e-11)
    for got in (slope, slope_too):
        np.testing.assert_allclose(got, filters, rtol=1e-11, atol=1e-11)


def test_objects():
    v, w = T.ones((1, 2, 2, 2, 1)), T.ones((1, 2, 2, 2, 1))
    h = Conv3D()(v, w, [0.5], (1, 1, 1))
    assert h.eval().tolist() == [[[[[8.5]]]]]
    assert (ConvTransp3D()(w, [0.5], (1, 1, 1), h).eval() == 9).all()
    assert (ConvGrad3D()(v, (1, 1, 1), w.shape, h).eval() == 8.5).all()


def test_errors_of_channels_last():
    v, w, b = T.dtensor5("v"), T.dtensor5("w"), T.dvector("b")
    with pytest.raises(TypeError, match="V: rank 5"):
        conv3D_last(T.dtensor4(), w, b, (1, 1, 1))
    with pytest.raises(TypeError, match="b: a number for each channel"):
        conv3D_last(v, w, T.dmatrix(), (1, 1, 1))
    with pytest.raises(ValueError, match="d takes 3 numbers"):
        conv3D_last(v, w, b, (1, 1))
    with pytest.raises(ValueError, match="RShape is three"):
        transposed_last(w, b, (1, 1, 1), v, (2, 2))
    with pytest.raises(ValueError, match="WShape is five"):
        gradient_last(v, (1, 1, 1), (2, 2), v)
