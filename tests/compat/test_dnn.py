"""cuDNN's names in Theano: the functions, and the ops that programs put together."""

import numpy as np
import pytest

import croton.tensor as T
from croton.compat.theano import cuda, dnn, gpuarray
from croton.gradient import grad
from croton.tensor import nnet


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("mode", ["conv", "cross"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_gradients_of_convolutions(dimensions, mode):
    x_, w_ = normal(2, 3, *[6, 5, 4][:dimensions]), normal(4, 3, *[3, 2, 2][:dimensions], seed=1)
    forward, by_filters, by_images = {
        2: (dnn.dnn_conv, dnn.dnn_gradweight, dnn.dnn_gradinput),
        3: (dnn.dnn_conv3d, dnn.dnn_gradweight3d, dnn.dnn_gradinput3d),
    }[dimensions]
    x, w = (T.tensor("float64", (None,) * (dimensions + 2), name=n) for n in "xw")
    given = {
        "border_mode": (1,) * dimensions,
        "subsample": (2,) * dimensions,
        "conv_mode": mode,
    }
    y = forward(x, w, **given)
    g = T.sin(y)
    want_x, want_w = grad(None, [x, w], known_grads={y: g})
    pairs = [
        (by_images(w, g, x.shape, **given), want_x),
        (by_filters(x, g, w_.shape, **given), want_w),
    ]
    desc = dnn.GpuDnnConvDesc(**given)(x.shape, w.shape)
    pairs += [
        (dnn.GpuDnnConv()(x, w, y, desc, 2.0, 0.5), 2 * y + y * 0.5),
        (dnn.GpuDnnConvGradI()(w, g, x, desc), want_x),
        (dnn.GpuDnnConvGradW(algo="none")(x, g, w, desc, beta=1), want_w + w),
    ]
    for got, want in pairs:
        where = {x: x_, w: w_}
        np.testing.assert_allclose(got.eval(where), want.eval(where), rtol=1e-10, atol=1e-11)


def test_a_transposed_convolution_of_ops():
    # As in DCGAN's code: filters of a convolution from the result to the images.
    x, w = T.ftensor4("x"), T.ftensor4("w")
    shape = (x.shape[0], w.shape[1], x.shape[2] * 2, x.shape[3] * 2)
    desc = dnn.GpuDnnConvDesc((2, 2), (2, 2), "conv")(cuda.gpu_alloc_empty(*shape).shape, w.shape)
    out = dnn.GpuDnnConvGradI()(w, x, cuda.gpu_alloc_empty(*shape), desc)
    x_, w_ = normal(2, 3, 4, 4).astype("f"), normal(3, 5, 5, 5, seed=1).astype("f")
    want = nnet.conv2d_transpose(x, w, shape, border_mode=(2, 2), input_dilation=(2, 2))
    got = out.eval({x: x_, w: w_})
    assert got.shape == (2, 5, 8, 8)
    np.testing.assert_array_equal(got, want.eval({x: x_, w: w_}))


def test_shapes_and_errors():
    assert dnn.GpuDnnConv.get_out_shape((8, 3, 9, 9), (4, 3, 3, 3), "half", (2, 2)) == (8, 4, 5, 5)
    assert gpuarray.GpuAllocEmpty("int8", None)(2, 3).eval().tolist() == [[0] * 3] * 2
    x, w = T.dtensor4("x"), T.dtensor4("w")
    with pytest.raises(ValueError, match="'conv' or 'cross'"):
        dnn.GpuDnnConvDesc("valid", conv_mode="flipped")
    with pytest.raises(TypeError, match="takes what a GpuDnnConvDesc gives"):
        dnn.GpuDnnConv()(x, w, x, dnn.GpuDnnConvDesc("valid"))
    with pytest.raises(TypeError, match="output of rank 4"):
        dnn.GpuDnnConv()(x, w, T.dmatrix(), dnn.GpuDnnConvDesc("valid")(w.shape))
