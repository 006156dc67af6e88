"""Convolutions inside of functions, by each algorithm, against the reference mode in float64."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.config import config
from croton.gradient.numeric import evaluate
from croton.runtime.program import Host

#: images, filters, border mode, strides, dilation, groups
SHAPES = {
    "winograd": ((4, 33, 17, 18), (40, 33, 3, 3), "half", (1, 1), (1, 1), 1),
    "winograd, few tiles": ((1, 64, 9, 7), (70, 64, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "winograd, five taps": ((4, 33, 17, 18), (40, 33, 5, 5), "half", (1, 1), (1, 1), 1),
    "winograd, dilated": ((4, 33, 17, 18), (40, 33, 3, 3), (2, 3), (1, 1), (2, 3), 1),
    "direct": ((3, 5, 14, 15), (20, 5, 5, 4), "full", (2, 1), (1, 2), 1),
    "product": ((3, 17, 9, 8), (35, 17, 1, 1), "valid", (1, 1), (1, 1), 1),
    "strided product": ((3, 17, 9, 8), (35, 17, 1, 1), "valid", (2, 2), (1, 1), 1),
    "groups": ((2, 12, 10, 9), (18, 4, 3, 3), "half", (1, 2), (1, 1), 3),
    "wide groups": ((2, 14, 10, 9), (140, 7, 5, 3), "half", (1, 1), (1, 1), 2),
    "winograd, groups": ((3, 51, 14, 13), (72, 17, 3, 3), "half", (1, 1), (1, 1), 3),
    "winograd, wide groups": ((3, 66, 9, 13), (150, 33, 3, 3), "half", (1, 1), (1, 1), 2),
    "groups of four": ((2, 24, 10, 9), (24, 4, 3, 3), "half", (1, 1), (1, 1), 6),
    "depthwise": ((2, 37, 10, 9), (37, 1, 3, 3), "half", (2, 1), (1, 1), 37),
}


def problem(name, dtype="float64", constant=False):
    """Inputs, results and gradients, and the values of the inputs."""
    image, filters, border, strides, dilation, groups = SHAPES[name]
    rng = np.random.default_rng(0)
    values = (
        rng.standard_normal(image),
        rng.standard_normal(filters) / np.sqrt(np.prod(filters[1:])),
        rng.standard_normal(filters[0]),
    )
    x, w, b = (T.tensor(dtype, (None,) * v.ndim) for v in values)
    given = dict(zip((x, w, b), (v.astype(dtype) for v in values), strict=True))
    kernel = T.constant(given.pop(w)) if constant else w
    y = T.nnet.conv2d(
        x, kernel, border_mode=border, subsample=strides, filter_dilation=dilation,
        num_groups=groups,
    )  # fmt: skip
    h = T.nnet.relu(y + b.dimshuffle("x", 0, "x", "x"))
    h = T.signal.pool.pool_2d(h, (2, 2), ignore_border=False)
    return [h, *T.grad((h**2).mean(), list(given))], given


def assert_as_in_float64(name, outputs, given, f, precision, constant=False):
    want = evaluate(*problem(name, constant=constant))
    for a, b in zip(f(*given.values()), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=precision * max(np.abs(b).max(), 1e-30))


@pytest.mark.parametrize("dtype, precision", [("float32", 2e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("name", SHAPES)
def test_results_and_gradients(name, dtype, precision):
    outputs, given = problem(name, dtype)
    f = croton.function(list(given), outputs)
    assert_as_in_float64(name, outputs, given, f, precision)
    assert not any(isinstance(i, Host) for i in f.program.instructions)


@pytest.mark.parametrize("name", SHAPES)
def test_constant_filters(name):
    outputs, given = problem(name, "float32", constant=True)
    f = croton.function(list(given), outputs)
    for _ in range(3):
        assert_as_in_float64(name, outputs, given, f, 2e-5, constant=True)


def test_accurate_algorithms_only():
    name = "winograd"
    outputs, given = problem(name, "float32")
    with config.change_flags(convolution="accurate"):
        f = croton.function(list(given), outputs)
    assert_as_in_float64(name, outputs, given, f, 1e-6)
    assert not any("winograd" in kernel for kernel in f.program.kernels)
    g = croton.function(list(given), outputs)
    assert any("winograd" in kernel for kernel in g.program.kernels)


def test_one_function_for_every_size():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    y = T.nnet.conv2d(x, w, border_mode="half")
    f = croton.function([x, w], y)
    rng = np.random.default_rng(0)
    for image, filters in [
        ((2, 3, 8, 9), (4, 3, 3, 3)),
        ((1, 64, 12, 12), (64, 64, 3, 3)),
        ((2, 20, 6, 7), (33, 20, 1, 1)),
        ((0, 3, 8, 9), (4, 3, 3, 3)),
        ((2, 3, 8, 9), (0, 3, 5, 5)),
        ((1, 1, 1, 1), (1, 1, 1, 1)),
    ]:
        a, b = rng.standard_normal(image), rng.standard_normal(filters)
        got = f(a.astype("f"), b.astype("f"))
        (want,) = evaluate([y], {x: a.astype("f"), w: b.astype("f")})
        assert got.shape == want.shape
        np.testing.assert_allclose(
            got, want, rtol=0, atol=1e-5 * max(1, np.abs(want).max(initial=0))
        )


def test_an_update_and_what_follows_in_one_function():
    rng = np.random.default_rng(0)
    x = T.ftensor4("x")
    w = croton.shared(rng.standard_normal((16, 8, 3, 3)).astype("f"))
    scale = croton.shared(rng.standard_normal(16).astype("f"))
    y = T.nnet.conv2d(x, w, filter_flip=False) * scale.dimshuffle("x", 0, "x", "x")
    loss = T.tanh(y).mean()
    steps = [(p, p - 10 * T.grad(loss, p)) for p in (w, scale)]
    given = {x: rng.standard_normal((4, 8, 9, 9)).astype("f")}
    want = evaluate([loss, *(new for _, new in steps)], given)
    f = croton.function([x], loss, updates=steps)
    np.testing.assert_allclose(f(given[x]), want[0], rtol=1e-4)
    for p, new in zip((w, scale), want[1:], strict=True):
        np.testing.assert_allclose(p.get_value(), new, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_last_is_another_order_of_the_same(rank):
    rng = np.random.default_rng(rank)
    x = T.tensor("float32", (None,) * (rank + 2))
    w = T.constant(rng.standard_normal((5, 4) + (3,) * rank).astype("f"))
    convolve = {1: T.nnet.conv1d, 2: T.nnet.conv2d, 3: T.nnet.conv3d}[rank]
    value = rng.standard_normal((2, *(9,) * rank, 4)).astype("f")
    got = croton.function([x], convolve(x, w, channels_last=True))(value)
    first = np.moveaxis(value, -1, 1)
    (want,) = evaluate([convolve(x, w)], {x: first})
    np.testing.assert_allclose(got, np.moveaxis(want, 1, -1), rtol=0, atol=1e-4)
    if rank > 1:
        pool = {2: T.signal.pool.pool_2d, 3: T.signal.pool.pool_3d}[rank]
        numbers = {"ws": (2,) * rank, "stride": (1,) * rank, "ignore_border": True}
        for mode in ("max", "average_inc_pad"):
            y = pool(x, mode=mode, channels_last=True, **numbers)
            (want,) = evaluate([pool(x, mode=mode, **numbers)], {x: first})
            got = croton.function([x], y)(value)
            np.testing.assert_allclose(got, np.moveaxis(want, 1, -1), rtol=1e-6, atol=1e-6)


def test_channels_last_needs_channels():
    with pytest.raises(TypeError, match="rank 3 or more"):
        T.signal.pool.pool_2d(T.fmatrix(), (2, 2), channels_last=True)


@pytest.mark.parametrize("name", ["wide groups", "winograd, groups", "groups of four", "depthwise"])
@pytest.mark.parametrize("constant", [False, True])
def test_a_mask_on_the_result_of_groups(name, constant):
    image, filters, border, strides, dilation, groups = SHAPES[name]
    rng = np.random.default_rng(0)
    x = T.ftensor4("x")
    values = rng.standard_normal(filters).astype("f")
    w = T.constant(values) if constant else croton.shared(values)
    y = T.nnet.conv2d(
        x, w, border_mode=border, subsample=strides, filter_dilation=dilation, num_groups=groups
    )
    mask = T.shared_randomstreams.RandomStreams(7).binomial(y.shape, p=0.5, dtype="float32")
    given = rng.standard_normal(image).astype("f")
    f = croton.function([x], [y * mask, y])
    masked, plain = f(given)
    kept = masked != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_array_equal(masked, np.where(kept, plain, 0))
    (want,) = evaluate([y], {x: given})
    np.testing.assert_allclose(plain, want, rtol=0, atol=1e-5 * np.abs(want).max())
    launched = " ".join(f.program.kernels)
    assert "epilogue" in launched
