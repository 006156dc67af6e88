"""Measurements decide between algorithms of which the model of costs is not sure, once."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.compile import measuring
from croton.compile.caching import object_cache
from croton.config import config
from croton.runtime.program import Ask, Question
from croton.schedule.convolution import choice

RNG = np.random.default_rng(0)
RUN = os.urandom(16).hex()
#: Sizes of images that nothing is known of yet.
HEIGHTS = itertools.count(9)


@pytest.fixture(autouse=True)
def _measured(monkeypatch):
    """A model that is sure of nothing."""
    monkeypatch.setattr(choice, "NEAR", 0)
    monkeypatch.setattr(measuring, "NEAR", 0)
    plans = sys.modules["croton.schedule.convolution.plan"].plan
    plans.cache_clear()
    # What an earlier run of the tests may have left in the cache is not found.
    monkeypatch.setattr(measuring, "build_id", lambda: RUN)
    with config.change_flags(convolution_choice="measured"):
        yield
    plans.cache_clear()


class Planted:
    """In the place of a measurement: times that make ``fastest`` the fastest."""

    def __init__(self, fastest):
        self.fastest, self.measured = fastest, []

    def __call__(self, calls, clock):
        self.measured.append(tuple(calls))
        return {name: 1.0 if name == self.fastest else 2.0 for name in calls}


@pytest.fixture
def planted(monkeypatch):
    def plant(fastest):
        found = Planted(fastest)
        monkeypatch.setattr(measuring, "measure", found)
        return found

    return plant


def noise(*shape):
    return RNG.standard_normal(shape).astype("f")


def convolution():
    """A convolution of images of a size of its own: its variables, its result and arguments."""
    given = noise(4, 5, next(HEIGHTS), 11), noise(7, 5, 3, 3)
    x, w = T.tensor4("x", "float32"), T.tensor4("w", "float32")
    return [x, w], T.nnet.conv2d(x, w), given


def asks(f):
    return any(isinstance(i, Ask) for i in f.program.instructions)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("fastest", ["direct", "winograd6"])
def test_what_is_fastest_runs(planted, fastest, shared):
    variables, out, given = convolution()
    arguments = given
    if shared:
        out = T.nnet.conv2d(variables[0], croton.shared(given[1]))
        variables, arguments = variables[:1], given[:1]
    found = planted(fastest)
    f = croton.function(variables, out)
    assert asks(f)
    x, w = (a.astype("f8") for a in given)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    exact = np.einsum("bcijkl,fckl->bfij", windows, w[:, :, ::-1, ::-1])
    for _ in range(3):
        wrong = np.abs(f(*arguments) - exact).mean()
        # Winograd's rounds more.
        assert (wrong < 1e-6) == (fastest == "direct")
        assert wrong < 1e-5
    assert len(found.measured) == 1
    assert set(found.measured[0]) >= {"direct", "winograd6"}


def test_other_sizes_of_the_same_class_are_not_measured(planted):
    found = planted("direct")
    variables, out, (x, w) = convolution()
    f = croton.function(variables, out)
    for batch in (4, 3, 4):
        f(x[:batch], w)
    assert len(found.measured) == 1
    f(x[:2], w)
    f(x[:, :, :, 1:], w)
    f(x[:0], w)
    assert len(found.measured) == 4


def test_it_is_found_in_the_cache(planted, monkeypatch):
    found = planted("winograd6")
    variables, out, arguments = convolution()
    first = croton.function(variables, out)(*arguments)
    monkeypatch.setattr(measuring, "_known", {})
    other = planted("direct")
    np.testing.assert_array_equal(croton.function(variables, out)(*arguments), first)
    assert (len(found.measured), len(other.measured)) == (1, 0)


SCRIPT = """
import numpy as np, sys, croton, croton.tensor as T
from croton.compile import measuring
from croton.schedule.convolution import choice
choice.NEAR = measuring.NEAR = 0
measure, count = measuring.measure, [0]
def counted(*args):
    count[0] += 1
    return measure(*args)
measuring.measure = counted
x, w = T.tensor4("x", "float32"), T.tensor4("w", "float32")
f = croton.function([x, w], T.nnet.conv2d(x, w, filter_shape=(7, 5, 1, 1)))
f(np.ones((2, 5, 9, 11), "f"), np.ones((7, 5, 1, 1), "f"))
print(count[0])
"""


def test_another_process_does_not_measure(tmp_path):
    environment = os.environ | {"CROTON_FLAGS": f"cache_dir={tmp_path},convolution_choice=measured"}
    command = [sys.executable, "-c", SCRIPT]
    for count in "10":
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [count]


def test_a_damaged_entry_is_measured_again(planted, monkeypatch):
    found = planted("direct")
    keys = []
    key = measuring._key
    monkeypatch.setattr(measuring, "_key", lambda *args: keys.append(key(*args)) or keys[-1])
    variables, out, arguments = convolution()
    entries = (b"", b"croton measurement 1\n{", b'croton measurement 1\n{"fastest": "none"}')
    for entry in entries:
        monkeypatch.setattr(measuring, "_known", {})
        croton.function(variables, out)(*arguments)
        object_cache().put(keys[0], entry)
    assert len(set(keys)) == 1
    assert len(found.measured) == len(entries)


@pytest.mark.parametrize("kind", ["forward", "constant", "inputs", "filters"])
def test_what_is_measured_runs(kind):
    height = next(HEIGHTS)
    variables = {k: T.tensor4(k, "float32") for k in "xwy"}
    values = {"x": noise(3, 6, height, 10), "w": noise(9, 6, 3, 3), "y": noise(3, 9, height, 10)}
    x, w, y = variables.values()
    needs, out = {
        "forward": ("xw", lambda: T.nnet.conv2d(x, w, border_mode="half")),
        "constant": ("x", lambda: T.nnet.conv2d(x, croton.shared(values["w"]), border_mode="half")),
        "inputs": (
            "yw",
            lambda: T.nnet.conv2d_grad_wrt_inputs(
                y, w, (None, None, height, 10), border_mode="half"
            ),
        ),
        "filters": (
            "xy",
            lambda: T.nnet.conv2d_grad_wrt_weights(x, y, (9, 6, 3, 3), border_mode="half"),
        ),
    }[kind]
    result = out()
    results = []
    for way in ("measured", "model"):
        with config.change_flags(convolution_choice=way):
            f = croton.function([variables[k] for k in needs], result)
        assert asks(f) == (way == "measured")
        results.append(f(*(values[k] for k in needs)))
    np.testing.assert_allclose(*results, rtol=0, atol=1e-3)


def test_the_least_time_of_calls_that_take_turns():
    now = [0.0]
    order = []

    def call(name, times):
        seconds = itertools.cycle(times)

        def run():
            order.append(name)
            now[0] += next(seconds)

        return run

    # The first call of each, which prepares things, does not count.
    calls = {"a": call("a", [9, 0.03, 0.02, 0.025]), "b": call("b", [0.001, 0.04])}
    found = measuring.measure(calls, lambda: now[0])
    assert found["a"] == pytest.approx(0.02)
    assert found["b"] == pytest.approx(0.001)
    assert order[:2] * (len(order) // 2) == order
    assert len(order) >= 2 + 2 * measuring.ROUNDS


def test_the_model_is_right_unless_another_one_is_clearly_faster():
    assert measuring.fastest({"model": 1.0, "other": 0.99}) == "model"
    assert measuring.fastest({"model": 1.0, "other": 0.9, "third": 0.8}) == "third"


def test_other_subjects():
    with pytest.raises(ValueError, match="no measurement of 'weather'"):
        measuring.answer_to(Question("weather", ()))


def test_by_default_nothing_is_measured(planted):
    found = planted("direct")
    variables, out, arguments = convolution()
    with config.change_flags(convolution_choice="model"):
        f = croton.function(variables, out)
    f(*arguments)
    assert not asks(f)
    assert not found.measured
