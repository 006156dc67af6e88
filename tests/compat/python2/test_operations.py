"""Python 2's operations on values that Python 2.7's own library does not have."""

import types

import numpy as np
import pytest

import croton.tensor as T
from croton.compat.python2 import operations
from croton.compat.python2.compiling import compile_python2
from croton.compat.python2.names import NAMES
from croton.config import config


def run(source):
    """The names that the Python 2 ``source`` defines."""
    names = {"__builtins__": NAMES, "__name__": "program", "np": np, "T": T}
    exec(compile_python2(source, "program.py"), names)
    return names


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool", "float32", "float64"])
def test_division_of_arrays(dtype):
    a, b = np.array([1, 0, 1], dtype), np.array([1, 1, 1], dtype)
    if dtype not in ("bool",):
        a = np.array([7, 9, 100], dtype)
        b = np.array([2, 3, 7], dtype)
    got = operations.divide(a, b)
    if dtype.startswith("float"):
        np.testing.assert_array_equal(got, a / b)
        assert got.dtype == dtype
    else:
        np.testing.assert_array_equal(got, a // b)
        assert got.dtype.kind in "iub"


def test_division_of_numpy_scalars_and_lists():
    assert operations.divide(np.int32(7), 2) == 3
    assert operations.divide(7, np.float32(2)) == 3.5
    assert operations.divide(True, 2) == 0
    with pytest.raises(TypeError):
        operations.divide([1], 2)


def test_division_in_place_keeps_the_array():
    names = run("a = np.array([7, 9]); b = a; a /= 2; c = np.array([1.0]); d = c; c /= 4")
    assert names["a"] is names["b"]
    assert names["a"].tolist() == [3, 4]
    assert names["c"] is names["d"]
    assert names["d"].tolist() == [0.25]
    names = run("a = np.arange(6).reshape(2, 3); a[:, 1:] /= 2; a[0] /= 1; n = 8; n /= 3")
    assert names["a"].tolist() == [[0, 0, 1], [3, 2, 2]]
    assert names["n"] == 2


def test_division_of_symbolic_variables():
    names = run(
        "i = T.lscalar(); j = T.lscalar(); x = T.dscalar(); q = i / j; r = 7 / i; s = x / i"
    )
    i, j, x = names["i"], names["j"], names["x"]
    assert names["q"].dtype == "int64"
    assert names["q"].eval({i: 7, j: 2}) == 3
    assert names["r"].eval({i: 2}) == 3
    assert names["s"].eval({x: 7.0, i: 2}) == 3.5
    with config.change_flags(int_division="floatX"):
        assert run("i = T.lscalar(); q = i / 2")["q"].dtype == "float64"
    with (
        config.change_flags(int_division="raise"),
        pytest.raises(TypeError, match="int_division=raise"),
    ):
        run("q = T.lscalar() / 2")


def test_order_of_arrays_and_symbols_is_their_own():
    names = run("a = np.array([1, 3]) < 2; x = T.dscalar(); c = x < 2; d = 1 < 2 < 3")
    assert names["a"].tolist() == [True, False]
    assert names["c"].owner is not None
    assert names["d"] is True


def test_order_of_what_cannot_be_ordered():
    with pytest.raises(TypeError):
        operations.order("<", 1j, 2j)
    assert operations.order("<", None, -1)
    assert operations.order("<", 5, "a")
    assert operations.order("<", {}, [])
    assert operations.order("<", [1, "a"], ["a", 1])
    assert operations.order(">=", (1, None), (1, None))


def test_attributes_of_other_objects_are_theirs():
    class Frame:
        values = "values"

        def keys(self):
            return iter("ab")

        def sort(self, axis):
            return axis

        def encode(self):
            return "own"

        def iteritems(self):
            return "own items"

    names = {"o": Frame()}
    source = "v = o.values; k = o.keys(); s = o.sort(1); e = o.encode(); i = o.iteritems()"
    exec(compile_python2(source, "p.py"), {"__builtins__": NAMES}, names)
    assert names["v"] == "values"
    assert isinstance(names["k"], type(iter("")))
    assert (names["s"], names["e"], names["i"]) == (1, "own", "own items")
    module = types.SimpleNamespace(next=5, message="hi", func_name="mine")
    exec(
        compile_python2("a = m.next, m.message, m.func_name", "p.py"),
        {"__builtins__": NAMES, "m": module},
        names,
    )
    assert names["a"] == (5, "hi", "mine")
    with pytest.raises(AttributeError, match="nothing"):
        exec(compile_python2("object().nothing", "p.py"), {"__builtins__": NAMES})
    for name in operations._SPECIAL:
        if name != "sort":
            with pytest.raises(AttributeError):
                operations.attribute(object(), name)


def test_arrays_have_their_old_methods():
    names = run("a = np.array([1, 2], 'int8'); s = a.tostring(); b = a.copy(); b[::-1].sort()")
    assert names["s"] == b"\x01\x02"


def test_a_class_of_python3_is_left_alone():
    class Number:
        def __init__(self, value):
            self.value = value

        def __eq__(self, other):
            return self.value == other.value

    made = operations.class_(Number)
    assert made is Number
    assert len({Number(1), Number(1)}) == 2


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.5, 0, 1.0),
        (-0.5, 0, -1.0),
        (1.5, 0, 2.0),
        (2.675, 2, 2.67),
        (1e300, 0, 1e300),
        (float("inf"), 0, float("inf")),
        (15, -1, 20.0),
        (1e-320, 3, 0.0),
        (0.1 + 0.2, 17, 0.30000000000000004),
    ],
)
def test_rounding(value, digits, expected):
    got = NAMES["round"](value, digits)
    assert type(got) is float
    assert got == expected


def test_a_syntax_error_names_the_users_line():
    with pytest.raises(SyntaxError) as error:
        compile_python2("x = 1\nprint 'a'\nif x = 2: pass\n", "p.py")
    assert error.value.lineno == 3
    assert error.value.filename == "p.py"
    for wrong in ("'''open", "(1,\n", "if 1:\n    x\n  y\n"):
        with pytest.raises(SyntaxError):
            compile_python2(wrong, "p.py")


def test_empty_sources():
    for source in ("", "\n", "# only a comment", "'doc'"):
        assert compile_python2(source, "p.py") is not None


def test_line_endings():
    assert run("x = 7 / 2\r\nif x:\r\n\ty = `x`\r\n")["y"] == "3"
    assert run("x = 1\rprint_ = 2")["print_"] == 2
