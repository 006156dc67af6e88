"""Functions go on working when shared variables get values of other shapes."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import croton
import croton.tensor as T


def test_a_value_of_another_shape():
    w, x = croton.shared(np.zeros((3, 4))), T.dmatrix("x")
    f = croton.function([x], T.dot(x, w) + 1)
    for shape in [(3, 4), (5, 6), (7, 2), (1, 1), (0, 3), (3, 4)]:
        w.set_value(np.full(shape, 2.0))
        got = f(np.ones((2, shape[0])))
        np.testing.assert_array_equal(got, np.full((2, shape[1]), 2.0 * shape[0] + 1))


def test_a_value_that_holds_the_place_of_another():
    d, v = croton.shared(np.zeros((1, 1))), T.dvector("v")
    f = croton.function([v], T.dot(d, v) + d.sum(1))
    d.set_value(np.ones((4, 3)))
    np.testing.assert_array_equal(f(np.ones(3)), np.full(4, 6.0))


def test_a_value_that_does_not_fit_when_the_function_is_made():
    w, x = croton.shared(np.zeros((3, 4))), T.matrix("x", dtype="float64")
    y = T.specify_shape(x, (None, 5))
    f = croton.function([x], T.dot(y, w))
    w.set_value(np.ones((5, 2)))
    np.testing.assert_array_equal(f(np.ones((1, 5))), [[5.0, 5.0]])


def test_a_shape_that_changes_with_every_call():
    s = croton.shared(np.zeros(2))
    f = croton.function([], s.sum(), updates=[(s, T.concatenate([s, [1.0]]))])
    assert [float(f()) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert s.get_value().shape == (7,)


def test_sizes_of_one_do_not_broadcast():
    b, x = croton.shared(np.zeros((1, 3))), T.dmatrix("x")
    f = croton.function([x], x + b)
    assert f(np.ones((1, 3))).shape == (1, 3)
    with pytest.raises(ValueError, match="shapes do not fit"):
        f(np.ones((2, 3)))


def test_filters_of_one_tap_may_get_more():
    w, x = croton.shared(np.ones((2, 3, 1, 1))), T.dtensor4("x")
    y = T.nnet.conv2d(x, w, border_mode="half")
    f = croton.function([x], y, updates=[(w, w * 2)])
    ones = np.ones((1, 3, 5, 5))
    np.testing.assert_allclose(f(ones), np.full((1, 2, 5, 5), 3.0))
    w.set_value(np.ones((2, 3, 3, 3)))
    assert float(f(ones)[0, 0, 2, 2]) == 27.0
    assert float(f(ones)[0, 0, 2, 2]) == 54.0


def test_wrong_inputs_are_still_errors():
    w, x = croton.shared(np.zeros((3, 4))), T.dmatrix("x")
    f = croton.function([x], T.dot(x, w))
    for shape in [(3, 4), (6, 7)]:
        w.set_value(np.ones(shape))
        with pytest.raises(ValueError, match="shapes do not fit in dot"):
            f(np.ones((2, 5)))
        assert f(np.ones((2, shape[0]))).shape == (2, shape[1])


def test_a_shape_that_is_promised_stays_an_error():
    w = croton.shared(np.zeros((3, 4)), shape=(3, None))
    f = croton.function([], w.sum())
    with pytest.raises(TypeError):
        w.set_value(np.ones((4, 4)))
    w.set_value(np.ones((3, 9)))
    assert f() == 27


def test_state_is_kept_where_a_function_is_made_again():
    w, n = croton.shared(np.zeros(3)), croton.shared(np.int64(0))
    f = croton.function([], w.sum(), updates=[(n, n + 1)])
    f()
    w.set_value(np.ones(8))
    assert f() == 8 and n.get_value() == 2
    assert f.maker.fgraph.outputs[0].type == w.sum().type
    assert set(f.get_shared()) == {w, n}


def test_calls_at_once_find_the_new_shape():
    w, x = croton.shared(np.ones((3, 3))), T.dmatrix("x")
    f = croton.function([x], T.dot(x, w))
    w.set_value(np.ones((40, 3)))
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: f(np.ones((2, 40))), range(16)):
            np.testing.assert_array_equal(got, np.full((2, 3), 40.0))


def test_nothing_is_left_of_a_function_that_is_gone():
    w = croton.shared(np.ones(3))
    f = croton.function([], w * 2)
    w.set_value(np.ones(4))
    f()
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_the_graph_can_be_shown_where_it_needs_what_is_assumed():
    w = croton.shared(np.arange(8.0).reshape(2, 2, 2))
    part = -T.tanh(w)[:, :, ::2]
    f = croton.function([], part.max())
    assert "max" in str(croton.printing.debugprint(f, file="str")).lower()
    assert f() == -np.tanh(0.0)
    assert w in f.maker.fgraph.variables


def test_a_variable_of_which_only_the_shape_is_left():
    x, scale = croton.shared(np.zeros((2, 3))), croton.shared(np.float64(2))
    f = croton.function([], T.ones_like(x) * scale)
    for shape in [(2, 3), (3, 17), (0, 1)]:
        x.set_value(np.zeros(shape))
        np.testing.assert_array_equal(f(), np.full(shape, 2.0))


def test_an_update_by_the_shape_of_another_variable():
    x, y = croton.shared(np.zeros((2, 3))), croton.shared(np.zeros((1, 1)))
    f = croton.function([], y, updates=[(y, T.ones_like(x))])
    for shape in [(2, 3), (4, 1)]:
        x.set_value(np.zeros(shape))
        f()
        assert y.get_value().shape == shape
