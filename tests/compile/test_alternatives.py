"""Kernels of alternatives, which are compiled when a call's sizes first choose one."""

import os
import pickle
import subprocess
import sys
import threading
import time
from functools import cache

import numpy as np
import pytest
from helpers import child_status
from numpy.lib.stride_tricks import sliding_window_view

import croton
import croton.tensor as T
from croton.codegen.targets.cpu import CpuTarget
from croton.compile import kernels
from croton.compile.alternatives import always, needed
from croton.config import config
from croton.runtime.program import (
    Allocate,
    Ask,
    Buffer,
    Compute,
    Host,
    Item,
    Join,
    Launch,
    Loop,
    Next,
    Program,
    Split,
)

RNG = np.random.default_rng(0)
FILTERS = RNG.standard_normal((16, 16, 3, 3)).astype("f")
#: Images for which the model of costs chooses different algorithms.
SIZES = {"direct": (1, 16, 5, 5), "winograd6": (2, 16, 40, 40)}
IMAGES = {name: RNG.standard_normal(size).astype("f") for name, size in SIZES.items()}


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))


def convolution(**options):
    x = T.ftensor4("x")
    return croton.function([x], T.nnet.conv2d(x, croton.shared(FILTERS)), **options)


@cache
def convolved(name):
    windows = sliding_window_view(IMAGES[name].astype(float), (3, 3), (2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, FILTERS[:, :, ::-1, ::-1].astype(float))


def check(f, name):
    """That ``f`` convolves the image; how many kernels were compiled for that."""
    before = kernels.counters["compiled"]
    got = f(IMAGES[name])
    want = convolved(name)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
    return kernels.counters["compiled"] - before


def test_a_size_has_its_algorithm_compiled():
    before = kernels.counters["compiled"]
    f = convolution()
    number = len(f.program.kernels)
    counts = [kernels.counters["compiled"] - before, *(check(f, name) for name in SIZES)]
    assert all(counts[1:])
    assert sum(counts) < number
    # All of one algorithm's kernels at once, and never again.
    assert not any(check(f, name) for name in SIZES)
    assert f.kernels().count("kernel ") >= number


@pytest.mark.parametrize("ahead", [False, True])
def test_all_of_them_ahead(ahead, monkeypatch):
    monkeypatch.setattr(config, "compile_ahead", ahead)
    before = kernels.counters["compiled"]
    f = convolution()
    made = kernels.counters["compiled"] - before
    later = sum(check(f, name) for name in SIZES)
    assert (later == 0) == ahead
    if ahead:
        assert made == len(f.program.kernels)
    # A function that only is loaded lacks what was not compiled.
    monkeypatch.setattr(config, "compile_ahead", True)
    again = convolution()
    assert "cache" in again.seconds
    assert kernels.counters["compiled"] - before == len(f.program.kernels)
    assert not any(check(again, name) for name in SIZES)


def test_functions_without_alternatives_are_compiled_when_they_are_made():
    x = T.fmatrix("x")
    f = croton.function([x], [T.nnet.softmax(x), x.sum(0)])
    assert always(f.program) == set(range(len(f.program.kernels)))
    before = dict(kernels.counters)
    f(np.ones((3, 4), "f"))
    assert kernels.counters == before


def test_a_function_from_the_cache_is_made_again_for_what_was_never_compiled():
    f = convolution()
    check(f, "direct")
    again = convolution()
    assert "cache" in again.seconds
    assert check(again, "direct") == 0
    assert again.owner.version.rewritten is None
    assert check(again, "winograd6") > 0
    assert again.owner.version.rewritten is not None
    # From here on it is in the cache.
    third = convolution()
    assert check(third, "winograd6") == 0
    assert third.owner.version.rewritten is None


SCRIPT = """
import sys
sys.path[:0] = {folders!r}
import test_alternatives as t
f = t.convolution()
print("cache" in f.seconds, *(t.check(f, name) for name in sys.argv[1:]))
"""


def test_other_processes(tmp_path):
    environment = os.environ | {"CROTON_FLAGS": f"cache_dir={tmp_path}"}
    folder = os.path.dirname(__file__)
    script = SCRIPT.format(folders=[folder, os.path.dirname(folder)])

    def run(*names):
        command = [sys.executable, "-c", script, *names]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        cached, *counts = done.stdout.split()
        return cached == "True", [int(count) > 0 for count in counts]

    assert run("direct") == (False, [True])
    assert run("direct", "winograd6") == (True, [False, True])
    assert run("direct", "winograd6") == (True, [False, False])


def test_flags_of_later_do_not_matter(monkeypatch):
    monkeypatch.setattr(config, "convolution", "accurate")
    convolution()
    f = convolution()
    assert "cache" in f.seconds
    monkeypatch.setattr(config, "convolution", "fastest")
    monkeypatch.setattr(config, "convolution_choice", "measured")
    for name in SIZES:
        check(f, name)
    assert config.convolution == "fastest"
    assert not any("winograd" in kernel for kernel in f.program.kernels)


def test_what_is_made_again_is_for_the_sizes_of_then():
    x, w = T.ftensor4("x"), croton.shared(FILTERS)
    f = croton.function([x], T.nnet.conv2d(x, w))
    first = f.owner.version
    names = [function.name for function in first.schedule().functions]
    assert names == list(f.program.kernels)
    w.set_value(FILTERS[:, :, :1, :1])
    np.testing.assert_allclose(
        f(IMAGES["direct"]),
        np.einsum("nchw,fc->nfhw", IMAGES["direct"], FILTERS[:, :, 0, 0]),
        rtol=0,
        atol=1e-4,
    )
    first.rewritten = first.scheduled = None
    assert [function.name for function in first.schedule().functions] == names
    assert [function.name for function in f.owner.scheduled.functions] != names


def test_calls_at_once():
    f = convolution()
    names = 3 * [*SIZES]
    start = threading.Barrier(len(names))
    before = kernels.counters["compiled"]
    wrong = []

    def work(name):
        start.wait()
        try:
            for _ in range(5):
                check(f, name)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    at_once = kernels.counters["compiled"] - before
    config.cache_dir += "/other"
    f, before = convolution(), kernels.counters["compiled"]
    assert at_once == sum(check(f, name) for name in SIZES)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_after_a_fork():
    f = convolution()
    check(f, "direct")
    assert child_status(lambda: [check(f, name) for name in SIZES]) == 0
    # The child has put them into the cache.
    assert check(f, "winograd6") == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_fork_while_another_thread_compiles(monkeypatch):
    f = convolution()
    compiling = threading.Event()
    compile_one = CpuTarget.compile

    def slowly(*args):
        compiling.set()
        time.sleep(0.2)
        return compile_one(*args)

    monkeypatch.setattr(CpuTarget, "compile", slowly)
    thread = threading.Thread(target=check, args=(f, "winograd6"))
    thread.start()
    compiling.wait()
    assert child_status(lambda: [check(f, name) for name in SIZES]) == 0
    thread.join()


def test_an_error_of_the_compiler_is_raised_in_the_call(monkeypatch):
    f = convolution()

    def fail(*args):
        raise MemoryError("no room for code")

    with monkeypatch.context() as m:
        m.setattr(CpuTarget, "compile", fail)
        with pytest.raises(MemoryError, match="no room for code"):
            check(f, "direct")
    assert check(f, "direct") > 0


def test_profiles_and_seconds():
    f = convolution(profile=True)
    made = f.seconds["kernels"]
    check(f, "winograd6")
    assert f.seconds["kernels"] > made
    assert "winograd6" in str(f.profile)


def test_copies():
    f = convolution()
    check(f, "direct")
    copy = pickle.loads(pickle.dumps(f))
    assert [check(copy, name) > 0 for name in SIZES] == [False, True]


def test_algorithms_that_a_measurement_chooses():
    with config.change_flags(convolution_choice="measured"):
        f = convolution()
        for name in SIZES:
            check(f, name)
        assert not any(check(f, name) for name in SIZES)


def test_there_may_be_no_kernels():
    assert croton.function([], [])() == []


# Programs by hand.


def program(*instructions, constants=(), registers=40):
    buffers = (Buffer("temporary", "float64"),)
    names = tuple(f"kernel{k}" for k in range(10))
    return Program("f", (), buffers, registers, constants, instructions, (), (), names, ())


def launch(kernel, items, *calls):
    calls = tuple((0, called) for called in calls)
    return Launch(kernel, (0,), (), items, 1, 1, calls)


ZERO, N, WHEN, A, B, C = range(6)


def test_what_is_always_needed():
    chosen = Compute("select", A, WHEN, N, ZERO), Compute("select", B, WHEN, ZERO, N)
    p = program(
        *chosen,
        Compute("select", C, WHEN, N, N),
        launch(0, N, launch(1, N, launch(2, N))),
        launch(3, A, launch(4, A)),
        launch(5, B),
        launch(6, C),
        launch(7, A),
        Split(10, 11, N, N),
        launch(7, A),
        Join(),
        launch(8, A),
        launch(8, N),
        constants=((ZERO, 0),),
    )
    assert always(p) == {0, 1, 2, 6, 7, 8}


def test_what_a_call_needs():
    p = program(
        launch(9, N),
        Compute("lt", WHEN, N, A),
        Compute("select", B, WHEN, N, ZERO),
        Compute("sub", C, N, B),
        launch(0, B, launch(1, B)),
        launch(2, C),
        # What these give is not known before, nor what follows from it.
        Item(10, 0, ZERO),
        Ask(11, 0, N, ()),
        Host(0, (), ((0, (12,)),)),
        Loop(13, N),
        Split(14, 15, N, N),
        *(launch(3, r) for r in range(10, 16)),
        Compute("add", 16, 10, N),
        launch(3, 16),
        Allocate(0, N),
        launch(4, N),
        Join(),
        Next(),
        launch(5, ZERO),
    )
    values = [0, 5, 1, 7, 1, 1] + [1] * 34
    assert needed(p, 0, values) == {9, 0, 1, 4}
    values[A] = 5
    assert needed(p, 0, values) == {9, 2, 4}
    # What was found out before is known.
    assert needed(p, 6, values) == {4}
    assert needed(p, 7, values) == {3, 4}
