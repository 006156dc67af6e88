"""What goes wrong is said with shapes, dtypes and the user's line, and breaks nothing."""

from __future__ import annotations

import numpy as np
import pytest

import croton
import croton.tensor as T


@pytest.fixture
def matrix():
    return np.ones((2, 3), "float32")


def test_shapes_that_do_not_fit_name_both_and_the_line(matrix):
    x, y = T.fmatrices("x", "y")
    f = croton.function([x, y], x + y)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)[\s\S]*test_errors\.py"):
        f(matrix, matrix.T)
    g = croton.function([x, y], T.dot(x, y))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 3\)[\s\S]*test_errors\.py"):
        g(matrix, matrix)
    np.testing.assert_array_equal(g(matrix, matrix.T), matrix @ matrix.T)


def test_what_rewriting_has_made_of_an_op_is_called_a_part_of_it(matrix):
    x, y = T.fvector("x"), T.fmatrix("y")
    f = croton.function([x, y], T.dot(x, y))
    with pytest.raises(ValueError, match=r"part of dot: .*\(2, 3\)[\s\S]*test_errors") as caught:
        f(matrix[0], matrix)
    # That is no matter of broadcasting.
    assert "broadcast" not in str(caught.value)
    # A row of a sum is a sum of rows, but nobody wrote a part of a row.
    g = croton.function([x, y], (y + x)[1:])
    with pytest.raises(ValueError, match=r"fit in Elemwise\{add") as caught:
        g(matrix[0, :2], matrix)
    assert "part of" not in str(caught.value)


def test_known_shapes_are_checked_when_building():
    a = T.tensor("float32", (2, 3))
    with pytest.raises(ValueError, match=r"2, 3"):
        T.dot(a, a)
    with pytest.raises(ValueError):
        a + T.tensor("float32", (3, 3))
    with pytest.raises(ValueError):
        a.reshape((4, 2))
    with pytest.raises(IndexError):
        a[2]


def test_only_known_ones_broadcast(matrix):
    x, y = T.fmatrices("x", "y")
    f = croton.function([x, y], x * y)
    with pytest.raises(ValueError, match="broadcast"):
        f(matrix, matrix[:1])
    row = T.frow("row")
    np.testing.assert_array_equal(croton.function([x, row], x * row)(matrix, matrix[:1]), matrix)
    with pytest.raises(ValueError):
        croton.function([x, row], x * row)(matrix, matrix)


def test_positions_out_of_bounds(matrix):
    x, i = T.fmatrix("x"), T.ivector("i")
    f = croton.function([x, i], x[i])
    for bad in (2, -3, 1000):
        with pytest.raises(
            IndexError, match=rf"{bad} is out of bounds .* size 2[\s\S]*test_errors"
        ):
            f(matrix, np.array([0, bad], "int32"))
    np.testing.assert_array_equal(f(matrix, np.array([-1, 1], "int32")), matrix)
    k = T.lscalar("k")
    g = croton.function([x, k], x[k])
    with pytest.raises(IndexError):
        g(matrix, 2)
    np.testing.assert_array_equal(g(matrix, -2), matrix[0])


def test_a_failed_call_updates_nothing():
    v, i = T.fvector("v"), T.ivector("i")
    a = croton.shared(np.zeros(3, "float32"))
    b = croton.shared(np.zeros(3, "float32"))
    f = croton.function([v, i], [], updates=[(a, a + v), (b, T.inc_subtensor(b[i], v))])
    ones = np.ones(3, "float32")
    for arguments in [(ones, [0, 1, 7]), (ones[:2], [0, 1]), (ones, [0, 1])]:
        with pytest.raises((IndexError, ValueError)):
            f(arguments[0], np.array(arguments[1], "int32"))
        assert not a.get_value().any() and not b.get_value().any()
    f(ones, np.array([0, 1, 1], "int32"))
    np.testing.assert_array_equal(b.get_value(), [1, 2, 0])


def test_a_failing_python_op_updates_nothing_and_says_where():
    class Fails(croton.Op):
        __props__ = ()

        def make_node(self, x):
            return croton.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            raise RuntimeError("no such luck")

    x = T.fvector("x")
    w = croton.shared(np.zeros(2, "float32"))
    f = croton.function([x], Fails()(x), updates=[(w, w + x)])
    with pytest.raises(RuntimeError, match="no such luck") as caught:
        f(np.ones(2, "float32"))
    assert "Fails" in "".join(caught.value.__notes__)
    assert not w.get_value().any()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        object(),
        [[1, 2], [3]],
        np.ones(3, "float32"),
        np.ones((2, 2), "complex64"),
        {},
    ],
)
def test_arguments_that_do_not_fit(value):
    x = T.fmatrix("x")
    f = croton.function([x], x * 2)
    with pytest.raises(TypeError):
        f(value)
    assert f(np.ones((1, 1), "float32")) == [[2.0]]


def test_inputs_missing_and_unused():
    x, y = T.fmatrices("x", "y")
    with pytest.raises(croton.MissingInputError, match=r"\by\b[\s\S]*test_errors"):
        croton.function([x], x + y)
    with pytest.raises(croton.UnusedInputError, match=r"\by\b"):
        croton.function([x, y], x)
    with pytest.warns(UserWarning, match=r"\by\b"):
        croton.function([x, y], x, on_unused_input="warn")
    croton.function([x, y], x, on_unused_input="ignore")
    with pytest.raises(ValueError, match="twice"):
        croton.function([x, x], x)
    with pytest.raises(TypeError, match="list"):
        croton.function(x, x)


def test_updates_that_do_not_fit():
    w = croton.shared(np.zeros(3, "float32"), "w")
    for update, what in [(w * np.float64(1.1), "dtype"), (w.sum(), "rank")]:
        with pytest.raises(TypeError, match=what):
            croton.function([], updates=[(w, update)])
    with pytest.raises(ValueError, match="twice"):
        croton.function([], updates=[(w, w + 1), (w, w + 2)])
    with pytest.raises(TypeError, match="shared"):
        croton.function([], updates=[(T.fvector(), w)])
    with pytest.raises(TypeError, match="pairs"):
        croton.function([], updates=[w])


def test_costs_and_gradients():
    x, y = T.fmatrices("x", "y")
    with pytest.raises(TypeError, match="scalar"):
        T.grad(x * 2, x)
    with pytest.raises(croton.gradient.DisconnectedInputError, match=r"\by\b"):
        T.grad(x.sum(), y)
    with pytest.raises(TypeError, match="float"):
        T.grad(x.sum().astype("int32"), x)


def test_a_symbolic_variable_is_no_value():
    x = T.fvector("x")
    with pytest.raises(TypeError, match="truth value"):
        if x > 0:
            pass
    with pytest.raises(TypeError):
        np.exp(x)
    with pytest.raises(TypeError, match="length"):
        list(x)


def test_shared_values_that_do_not_fit():
    w = croton.shared(np.zeros(3, "float32"))
    for bad in (np.zeros((2, 2), "float32"), np.zeros(3), "text", None):
        with pytest.raises(TypeError):
            w.set_value(bad)
    np.testing.assert_array_equal(w.get_value(), 0)
    w.set_value(np.ones(5, "float32"))
    assert w.get_value().shape == (5,)
    with pytest.raises(TypeError):
        croton.shared("text")


def test_nan_and_infinity_are_as_in_numpy():
    x = T.dvector("x")
    f = croton.function([x], [x.max(), x.min(), x.sum(), x.argmax(), T.maximum(x, 0), T.sgn(x)])
    data = np.array([1.0, np.nan, -np.inf, 2.0])
    top, low, total, where, positive, sign = f(data)
    assert np.isnan(top) and np.isnan(low) and np.isnan(total) and where == 1
    np.testing.assert_array_equal(positive, np.maximum(data, 0))
    np.testing.assert_array_equal(sign, np.sign(data))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: T.zeros((n, 2)),
        lambda n: T.repeat(T.arange(3), n),
        lambda n: T.shared_randomstreams.RandomStreams(1).uniform((n,)),
    ],
)
def test_a_negative_size_names_the_line(make):
    n = T.lscalar("n")
    f = croton.function([n], make(n))
    with pytest.raises(ValueError, match=r"a size cannot be negative: -3[\s\S]*test_errors\.py"):
        f(-3)
    assert len(f(0)) == 0


def test_the_line_is_named_once():
    x, y = T.TensorType("float64", (3,))("x"), T.TensorType("float64", (4,))("y")
    with pytest.raises(ValueError, match="shapes do not fit") as caught:
        x + y
    lines = [line for line in str(caught.value).splitlines() if "test_errors.py" in line]
    assert len(lines) == len(set(lines))


def test_variables_as_arguments_name_the_input():
    x, w = T.dvector("x"), croton.shared(np.zeros(2), name="w")
    f = croton.function([x], x + 1, name="more")
    for wrong in (x, w, [x, x]):
        with pytest.raises(TypeError, match=r"more: x: expected float64 .*symbolic variable"):
            f(wrong)


def test_eval_takes_a_dict():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="dict"):
        (x + 1).eval([1.0])


def test_names_of_functions_are_strings():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="name of a function is a string, got 3"):
        croton.function([x], x, name=3)


@pytest.mark.parametrize("mode", ["FAST_RUN", "reference"])
@pytest.mark.parametrize("verbosity", ["low", "high"])
def test_how_much_an_error_tells(verbosity, mode):
    x, y = T.dvector("x"), T.lvector("where")
    with croton.config.change_flags(exception_verbosity=verbosity):
        functions = [
            (croton.function([x], T.exp(x) + x[1:], mode=mode), ([1.0, 2.0],)),
            (croton.function([x, y], T.exp(x[y]), mode=mode), ([1.0, 2.0], [5])),
        ]
        for f, arguments in functions:
            with pytest.raises((ValueError, IndexError)) as caught:
                f(*arguments)
            text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
            assert "test_errors.py" in text
            shown = "x [id" in text and "TensorType(float64, vector)" in text
            assert shown == (verbosity == "high")
