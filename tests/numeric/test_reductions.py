"""Reductions against NumPy: dtypes, axes, empty and large arrays, NaN."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses, samples
from scipy import special

import croton.tensor as T

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
EVERY = ["bool", *INTEGERS, *FLOATS]


def wide(dtype):
    """The dtype of a sum."""
    kind = np.dtype(dtype).kind
    return {"b": "int64", "i": "int64", "u": "uint64"}.get(kind, dtype)


def axes_of(ndim):
    yield None
    for count in range(ndim + 1):
        yield from itertools.combinations(range(ndim), count)
    yield from range(-ndim, ndim)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "all", "any"])
@pytest.mark.parametrize("dtype", EVERY)
def test_dtypes(name, dtype):
    x = T.TensorType(dtype, (None,))()
    value = samples(dtype)
    if name == "prod":
        value = value[:4]
    out = {"sum": wide(dtype), "prod": wide(dtype), "max": dtype, "min": dtype}.get(name, "bool")
    (got,) = compute([getattr(T, name)(x)], {x: value})
    assert got.dtype == out
    with np.errstate(all="ignore"):
        if name in ("sum", "prod"):
            want = getattr(np, name)(value.astype(np.float32 if out == "float16" else out))
        else:
            want = getattr(np, name)(value)
        np.testing.assert_array_equal(got, np.asarray(want).astype(out))


@pytest.mark.parametrize("shape", [(), (5,), (1,), (3, 4), (2, 3, 4), (2, 1, 3, 2)])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "all", "any", "argmax", "mean"])
def test_axes(name, shape):
    x = T.TensorType("float64", (None,) * len(shape))()
    value = np.random.default_rng(2).standard_normal(shape).round(1)
    function, oracle = getattr(T, name), getattr(np, name)
    cases = [a for a in axes_of(len(shape)) if name != "argmax" or isinstance(a, int | None)]
    plain = compute([function(x, axis=a) for a in cases], {x: value})
    kept = compute([function(x, axis=a, keepdims=True) for a in cases], {x: value})
    for a, p, k in zip(cases, plain, kept, strict=True):
        np.testing.assert_allclose(p, oracle(value, axis=a), rtol=1e-13)
        np.testing.assert_allclose(k, oracle(value, axis=a, keepdims=True), rtol=1e-13)
        assert p.shape == np.shape(oracle(value, axis=a))
        assert k.shape == np.shape(oracle(value, axis=a, keepdims=True))


@pytest.mark.parametrize("shape", [(7, 300), (300, 7), (1, 1000), (1000, 1), (64, 64), (3, 50, 40)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_larger_arrays(shape, dtype):
    rng = np.random.default_rng(3)
    x = T.TensorType(dtype, (None,) * len(shape))()
    value = (rng.standard_normal(shape) * 50 + 60).astype(dtype)
    cases = [None, *range(len(shape)), tuple(range(len(shape) - 1))]
    names = ["sum", "max", "min", "mean"]
    results = iter(
        compute([getattr(T, n)(x, axis=a) for n in names for a in cases], {x: value}, ulp=20)
    )
    for n in names:
        for a in cases:
            want = getattr(np, n)(value.astype("float64" if n == "mean" else wide(dtype)), axis=a)
            np.testing.assert_allclose(next(results), want, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_nothing_to_reduce(shape):
    x = T.TensorType("float64", (None,) * len(shape))()
    value = np.zeros(shape)
    cases = list(range(len(shape)))
    for name in ("sum", "prod", "all", "any"):
        results = compute([getattr(T, name)(x, axis=a) for a in cases], {x: value})
        for got, a in zip(results, cases, strict=True):
            np.testing.assert_array_equal(got, getattr(np, name)(value, axis=a))
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        want = np.mean(value)
    assert np.isnan(compute(T.mean(x), {x: value})) and np.isnan(want)
    for a in cases:
        for name in ("max", "min", "argmax", "argmin"):
            expression = getattr(T, name)(x, axis=a)
            if shape[a] == 0:
                refuses(expression, {x: value}, ValueError, "no elements")
            else:
                np.testing.assert_array_equal(
                    compute(expression, {x: value}), getattr(np, name)(value, axis=a)
                )


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_goes_through(dtype):
    x = T.TensorType(dtype, (None, None))()
    value = np.zeros((4, 70), dtype)
    value[1, 3] = value[2, 69] = np.nan
    value[3, 5] = np.inf
    for name in ("max", "min", "sum", "argmax", "argmin"):
        got = compute([getattr(T, name)(x, axis=a) for a in (0, 1, None)], {x: value})
        for g, a in zip(got, (0, 1, None), strict=True):
            np.testing.assert_array_equal(g, getattr(np, name)(value, axis=a))


def test_a_nan_is_true_for_all_and_any():
    x = T.dvector()
    assert compute(T.any(x), {x: [0.0, np.nan]}) and compute(T.all(x), {x: [1.0, np.nan]})


@pytest.mark.parametrize("dtype", EVERY)
def test_positions_of_extremes(dtype):
    x = T.TensorType(dtype, (None, None))()
    value = np.resize(samples(dtype), (5, 37))
    cases = [None, 0, 1, -1]
    for name in ("argmax", "argmin"):
        results = compute([getattr(T, name)(x, axis=a) for a in cases], {x: value})
        for got, a in zip(results, cases, strict=True):
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, getattr(np, name)(value, axis=a))


def test_positions_over_several_axes():
    x = T.dtensor3()
    value = np.random.default_rng(4).integers(0, 4, (3, 4, 5)).astype(float)
    got = compute(T.argmax(x, axis=(0, 2)), {x: value})
    want = np.argmax(value.transpose(1, 0, 2).reshape(4, 15), axis=1)
    assert np.array_equal(got, want)


def test_max_and_argmax():
    x = T.dmatrix()
    value = np.random.default_rng(5).standard_normal((3, 4))
    largest, where = compute(T.max_and_argmax(x, axis=1), {x: value})
    assert np.array_equal(largest, value.max(1)) and np.array_equal(where, value.argmax(1))


@pytest.mark.parametrize(
    "dtype, out", [(d, "float64") for d in ["bool", *INTEGERS]] + [(d, d) for d in FLOATS]
)
def test_mean(dtype, out):
    x = T.TensorType(dtype, (None, None))()
    value = np.array([[1, 0, 1], [1, 1, 0]], dtype)
    for axis in (None, 0, 1):
        got = compute(T.mean(x, axis=axis), {x: value})
        assert got.dtype == out
        np.testing.assert_allclose(got, value.mean(axis=axis), rtol=1e-3 if out == "float16" else 0)


def test_a_float16_mean_does_not_overflow():
    x = T.TensorType("float16", (None,))()
    assert compute(T.mean(x), {x: np.full(70_000, 2, "float16")}) == 2


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_spread(ddof, axis):
    x = T.dmatrix()
    value = np.random.default_rng(6).standard_normal((5, 7)) + 1e6
    got = compute(
        [T.var(x, axis, ddof), T.std(x, axis, ddof), T.var(x, axis, ddof, keepdims=True)],
        {x: value},
        ulp=1e4,
    )
    np.testing.assert_allclose(got[0], np.var(value, axis=axis, ddof=ddof), rtol=1e-9)
    np.testing.assert_allclose(got[1], np.std(value, axis=axis, ddof=ddof), rtol=1e-9)
    assert got[2].ndim == 2


def test_spread_of_integers():
    x = T.ivector()
    got = compute(T.var(x), {x: [1, 2, 4]})
    assert got.dtype == np.float64 and np.isclose(got, np.var([1, 2, 4]))
    y = T.fvector()
    assert compute(T.std(y, corrected=True), {y: [1, 2, 4]}).dtype == np.float32


@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, 2.5, np.inf, -np.inf])
def test_norms(order):
    x = T.dmatrix()
    value = np.random.default_rng(7).standard_normal((4, 5)).round(1)
    got = compute(T.norm(x, order, axis=1), {x: value})
    np.testing.assert_allclose(got, np.linalg.norm(value, order, axis=1), rtol=1e-13)
    np.testing.assert_allclose(compute(x.norm(2), {x: value}), np.linalg.norm(value))


def test_ptp():
    x = T.imatrix()
    value = np.array([[1, 5], [7, -2]], "int32")
    for axis in (None, 0, 1):
        assert np.array_equal(compute(T.ptp(x, axis), {x: value}), np.ptp(value, axis=axis))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_logsumexp(dtype, axis):
    x = T.TensorType(dtype, (None, None))()
    value = np.array([[1, 2, -3], [1000, 1001, 1000], [-1e4, -1e4, -1e4]], dtype)
    got = compute(T.logsumexp(x, axis), {x: value})
    np.testing.assert_allclose(got, special.logsumexp(value, axis=axis), rtol=1e-6)
    kept = compute(T.logsumexp(x, axis, keepdims=True), {x: value})
    assert kept.ndim == 2


def test_logsumexp_at_infinity():
    x = T.dmatrix()
    value = np.array([[-np.inf, -np.inf], [np.inf, 1], [-np.inf, 0], [np.nan, 0]])
    np.testing.assert_array_equal(
        compute(T.logsumexp(x, axis=1), {x: value}), [-np.inf, np.inf, 0, np.nan]
    )


@pytest.mark.parametrize("dtype", [None, "float64", "int32"])
def test_the_dtype_asked_for(dtype):
    x = T.fvector()
    value = np.array([1.5, 2.5, -3.25], "float32")
    got = compute([T.sum(x, dtype=dtype), T.prod(x, dtype=dtype)], {x: value})
    kind = dtype or "float32"
    assert [g.dtype for g in got] == [kind, kind]
    if dtype == "int32":
        assert got[0] == 0 and got[1] == -6
    mean = compute(T.mean(T.cast(x, "int32"), dtype="float32"), {x: value})
    assert mean.dtype == np.float32 and mean == 0
    sums = compute(T.sum(x, acc_dtype="float64"), {x: value})
    assert sums.dtype == np.float32 and sums == 0.75


def test_integer_sums_wrap_in_64_bits_only():
    x = T.bvector()
    assert compute(T.sum(x), {x: np.full(1000, 127, "int8")}) == 127_000
    y = T.TensorType("bool", (None,))()
    assert compute(T.sum(y), {y: np.ones(300, bool)}) == 300
    z = T.lvector()
    top = np.array([2**63 - 1, 1])
    assert compute(T.sum(z), {z: top}) == -(2**63)


def test_float32_sums_are_as_good_as_numpys():
    x = T.fvector()
    value = np.random.default_rng(8).uniform(0, 1, 200_000).astype("float32")
    exact = value.astype(np.float64).sum()
    f = compute(T.sum(x), {x: value}, ulp=100)
    assert abs(f - exact) / exact < 1e-6


def test_what_is_no_axis():
    x = T.dmatrix("x")
    for axis in (2, -3, (0, 2)):
        with pytest.raises(ValueError, match="out of range"):
            T.sum(x, axis=axis)
    with pytest.raises(ValueError, match="twice"):
        T.sum(x, axis=(0, -2))
    for axis in ("0", 1.5, (0, None), True):
        with pytest.raises(TypeError, match="axis"):
            T.sum(x, axis=axis)
    assert T.sum(x, axis=[0, 1]).ndim == 0
    assert T.sum(x, axis=np.int64(1)).ndim == 1
    assert T.sum(x, axis=T.constant(1)).ndim == 1
    assert T.sum(T.TensorType("float64", (2, 3, 4))(), axis=1).type.shape == (2, 4)
    assert T.sum(T.TensorType("float64", (2, 3))(), axis=1, keepdims=True).type.shape == (2, 1)


def test_methods():
    x = T.dmatrix()
    value = np.random.default_rng(9).standard_normal((3, 4))
    names = "sum prod mean var std max min argmax argmin ptp all any".split()
    results = compute([getattr(x, n)(axis=1) for n in names], {x: value}, ulp=20)
    for name, got in zip(names, results, strict=True):
        np.testing.assert_allclose(got, getattr(np, name)(value, axis=1), rtol=1e-12)
