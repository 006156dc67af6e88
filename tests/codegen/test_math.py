"""Vector math of one argument against long double and mpmath: errors in ULP, on native code."""

from __future__ import annotations

import mathlab
import mpmath
import numpy as np
import pytest

#: The largest error in ULP that a function may have.
LIMITS = {
    "acos": 1.5,
    "acosh": 1.8,
    "asin": 1.5,
    "asinh": 1.9,
    "atan": 1.5,
    "atanh": 2.0,
    "cos": 1.6,
    "cosh": 1.6,
    "erf": 1.6,
    "erfc": 2.0,
    "exp": 1.7,
    "exp2": 1.6,
    "expm1": 2.0,
    "log": 1.6,
    "log10": 1.5,
    "log1p": 2.0,
    "log2": 2.0,
    "sigmoid": 2.0,
    "sin": 1.6,
    "sinh": 1.8,
    "softplus": 2.0,
    "tan": 1.7,
    "tanh": 2.0,
}
DTYPES = ["float32", "float64"]


def samples(dtype: str, count: int = 30_000) -> np.ndarray:
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


#: Where the errors are largest: intervals of arguments.
WORST = {
    "acosh": [(1.0075, 1.0079), (1.05, 1.13)],
    "asin": [(0.5, 0.61), (0.83, 0.8415)],
    "asinh": [(0.29, 0.34), (0.48, 0.54)],
    "atanh": [(0.14, 0.2), (0.45, 0.47)],
    "erf": [(0.99, 1.05)],
    "erfc": [(-0.1, 0.1), (0.4, 0.6), (1.3, 1.6), (13.8, 14), (25.2, 26.6)],
    "exp": [(-10.5, -10.3), (9, 9.1)],
    "expm1": [(0.35, 0.4), (17, 17.1)],
    "log": [(1.33, 1.34), (2.66, 2.72)],
    "log10": [(1.333, 1.337)],
    "log1p": [(0.335, 0.36), (0.38, 0.4)],
    "log2": [(1.333, 1.4)],
    "sigmoid": [(-1.2, -1.0)],
    "softplus": [(-0.436, -0.431), (0.009, 0.012)],
    "tan": [(0.45, 0.55), (0.75, 0.79), (2.35, 2.38), (11.75, 11.85)],
    "tanh": [(0.2, 0.27)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(WORST))
def test_error_where_it_is_largest(name: str, dtype: str) -> None:
    rng = np.random.default_rng(19)
    for low, high in WORST[name]:
        x = rng.uniform(low, high, 20_000).astype(dtype)
        error, where = mathlab.worst(name, dtype, mathlab.native(name, dtype)(x), x, checks=2)
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_next_to_multiples_of_half_a_turn(name: str, dtype: str) -> None:
    info = np.finfo(dtype)
    rng = np.random.default_rng(11)
    points = []
    with mpmath.workdps(400):
        for exponent in range(-2, info.maxexp - 1, 3 if dtype == "float32" else 24):
            k = int(mpmath.floor(mpmath.mpf(2) ** exponent * (1 + rng.random()))) or 1
            points.append(float(k * mpmath.pi / 2))
    x = np.array(points, dtype)
    x = np.concatenate([np.nextafter(x, np.zeros(1, dtype)), x])
    got = mathlab.native(name, dtype)(x)
    for value, point in zip(got, x, strict=True):
        error = mathlab.exact_error(name, dtype, value, point)
        assert error <= LIMITS[name], f"{name}({point!r}) is off by {error:.2f} ULP"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_double_closest_to_a_multiple_of_half_pi(dtype: str) -> None:
    # 6381956970095103 * 2**797 is closer to one, for its size, than any other double.
    x = np.array([6381956970095103 * 2.0**797 if dtype == "float64" else 16367173 * 2.0**72], dtype)
    for name in ("sin", "cos", "tan"):
        got = mathlab.native(name, dtype)(x)
        assert mathlab.exact_error(name, dtype, got[0], x[0]) <= LIMITS[name]


@pytest.mark.parametrize("name", ["exp", "exp2", "sigmoid", "softplus", "erfc"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_run_out_gradually(name: str, dtype: str) -> None:
    low, high = {
        ("exp2", "float32"): (-150, -125),
        ("exp2", "float64"): (-1076, -1021),
        ("erfc", "float32"): (9.1, 10.2),
        ("erfc", "float64"): (26.4, 27.4),
    }.get((name, dtype), (-104.5, -87) if dtype == "float32" else (-746, -708))
    x = np.linspace(low, high, 400).astype(dtype)
    got = mathlab.native(name, dtype)(x)
    assert np.count_nonzero((got != 0) & (got < np.finfo(dtype).tiny)) > 50
    for value, point in zip(got, x, strict=True):
        assert mathlab.exact_error(name, dtype, value, point) <= LIMITS[name], point


@pytest.mark.parametrize("lanes", [1, 2, 4, 16])
@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_width_gives_the_same_bits(name: str, lanes: int) -> None:
    x = samples("float32", 300)
    want = mathlab.native(name, "float32")(x)
    got = mathlab.native(name, "float32", lanes)(x)
    assert np.array_equal(got, want, equal_nan=True)
