"""What is prepared from shared variables stays right whenever and however they change."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.runtime.program import Keep

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((1, 5, 6, 7)).astype("f")


def filters(seed):
    return np.random.default_rng(seed).standard_normal((4, 5, 3, 3)).astype("f")


class Net:
    """A convolution with shared filters, and what it should give."""

    def __init__(self, **options):
        self.x = T.ftensor4("x")
        self.w = croton.shared(filters(0), **options)
        self.y = T.nnet.conv2d(self.x, self.w)
        self.f = croton.function([self.x], self.y)
        assert [i for i in self.f.program.instructions if isinstance(i, Keep)]

    def check(self):
        now = T.constant(self.w.get_value())
        (want,) = evaluate([T.nnet.conv2d(self.x, now)], {self.x: IMAGE})
        for _ in range(2):
            np.testing.assert_allclose(self.f(IMAGE), want, rtol=0, atol=1e-4)


def test_new_values():
    net = Net()
    net.check()
    for seed in (1, 2, 0):
        net.w.set_value(filters(seed))
        net.check()


def test_updates_by_another_function():
    net = Net()
    step = croton.function([], updates=[(net.w, net.w * 2)])
    turn = croton.function([], updates=[(net.w, net.w[::-1, :, ::-1])])
    for other in (step, turn, step):
        net.check()
        other()
        net.check()


def test_an_array_that_the_program_has_and_changes():
    net = Net()
    net.check()
    inside = net.w.get_value(borrow=True)
    net.check()
    inside[...] = filters(3)
    net.check()
    inside *= 2
    net.check()
    # From here on it is no longer the variable's.
    net.w.set_value(filters(4))
    net.check()
    inside[...] = 0
    net.check()


@pytest.mark.parametrize("when", ["made", "set"])
def test_an_array_that_the_program_lends(when):
    own = filters(5)
    if when == "made":
        net = Net()
        net.w = croton.shared(own, borrow=True)
        net.y = T.nnet.conv2d(net.x, net.w)
        net.f = croton.function([net.x], net.y)
    else:
        net = Net()
        net.w.set_value(own, borrow=True)
    net.check()
    own[...] = filters(6)
    net.check()


def test_a_view_that_a_function_hands_out():
    net = Net()
    see = croton.function([], croton.Out(net.w, borrow=True))
    net.check()
    seen = see()
    net.check()
    seen[...] = filters(7)
    net.check()


def test_other_shapes():
    net = Net()
    net.check()
    net.w.set_value(np.ones((2, 5, 1, 1), "f"))
    net.check()
    net.w.set_value(filters(8))
    net.check()


def test_calls_at_once_with_changes_between():
    net = Net()
    for seed in range(4):
        value = filters(seed)
        net.w.set_value(value)
        (want,) = evaluate([T.nnet.conv2d(net.x, T.constant(value))], {net.x: IMAGE})
        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(lambda _: net.f(IMAGE), range(12)):
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


def test_a_function_that_updates_them_keeps_nothing():
    net = Net()
    f = croton.function([net.x], net.y, updates=[(net.w, net.w + 1)])
    assert not [i for i in f.program.instructions if isinstance(i, Keep)]
    for _ in range(3):
        before = T.constant(net.w.get_value())
        (want,) = evaluate([T.nnet.conv2d(net.x, before)], {net.x: IMAGE})
        np.testing.assert_allclose(f(IMAGE), want, rtol=0, atol=1e-4)
        net.check()


def test_copies_have_their_own():
    net = Net()
    net.check()
    twin = net.w.clone()
    assert twin.container is net.w.container
    twin.set_value(filters(9))
    net.check()
