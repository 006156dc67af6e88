"""Kernels without an address, which a call asks for when it comes to them."""

import gc
import threading
import time
import weakref
from functools import partial

import native_kernels
import numpy as np
import pytest
from by_hand import NEVER, Builder
from test_shared import run_together

from croton.runtime.executable import load
from croton.runtime.program import Join, Loop, Next, Split


class Linking(Builder):
    """``missing`` kernels have no address at first; ``asked`` notes what calls ask for."""

    def __init__(self, missing, name="f"):
        super().__init__(name)
        self.missing = missing
        self.asked = []

    def found(self):
        return [native_kernels.address(name) for name in self.kernels]

    def link(self, instruction, kernel, registers):
        self.asked.append((instruction, self.kernels[kernel], registers))
        return self.found()

    def load(self, link=None, **options):
        addresses = [
            0 if name in self.missing else address
            for name, address in zip(self.kernels, self.found(), strict=True)
        ]
        return load(self.program(), addresses, link=link or self.link, **options)


def sums(missing=("add_f64",), grain=NEVER):
    """``f(x, y)``: x * y + y, by a kernel each."""
    b = Linking(missing, "sums")
    x, y = b.input("x", "float64", (None,)), b.input("y", "float64", (None,))
    product = b.binary("mul_f64", x, y, grain=grain)
    b.output(b.binary("add_f64", product, y, grain=grain))
    return b


X = np.arange(1.0, 101.0)


@pytest.mark.parametrize("missing", [("add_f64",), ("mul_f64",), ("mul_f64", "add_f64")])
@pytest.mark.parametrize("grain", [1, NEVER])
def test_a_kernel_is_asked_for_once(threads, missing, grain):
    threads(2)
    b = sums(missing, grain)
    f = b.load()
    for _ in range(3):
        np.testing.assert_array_equal(f(X, X), X * X + X)
    # One answer told all addresses.
    ((instruction, name, registers),) = b.asked
    assert name == missing[0]
    assert b.instructions[instruction].kernel == b.kernels.index(name)
    first = b.arguments[0].first_register
    assert registers[first] == len(X)
    assert len(registers) == b.registers


def test_nothing_is_asked_without_items():
    b = sums()
    f = b.load()
    np.testing.assert_array_equal(f(X[:0], X[:0]), X[:0])
    assert not b.asked
    np.testing.assert_array_equal(f(X, X), X * X + X)
    assert len(b.asked) == 1


def called(missing):
    """``f(x, y)``: their product by a kernel that another one reaches through a pointer."""
    b = Linking(missing, "called")
    x, y = b.input("x", "float64", (None,)), b.input("y", "float64", (None,))
    (n,) = b.shapes[x]
    result = b.allocate("float64", (n,))
    one = b.register(1)
    inner = b.launched("mul_f64", (x, y, result), one)
    b.launch("caller", (-1,), n, 10, calls=[(0, inner)])
    b.output(result)
    return b


@pytest.mark.parametrize("missing", [("mul_f64",), ("caller",), ("caller", "mul_f64")])
def test_kernels_that_others_call(threads, missing):
    threads(2)
    b = called(missing)
    f = b.load()
    # What nothing calls is not needed either.
    f(X[:0], X[:0])
    assert not b.asked
    for _ in range(2):
        np.testing.assert_array_equal(f(X, X + 1), X * (X + 1))
    assert [name for _, name, _ in b.asked] == [missing[-1]]


def test_inside_of_a_loop():
    b = Linking(("add_f64",), "loop")
    x = b.input("x", "float64", (None,))
    rounds = b.item(b.input("n", "int64"), b.register(0))
    (n,) = b.shapes[x]
    out = b.allocate("float64", (n,))
    b.copy(out, x, n)
    step = b.register()
    b.emit(Loop(step, rounds))
    begun = b.compute("select", b.compute("lt", step, b.register(2)), b.register(0), n)
    b.launch("add_f64", (out, x, out), begun)
    b.emit(Next())
    b.output(out)
    f = b.load()
    np.testing.assert_array_equal(f(X, 2), X)
    assert not b.asked
    np.testing.assert_array_equal(f(X, 5), 4 * X)
    ((_, _, registers),) = b.asked
    assert registers[step] == 2


def test_an_error_is_raised_in_the_call_and_the_next_one_asks_again():
    b = sums()
    tries = []

    def link(*about):
        tries.append(about)
        if len(tries) == 1:
            raise OSError("no compiler")
        return b.found()

    f = b.load(link)
    with pytest.raises(OSError, match="no compiler"):
        f(X, X)
    for _ in range(2):
        np.testing.assert_array_equal(f(X, X), X * X + X)
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, TypeError, "linking gives addresses"),
        ([1], ValueError, "1 addresses for 2 kernels"),
        (["here", "there"], TypeError, "int"),
        ([0, 0], RuntimeError, "sums: kernel 1 was not linked"),
        ([0, 1 << 70], OverflowError, "int"),
    ],
)
def test_answers_that_are_none(answer, error, message):
    f = sums().load(lambda *about: answer)
    with pytest.raises(error, match=message):
        f(X, X)


def test_what_cannot_be_linked_later():
    b = sums()
    with pytest.raises(ValueError, match="a kernel has no address, and nobody to find it"):
        load(b.program(), [1, 0])
    b = Linking(("add_f64",), "parts")
    x = b.input("x", "float64", (None,))
    (n,) = b.shapes[x]
    b.emit(Split(b.register(), b.register(), n, b.register(10)))
    b.launch("add_f64", (x, x, x), n)
    b.emit(Join())
    b.output(x)
    with pytest.raises(ValueError, match="parts: kernel 0 in a split has no address"):
        b.load()


def test_calls_at_once():
    b = sums()
    start = threading.Barrier(4)

    def link(*about):
        time.sleep(0.02)
        return b.link(*about)

    f = b.load(link)

    def work(k):
        x = X + k
        start.wait()
        for _ in range(50):
            np.testing.assert_array_equal(f(x, X), x * X + X)

    run_together(*(partial(work, k) for k in range(4)))
    assert 1 <= len(b.asked) <= 4


def test_a_profile_does_not_count_the_time_of_linking():
    b = sums()

    def link(*about):
        time.sleep(0.3)
        return b.link(*about)

    f = b.load(link)
    f.profiling = True
    f(X, X)
    *steps, (_, whole) = f.profile_data()
    assert sum(nanoseconds for _, nanoseconds in steps) < 0.2e9 < whole


def test_who_links_may_hold_the_function():
    class Linker:
        function = None

        def __call__(self, *about):
            return b.found()

    b, linker = sums(), Linker()
    linker.function = b.load(linker)
    watched = weakref.ref(linker)
    linker.function(X, X)
    del linker
    gc.collect()
    assert watched() is None
