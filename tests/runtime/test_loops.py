"""Loops and views: what is repeated, how often, and what happens when it fails."""

import signal
import threading
import time

import numpy as np
import pytest
from by_hand import Builder
from helpers import ends_at_an_interrupt

from croton.runtime.program import Allocate, Compute, Copy, Loop, Next, View
from croton.runtime.serial import dumps, loads


class Looping(Builder):
    def loop(self, count):
        index = self.register()
        self.emit(Loop(index, count))
        return index

    def end(self, stop=-1):
        self.emit(Next(stop))


def running_sums(stop=False):
    """``f(n, xs)``: all s with s[0] = 0 and s[t + 1] = s[t] + xs[t], until t is the last of n."""
    b = Looping("sums")
    zero, one = b.register(0), b.register(1)
    n = b.item(b.input("n", "int64"), zero)
    xs = b.input("xs", "float64", (None,))
    (size,) = b.shapes[xs]
    count = n if not stop else size
    more = b.compute("add", count, one)
    sums = b.buffer("output", "float64")
    b.emit(Allocate(sums, more, (more,)))
    first = b.constant("zero", "float64")
    b.emit(Copy(sums, first, one))
    t = b.loop(count)
    after = b.compute("add", t, one)
    x, before, now = b.view(xs, t, one), b.view(sums, t, one), b.view(sums, after, one)
    b.launch("add_f64", (x, before, now), one)
    if stop:
        b.end(b.compute("eq", after, n))
        done = b.register()
        b.emit(Compute("add", done, t, one))
        b.shapes[sums] = (done,)
    else:
        b.end()
        b.shapes[sums] = (more,)
    b.output(sums)
    return b


@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_state_that_is_fed_back(n):
    xs = np.arange(1.0, 8)
    want = np.concatenate([[0], np.cumsum(xs[:n])])
    for program in (running_sums(), running_sums()):
        f = program.load(constants=[np.zeros(())])
        for _ in range(2):
            np.testing.assert_array_equal(f(n, xs), want)


def test_a_condition_ends_a_loop():
    f = running_sums(stop=True).load(constants=[np.zeros(())])
    xs = np.arange(1.0, 8)
    np.testing.assert_array_equal(f(3, xs), [0, 1, 3, 6])
    np.testing.assert_array_equal(f(100, xs), np.concatenate([[0], np.cumsum(xs)]))


def test_loops_within_loops():
    b = Looping("grid")
    zero, one = b.register(0), b.register(1)
    n, m = (b.item(b.input(name, "int64"), zero) for name in "nm")
    size = b.compute("mul", n, m)
    total = b.buffer("output", "int64")
    b.emit(Allocate(total, one, ()))
    numbers = b.input("numbers", "int64", (None,))
    b.emit(Copy(total, b.constant("zero", "int64"), one))
    i = b.loop(n)
    j = b.loop(m)
    at = b.compute("add", b.compute("mul", i, m), j)
    b.launch("add_i64", (total, b.view(numbers, at, one), total), one)
    b.end()
    b.end()
    b.check(b.compute("le", zero, size), "ValueError", "never")
    b.shapes[total] = ()
    b.output(total)
    program = b.program()
    assert loads(dumps(program)) == program
    f = b.load(constants=[np.zeros((), np.int64)])
    for n, m in ((3, 4), (0, 4), (3, 0), (1, 1), (20, 50)):
        numbers = np.random.default_rng(0).integers(0, 99, n * m)
        assert int(f(n, m, numbers)) == numbers.sum()


@pytest.mark.parametrize(("offset", "count"), [(4, 2), (-1, 2), (0, 6), (0, -1), (2**62, 1)])
def test_a_view_lies_in_its_array(offset, count):
    b = Looping("part")
    x = b.input("x", "float64", (None,))
    size = b.register(count)
    part = b.view(x, b.register(offset), size)
    out = b.buffer("output", "float64")
    b.emit(Allocate(out, b.register(2), ()))
    b.emit(Copy(out, part, size))
    b.shapes[out] = (size,)
    b.output(out)
    with pytest.raises(ValueError, match="a view reaches beyond its array"):
        b.load()(np.zeros(5))


def test_what_a_body_sets_is_not_read_behind_it():
    b = Looping()
    n = b.register(2)
    t = b.loop(n)
    inside = b.compute("add", t, n)
    b.end()
    b.compute("add", inside, n)
    with pytest.raises(ValueError, match="read before it is set"):
        b.load()


@pytest.mark.parametrize(("instructions", "match"), [
    ([Next()], "was not begun"),
    ([Loop(1, 0)], "without an end"),
    ([Loop(1, 7)], "register 7 is read before"),
])  # fmt: skip
def test_loops_that_do_not_fit(instructions, match):
    b = Looping()
    b.register(3)
    b.register()
    for instruction in instructions:
        b.emit(instruction)
    with pytest.raises(ValueError, match=match):
        b.load()


def test_a_view_of_another_dtype():
    b = Looping()
    x = b.input("x", "float64", (None,))
    one = b.register(1)
    b.emit(View(b.buffer("view", "float32"), x, one, one))
    with pytest.raises(ValueError, match="is no view of"):
        b.load()


def endless():
    b = Looping("endless")
    b.loop(b.register(2**62))
    b.end()
    return b.load()


def test_an_interrupt_ends_a_loop():
    ends_at_an_interrupt(endless())


def test_other_threads_run_beside_a_loop():
    beats = []

    def beat():
        for _ in range(5):
            time.sleep(0.05)
            beats.append(1)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        endless()()
    thread.join()
    assert len(beats) == 5
