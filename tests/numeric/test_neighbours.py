"""Patches of images, against loops that follow Theano's definition."""

import numpy as np
import pytest
from helpers import compute, refuses

import croton.tensor as T
from croton.gradient import grad, verify_grad
from croton.tensor.nnet.neighbours import Images2Neibs, images2neibs, neibs2images


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def by_loops(x, patch, step, mode):
    before = {"half": [p // 2 for p in patch], "full": [p - 1 for p in patch]}.get(mode, [0, 0])
    if mode == "wrap_centered":
        before = [p // 2 for p in patch]
        x = np.pad(x, [(0, 0), (0, 0), *[(b, b) for b in before]], mode="wrap")
        counts = [-(-(n - 2 * b) // s) for n, b, s in zip(x.shape[2:], before, step, strict=True)]
    else:
        x = np.pad(x, [(0, 0), (0, 0), *[(b, b) for b in before]])
        counts = [(n - p) // s + 1 for n, p, s in zip(x.shape[2:], patch, step, strict=True)]
    rows = []
    for n, c, a, b in np.ndindex(*x.shape[:2], *counts):
        i, j = a * step[0], b * step[1]
        rows.append(x[n, c, i : i + patch[0], j : j + patch[1]].ravel())
    return np.array(rows)


CASES = [
    ("valid", (4, 6), (2, 3), None),
    ("valid", (4, 6), (4, 6), None),
    ("valid", (5, 7), (3, 3), (2, 1)),
    ("valid", (5, 7), (1, 2), (2, 5)),
    ("ignore_borders", (5, 7), (2, 3), None),
    ("ignore_borders", (5, 7), (2, 2), (1, 2)),
    ("half", (5, 6), (3, 2), (2, 3)),
    ("half", (4, 5), (3, 3), (1, 2)),
    ("full", (4, 5), (2, 3), (2, 2)),
    ("full", (3, 3), (3, 2), (1, 1)),
    ("wrap_centered", (4, 5), (3, 3), None),
    ("wrap_centered", (4, 5), (1, 5), (1, 1)),
    ("wrap_centered", (5, 5), (3, 5), (2, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("mode, shape, patch, step", CASES)
def test_patches(mode, shape, patch, step, dtype):
    x_ = (10 * normal(2, 3, *shape)).astype(dtype)
    want = by_loops(x_, patch, step or patch, mode)
    x, p, s = T.tensor(dtype, (None,) * 4), T.lvector("p"), T.lvector("s")
    fixed, known = images2neibs(x, patch, step, mode), T.tensor(dtype, (2, 3, *shape))
    loose = images2neibs(x, p, s, mode)
    for got in compute([fixed, loose], {x: x_, p: patch, s: step or patch}):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, want)
    assert images2neibs(known, patch, step, mode).type.shape == want.shape
    np.testing.assert_array_equal(compute(Images2Neibs(mode)(x, patch, step), {x: x_}), want)


@pytest.mark.parametrize("mode, shape, patch, step", CASES)
def test_gradients(mode, shape, patch, step):
    def function(x):
        return images2neibs(x, patch, step, mode)

    verify_grad(function, [normal(1, 2, *shape)], n_tests=1)


def test_second_gradients():
    def slope(x):
        return T.sin(grad((images2neibs(x, (2, 2), (1, 1)) ** 3).sum(), x))

    verify_grad(slope, [normal(1, 2, 3, 3)])


@pytest.mark.parametrize("mode, shape", [("valid", (4, 6)), ("ignore_borders", (5, 7))])
def test_back_to_images(mode, shape):
    x_, x, size = normal(2, 3, *shape), T.dtensor4("x"), T.lvector("size")
    want = x_.copy()
    want[:, :, 4:], want[:, :, :, 6:] = 0, 0
    neibs = images2neibs(x, (2, 3), mode=mode)
    outs = [
        neibs2images(neibs, (2, 3), x.shape, mode),
        neibs2images(neibs, (2, 3), size, mode),
        neibs2images(neibs, T.constant([2, 3]), x_.shape, mode),
    ]
    for got in compute(outs, {x: x_, size: x_.shape}):
        np.testing.assert_array_equal(got, want)
    assert outs[2].type.shape == x_.shape
    rows = compute(neibs, {x: x_})
    verify_grad(lambda r: neibs2images(r, (2, 3), x_.shape, mode), [rows], n_tests=1)


def test_errors():
    x = T.dtensor4("x")
    with pytest.raises(NotImplementedError, match="wrap_centered"):
        images2neibs(x, (2, 2), mode="same")
    with pytest.raises(NotImplementedError, match="wrap_centered"):
        Images2Neibs("same")
    with pytest.raises(TypeError, match="rank 3"):
        images2neibs(T.dtensor3(), (2, 2))
    for patch in ((2, 2, 2), 2, (2.0, 2.0), [[1], [2]]):
        with pytest.raises(TypeError, match="neib_shape is two"):
            images2neibs(x, patch)
    with pytest.raises(ValueError, match="neib_step is two positive"):
        images2neibs(x, (2, 2), (0, 1))
    known = T.tensor("float64", (None, None, 4, 5))
    with pytest.raises(ValueError, match="do not fit 5 columns"):
        images2neibs(known, (2, 2))
    with pytest.raises(ValueError, match="do not fit 4 rows"):
        images2neibs(known, (5, 1), (1, 1), "wrap_centered")
    with pytest.raises(ValueError, match="odd sizes"):
        images2neibs(x, (2, 3), mode="wrap_centered")
    refuses(images2neibs(x, (2, 2)), {x: normal(1, 1, 4, 5)}, ValueError)
    refuses(images2neibs(x, (2, 2), (2, 2), "half"), {x: normal(1, 1, 4, 5)}, ValueError)
    rows = T.dmatrix("rows")
    with pytest.raises(NotImplementedError, match="'half'"):
        neibs2images(rows, (2, 2), (1, 1, 4, 4), "half")
    with pytest.raises(TypeError, match="matrix of patches"):
        neibs2images(x, (2, 2), (1, 1, 4, 4))
    with pytest.raises(ValueError, match="four sizes"):
        neibs2images(rows, (2, 2), (4, 4))
    with pytest.raises(ValueError, match="do not fit 5 columns"):
        neibs2images(rows, (2, 2), (1, 1, 4, 5))
    refuses(neibs2images(rows, (2, 2), (1, 1, 4, 4)), {rows: normal(3, 4)}, ValueError)
