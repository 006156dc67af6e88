"""Parts: what is done for some rows after others, by one thread or by several."""

import threading
from functools import partial

import numpy as np
import pytest
from by_hand import Builder
from helpers import ends_at_an_interrupt
from test_shared import run_together

from croton.runtime.program import Allocate, Copy, Host, Join, Loop, Next, Split
from croton.runtime.serial import dumps, loads


class Splitting(Builder):
    def split(self, total, unit):
        first, count = self.register(), self.register()
        self.emit(Split(first, count, total, unit))
        return first, count


def powers(host=False):
    """``f(x, n, unit)``: x times two to the n, ``unit`` elements at a time, and what went on."""
    b = Splitting("powers")
    zero = b.register(0)
    x = b.input("x", "float64", (None,))
    n, unit = (b.item(b.input(name, "int64"), zero) for name in ("n", "unit"))
    (size,) = b.shapes[x]
    out = b.allocate("float64", (size,))
    first, count = b.split(size, unit)
    if host:
        b.emit(Host(0, (), ()))
    mine, result = b.view(x, first, count), b.view(out, first, count)
    # Temporaries of their own, which may share a slot with what is outside.
    now, next_ = b.buffer("temporary", "float64", 0), b.buffer("temporary", "float64", 1)
    b.emit(Allocate(now, count))
    b.emit(Copy(now, mine, count))
    t = b.register()
    b.emit(Loop(t, n))
    b.emit(Allocate(next_, count))
    b.launch("add_f64", (now, now, next_), count, grain=1)
    b.emit(Copy(now, next_, count))
    b.emit(Next())
    b.emit(Copy(result, now, count))
    b.emit(Join())
    b.output(out)
    return b


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("size", "unit"), [
    (0, 4), (1, 4), (4, 4), (5, 4), (1000, 7), (1000, 1000), (9, 0), (9, -3),
])  # fmt: skip
def test_parts_cover_everything(threads, count, size, unit):
    threads(count)
    f = powers().load()
    x = np.random.default_rng(size).standard_normal(size)
    for n in (0, 1, 40):
        np.testing.assert_array_equal(f(x, n, unit), x * 2.0**n)


def test_what_needs_python_is_done_by_one_thread(threads):
    threads(2)
    seen = []
    f = powers(host=True).load(hosts=[lambda: seen.append(threading.get_ident()) or ()])
    x = np.arange(10.0)
    np.testing.assert_array_equal(f(x, 3, 4), 8 * x)
    assert seen == [threading.get_ident()] * 3


def test_programs_with_parts_can_be_written_down():
    program = powers().program()
    assert loads(dumps(program)) == program


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_failure_is_told(threads, count):
    threads(count)
    b = Splitting("zeros")
    x = b.input("x", "float64", (None,))
    (size,) = b.shapes[x]
    first, n = b.split(size, b.register(10))
    b.error("ValueError", "no")
    b.error("IndexError", "element {1} of those from {0} on, of {2}", (first,))
    b.launch("find_zero", (b.view(x, first, n),), n, sizes=(n,))
    b.emit(Join())
    b.output(x)
    f = b.load()
    values = np.ones(95)
    np.testing.assert_array_equal(f(values), values)
    values[[23, 57, 94]] = 0
    for _ in range(20):
        with pytest.raises(IndexError, match="element 3 of those from 20 on, of 10"):
            f(values)
    values[[23, 57]] = 1
    with pytest.raises(IndexError, match="element 4 of those from 90 on, of 5"):
        f(values)


@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_ends_all_parts(threads, count):
    threads(count)
    b = Splitting("endless")
    b.split(b.register(4), b.register(1))
    b.emit(Loop(b.register(), b.register(2**62)))
    b.emit(Next())
    b.emit(Join())
    ends_at_an_interrupt(b.load())


def test_calls_at_the_same_time(threads):
    threads(2)
    f = powers().load()

    def work(seed):
        x = np.random.default_rng(seed).standard_normal(500)
        for _ in range(50):
            np.testing.assert_array_equal(f(x, 5, 16), 32 * x)

    run_together(*(partial(work, seed) for seed in range(4)))


def test_what_a_part_sets_is_not_read_behind_it():
    b = Splitting()
    n = b.register(2)
    first, _ = b.split(n, n)
    b.emit(Join())
    b.compute("add", first, n)
    with pytest.raises(ValueError, match="read before it is set"):
        b.load()


@pytest.mark.parametrize(("instructions", "match"), [
    ([Join()], "was not begun"),
    ([Split(1, 2, 0, 0)], "a split without an end"),
    ([Split(1, 2, 0, 0), Next()], "the end of a loop that was not begun"),
    ([Loop(1, 0), Join()], "the end of a split that was not begun"),
    ([Split(1, 2, 7, 0), Join()], "register 7 is read before"),
])  # fmt: skip
def test_splits_that_do_not_fit(instructions, match):
    b = Splitting()
    b.register(3)
    b.register()
    b.register()
    for instruction in instructions:
        b.emit(instruction)
    with pytest.raises(ValueError, match=match):
        b.load()
