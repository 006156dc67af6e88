"""Shared variables: updates happen at the end, all or none, one call at a time."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest
from by_hand import Builder, adder

from croton.runtime.executable import Cell


def test_a_cell_holds_an_array_that_kernels_can_use():
    given = np.arange(6.0).reshape(2, 3)
    cell = Cell(given)
    assert cell.value is given
    for odd in (given.T[::2], given[::-1].astype(">f8"), np.ma.array(given)):
        value = Cell(odd).value
        np.testing.assert_array_equal(value, odd)
        assert type(value) is np.ndarray and value.flags.carray
        assert value.dtype.isnative
    readonly = given.copy()
    readonly.flags.writeable = False
    assert Cell(readonly).value.flags.writeable
    assert Cell(np.zeros(2, np.longlong)).value.dtype.num == np.dtype("int64").num
    cell.value = given + 1
    np.testing.assert_array_equal(cell.value, given + 1)
    copied = cell.copy()
    assert not np.shares_memory(copied, cell.value)
    np.testing.assert_array_equal(copied, cell.value)
    for wrong in (1.0, None, [1], np.zeros(3), np.zeros((2, 3), "f4"), np.zeros((2, 3), object)):
        with pytest.raises(TypeError):
            cell.value = wrong
    with pytest.raises(AttributeError):
        del cell.value
    for wrong in (1.0, None, np.array(["a"]), np.array([None])):
        with pytest.raises(TypeError):
            Cell(wrong)


def test_cells_are_copied_and_pickled_with_their_value():
    cell = Cell(np.arange(3.0))
    for other in (copy.copy(cell), copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        np.testing.assert_array_equal(other.value, cell.value)
        assert not np.shares_memory(other.value, cell.value)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("size", [0, 1, 3, 1000, 100_000])
def test_updates(in_place, size):
    cell = Cell(np.zeros(size))
    f = adder(cell, in_place, output=True)
    for i in range(1, 4):
        result = f(np.ones(size))
        np.testing.assert_array_equal(result, np.full(size, i))
        np.testing.assert_array_equal(cell.value, result)
        assert size == 0 or not np.shares_memory(result, cell.value)
        result[...] = -1
    cell.value = np.full(7, 5.0)  # another size
    f(np.ones(7))
    np.testing.assert_array_equal(cell.value, np.full(7, 6.0))


def test_where_the_new_value_lives():
    start = np.zeros(100_000)
    cell = Cell(start)
    adder(cell, in_place=True)(np.ones(100_000))
    assert cell.value is start and start[0] == 1
    adder(cell, in_place=False)(np.ones(100_000))
    assert cell.value is not start and start[0] == 1 and cell.value[0] == 2


def test_an_input_that_is_the_updated_memory_itself():
    cell = Cell(np.arange(10.0))
    b = Builder()
    x, s = b.input("x", "float64", (None,)), b.shared("s", "float64", (None,))
    n = b.shapes[s][0]
    b.launch("add_f64", (s, s, s), n)
    b.update(0, s)
    b.output(b.binary("mul_f64", x, x))
    f = b.load(shared=[cell])
    squares = f(cell.value)  # the squares of the old value, though they are taken after the update
    np.testing.assert_array_equal(cell.value, np.arange(10.0) * 2)
    np.testing.assert_array_equal(squares, np.arange(10.0) ** 2)
    np.testing.assert_array_equal(f(cell.value[3:5]), [36, 64])


def test_two_cells_swap():
    a, b_ = Cell(np.zeros(2000)), Cell(np.ones(2000))
    b = Builder()
    x, y = b.shared("a", "float64", (None,)), b.shared("b", "float64", (None,))
    b.update(0, y)
    b.update(1, x)
    f = b.load(shared=[a, b_], result="none")
    f()
    assert a.value[0] == 1 and b_.value[0] == 0
    assert not np.shares_memory(a.value, b_.value)


def test_small_values_are_updated_where_they_are():
    cell = Cell(np.array(0, "int64"))
    b = Builder()
    s, one = b.shared("t", "int64"), b.constant("one", "int64")
    new = b.binary("add_i64", s, one, "int64")
    b.update(0, new)
    b.output(s)
    f = b.load(shared=[cell], constants=[np.array(1)])
    assert [int(f()) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert cell.value == 5


def test_borrowed_results_show_the_cell():
    cell = Cell(np.ones(5))
    b = Builder()
    b.output(b.shared("s", "float64", (None,)), borrow=True)
    result = b.load(shared=[cell])()
    assert np.shares_memory(result, cell.value)
    cell.value[0] = 9
    assert result[0] == 9


def test_a_failing_call_updates_nothing():
    a, c = Cell(np.ones(3000)), Cell(np.ones(3000))
    b = Builder()
    x = b.input("x", "float64", (None,))
    s, t = b.shared("s", "float64", (None,)), b.shared("t", "float64", (None,))
    b.update(0, b.binary("add_f64", s, x))
    b.update(1, b.binary("mul_f64", t, x))
    b.error("ValueError", "")
    b.error("ZeroDivisionError", "zero at {0}")
    b.launch("find_zero", (x,), b.shapes[x][0], sizes=b.shapes[x])
    f = b.load(shared=[a, c], result="none")
    x = np.full(3000, 2.0)
    x[2999] = 0
    for _ in range(3):
        before = a.value, c.value
        with pytest.raises(ZeroDivisionError):
            f(x)
        assert a.value is before[0] and c.value is before[1]
        assert np.all(a.value == 1) and np.all(c.value == 1)
    f(x + 1)
    assert a.value[0] == 4 and c.value[0] == 3


def test_wrong_cells_are_refused():
    for cells, error in [
        ([], ValueError),
        ([Cell(np.ones(3, "f4"))], TypeError),
        ([Cell(np.ones((2, 2)))], TypeError),
        ([np.ones(3)], TypeError),
    ]:
        b = Builder()
        b.output(b.shared("s", "float64", (None,)))
        with pytest.raises(error):
            b.load(shared=cells)
    b = Builder()
    b.output(b.shared("s", "float64", (3,)))
    cell = Cell(np.ones(3))
    f = b.load(shared=[cell])
    cell.value = np.ones(4)
    with pytest.raises(ValueError, match=r"s has shape \(4,\), expected \(3,\)"):
        f()
    b = Builder()
    b.shared("s"), b.shared("t")
    with pytest.raises(ValueError, match="the same"):
        b.load(shared=[cell, cell])


def slow_counter(cell, rounds, in_place=True):
    """Adds 1 to every element, with the GIL released for a while before it."""
    b = Builder("slow_counter")
    s, one = b.shared("s", "int64", (None,)), b.constant("one", "int64", (None,))
    n = b.shapes[s][0]
    out = b.allocate("int64", (n,), "temporary")
    b.launch("slow", (out,), n, 1, (b.register(rounds),))
    if in_place:
        b.launch("add_i64", (s, one, s), n, 1)
        b.update(0, s)
    else:
        b.update(0, b.binary("add_i64", s, one, "int64", grain=1))
    return b.load(shared=[cell], constants=[np.ones(len(cell.value), "int64")], result="none")


def run_together(*functions):
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("pool", [1, 3])
def test_updates_from_many_threads_are_atomic(threads, in_place, pool):
    threads(pool)
    cell = Cell(np.zeros(50, "int64"))
    functions = [slow_counter(cell, 2000, in_place) for _ in range(2)]
    torn = []

    def count(f):
        for _ in range(50):
            f()

    def look():
        for _ in range(300):
            value = cell.copy()
            if np.any(value != value[0]):
                torn.append(value)
            time.sleep(0)

    run_together(*(lambda f=f: count(f) for f in functions * 2), look, look)
    assert not torn
    np.testing.assert_array_equal(cell.value, np.full(50, 200))


def test_a_setter_waits_for_a_running_update(threads):
    threads(1)
    cell = Cell(np.zeros(10, "int64"))
    slow = slow_counter(cell, 3_000_000)
    runner = threading.Thread(target=slow)
    runner.start()
    time.sleep(0.005)
    cell.value = np.full(10, 100)
    runner.join()
    slow()
    assert set(cell.value.tolist()) == {101}


def nested(outer_writes, inner_writes):
    """A call whose host function calls another function on the same cell."""
    cell = Cell(np.ones(3))
    b = Builder("inner")
    s = b.shared("s", "float64", (None,))
    if inner_writes:
        b.update(0, b.binary("add_f64", s, s))
    b.output(s)
    inner = b.load(shared=[cell])
    b = Builder("outer")
    s = b.shared("s", "float64", (None,))
    (made,) = b.host(0, [s], [("float64", 1)])
    if outer_writes:
        b.update(0, b.binary("add_f64", made, made))
    b.output(made)
    return b.load(shared=[cell], hosts=[lambda v: [inner()]]), cell


def test_nested_calls_on_one_cell():
    for outer_writes in (False, True):
        f, cell = nested(outer_writes, inner_writes=False)
        for _ in range(2):
            expected = cell.copy()
            np.testing.assert_array_equal(f(), expected)
            np.testing.assert_array_equal(cell.value, expected * (1 + outer_writes))
        f, cell = nested(outer_writes, inner_writes=True)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="from inside a call that uses it"):
                f()
            np.testing.assert_array_equal(cell.value, np.ones(3))
            cell.value = cell.value  # nothing is left locked
