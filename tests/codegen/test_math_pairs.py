"""Vector math of two arguments: pow, atan2 and fmod."""

from __future__ import annotations

import mathlab
import numpy as np
import pytest

DTYPES = ["float32", "float64"]
LIMITS = {"pow": 1.5, "atan2": 2.0}


def pairs(dtype: str, count: int = 30_000) -> tuple[np.ndarray, np.ndarray]:
    """All sizes, the usual ones, bases near 1 with large exponents, and whole numbers."""
    rng = np.random.default_rng(5)
    near = 1 + rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-6, 0, count)
    parts = [
        (mathlab.floats(dtype, count, 1), mathlab.floats(dtype, count, 2)),
        (rng.uniform(0, 10, count), rng.uniform(-30, 30, count)),
        (near, rng.choice([-1, 1], count) * 10.0 ** rng.uniform(0, 6, count)),
        (rng.uniform(-10, 10, count), rng.integers(-40, 40, count)),
        (2.0 ** rng.uniform(-120, 120, count), rng.uniform(-2, 2, count)),
        (rng.integers(-8, 8, count), rng.integers(-8, 8, count)),
    ]
    return tuple(np.concatenate([np.asarray(p[k]).astype(dtype) for p in parts]) for k in (0, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("low", "high"), [(0.65, 0.68), (1.33, 1.36), (1.5, 100)])
def test_powers_that_are_nearly_out_of_range(low: float, high: float, dtype: str) -> None:
    rng = np.random.default_rng(23)
    info = np.finfo(dtype)
    x = rng.uniform(low, high, 20_000)
    for least, most in ((info.minexp, 0.98 * info.minexp), (0.98 * info.maxexp, info.maxexp)):
        y = rng.uniform(least, most, x.size) / np.log2(x)
        arrays = x.astype(dtype), y.astype(dtype)
        got = mathlab.native("pow", dtype)(*arrays)
        error, where = mathlab.worst("pow", dtype, got, *arrays, checks=4)
        assert error <= LIMITS["pow"], f"{where} is off by {error:.2f} ULP"


def special_pairs(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of the special values."""
    values = mathlab.specials(dtype)
    x, y = np.meshgrid(values, values)
    return x.ravel(), y.ravel()


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where both are NaN, or the same number with the same sign."""
    return (np.isnan(a) & np.isnan(b)) | ((a == b) & (np.signbit(a) == np.signbit(b)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_error_in_ulp(name: str, dtype: str) -> None:
    x, y = pairs(dtype)
    error, where = mathlab.worst(name, dtype, mathlab.native(name, dtype)(x, y), x, y)
    assert error <= LIMITS[name], f"{name}{where} is off by {error:.2f} ULP"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_special_values(name: str, dtype: str) -> None:
    x, y = special_pairs(dtype)
    got = mathlab.native(name, dtype)(x, y)
    with np.errstate(all="ignore"):
        want = mathlab.wide(name, x, y).astype(dtype)
        close = np.abs(got - want) <= 2 * np.spacing(np.minimum(np.abs(want), np.finfo(dtype).max))
    right = same(got, want) | (close & np.isfinite(want) & (want != 0))
    assert right.all(), [(x[i], y[i], got[i], want[i]) for i in np.flatnonzero(~right)[:5]]


def remainders(dtype: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs for fmod, by what is special about them."""
    x, y = pairs(dtype)
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        largest = (info.max / (1 + np.abs(x)), info.smallest_subnormal * (y // 1))
        return {
            "all sizes": (x, y),
            "specials": special_pairs(dtype),
            "subnormal divisors": (x, (y * info.tiny).astype(dtype)),
            "the largest quotients": largest,
            "multiples": (x * 4, x),
            "halves": (np.rint(x) / 2, np.rint(y) / 4),
        }


@pytest.mark.parametrize("kind", list(remainders("float32")))
@pytest.mark.parametrize("dtype", DTYPES)
def test_fmod_is_exact(dtype: str, kind: str) -> None:
    x, y = (a.astype(dtype) for a in remainders(dtype)[kind])
    got = mathlab.native("fmod", dtype)(x, y)
    with np.errstate(all="ignore"):
        want = np.fmod(x, y)
    right = same(got, want)
    assert right.all(), [(x[i], y[i], got[i], want[i]) for i in np.flatnonzero(~right)[:5]]
