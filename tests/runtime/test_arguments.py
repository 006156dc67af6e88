"""Arguments: what is taken as it is, what is converted, and what is refused."""

import gc
import weakref

import numpy as np
import pytest
from by_hand import Builder, multiply
from hypothesis import given, settings
from hypothesis import strategies as st

from croton.runtime.convert import to_array
from croton.runtime.executable import Callable

F32_LIMIT = 2**24


@pytest.fixture(scope="module")
def scalars():
    return multiply()


@pytest.fixture(scope="module")
def vectors():
    return multiply(shape=(None,))


@pytest.fixture(scope="module")
def matrices():
    return multiply("float32", (None, None))


@pytest.mark.parametrize(
    "value",
    [
        3.5,
        -2,
        True,
        np.float64(0.1),
        np.float32(0.1),
        np.int8(-7),
        np.uint64(2**40),
        np.bool_(True),
        np.float16(0.5),
        np.array(2.5),
        np.array(2, "i4"),
        np.array(2.5, ">f8"),
    ],
    ids=repr,
)
def test_scalars_of_all_kinds(scalars, value):
    result = scalars(value, 3)
    assert type(result) is np.ndarray and result.shape == () and result.dtype == np.float64
    assert result == np.float64(value) * 3
    assert result.flags.writeable and result.flags.c_contiguous and result.flags.aligned


def test_special_floats_survive(scalars):
    assert np.isnan(scalars(float("nan"), 1.0))
    assert scalars(float("inf"), -1.0) == -np.inf
    assert np.signbit(scalars(-0.0, 1.0))


@given(st.integers(-(2**70), 2**70))
@settings(max_examples=200, deadline=None)
def test_integers_become_the_nearest_float(scalars, value):
    assert scalars(value, 1.0) == float(value)


@given(st.integers(-(2**70), 2**70))
@settings(max_examples=200, deadline=None)
def test_float32_takes_integers_only_exactly(value):
    f = multiply("float32")
    if int(np.float32(value)) == value:
        assert int(f(value, 1)) == value
    else:
        with pytest.raises(TypeError, match="x: expected float32"):
            f(value, 1)
    with pytest.raises(TypeError):
        f(10**400, 1)


@pytest.mark.parametrize("policy", ["strict", "safe", "float", "downcast"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize(
    "value",
    [
        *(0.1, 0.5, 1e300, float("nan"), float("inf"), 3, F32_LIMIT + 1, True),
        *(np.float64(0.1), np.float32(0.1), np.int64(2**53 + 1), np.int16(4), np.bool_(False)),
        *(np.uint64(2**63), 2**63, 1j, None, "1", [], Ellipsis),
    ],
    ids=repr,
)
def test_the_fast_path_agrees_with_the_slow_one(policy, dtype, value):
    f = multiply(dtype, policies=policy)
    one = np.ones((), dtype)
    try:
        with np.errstate(all="ignore"):
            expected = to_array(value, np.dtype(dtype), 0, policy, "x")
    except TypeError:
        with pytest.raises(TypeError):
            f(value, one)
    else:
        with np.errstate(all="ignore"):
            want = expected + one if dtype == "int64" else expected * one
        np.testing.assert_array_equal(f(value, one), want)


def test_a_python_float_is_rounded_only_where_that_is_allowed():
    with pytest.raises(TypeError, match=r"x: expected float32.*lose precision"):
        multiply("float32", policies="safe")(0.1, 1.0)
    assert multiply("float32", policies="safe")(0.5, 1.0) == 0.5
    assert multiply("float32", policies="float")(0.1, 1.0) == np.float32(0.1)
    with pytest.raises(TypeError):
        multiply("float32", policies="float")(np.float64(0.1), 1.0)
    assert multiply("float32", policies="downcast")(np.float64(0.1), 1.0) == np.float32(0.1)
    with pytest.raises(TypeError, match="no conversion"):
        multiply("float32", policies="strict")(0.5, np.float32(1))


def layouts():
    base = np.arange(24, dtype="f4").reshape(4, 6)
    yield "fortran", np.asfortranarray(base)
    yield "reversed", base[::-1, ::-1]
    yield "strided", np.repeat(base, 2, axis=1)[:, ::2]
    yield "broadcast", np.broadcast_to(np.float32(3), (4, 6))
    yield "swapped", base.astype(">f4")
    raw = np.zeros(24 * 4 + 1, "u1")
    unaligned = raw[1:].view("f4").reshape(4, 6)
    unaligned[...] = base
    yield "unaligned", unaligned
    readonly = base.copy()
    readonly.flags.writeable = False
    yield "readonly", readonly
    yield "masked", np.ma.array(base)
    yield "integers", base.astype("i2")
    yield "list", base.tolist()
    yield "empty", base[:0]
    yield "one row", base[1:2]
    yield "transposed column", np.ones((6, 1), "f4").T


@pytest.mark.parametrize(("_", "value"), list(layouts()), ids=[n for n, _ in layouts()])
def test_every_layout_gives_the_same(matrices, _, value):
    expected = np.asarray(value, "f4")
    result = matrices(value, np.full(expected.shape, 2, "f4"))
    np.testing.assert_array_equal(result, expected * 2)
    assert result.flags.c_contiguous and result.flags.writeable and type(result) is np.ndarray


@pytest.mark.parametrize(
    "value",
    [
        None,
        3.0,
        "text",
        b"bytes",
        {},
        Ellipsis,
        [None],
        [[1.0], [1.0, 2.0]],
        np.ones((2, 2)),
        np.array([None, 1]),
        np.array(["a"]),
        np.array([1j]),
        np.array(["2000-01-01"], "M8[D]"),
        np.zeros(3, [("a", "f8")]),
        type,
        Ellipsis,
    ],
    ids=repr,
)
def test_bad_inputs_are_type_errors(vectors, value):
    good = np.ones(1)
    with pytest.raises(TypeError, match="y: expected float64 with 1 dimensions"):
        vectors(good, value)
    np.testing.assert_array_equal(vectors(good, good), good)


def test_zero_sizes(vectors):
    assert vectors([], []).shape == (0,)
    assert multiply(shape=(None, None))(np.ones((0, 3)), np.ones((0, 3))).shape == (0, 3)


def test_long_long_is_int64():
    f = multiply("int64", (None,))
    x = np.arange(5, dtype=np.longlong)
    np.testing.assert_array_equal(f(x, x), x + x)


def test_known_dimensions_are_checked():
    f = multiply(shape=(None, None), fixed=(None, 3))
    x = np.ones((2, 3))
    np.testing.assert_array_equal(f(x, x), x)
    with pytest.raises(ValueError, match=r"multiply: y has shape \(2, 4\), expected \(None, 3\)"):
        f(x, np.ones((2, 4)))


def test_keywords_and_defaults():
    b = Builder("f")
    x, y = b.input("x"), b.input("y")
    b.output(b.binary("mul_f64", x, y))
    f = b.load(defaults=(None, 10.0))
    assert f(2.0) == 20
    assert f(x=3) == 30
    assert f(2, y=4) == f(y=2, x=4) == f(**{"".join(["", "x"]): 8, "y": 1}) == 8
    for args, kwargs, message in [
        ((), {}, "needs a value for input 'x'"),
        ((1, 2, 3), {}, "takes 2 inputs but 3"),
        ((1,), {"x": 2}, "two values for input 'x'"),
        ((1,), {"z": 2}, "no input named 'z'"),
    ]:
        with pytest.raises(TypeError, match=message):
            f(*args, **kwargs)
    assert f(2.0) == 20


def test_an_input_that_is_not_read_may_be_anything():
    b = Builder()
    x = b.input("x")
    b.output(b.binary("mul_f64", x, x))
    f = b.load(names=["x", "unused"])
    assert f(3.0, object()) == 9


def test_convert_is_asked_and_checked():
    asked = []

    def convert(position, value):
        asked.append((position, value))
        known = {"good": np.array(2.0), "swapped": np.array(2.0, ">f8")}
        return known[value] if isinstance(value, str) else value

    f = multiply(convert=convert)
    assert f("good", 4.0) == 8
    assert f(4.0, "swapped") == 8
    assert asked == [(0, "good"), (1, "swapped")]
    for wrong in [[], np.ones(2), np.array(1, "f4"), None]:
        with pytest.raises(TypeError, match="the conversion of x gave"):
            f(wrong, 1.0)

    def broken(position, value):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        multiply(convert=broken)("", 1.0)


def test_a_callable_is_its_owner_to_the_outside():
    class Owner:
        title = "a title"

        def __repr__(self):
            return "the owner"

        def __reduce__(self):
            return (str, ("rebuilt",))

    f = multiply()
    assert "multiply" in repr(f)
    with pytest.raises(AttributeError):
        _ = f.title
    with pytest.raises(AttributeError):
        f.title = 1
    f.owner = Owner()
    assert f.title == "a title" and repr(f) == "the owner" and "title" in dir(f)
    f.title = "new"
    assert f.owner.title == "new"
    del f.title
    assert f.title == "a title"
    with pytest.raises(AttributeError, match="Owner"):
        _ = f.missing
    assert f.__reduce__() == (str, ("rebuilt",))
    assert f(2.0, 3.0) == 6


def test_weak_references_and_cycles():
    f = multiply()
    assert isinstance(f, Callable)
    alive = weakref.ref(f)

    class Owner:
        pass

    f.owner = Owner()
    f.owner.function = f
    f(1.0, 2.0)
    del f
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("policy", ["safe", "float"])
@pytest.mark.parametrize(
    "dtype, value",
    [
        ("int64", 2**63),
        ("int64", [2**63]),
        ("int64", float(2**63)),
        ("int64", -(2.0**64)),
        ("uint64", -1),
        ("uint64", 2.0**64),
        ("int8", [128]),
        ("uint8", [-1.0]),
    ],
)
def test_integers_out_of_range_are_refused(policy, dtype, value):
    with pytest.raises(TypeError, match="lose precision"):
        to_array(value, np.dtype(dtype), np.ndim(value), policy, "x")


@pytest.mark.parametrize(
    "dtype, value",
    [("int64", -(2**63)), ("int64", -(2.0**63)), ("uint64", 2**64 - 1), ("uint8", [255.0])],
)
def test_the_ends_of_the_range_are_taken(dtype, value):
    found = to_array(value, np.dtype(dtype), np.ndim(value), "safe", "x")
    assert found.dtype == dtype and found.tolist() == value
