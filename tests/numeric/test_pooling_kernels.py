"""Poolings in kernels: compiled code against the ops' NumPy definitions, and what it looks like."""

import re

import numpy as np
import pytest
from helpers import compute, refuses
from hypothesis import given, settings
from hypothesis import strategies as st

import croton
import croton.tensor as T
from croton.gradient import Rop, grad, verify_grad
from croton.runtime.program import Host, Launch
from croton.tensor.signal import pool_2d, pool_3d
from croton.tensor.signal.ops import (
    MaxPool,
    MaxPoolGather,
    MaxPoolSpread,
    SumPool,
    SumPoolSpread,
)

CHANNELS_LAST = ((3, 2, 1), (2, 1, 1), (1, 1, 0), True)


def kinds(f):
    return [type(i) for i in f.program.instructions if isinstance(i, Host | Launch)]


def evaluate_all(value, numbers, static=False, dtype=None):
    """All ops for one set of numbers, each compiled and compared with what NumPy gives."""
    type_ = T.TensorType(value.dtype, value.shape if static else (None,) * value.ndim)
    x = type_("x")
    z = MaxPool(*numbers)(x)
    rng = np.random.default_rng(7)
    found = compute(z, {x: value})
    wide = dtype or (value.dtype if value.dtype.kind == "f" else "float64")
    g = T.TensorType(wide, z.type.shape)("g")
    v = T.TensorType(wide, x.type.shape)("v")
    outputs = [z, MaxPoolSpread(*numbers)(x, z, g), MaxPoolGather(*numbers)(x, z, v)]
    if value.dtype != "bool":
        sizes = [value.shape[d] for d in range(value.ndim - len(numbers[0]), value.ndim)]
        if not static:
            sizes = [x.shape[d] for d in range(value.ndim - len(numbers[0]), value.ndim)]
        outputs += [SumPool(*numbers)(x), SumPoolSpread(*numbers)(g, *sizes)]
    numbers_of = {
        x: value,
        g: rng.integers(-9, 9, found.shape).astype(wide),
        v: rng.integers(-9, 9, value.shape).astype(wide),
    }
    compute(outputs, numbers_of)
    f = croton.function([x, g, v], outputs)
    assert Host not in kinds(f)


@st.composite
def cases(draw):
    n = draw(st.integers(1, 4))
    window = tuple(draw(st.integers(1, 4)) for _ in range(n))
    strides = tuple(draw(st.integers(1, 5)) for _ in range(n))
    ignore_border = draw(st.booleans())
    pad = tuple(draw(st.integers(0, k - 1)) if ignore_border else 0 for k in window)
    least = 0 if ignore_border else 1
    inner = [draw(st.integers(least, 9 if n < 3 else 5)) for _ in range(n)]
    lead = [draw(st.integers(0, 3)) for _ in range(draw(st.integers(0, 2)))]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    value = rng.integers(0, 4, (*lead, *inner)).astype(float)
    if draw(st.booleans()):
        for special in (np.nan, np.inf, -np.inf):
            value[rng.random(value.shape) < 0.1] = special
    return value, (window, strides, pad, ignore_border)


@settings(max_examples=30, deadline=None)
@given(cases(), st.booleans(), st.sampled_from(["float64", "float32"]))
def test_any_windows(case, static, dtype):
    value, numbers = case
    evaluate_all(value.astype(dtype), numbers, static)


@pytest.mark.parametrize(("ignore_border", "static"), [(False, True), (True, False)])
@pytest.mark.parametrize(
    ("shape", "window", "strides", "pad"),
    [
        ((2, 9, 9, 20), (5, 5, 1), (1, 2, 1), (2, 1, 0)),
        ((2, 7, 7, 33), (7, 7, 1), (7, 7, 1), (0, 0, 0)),
        ((3, 10, 11), (7, 6), (3, 1), (6, 3)),
        ((2, 5, 5, 6, 3), (3, 3, 3, 1), (2, 1, 2, 1), (1, 1, 1, 0)),
        ((3, 50), (20,), (1,), (3,)),
        ((3, 50), (20,), (19,), (0,)),
        ((40,), (17,), (23,), (0,)),
    ],
)
def test_windows_that_are_loops(shape, window, strides, pad, ignore_border, static):
    value = np.random.default_rng(1).integers(0, 9, shape).astype(float)
    value[value == 8] = np.nan
    evaluate_all(
        value, (window, strides, pad if ignore_border else (0,) * len(pad), ignore_border), static
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint8", "uint64", "bool"])
@pytest.mark.parametrize(
    "numbers",
    [CHANNELS_LAST, ((6, 4, 1), (3, 3, 1), (2, 3, 0), True)],
    ids=["unrolled", "loops"],
)
def test_dtypes(dtype, numbers):
    rng = np.random.default_rng(2)
    info = None if dtype in ("float16", "float32", "bool") else np.iinfo(dtype)
    value = rng.integers(0, 2 if dtype == "bool" else 100, (3, 6, 7, 5))
    if info is not None and info.min:
        value -= 50
    value = value.astype(dtype)
    if info is not None:
        # Both ends: nothing is larger than padding, and sums wrap.
        value[0] = info.min
        value[1] = info.max
    evaluate_all(value, numbers)
    if dtype not in ("bool", "uint64"):
        evaluate_all(value, numbers, dtype=dtype)


def test_a_window_of_bools_has_no_sum():
    x = T.TensorType("bool", (None, None))("x")
    z = MaxPool((2, 2), (2, 2), (0, 0), True)(x)
    with pytest.raises(TypeError, match="bool"):
        MaxPoolSpread((2, 2), (2, 2), (0, 0), True)(x, z, z)


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [
        ((2, 7, 6, 3), CHANNELS_LAST),
        ((2, 6, 8, 3), ((2, 2, 1), (2, 2, 1), (0, 0, 0), True)),
        ((1, 5, 4, 5, 2), ((2, 2, 2, 1), (2, 1, 2, 1), (0, 0, 0, 0), False)),
        ((2, 8, 7, 2), ((5, 4, 1), (2, 1, 1), (2, 3, 0), True)),
    ],
)
def test_gradients_with_channels_last(shape, numbers):
    n = int(np.prod(shape))
    value = np.random.default_rng(3).permutation(n).reshape(shape) / n

    def second(op):
        return lambda x: grad((op(x) ** 3).sum(), x)

    for op in (MaxPool(*numbers), SumPool(*numbers)):
        verify_grad(op, [value])
        verify_grad(second(op), [value])
    # The definition, against the one over the last two dimensions.
    if len(shape) == 4:
        x = T.dtensor4("x")
        moved = x.dimshuffle(0, 3, 1, 2)
        window, strides, pad, border = numbers
        plain = MaxPool(window[:2], strides[:2], pad[:2], border)(moved).dimshuffle(0, 2, 3, 1)
        here = MaxPool(*numbers)(x)
        a, b = (grad((z**2).sum(), x) for z in (plain, here))
        found = compute([plain, here, a, b], {x: value})
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[2], found[3])


def test_forward_mode_with_channels_last():
    x, d = T.dtensor4("x"), T.dtensor4("d")
    rng = np.random.default_rng(4)
    value, direction = rng.normal(size=(2, 2, 5, 6, 3))
    z = MaxPool(*CHANNELS_LAST)(x)
    step = 1e-6
    got = compute(Rop(z, x, d), {x: value, d: direction})
    ends = [compute(z, {x: value + s * direction}) for s in (step, -step)]
    np.testing.assert_allclose(got, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_a_network_without_python():
    x, b = T.ftensor4("x"), T.fvector("b")
    h = T.nnet.relu(x + b.dimshuffle("x", 0, "x", "x"))
    z = pool_2d(h, (2, 2), ignore_border=True)
    y = T.tanh(pool_2d(z, (3, 3), True, (1, 1), (1, 1), "average_exc_pad"))
    cost = (pool_2d(y, (2, 2), ignore_border=False, mode="sum") ** 2).mean()
    rng = np.random.default_rng(5)
    values = {x: rng.normal(size=(3, 4, 9, 10)), b: rng.normal(size=4)}
    outputs = [cost, *grad(cost, [x, b])]
    given = {v: value.astype("float32") for v, value in values.items()}
    compute(outputs, given, ulp=64)
    f = croton.function([x, b], outputs)
    assert Host not in kinds(f)


def test_what_surrounds_a_pooling():
    x, w = T.dtensor4("x"), T.dmatrix("w")
    rng = np.random.default_rng(6)
    given = {x: rng.normal(size=(2, 3, 6, 8)), w: rng.normal(size=(8, 8))}
    z = pool_2d(x, (2, 2), True)
    other = pool_2d(x, (2, 2), True, mode="sum")
    compute([z + 1, z * other, T.exp(z).sum(), z.sum(axis=(2, 3)), z.max(axis=0)], given, ulp=16)
    compute([T.nnet.softmax(z.flatten(2)), T.concatenate([z, other], axis=1)], given, ulp=16)
    # Of a product, of one that is pooled, of what is cheap, a view, a slice and a constant.
    compute(pool_2d(T.dot(x, w), (2, 2), True), given, ulp=16)
    compute(T.dot(pool_2d(x, (1, 1), True), w), given, ulp=16)
    compute(pool_2d(x * x + 1, (3, 3), True, (1, 1)), given)
    compute(pool_2d(x[:, ::-1, 1:, ::2], (2, 2), False), given)
    compute(pool_2d(x.dimshuffle(1, 0, 3, 2), (2, 3), False, (1, 1)), given)
    compute(pool_2d(x.reshape((4, 3, 3, 8)), (2, 2), True), given)
    compute(pool_2d(T.constant(given[x]), (2, 2), True) + z, given)
    # Where the output has one element for each image, and where it has one.
    compute(pool_2d(x, (6, 8), True, mode="sum") / 48, given, ulp=16)
    single = T.TensorType("float64", (4, 4))("single")
    one = pool_2d(single, (4, 4), True)
    compute([one, one + z], {single: given[x][0, 0, :4, :4], **given})


def test_an_average_and_its_neighbours_share_a_kernel():
    x, y = T.ftensor4("x"), T.ftensor4("y")
    z = pool_2d(x, (2, 2), True, mode="average_exc_pad")
    f = croton.function([x, y], [T.tanh(z + y), pool_2d(x, (2, 2), True)])
    assert kinds(f) == [Launch]


def test_a_cheap_input_is_not_stored_and_an_expensive_one_is():
    x = T.ftensor4("x")
    cheap = croton.function([x], pool_2d(T.nnet.relu(x + 1), (2, 2), True))
    assert kinds(cheap) == [Launch]
    expensive = croton.function([x], pool_2d(T.cos(x), (3, 3), True, (1, 1)))
    assert kinds(expensive) == [Launch, Launch]


def test_an_update_by_its_own_windows_is_not_spoiled():
    numbers = ((3, 3), (1, 1), (1, 1), True)
    start = np.random.default_rng(8).normal(size=(2, 20, 33))
    x = T.dtensor3("x")
    for op in (MaxPool(*numbers), SumPool(*numbers)):
        w = croton.shared(start)
        for make in (lambda v, op=op: op(v), lambda v, op=op: v + op(v * 2)):
            w.set_value(start)
            want = compute(make(x), {x: start}, ulp=16)
            croton.function([], updates=[(w, make(w))])()
            np.testing.assert_allclose(w.get_value(), want, rtol=1e-14, atol=1e-14)


def test_shapes_that_do_not_belong_together():
    x, z, v = T.dmatrices("xzv")
    numbers = ((2, 2), (2, 2), (0, 0), True)
    full, half = np.ones((4, 6)), np.ones((2, 3))
    for op, good in ((MaxPoolSpread(*numbers), (full, half, half)),
                     (MaxPoolGather(*numbers), (full, half, full))):  # fmt: skip
        out = op(x, z, v)
        compute(out, dict(zip((x, z, v), good, strict=True)))
        for k in (1, 2):
            wrong = [np.ones((3, 3)) if j == k else a for j, a in enumerate(good)]
            refuses(out, dict(zip((x, z, v), wrong, strict=True)), ValueError)
    n = T.lscalar("n")
    out = SumPoolSpread(*numbers)(z, n, 6)
    compute(out, {z: half, n: 5})
    refuses(out, {z: half, n: 6}, ValueError)


def divisions(f):
    """Divisions in the kernels, apart from those that take numbers of lines apart."""
    lines = [line for line in f.kernels().splitlines() if "line" not in line]
    return re.findall(r"(?:\([^()]*\)|\w+) (?://|%)", "\n".join(lines))


def test_divisions():
    x = T.TensorType("float32", (None,) * 4)("x")

    def gradients(*numbers):
        z = MaxPool(*numbers)(x)
        s = SumPool(*numbers)(x)
        return croton.function([x], [z, s, grad((z**2).sum(), x), grad((s**2).sum(), x)])

    assert divisions(gradients((3, 3, 1), (1, 1, 1), (1, 1, 0), True)) == []
    # Only of the positions along the two dimensions with a stride, before the loop over the third.
    found = divisions(gradients((2, 3, 1), (2, 2, 1), (0, 1, 0), True))
    assert {name for d in found for name in re.findall(r"[a-z]\w*", d)} == {"o1", "i0"}


def test_a_volume():
    x = T.dtensor5("x")
    value = np.random.default_rng(9).integers(0, 5, (2, 2, 5, 6, 7)).astype(float)
    for mode in ("max", "sum", "average_inc_pad"):
        z = pool_3d(x, (3, 2, 3), True, (2, 1, 1), (1, 1, 2), mode)
        compute([z, grad((z**2).sum(), x)], {x: value}, ulp=16)
