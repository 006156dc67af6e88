"""Questions that a program asks of somebody outside: when, about what, and what comes of it."""

import threading

import numpy as np
import pytest
from by_hand import Builder
from native_kernels import address

from croton.runtime.program import Allocate, Ask, LaunchAt, Question
from croton.runtime.serial import dumps, loads

SOME = Question("some", (("name", "a"), ("size", 3), ("yes", True), ("unknown", None)))


class Asking(Builder):
    """``f(x, n)``: as many elements of ``x`` as the answer about its size and ``n`` says."""

    def __init__(self, questions=(SOME,)):
        super().__init__()
        self.questions = questions
        x = self.input("x", "float64", (None,))
        n = self.item(self.input("n", "int64"), self.register(0))
        count = self.register()
        self.emit(Ask(count, 0, n, (*self.shapes[x], n)))
        out = self.buffer("output", "float64")
        self.emit(Allocate(out, count, (count,)))
        self.copy(out, x, count)
        self.shapes[out] = (count,)
        self.output(out)

    def program(self):
        return super().program()._replace(questions=self.questions)


class Answer:
    def __init__(self):
        self.asked = []

    def __call__(self, *about):
        self.asked.append(about)
        return about[0] // about[1]


def test_the_same_question_is_asked_once():
    answer = Answer()
    f = Asking().load(answers=[answer])
    x = np.arange(8.0)
    for _ in range(3):
        np.testing.assert_array_equal(f(x, 2), x[:4])
    np.testing.assert_array_equal(f(x, 4), x[:2])
    np.testing.assert_array_equal(f(x[:4], 4), x[:1])
    assert answer.asked == [(8, 2), (8, 4), (4, 4)]


def test_nobody_is_asked_where_there_is_no_question():
    answer = Answer()
    f = Asking().load(answers=[answer])
    assert f(np.arange(8.0), 0).shape == (0,)
    assert answer.asked == []


def test_an_answer_that_fails_is_asked_for_again():
    def answer(size, n):
        if n == 7:
            raise KeyError("nobody knows")
        return "many" if n == 6 else size

    f = Asking().load(answers=[answer])
    x = np.arange(8.0)
    for _ in range(2):
        with pytest.raises(KeyError, match="nobody knows"):
            f(x, 7)
        with pytest.raises(TypeError):
            f(x, 6)
        np.testing.assert_array_equal(f(x, 1), x)


def test_calls_at_once():
    f = Asking().load(answers=[lambda size, n: size // n])
    wrong = []

    def work(n):
        x = np.arange(float(4 * n))
        wrong.extend(k for k in range(200) if f(x, n).shape != (4,))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_hosts_beside_answers():
    b = Asking()
    (twice,) = b.host(0, [b.outputs[0].buffer], [("float64", 1)])
    b.output(twice)
    f = b.load(answers=[lambda size, n: size], hosts=[lambda x: [2 * x]])
    x = np.arange(3.0)
    for got, want in zip(f(x, 1), (x, 2 * x), strict=True):
        np.testing.assert_array_equal(got, want)


class Told(Builder):
    """``f(x, n)``: the square of the first element of ``x``, and then that of a kernel.

    The answer about ``n`` tells the kernel, which takes ``x``, ``x`` and the result.
    """

    questions = (SOME,)

    def __init__(self, size=None):
        super().__init__()
        x = self.input("x", "float64", (None,))
        n = self.item(self.input("n", "int64"), self.register(0))
        one, told = self.register(1), self.register()
        out = self.allocate("float64", (one,))
        self.launch("mul_f64", (x, x, out), one)
        self.emit(Ask(told, 0, n, (n,)))
        sizes = self.shapes[x] if size is None else (size,)
        self.emit(LaunchAt(told, (x, x, out), sizes, self.register(64), (2,)))
        self.output(out)

    def program(self):
        return super().program()._replace(questions=self.questions)


def test_an_answer_tells_which_kernel_runs():
    names = {1: "add_f64", 2: "mul_f64"}
    f = Told().load(answers=[lambda n: address(names[n]) if n in names else 0])
    x = np.array([3.0, 5.0])
    for n, want in ((1, 6), (2, 9), (3, 9), (1, 6), (0, 9)):
        np.testing.assert_array_equal(f(x, n), [want])


def test_a_kernel_that_is_told_may_fail_the_call():
    b = Told()
    b.error("ValueError", "")
    b.error("ValueError", "element {0} of {1} is zero")
    f = b.load(answers=[lambda n: address("find_zero")])
    with pytest.raises(ValueError, match="element 0 of 2 is zero"):
        f(np.zeros(2), 1)
    np.testing.assert_array_equal(f(np.full(2, 3.0), 0), [9])


@pytest.mark.parametrize("program", [Asking().program(), Told().program()])
def test_as_bytes(program):
    assert loads(dumps(program)) == program


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="0 answers to 1 questions"):
        Asking().load()
    with pytest.raises(ValueError, match="no question 0"):
        Asking(questions=()).load()
    b = Asking()
    b.emit(Ask(0, 0, 0, (b.register(),)))
    with pytest.raises(ValueError, match="read before it is set"):
        b.load(answers=[max])
    with pytest.raises(ValueError, match="read before it is set"):
        Told(size=10_000).load(answers=[max])
