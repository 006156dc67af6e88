"""Spatial transformers, against SciPy's interpolation and loops."""

import numpy as np
import pytest
from helpers import compute, refuses
from scipy import ndimage

import croton.tensor as T
from croton.compat.theano import dnn
from croton.gradient import grad, verify_grad
from croton.tensor import nnet


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def line(size, corners):
    return np.linspace(-1, 1, size) if corners else (np.arange(size) * 2 + 1) / size - 1


def sampled(x, grid, mode, corners):
    """By SciPy, in an image with a rim of zeros, or with its places moved to its border."""
    out = np.empty((*x.shape[:2], *grid.shape[1:3]))
    for n, c in np.ndindex(*x.shape[:2]):
        places = []
        for size, along in zip(x.shape[2:], (grid[n, :, :, 1], grid[n, :, :, 0]), strict=True):
            at = (along + 1) * (size - 1) / 2 if corners else ((along + 1) * size - 1) / 2
            places.append(np.clip(at, -1, size) if mode == "zeros" else np.clip(at, 0, size - 1))
        image = np.pad(x[n, c], 1)
        out[n, c] = ndimage.map_coordinates(image, np.array(places) + 1, order=1)
    return out


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("mode", ["zeros", "border"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 2), (3, 2, 6, 1)])
def test_grid_sample(shape, mode, corners):
    x_, grid_ = normal(*shape), normal(shape[0], 3, 7, 2, seed=1)
    x, grid = T.dtensor4("x"), T.dtensor4("grid")
    out = nnet.grid_sample(x, grid, mode, corners)
    got = compute(out, {x: x_, grid: grid_})
    np.testing.assert_allclose(got, sampled(x_, grid_, mode, corners), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("corners", [True, False])
def test_affine_grid(corners):
    theta_, theta = normal(2, 2, 3), T.dtensor3("theta")
    h, w = T.lscalars("h", "w")
    x, y = np.meshgrid(line(4, corners), line(3, corners))
    want = np.einsum("nkl,lij->nijk", theta_, np.stack([x, y, np.ones_like(x)]))
    outs = [
        nnet.affine_grid(theta, (3, 4), corners),
        nnet.affine_grid(theta, (2, 5, h, w), corners),
    ]
    for got in compute(outs, {theta: theta_, h: 3, w: 4}):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    assert outs[0].type.shape == (None, 3, 4, 2)
    got = compute(nnet.affine_grid(theta, (1, 1)), {theta: theta_})
    np.testing.assert_allclose(got[:, 0, 0], theta_ @ [-1, -1, 1])


def test_the_identity_changes_nothing():
    x_, x = normal(2, 3, 4, 5), T.dtensor4("x")
    one = np.tile([[1.0, 0, 0], [0, 1, 0]], (2, 1, 1))
    for corners in (True, False):
        grid = nnet.affine_grid(one, x.shape, corners)
        got = compute(nnet.grid_sample(x, grid, align_corners=corners), {x: x_}, ulp=16)
        np.testing.assert_allclose(got, x_, rtol=1e-12, atol=1e-12)


def test_places_that_are_no_numbers():
    x, grid = T.dtensor4("x"), T.dtensor4("grid")
    places = [[[[np.nan, 0], [0, np.nan], [np.inf, 0], [0, -np.inf], [1e300, 0]]]]
    for mode, last in (("zeros", 0), ("border", 3)):
        out = nnet.grid_sample(x, grid, mode)
        got = compute(out, {x: [[[[1.0, 3.0]] * 2]], grid: places})[0, 0, 0]
        assert np.isnan(got[:2]).all()
        np.testing.assert_array_equal(got[2:], [last, 0 if mode == "zeros" else 2, last])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_dtypes(dtype):
    x_, grid_ = normal(2, 3, 4, 5).astype(dtype), normal(2, 3, 2, 2, seed=1).astype("float32")
    x, grid = T.tensor(dtype, (None,) * 4), T.ftensor4("grid")
    out = nnet.grid_sample(x, grid)
    assert out.type.dtype == dtype
    want = sampled(x_.astype("d"), grid_.astype("d"), "zeros", True)
    near = {"float16": 4e-3, "float32": 2e-5}[dtype]
    np.testing.assert_allclose(compute(out, {x: x_, grid: grid_}, ulp=64), want, atol=near)


@pytest.mark.parametrize("scales", [(1, 1), (0.75, 0.5), (2, 1.5)])
def test_spatial_transformer(scales):
    x_, theta_ = normal(2, 2, 4, 6), normal(2, 2, 3, seed=1)
    x, theta = T.dtensor4("x"), T.dtensor3("theta")
    rows, columns = int(np.ceil(4 * scales[1])), int(np.ceil(6 * scales[0]))
    px, py = np.meshgrid(line(columns, True), line(rows, True))
    grid = np.einsum("nkl,lij->nijk", theta_, np.stack([px, py, np.ones_like(px)]))
    want = sampled(x_, grid, "zeros", True)
    outs = [
        nnet.spatial_transformer(x, theta, *scales),
        dnn.dnn_spatialtf(x, theta, scale_height=scales[1], scale_width=scales[0]),
    ]
    for got in compute(outs, {x: x_, theta: theta_}, ulp=64):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)


def test_gradients():
    x_, grid_ = normal(2, 2, 3, 4), normal(2, 2, 3, 2, seed=3)
    theta_ = np.array([[[0.7, 0.21, 0.13], [-0.31, 0.83, 0.16]]] * 2)
    verify_grad(nnet.grid_sample, [x_, grid_])
    verify_grad(lambda x, g: nnet.grid_sample(x, g, "border", False), [x_, grid_])
    verify_grad(nnet.spatial_transformer, [x_, theta_])

    def slope(x, grid):
        gx, gg = grad(T.sqr(nnet.grid_sample(x, grid)).sum(), [x, grid])
        return T.sin(gx).sum() + T.sqr(gg).sum()

    verify_grad(slope, [x_, grid_])


def test_errors():
    x, grid, theta = T.dtensor4("x"), T.dtensor4("grid"), T.dtensor3("theta")
    with pytest.raises(ValueError, match="padding_mode"):
        nnet.grid_sample(x, grid, "reflection")
    with pytest.raises(ValueError, match=r"x has shape \(\?, \?, \?, \?\), got theta"):
        nnet.grid_sample(theta, grid)
    with pytest.raises(ValueError, match=r"grid has shape \(\?, \?, \?, 2\)"):
        nnet.grid_sample(x, T.tensor("float64", (None, None, None, 3)))
    with pytest.raises(ValueError, match=r"theta has shape \(\?, 2, 3\)"):
        nnet.affine_grid(T.tensor("float64", (None, 3, 3)), (2, 2))
    with pytest.raises(ValueError, match="got 3 sizes"):
        nnet.affine_grid(theta, (1, 2, 2))
    with pytest.raises(ValueError, match=r"theta has shape \(4, 2, 3\)"):
        known = T.tensor("float64", (4, None, None, None))
        nnet.spatial_transformer(known, T.tensor("float64", (5, 2, 3)))
    out = nnet.grid_sample(x, grid)
    refuses(out, {x: normal(2, 1, 3, 3), grid: normal(3, 2, 2, 2)}, ValueError)
