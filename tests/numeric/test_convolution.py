"""Convolutions and their gradients, against explicit loops and SciPy."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import croton
import croton.tensor as T
from croton.gradient import Rop, grad, verify_grad
from croton.tensor import nnet
from croton.tensor.nnet.conv import Convolution, ConvolutionFilters, ConvolutionInputs

TENSORS = {1: T.dtensor3, 2: T.dtensor4, 3: T.dtensor5}


def pairs(padding, sizes, dilation):
    """The zeros before and after, from the definition of each word."""
    found = []
    for p, k, d in zip(padding, sizes, dilation, strict=True):
        reach = (k - 1) * d + 1
        found.append(
            {
                "half": (reach // 2, reach // 2),
                "full": (reach - 1, reach - 1),
                "same": ((reach - 1) // 2, reach // 2),
            }.get(p, p)
        )
    return found


def terms(x_shape, w_shape, strides, padding, dilation, groups):
    """All products of a convolution: the indices into y, x and w of each."""
    n = len(strides)
    pad = pairs(padding, w_shape[2:], dilation)
    y_shape = [x_shape[0], w_shape[0]]
    for size, k, s, (before, after), d in zip(
        x_shape[2:], w_shape[2:], strides, pad, dilation, strict=True
    ):
        y_shape.append((size + before + after - (k - 1) * d - 1) // s + 1)
    found = []
    each = w_shape[0] // groups
    for y in np.ndindex(*y_shape):
        group = y[1] // each
        for c, *k in np.ndindex(*w_shape[1:]):
            place = [y[2 + a] * strides[a] + k[a] * dilation[a] - pad[a][0] for a in range(n)]
            if all(0 <= p < size for p, size in zip(place, x_shape[2:], strict=True)):
                found.append((y, (y[0], group * w_shape[1] + c, *place), (y[1], c, *k)))
    return y_shape, found


def by_loops(x, w, *numbers):
    shape, products = terms(x.shape, w.shape, *numbers)
    y = np.zeros(shape)
    for at_y, at_x, at_w in products:
        y[at_y] += x[at_x] * w[at_w]
    return y


def gradients_by_loops(x, w, dy, *numbers):
    _, products = terms(x.shape, w.shape, *numbers)
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for at_y, at_x, at_w in products:
        dx[at_x] += dy[at_y] * w[at_w]
        dw[at_w] += dy[at_y] * x[at_x]
    return dx, dw


@st.composite
def convolutions(draw):
    n = draw(st.sampled_from([1, 1, 2, 2, 2, 3]))
    largest = {1: 9, 2: 5, 3: 3}[n]
    strides = [draw(st.integers(1, 3)) for _ in range(n)]
    dilation = [draw(st.integers(1, 2)) for _ in range(n)]
    filters = [draw(st.integers(1, 3)) for _ in range(n)]
    pad = st.one_of(
        st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from(["half", "full", "same"])
    )
    padding = [draw(pad) for _ in range(n)]
    image = []
    for p, k, d in zip(pairs(padding, filters, dilation), filters, dilation, strict=True):
        least = max(1, (k - 1) * d + 1 - sum(p))
        image.append(draw(st.integers(least, max(least, largest))))
    groups = draw(st.integers(1, 2))
    channels, out = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    batch = draw(st.integers(0, 2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=(batch, groups * channels, *image))
    w = rng.normal(size=(out, channels, *filters))
    return x, w, (strides, padding, dilation, groups)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_against_loops(case):
    x_value, w_value, numbers = case
    n = x_value.ndim - 2
    x, w, dy = TENSORS[n]("x"), TENSORS[n]("w"), TENSORS[n]("dy")
    y = Convolution(*numbers)(x, w)
    want = by_loops(x_value, w_value, *numbers)
    dy_value = np.random.default_rng(1).normal(size=want.shape)
    values = {x: x_value, w: w_value, dy: dy_value}
    largest = max(np.abs(v).max(initial=0.0) for v in values.values())
    got, dx, dw = compute(
        [y, *grad((y * dy).sum(), [x, w])], values, ulp=16, terms=largest * largest
    )
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    want_x, want_w = gradients_by_loops(x_value, w_value, dy_value, *numbers)
    np.testing.assert_allclose(dx, want_x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dw, want_w, rtol=1e-12, atol=1e-12)
    assert [s.eval({x: x_value, w: w_value}) for s in y.shape] == list(want.shape)


@pytest.mark.parametrize("shape", [(30, 41), (64,), (9, 8, 10)])
def test_against_scipy(shape):
    n = len(shape)
    rng = np.random.default_rng(3)
    x_value = rng.normal(size=(3, 4, *shape))
    w_value = rng.normal(size=(5, 4, *(7, 5, 3)[:n]))
    for mode in ("valid", "full", "same"):
        y = {1: nnet.conv1d, 2: nnet.conv2d, 3: nnet.conv3d}[n](
            T.constant(x_value), T.constant(w_value), border_mode=mode
        )
        want = [
            [sum(signal.convolve(image[c], w[c], mode) for c in range(4)) for w in w_value]
            for image in x_value
        ]
        np.testing.assert_allclose(compute(y, ulp=16), want, rtol=1e-10, atol=1e-11)
        turned = {1: nnet.conv1d, 2: nnet.conv2d, 3: nnet.conv3d}[n](
            T.constant(x_value), T.constant(w_value), border_mode=mode, filter_flip=False
        )
        want = signal.correlate(x_value[0, 0], w_value[0, 0], mode)
        for c in range(1, 4):
            want = want + signal.correlate(x_value[0, c], w_value[0, c], mode)
        np.testing.assert_allclose(compute(turned, ulp=16)[0, 0], want, rtol=1e-10, atol=1e-11)


MODES = ["valid", "full", "half", "same", 1, (1, 2), ((0, 1), 2), ((1, 0), (0, 2)), [1, 0]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flip", [True, False])
def test_border_modes(mode, flip):
    rng = np.random.default_rng(4)
    x_value, w_value = rng.normal(size=(2, 4, 7, 8)), rng.normal(size=(6, 2, 3, 4))
    x, w = T.dtensor4("x"), T.dtensor4("w")
    strides, dilation = (1, 2), (2, 1)
    y = nnet.conv2d(x, w, None, None, mode, strides, flip, None, dilation, 2)
    turned = w_value[:, :, ::-1, ::-1] if flip else w_value
    if isinstance(mode, str):
        padding = ((0, 0), (0, 0)) if mode == "valid" else (mode, mode)
    elif isinstance(mode, int):
        padding = ((mode, mode),) * 2
    else:
        padding = tuple(p if isinstance(p, tuple) else (p, p) for p in mode)
    want = by_loops(x_value, turned, strides, padding, dilation, 2)
    given = {x: x_value, w: w_value}
    np.testing.assert_allclose(compute(y, given, ulp=16), want, rtol=1e-12)
    # Known shapes give the same, and the shape of the result.
    y = nnet.conv2d(x, w, (2, 4, 7, 8), (6, 2, 3, 4), mode, strides, flip, None, dilation, 2)
    assert y.type.shape == want.shape
    assert want.shape == nnet.get_conv_output_shape(
        (2, 4, 7, 8), (6, 2, 3, 4), mode, strides, dilation
    )
    np.testing.assert_allclose(compute(y, given, ulp=16), want, rtol=1e-12)


def theano_size(image, kernel, mode, stride, dilation):
    """Theano 1.0's get_conv_shape_1axis."""
    reach = (kernel - 1) * dilation + 1
    left = right = {"half": reach // 2, "full": reach - 1, "valid": 0}.get(mode, mode)
    if isinstance(mode, tuple):
        left, right = mode
    return (image - reach + left + right) // stride + 1


def test_sizes_are_theanos():
    modes = ["valid", "half", "full", 0, 2, (1, 0)]
    for image, kernel, mode, stride, dilation in itertools.product(
        [5, 8], [1, 2, 3], modes, [1, 2, 3], [1, 2]
    ):
        per = (mode,) if isinstance(mode, tuple) else mode
        got = nnet.get_conv_output_shape((1, 1, image), (1, 1, kernel), per, (stride,), (dilation,))
        assert got[2] == theano_size(image, kernel, mode, stride, dilation)


@pytest.mark.parametrize(
    "numbers",
    [
        ((1, 1), ((0, 0), (0, 0)), (1, 1), 1),
        ((2, 1), ((1, 0), "half"), (1, 2), 1),
        ((1, 2), ("full", (0, 1)), (1, 1), 2),
    ],
)
def test_gradients_of_all_orders(numbers):
    rng = np.random.default_rng(5)
    groups = numbers[-1]
    x_value = rng.normal(size=(2, 2 * groups, 4, 5))
    w_value = rng.normal(size=(2 * groups, 2, 2, 2))
    dy_value = rng.normal(size=by_loops(x_value, w_value, *numbers).shape)
    forward = Convolution(*numbers)
    inputs, filters = ConvolutionInputs(*numbers), ConvolutionFilters(*numbers)
    verify_grad(forward, [x_value, w_value])
    verify_grad(lambda dy, w: inputs(dy, w, 4, 5), [dy_value, w_value])
    verify_grad(lambda x, dy: filters(x, dy, 2, 2), [x_value, dy_value])

    def second(x, w):
        y = forward(x, w)
        dx, dw = grad((y**3).sum(), [x, w])
        return T.concatenate([dx.flatten(), dw.flatten()])

    verify_grad(second, [x_value[:1], w_value])


@pytest.mark.parametrize("flip", [True, False])
def test_gradients_of_conv2d(flip):
    rng = np.random.default_rng(6)
    points = [rng.normal(size=(1, 2, 4, 4)), rng.normal(size=(3, 2, 2, 3))]
    verify_grad(lambda x, w: nnet.conv2d(x, w, filter_flip=flip, border_mode="half"), points)


def test_forward_mode():
    rng = np.random.default_rng(7)
    x_value, w_value = rng.normal(size=(1, 2, 4, 4)), rng.normal(size=(3, 2, 2, 3))
    x, w, dx, dw = (T.dtensor4(n) for n in ("x", "w", "dx", "dw"))
    y = nnet.conv2d(x, w)
    given = {x: x_value, w: w_value, dx: x_value + 1, dw: w_value - 1}
    got, by_x = compute([Rop(y, [x, w], [dx, dw]), Rop(y, x, dx)], given, ulp=16)
    first = by_loops(given[dx], w_value[:, :, ::-1, ::-1], *_plain(2))
    second = by_loops(x_value, given[dw][:, :, ::-1, ::-1], *_plain(2))
    np.testing.assert_allclose(got, first + second, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(by_x, first, rtol=1e-11, atol=1e-11)


def _plain(n):
    return (1,) * n, ((0, 0),) * n, (1,) * n, 1


@pytest.mark.parametrize("n", [2, 3])
def test_gradients_by_name(n):
    rng = np.random.default_rng(8)
    x_value, w_value = (
        rng.normal(size=(2, 4, 6, 5, 4)[: n + 2]),
        rng.normal(size=(6, 2, 3, 2, 2)[: n + 2]),
    )
    x, w, g = (TENSORS[n](name) for name in ("x", "w", "g"))
    conv, by_inputs, by_weights, forward_op, inputs_op, weights_op = {
        2: (
            nnet.conv2d,
            nnet.conv2d_grad_wrt_inputs,
            nnet.conv2d_grad_wrt_weights,
            nnet.AbstractConv2d,
            nnet.AbstractConv2d_gradInputs,
            nnet.AbstractConv2d_gradWeights,
        ),
        3: (
            nnet.conv3d,
            nnet.conv3d_grad_wrt_inputs,
            nnet.conv3d_grad_wrt_weights,
            nnet.AbstractConv3d,
            nnet.AbstractConv3d_gradInputs,
            nnet.AbstractConv3d_gradWeights,
        ),
    }[n]
    for flip, mode in itertools.product([True, False], ["half", "valid"]):
        how = {
            "border_mode": mode,
            "subsample": (2, 1, 1)[:n],
            "filter_flip": flip,
            "filter_dilation": (1, 2, 1)[:n],
            "num_groups": 2,
        }
        y = conv(x, w, **how)
        g_value = rng.normal(size=compute(y, {x: x_value, w: w_value}, ulp=16).shape)
        given = {x: x_value, w: w_value, g: g_value}
        want_x, want_w = compute(grad((y * g).sum(), [x, w]), given, ulp=16)
        spatial = x_value.shape[2:]
        for dx in (
            by_inputs(g, w, x_value.shape, w_value.shape, **how),
            by_inputs(g, w, (None, None, *spatial), **how),
            by_inputs(g, w, (None, None, *x.shape[2:]), **how),
            inputs_op(x_value.shape, w_value.shape, **how)(w, g, spatial),
            inputs_op(**how)(w, g, x.shape[2:]),
        ):
            np.testing.assert_allclose(compute(dx, given, ulp=16), want_x, rtol=1e-11, atol=1e-11)
        for dw in (
            by_weights(x, g, w_value.shape, x_value.shape, **how),
            by_weights(x, g, (None, None, *w.shape[2:]), **how),
            weights_op(**how)(x, g, w_value.shape[2:]),
        ):
            np.testing.assert_allclose(compute(dw, given, ulp=16), want_w, rtol=1e-11, atol=1e-11)
        again = forward_op(x_value.shape, w_value.shape, **how)(x, w)
        np.testing.assert_allclose(
            compute(again, given, ulp=16), compute(y, given, ulp=16), rtol=1e-12
        )


def test_conv2d_transpose():
    rng = np.random.default_rng(9)
    x_value, w_value = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(3, 2, 3, 3))
    x, w = T.dtensor4("x"), T.dtensor4("w")
    y = nnet.conv2d_transpose(x, w, (2, 2, 9, 9), input_dilation=(2, 2))
    assert y.type.shape == (2, 2, 9, 9)
    want = np.zeros((2, 2, 9, 9))
    for b, m, i, j in np.ndindex(2, 3, 4, 4):
        piece = x_value[b, m, i, j] * w_value[m, :, ::-1, ::-1]
        want[b, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += piece
    np.testing.assert_allclose(compute(y, {x: x_value, w: w_value}, ulp=16), want, rtol=1e-11)


def test_depthwise_and_separable():
    rng = np.random.default_rng(10)
    x_value = rng.normal(size=(2, 3, 5, 6))
    deep, point = rng.normal(size=(6, 1, 3, 3)), rng.normal(size=(4, 6, 1, 1))
    x, d, p = T.dtensor4("x"), T.dtensor4("d"), T.dtensor4("p")
    middle = by_loops(x_value, deep[:, :, ::-1, ::-1], (1, 1), ("half", "half"), (1, 1), 3)
    y = nnet.separable_conv2d(x, d, p, 3, border_mode="half")
    want = np.einsum("bcij,mc->bmij", middle, point[:, :, 0, 0])
    np.testing.assert_allclose(
        compute(y, {x: x_value, d: deep, p: point}, ulp=16), want, rtol=1e-11, atol=1e-12
    )


def test_causal():
    x_value = np.random.default_rng(11).normal(size=(2, 1, 9))
    w_value = np.array([[[0.5, -1.0, 2.0]]])
    x, w = T.dtensor3("x"), T.dtensor3("w")
    y = nnet.causal_conv1d(x, w, (1, 1, 3), filter_dilation=2)
    late = np.pad(x_value, [(0, 0), (0, 0), (4, 0)])
    want = 0.5 * late[..., 4:] - late[..., 2:-2] + 2 * late[..., :-4]
    np.testing.assert_allclose(compute(y, {x: x_value, w: w_value}, ulp=16), want, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        (("float32", "float32"), "float32"),
        (("float16", "float16"), "float16"),
        (("float32", "float64"), "float64"),
        (("int8", "int32"), "int32"),
        (("uint8", "float32"), "float32"),
        (("bool", "int64"), "int64"),
    ],
)
def test_dtypes(dtypes, result):
    rng = np.random.default_rng(12)
    values = [(rng.integers(0, 2, (2, 3, 6, 6))).astype(dtypes[0])]
    values += [rng.integers(0, 2, (4, 3, 3, 3)).astype(dtypes[1])]
    x, w = (T.TensorType(d, (None,) * 4)() for d in dtypes)
    y = nnet.conv2d(x, w, filter_flip=False)
    assert y.type.dtype == result
    want = by_loops(*(v.astype(float) for v in values), *_plain(2))
    np.testing.assert_array_equal(compute(y, dict(zip([x, w], values, strict=True))), want)
    with pytest.raises(TypeError, match="bool"):
        nnet.conv2d(T.TensorType("bool", (None,) * 4)(), T.TensorType("bool", (None,) * 4)())


def test_half_precision_accumulates_in_single():
    x, w = (T.TensorType("float16", (None,) * 3)() for _ in range(2))
    y = nnet.conv1d(x, w)
    value = np.full((1, 1, 4096), 1.0, np.float16)
    # Adding one by one in float16 stops at 2048.
    assert compute(y, {x: value, w: value}).item() == 4096
    dw = grad(T.cast(y, "float32").sum(), w)
    assert compute(dw, {x: value, w: value[..., :1]}).item() == 4096
    dx = grad(T.cast(y, "float32").sum(), x)
    assert compute(dx, {x: value[..., :1], w: np.ones((4096, 1, 1), np.float16)}).item() == 4096


def test_nothing_in_the_batch():
    x, w = T.dtensor4("x"), T.dtensor4("w")
    y = nnet.conv2d(x, w)
    given = {x: np.zeros((0, 2, 5, 5)), w: np.ones((3, 2, 2, 2))}
    got, dx, dw = compute([y, *grad((y**2).sum(), [x, w])], given)
    assert got.shape == (0, 3, 4, 4)
    assert dx.shape == (0, 2, 5, 5)
    np.testing.assert_array_equal(dw, np.zeros((3, 2, 2, 2)))
    given = {x: np.zeros((2, 0, 5, 5)), w: np.ones((3, 0, 2, 2))}
    np.testing.assert_array_equal(compute(y, given), np.zeros((2, 3, 4, 4)))
    given = {x: np.zeros((2, 1, 5, 5)), w: np.ones((0, 1, 2, 2))}
    assert compute(y, given).shape == (2, 0, 4, 4)


def test_a_large_batch_in_pieces():
    rng = np.random.default_rng(13)
    x_value, w_value = rng.normal(size=(70, 3, 40, 40)), rng.normal(size=(2, 3, 5, 5))
    x, w = T.dtensor4("x"), T.dtensor4("w")
    y = nnet.conv2d(x, w, filter_flip=False)
    got, dx, dw = compute([y, *grad((y**2).sum() / 2, [x, w])], {x: x_value, w: w_value}, ulp=1000)
    windows = np.lib.stride_tricks.sliding_window_view(x_value, (5, 5), (2, 3))
    want = np.einsum("bcijkl,mckl->bmij", windows, w_value)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)
    want_w = np.einsum("bcijkl,bmij->mckl", windows, want)
    np.testing.assert_allclose(dw, want_w, rtol=1e-9, atol=1e-8)
    want_x = signal.convolve(want[69, 0], w_value[0, 1]) + signal.convolve(
        want[69, 1], w_value[1, 1]
    )
    np.testing.assert_allclose(dx[69, 1], want_x, rtol=1e-9, atol=1e-10)


def known(*shape):
    return T.TensorType("float32", shape)("x")


def test_errors_when_building():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    with pytest.raises(ValueError, match=r"\(2, 3, 8, 8\).*\(4, 5, 3, 3\).*channels") as info:
        nnet.conv2d(known(2, 3, 8, 8), known(4, 5, 3, 3))
    assert "test_convolution.py" in str(info.value)
    with pytest.raises(ValueError, match=r"filter and padded image.*: 5 and 4"):
        nnet.conv2d(known(None, 3, 4, 8), known(4, 3, 5, 3))
    with pytest.raises(ValueError, match=r"channels and 3 equal groups of them: 8 and 6"):
        nnet.conv2d(known(2, 8, 8, 8), known(4, 4, 3, 3), num_groups=3)
    with pytest.raises(ValueError, match="filters and 3 equal groups of them: 4 and 3"):
        nnet.conv2d(known(2, 9, 8, 8), known(4, 3, 3, 3), num_groups=3)
    with pytest.raises(ValueError, match="filters: 0"):
        nnet.conv2d(x, known(4, 3, 0, 3))
    with pytest.raises(TypeError, match="input of rank 4"):
        nnet.conv2d(T.fmatrix(), w)
    with pytest.raises(TypeError, match="rank 4"):
        Convolution(*_plain(2))(T.fmatrix(), w)
    for mode in ("valdi", (1,), (1, 2, 3), ((1, 2, 3), 0), None):
        with pytest.raises((ValueError, TypeError), match="border_mode"):
            nnet.conv2d(x, w, border_mode=mode)
    for mode in (-1, (0, -1), ((0, -2), 0)):
        with pytest.raises(ValueError, match="negative"):
            nnet.conv2d(x, w, border_mode=mode)
    with pytest.raises(ValueError, match="subsample must be at least 1"):
        nnet.conv2d(x, w, subsample=(0, 1))
    with pytest.raises(ValueError, match="subsample takes 2"):
        nnet.conv2d(x, w, subsample=(1, 1, 1))
    with pytest.raises(TypeError, match="known when building"):
        nnet.conv2d(x, w, subsample=(T.iscalar(), 1))
    with pytest.raises(ValueError, match="num_groups"):
        nnet.conv2d(x, w, num_groups=0)
    with pytest.raises(NotImplementedError, match="unshared"):
        nnet.conv2d(x, w, unshared=True)
    with pytest.raises(NotImplementedError, match="imshp_logical"):
        nnet.conv2d(x, w, imshp_logical=(1, 2))
    with pytest.raises(ValueError, match="input_shape and image_shape"):
        nnet.conv2d(x, w, (1, 1, 1, 1), image_shape=(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"has shape \(2, 3, 8, 8\)"):
        nnet.conv2d(known(2, 3, 8, 8), w, (2, 4, 8, 8))
    with pytest.raises(ValueError, match="4 sizes"):
        nnet.conv2d(x, w, (2, 4, 8))
    with pytest.raises(ValueError, match="last 2 sizes"):
        nnet.conv2d_grad_wrt_inputs(x, w, (1, 1, None, 3))
    with pytest.raises(ValueError, match="result in spatial dimension 1: 3 and 6"):
        nnet.conv2d_grad_wrt_inputs(known(1, 4, 6, 3), known(4, 2, 3, 3), (1, 2, 8, 8))
    with pytest.warns(UserWarning, match="ignores the arguments speed"):
        nnet.conv2d(x, w, speed=1)
    nnet.conv2d(x, w, unroll_batch=4, unroll_patch=True)


def test_errors_in_a_call():
    x, w, g = T.dtensor4("x"), T.dtensor4("w"), T.dtensor4("g")
    ones = np.ones
    y = nnet.conv2d(x, w)
    refuses(y, {x: ones((1, 3, 4, 4)), w: ones((1, 2, 2, 2))}, ValueError, "channels")
    refuses(y, {x: ones((1, 3, 4, 4)), w: ones((1, 3, 5, 2))}, ValueError, "padded image")
    refuses(y, {x: ones((1, 3, 4, 4)), w: ones((1, 3, 0, 2))}, ValueError, "filters")
    y = nnet.conv2d(x, w, num_groups=2)
    refuses(y, {x: ones((1, 4, 4, 4)), w: ones((3, 2, 2, 2))}, ValueError, "groups")
    y = nnet.conv2d(x, w, (None, 3, None, None))
    refuses(y, {x: ones((1, 2, 4, 4)), w: ones((3, 2, 2, 2))}, ValueError)
    dx = nnet.conv2d_grad_wrt_inputs(g, w, (None, None, 8, 8))
    refuses(dx, {g: ones((1, 3, 4, 4)), w: ones((3, 2, 2, 2))}, ValueError, "result in spatial")
    dw = nnet.conv2d_grad_wrt_weights(x, g, (None, None, 2, 2))
    refuses(dw, {x: ones((1, 3, 4, 4)), g: ones((2, 3, 3, 3))}, ValueError, "batches")
    f = croton.function([x, w], nnet.conv2d(x, w))
    with pytest.raises(ValueError, match=r"(?s)filter and padded image .*: 5 and 4.*test_conv"):
        f(ones((1, 3, 4, 4)), ones((1, 3, 5, 2)))
    # Shapes are shown as the program gave them, however kernels want them.
    with pytest.raises(ValueError, match=r"\(1, 3, 4, 5\) and \(6, 2, 1, 2\) \(channels"):
        f(ones((1, 3, 4, 5)), ones((6, 2, 1, 2)))


def test_integers_have_no_gradient():
    x, w = T.TensorType("int64", (None,) * 3)("x"), T.dtensor3("w")
    y = nnet.conv1d(x, w)
    dw = grad(y.sum(), w)
    np.testing.assert_array_equal(
        compute(dw, {x: np.arange(4).reshape(1, 1, 4), w: np.ones((1, 1, 3))}), [[[5, 3, 1]]]
    )
    i = T.TensorType("int64", (None,) * 3)("i")
    total = T.cast(nnet.conv1d(x, i), "float64").sum()
    np.testing.assert_array_equal(
        compute(grad(total, x), {x: np.arange(4).reshape(1, 1, 4), i: np.ones((1, 1, 3), "int64")}),
        np.zeros((1, 1, 4)),
    )


def test_old_names():
    inputs, kernels = T.dtensor4("x"), T.dtensor4("w")
    rng = np.random.default_rng(14)
    given = {inputs: rng.normal(size=(2, 3, 6, 7)), kernels: rng.normal(size=(4, 3, 2, 3))}
    want = compute(nnet.conv2d(inputs, kernels, border_mode="full"), given, ulp=16)
    op = nnet.ConvOp((3, 6, 7), (2, 3), 4, 2, 1, 1, output_mode="full")
    np.testing.assert_allclose(compute(op(inputs, kernels), given, ulp=16), want, rtol=1e-13)
    assert nnet.ConvOp.getOutputShape((6, 7), (2, 3), (1, 2), "valid") == (5, 3)
    with pytest.raises(ValueError, match="output_mode"):
        nnet.ConvOp(output_mode="half")
