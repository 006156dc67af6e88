"""Elementwise functions against NumPy and SciPy: dtypes, edge values, broadcasting, errors."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses, samples
from scipy import special

import croton.tensor as T
from croton.tensor import dtypes

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
EVERY = ["bool", *INTEGERS, *FLOATS]

#: Functions of one float: the oracle, in as much precision as there is.
FUNCTIONS = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "deg2rad": np.deg2rad,
    "rad2deg": np.rad2deg,
    "erf": special.erf,
    "erfc": special.erfc,
    "sigmoid": special.expit,
    "softplus": lambda x: np.logaddexp(0, x),
    "reciprocal": lambda x: 1 / x,
}


def half_away(x):
    return np.where(np.abs(x - np.trunc(x)) == 0.5, np.trunc(x) + np.copysign(1, x), np.rint(x))


#: Functions that keep the dtype.
SAME = {
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round_half_to_even": np.rint,
    "round_half_away_from_zero": half_away,
    "sqr": np.square,
    "sgn": np.sign,
    "abs": np.abs,
    "identity": lambda x: x,
}


def close(got, want, dtype):
    """Equal up to a few units in the last place of ``dtype``."""
    want = np.asarray(want)
    with np.errstate(over="ignore"):
        want = want.astype(dtype)
    tolerance = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=np.finfo(dtype).tiny)
    signs = ~np.isnan(want) & ((want != 0) | (got != 0))
    assert np.array_equal(np.signbit(got)[signs], np.signbit(want)[signs])


def in_float(x):
    return x.astype(np.float64 if x.dtype != np.float64 else np.longdouble)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_of_floats(name):
    function = getattr(T, name)
    inputs = {T.TensorType(d, (None,))(): samples(d) for d in FLOATS}
    results = compute([function(x) for x in inputs], inputs)
    for got, value in zip(results, inputs.values(), strict=True):
        wide = value.astype(np.float64)
        with np.errstate(all="ignore"):
            want = FUNCTIONS[name](wide)
        if name in ("sin", "cos", "tan"):
            # The oracle's own error grows with the argument in the narrow dtypes' sums.
            want = np.where(np.isinf(wide), np.nan, want)
        close(got, want, str(value.dtype))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_raise_integers_to_floats(name):
    function = getattr(T, name)
    inputs = {T.TensorType(d, (None,))(): np.array([0, 1], d) for d in ["bool", *INTEGERS]}
    results = compute([function(x) for x in inputs], inputs)
    for got, value in zip(results, inputs.values(), strict=True):
        small = value.dtype.itemsize <= 2
        assert got.dtype == ("float32" if small else "float64")
        with np.errstate(all="ignore"):
            close(got, FUNCTIONS[name](value.astype(float)), str(got.dtype))


@pytest.mark.parametrize("name", sorted(SAME))
def test_functions_that_keep_the_dtype(name):
    function = getattr(T, name)
    kinds = [d for d in EVERY if d != "bool" or name not in ("sqr",)]
    inputs = {T.TensorType(d, (None,))(): samples(d) for d in kinds}
    results = compute([function(x) for x in inputs], inputs)
    for got, value in zip(results, inputs.values(), strict=True):
        assert got.dtype == value.dtype
        if value.dtype == bool or (value.dtype.kind in "iu" and name not in ("sqr", "sgn", "abs")):
            want = value
        else:
            with np.errstate(all="ignore"):
                want = SAME[name](value).astype(value.dtype)
        np.testing.assert_array_equal(got, want, err_msg=str(value.dtype))


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_negation(dtype):
    x = T.TensorType(dtype, (None,))()
    value = samples(dtype)
    np.testing.assert_array_equal(compute(-x, {x: value}), np.negative(value))


@pytest.mark.parametrize("name", ["neg", "sub", "mod", "int_div", "power"])
def test_bools_have_no_arithmetic_but_sums_and_products(name):
    x = T.TensorType("bool", (None,))("x")
    args = (x,) if name == "neg" else (x, x)
    with pytest.raises(TypeError, match="bools"):
        getattr(T, name)(*args)


BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "mod": np.mod,
    "int_div": np.floor_divide,
}


#: Pairs of different dtypes: with and without a common integer, across the kinds.
MIXED = [
    ("bool", "int8"),
    ("float32", "bool"),
    ("int8", "uint8"),
    ("uint8", "int64"),
    ("int32", "uint32"),
    ("uint64", "int64"),
    ("int8", "float16"),
    ("float16", "int32"),
    ("int32", "float32"),
    ("float32", "int16"),
    ("float16", "float64"),
    ("float64", "uint64"),
]


def pairs(a, b):
    """Every pair of a's and b's samples."""
    x, y = samples(a), samples(b)
    x, y = (x[:24], y[:24]) if len(x) > 24 else (x, y)
    return np.repeat(x, len(y)), np.tile(y, len(x))


@pytest.mark.parametrize("name", sorted(BINARY))
def test_two_arguments_of_every_dtype(name):
    # (numpy wraps an integer's smallest number over -1; so do we)
    function = getattr(T, name)
    expressions, inputs, wanted = [], {}, []
    for a, b in [*zip(EVERY, EVERY, strict=True), *MIXED]:
        if name in ("sub", "mod", "int_div") and a == b == "bool":
            continue
        x, y = T.TensorType(a, (None,))(), T.TensorType(b, (None,))()
        p, q = pairs(a, b)
        common = np.result_type(a, b)
        if name in ("mod", "int_div") and common.kind == "f":
            # Remainders of what is far apart, and of infinity, are for another test.
            far = np.isfinite(p.astype(float)) & np.isfinite(q.astype(float))
            with np.errstate(all="ignore"):
                quotient = np.abs(p.astype(float) / q.astype(float))
                far &= (quotient < 1000) & (quotient > 1e-3)
            p, q = p[far], q[far]
        inputs[x], inputs[y] = p, q
        expressions.append(function(x, y))
        with np.errstate(all="ignore"):
            want = BINARY[name](p.astype(common), q.astype(common))
        wanted.append((a, b, want))
    results = compute(expressions, inputs)
    for got, (a, b, want) in zip(results, wanted, strict=True):
        assert got.dtype == want.dtype, (a, b)
        np.testing.assert_array_equal(got, want, err_msg=f"{name} of {a} and {b}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_remainders_at_the_edges(dtype):
    x, y = T.TensorType(dtype, (None,))(), T.TensorType(dtype, (None,))()
    values = np.array([0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 1e30, np.inf, -np.inf, np.nan], dtype)
    p, q = np.repeat(values, len(values)), np.tile(values, len(values))
    got = compute([x % y, x // y], {x: p, y: q})
    with np.errstate(all="ignore"):
        for ours, theirs in zip(got, (np.mod(p, q), np.floor_divide(p, q)), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            zero = theirs == 0
            assert np.array_equal(np.signbit(ours[zero]), np.signbit(theirs[zero]))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division_by_zero_is_zero(dtype):
    x = T.TensorType(dtype, (None,))()
    value = samples(dtype)
    quotient, rest = compute([x // (x - x), x % (x - x)], {x: value})
    assert not quotient.any() and not rest.any()


@pytest.mark.parametrize("float_x", ["float32", "float64"])
def test_true_division(float_x, monkeypatch):
    from croton.config import config

    monkeypatch.setattr(config, "floatX", float_x)
    for a, b in itertools.product(["bool", "int8", "int64", "uint8", *FLOATS], repeat=2):
        x, y = T.TensorType(a, (None,))(), T.TensorType(b, (None,))()
        common = np.result_type(a, b)
        dtype = str(common) if common.kind == "f" else float_x
        p, q = np.array([1, 0, 1, 0], a), np.array([1, 1, 0, 0], b)
        got = compute(x / y, {x: p, y: q})
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(got, p.astype(dtype) / q.astype(dtype))
        assert got.dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_floats(dtype):
    x, y = T.TensorType(dtype, (None,))(), T.TensorType(dtype, (None,))()
    values = np.array([0.0, -0.0, 0.5, 1, -1, 2, -2, 3, -3, 2.5, np.inf, -np.inf, np.nan], dtype)
    p, q = np.repeat(values, len(values)), np.tile(values, len(values))
    with np.errstate(all="ignore"):
        want = np.power(p, q)
    close(compute(x**y, {x: p, y: q}), want, dtype)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_powers_of_integers(dtype):
    info = np.iinfo(dtype)
    base = [b for b in (-3, -2, -1, 0, 1, 2, 3, 10) if b >= info.min]
    exponent = [e for e in (-3, -2, -1, 0, 1, 2, 5, 40) if e >= info.min]
    x, y = T.TensorType(dtype, (None,))(), T.TensorType(dtype, (None,))()
    p = np.repeat(np.array(base, dtype), len(exponent))
    q = np.tile(np.array(exponent, dtype), len(base))

    def power(b, e):
        if e >= 0:
            return (b**e - info.min) % (info.max - info.min + 1) + info.min
        return {1: 1, -1: -1 if e % 2 else 1}.get(b, 0)

    want = [power(int(b), int(e)) for b, e in zip(p, q, strict=True)]
    assert compute(x**y, {x: p, y: q}).tolist() == want


def test_bits():
    for dtype in ["bool", *INTEGERS]:
        x, y = T.TensorType(dtype, (None,))(), T.TensorType(dtype, (None,))()
        p, q = pairs(dtype, dtype)
        got = compute([x & y, x | y, x ^ y, ~x], {x: p, y: q})
        for ours, theirs in zip(got, (p & q, p | q, p ^ q, ~p), strict=True):
            assert ours.dtype == dtype and np.array_equal(ours, theirs)
    with pytest.raises(TypeError, match="integers or bools"):
        T.dvector("x") & T.dvector("y")


def test_tests():
    for dtype in EVERY:
        x = T.TensorType(dtype, (None,))()
        value = samples(dtype)
        nan, inf = compute([T.isnan(x), T.isinf(x)], {x: value})
        assert nan.dtype == inf.dtype == bool
        assert np.array_equal(nan, np.isnan(value)) and np.array_equal(inf, np.isinf(value))


def test_isclose():
    a, b = T.dvectors("a", "b")
    values = np.array([0.0, 1e-9, 1.0, 1.000001, 1.1, np.inf, -np.inf, np.nan])
    p, q = np.repeat(values, len(values)), np.tile(values, len(values))
    near, same = compute([T.isclose(a, b), T.isclose(a, b, equal_nan=True)], {a: p, b: q})
    with np.errstate(all="ignore"):
        assert np.array_equal(near, np.isclose(p, q))
        assert np.array_equal(same, np.isclose(p, q, equal_nan=True))


@pytest.mark.parametrize("condition", ["bool", "int8", "float32"])
def test_choices(condition):
    c = T.TensorType(condition, (None,))()
    given = {c: np.array([0, 1, 0, 1], condition)}
    for a, b in itertools.product(["bool", "int8", "int64", "float32", "float64"], repeat=2):
        x, y = T.TensorType(a, (None,))(), T.TensorType(b, (None,))()
        p, q = np.array([1, 1, 0, 0], a), np.array([0, 1, 1, 0], b)
        got = compute(T.switch(c, x, y), {**given, x: p, y: q})
        want = np.where(given[c] != 0, p, q)
        assert got.dtype == want.dtype and np.array_equal(got, want)
    assert compute(T.where(c, 1, 2), given).tolist() == [2, 1, 2, 1]


def test_a_nan_is_true():
    c = T.dvector("c")
    assert compute(T.switch(c, 1, 0), {c: [np.nan, -0.0]}).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", *FLOATS])
def test_clip(dtype):
    x = T.TensorType(dtype, (None,))()
    value = samples(dtype)
    low, high = np.array(1, dtype), np.array(5, dtype)
    got = compute(T.clip(x, low, high), {x: value})
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.clip(value, low, high))


@pytest.mark.parametrize("target", EVERY)
def test_casts(target):
    inputs = {T.TensorType(d, (None,))(): samples(d) for d in EVERY}
    results = compute([T.cast(x, target) for x in inputs], inputs)
    for got, value in zip(results, inputs.values(), strict=True):
        assert got.dtype == target
        if value.dtype.kind == "f" and np.dtype(target).kind in "iu":
            info = np.iinfo(target)
            want = [
                0 if np.isnan(v) else int(min(max(float(np.trunc(v)), info.min), info.max))
                for v in value.astype(float)
            ]
            want = np.array([min(max(w, info.min), info.max) for w in want], target)
        else:
            with np.errstate(all="ignore"):
                want = value.astype(target)
        np.testing.assert_array_equal(got, want, err_msg=f"{value.dtype} to {target}")


def test_a_cast_to_the_same_dtype_is_nothing():
    x = T.fvector("x")
    assert T.cast(x, "float32") is x and x.astype("float32") is x
    with pytest.raises(TypeError, match="dtype"):
        T.cast(x, "complex64")


@pytest.mark.parametrize(
    "shapes, out",
    [
        ([(3, 1), (1, 4)], (3, 4)),
        ([(4,), (3, 4)], (3, 4)),
        ([(), (2, 3)], (2, 3)),
        ([(2, 1, 4), (3, 1)], (2, 3, 4)),
        ([(0,), (1,)], (0,)),
        ([(0, 1), (1, 3)], (0, 3)),
        ([(1, 1), (1, 1)], (1, 1)),
        ([(), ()], ()),
    ],
)
def test_broadcasting(shapes, out):
    rng = np.random.default_rng(1)
    values = [rng.standard_normal(s) for s in shapes]
    promised = [T.TensorType("float64", [1 if n == 1 else None for n in s])() for s in shapes]
    fixed = [T.TensorType("float64", s)() for s in shapes]
    for x, y in (promised, fixed):
        got = compute(x - y, dict(zip((x, y), values, strict=True)))
        assert np.array_equal(got, values[0] - values[1]) and got.shape == out
    assert (fixed[0] * fixed[1]).type.shape == out


def test_only_what_is_known_to_be_one_broadcasts():
    x, y = T.dmatrices("x", "y")
    refuses(x + y, {x: np.ones((1, 3)), y: np.ones((2, 3))}, ValueError, "known to be 1|broadcast")
    with pytest.raises(ValueError, match="do not fit"):
        T.TensorType("float64", (3,))("x") + T.TensorType("float64", (4,))("y")


def test_numbers_and_arrays_as_arguments():
    x = T.fvector("x")
    value = np.array([1.5, -2], "float32")
    assert compute(x + 1, {x: value}).dtype == np.float32
    assert compute(1 - x, {x: value}).tolist() == [-0.5, 3]
    assert compute(x * 0.5, {x: value}).dtype == np.float32
    assert compute(x + np.float64(0.1), {x: value}).dtype == np.float64
    assert compute(np.array([1, 2], "int8") + x, {x: value}).tolist() == [2.5, 0]
    assert compute([1.0, 2.0] * x, {x: value}).tolist() == [1.5, -4]
    assert compute(True + x, {x: value}).tolist() == [2.5, -1]
    with pytest.raises(TypeError):
        x + "1"
    with pytest.raises(TypeError):
        x + None
    with pytest.raises(TypeError, match="takes 2 arguments"):
        T.add.op(x)


def test_operators():
    x, y = T.ivectors("x", "y")
    given = {x: np.array([7, -7, 6], "int32"), y: np.array([2, 2, -4], "int32")}
    a, b = given.values()
    cases = [
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x // y, a // b),
        (x % y, a % b),
        (x / y, a / b),
        (-x, -a),
        (+x, a),
        (abs(x), abs(a)),
        (x**2, a**2),
        (2**y, [4, 4, 0]),
        (x < y, a < b),
        (x <= y, a <= b),
        (x > y, a > b),
        (x >= y, a >= b),
        (x & y, a & b),
        (x | y, a | b),
        (x ^ y, a ^ b),
        (~x, ~a),
        (9 // y, 9 // b),
        (9 % y, 9 % b),
        (9 - x, 9 - a),
        (9 & x, 9 & a),
        (9 | x, 9 | a),
        (9 ^ x, 9 ^ a),
        (divmod(x, y)[0], a // b),
        (divmod(9, y)[1], 9 % b),
    ]
    results = compute([e for e, _ in cases], given)
    for got, (e, want) in zip(results, cases, strict=True):
        np.testing.assert_array_equal(got, want, err_msg=str(e))


def test_a_condition_is_not_a_truth_value():
    x = T.dscalar("x")
    with pytest.raises(TypeError, match="truth value"):
        bool(x > 1)
    with pytest.raises(TypeError, match="not an array"):
        np.asarray(x)


def test_rounding_modes():
    x = T.dvector("x")
    value = np.array([0.5, 1.5, -0.5, -2.5, 2.4])
    even, away, whole = compute(
        [T.round(x), x.round("half_away_from_zero"), T.iround(x)], {x: value}
    )
    assert even.tolist() == [0, 2, 0, -2, 2] and away.tolist() == [1, 2, -1, -3, 2]
    assert whole.dtype == np.int64 and whole.tolist() == even.tolist()
    with pytest.raises(ValueError, match="mode"):
        T.round(x, "up")


def test_dtypes_are_promoted_as_numpy_promotes_arrays():
    for a, b in itertools.product(EVERY, EVERY):
        assert dtypes.upcast(a, b) == np.result_type(a, b).name
        x, y = T.TensorType(a, ())(), T.TensorType(b, ())()
        assert (x * y).dtype == np.result_type(a, b).name


@pytest.mark.parametrize(
    "float_x, value, dtype",
    [
        ("float64", 1, "int8"),
        ("float64", 127, "int8"),
        ("float64", 128, "int16"),
        ("float64", -128, "int8"),
        ("float64", -129, "int16"),
        ("float64", 2**15, "int32"),
        ("float64", 2**31, "int64"),
        ("float64", 2**63, "uint64"),
        ("float64", True, "bool"),
        ("float64", 0.5, "float32"),
        ("float64", 0.1, "float64"),
        ("float64", float("inf"), "float32"),
        ("float64", float("nan"), "float32"),
        ("float64", 1e300, "float64"),
        ("float32", 0.1, "float32"),
        ("float32", 0.5, "float32"),
    ],
)
def test_dtypes_of_python_numbers(float_x, value, dtype, monkeypatch):
    from croton.config import config

    monkeypatch.setattr(config, "floatX", float_x)
    assert T.constant(value).dtype == dtype
    assert T.as_tensor_variable(value).dtype == dtype


def test_numbers_under_the_other_policy(monkeypatch):
    from croton.config import config

    monkeypatch.setattr(config, "floatX", "float32")
    monkeypatch.setattr(config, "cast_policy", "numpy+floatX")
    assert T.as_tensor_variable(3).dtype == "int64"
    assert T.as_tensor_variable(0.1).dtype == "float32"
    assert (T.bvector("x") + 1).dtype == "int64"
