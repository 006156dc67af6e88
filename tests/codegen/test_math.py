"""Vector math against long double and mpmath: every error in ULP, on native code."""

from __future__ import annotations

import mathlab
import numpy as np
import pytest

#: The largest error in ULP that a function may have.
LIMITS = {
    "exp": 1.6,
    "exp2": 1.6,
    "cos": 1.6,
    "expm1": 2.0,
    "log": 1.6,
    "log10": 2.0,
    "log1p": 2.0,
    "log2": 2.0,
    "sigmoid": 2.0,
    "sin": 1.6,
    "softplus": 2.0,
    "tan": 3.3,
    "tanh": 2.0,
}
DTYPES = ["float32", "float64"]


def samples(dtype: str, count: int = 40_000) -> np.ndarray:
    """Every exponent, the usual sizes, around 1, and the ends of exp."""
    rng = np.random.default_rng(7)
    near = 1 + rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-12, 0, count)
    parts = [
        mathlab.floats(dtype, count, 3),
        rng.standard_normal(count),
        rng.uniform(-20, 20, count),
        rng.uniform(-110, 90, count),
        rng.uniform(-750, 712, count),
        rng.choice([-1, 1], count) * 2.0 ** rng.uniform(-60, 12, count),
        near,
        -near,
        mathlab.specials(dtype),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([np.asarray(p).astype(dtype) for p in parts])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_error_in_ulp(name: str, dtype: str) -> None:
    x = samples(dtype)
    error, where = mathlab.worst(name, dtype, mathlab.native(name, dtype)(x), x)
    assert error <= LIMITS[name], f"{name}({where}) is off by {error:.2f} ULP"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_special_values(name: str, dtype: str) -> None:
    x = mathlab.specials(dtype)
    got = mathlab.native(name, dtype)(x)
    with np.errstate(all="ignore"):
        want = mathlab.wide(name, x).astype(dtype)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    assert np.array_equal(np.isinf(got), np.isinf(want))
    number = ~np.isnan(want)
    assert np.array_equal(np.signbit(got[number]), np.signbit(want[number]))
    zero = want == 0
    assert np.array_equal(got[zero], want[zero])


@pytest.mark.parametrize("lanes", [1, 2, 4, 16])
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_width_gives_the_same_bits(name: str, lanes: int) -> None:
    x = samples("float32", 500)
    want = mathlab.native(name, "float32")(x)
    got = mathlab.native(name, "float32", lanes)(x)
    assert np.array_equal(got, want, equal_nan=True)
