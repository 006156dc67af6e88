"""Threads: the pool, calls from several threads, fork, and the end of the process."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from by_hand import Builder, multiply
from helpers import child_status
from test_shared import run_together

from croton.runtime import threads as threads_module
from croton.runtime.threads import available_cores, pool_statistics, thread_count, use_threads


def spread(grain=100):
    return multiply(shape=(None,), grain=grain)


def test_the_number_of_threads(threads):
    assert use_threads(3) == thread_count() == 3
    assert use_threads() == available_cores() <= os.cpu_count()
    for wrong in (0, -1):
        with pytest.raises(ValueError):
            threads(wrong)
    for wrong in ("2", 1.5, None):
        with pytest.raises(TypeError):
            threads(wrong)
    threads(10**9)
    assert thread_count() == 512
    with pytest.raises(OverflowError):
        threads(10**30)


@pytest.mark.parametrize("quota", ["150000 100000", "max 100000", "nonsense", "1 0"])
def test_a_containers_quota_counts(tmp_path, monkeypatch, quota):
    path = tmp_path / "cpu.max"
    monkeypatch.setattr(threads_module, "_CGROUP_QUOTA", path)
    cores = available_cores()
    path.write_text(quota)
    assert available_cores() == (min(2, cores) if quota.startswith("15") else cores)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_every_item_is_done_once(threads, workers):
    threads(workers)
    b = Builder()
    n, grain = b.input("n", "int64"), b.input("grain", "int64")
    zero = b.register(0)
    items = b.item(n, zero)
    out = b.allocate("int64", (items,))
    b.launch("slow", (out,), items, sizes=(b.register(1),))
    # the grain comes from an input here
    launch = b.instructions.pop()
    size = b.item(grain, zero)
    b.emit(launch._replace(grain=size))
    b.output(out)
    f = b.load()
    for items in (0, 1, 2, 3, 7, 100, 1000, 12345):
        for grain in (-(2**63), -5, 0, 1, 2, 3, 99, 5000, 2**62):
            np.testing.assert_array_equal(f(items, grain), np.arange(items))


def test_small_work_wakes_nobody(threads):
    threads(2)
    f = spread(grain=1000)
    x = np.ones(1999)
    before = pool_statistics()["spread"]
    f(x, x)
    assert pool_statistics()["spread"] == before
    f(np.ones(2000), np.ones(2000))
    assert pool_statistics()["spread"] == before + 1


def test_resizing_while_calls_run(threads):
    threads(2)
    f = spread()
    x = np.arange(10_000.0)

    def call():
        for _ in range(200):
            np.testing.assert_array_equal(f(x, x), x * x)

    def resize():
        for n in (1, 4, 2, 3, 1, 5) * 3:
            threads(n)
            time.sleep(0.001)

    run_together(call, call, resize)


def test_calls_from_many_threads(threads):
    threads(3)
    f = spread(50)

    def call(seed):
        rng = np.random.default_rng(seed)
        for _ in range(150):
            x, y = rng.standard_normal((2, rng.integers(0, 3000)))
            np.testing.assert_array_equal(f(x, y), x * y)

    run_together(*(lambda s=s: call(s) for s in range(6)))


def slow(items, grain=1, rounds=1_000_000):
    b = Builder("slow")
    n = b.register(items)
    out = b.allocate("int64", (n,))
    b.launch("slow", (out,), n, grain, (b.register(rounds),))
    b.output(out)
    return b.load()


def test_the_gil_is_free_while_work_is_done(threads):
    threads(1)
    f = slow(100)
    ticks = []
    runner = threading.Thread(target=f)
    runner.start()
    while runner.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    assert len(ticks) > 3  # with the GIL held there would be one, or two


def test_workers_fall_asleep(threads):
    threads(2)
    f = spread()
    x = np.ones(10_000)
    for _ in range(20):
        f(x, x)
    time.sleep(0.05)
    assert pool_statistics()["sleeps"] > 0
    start = time.process_time()
    time.sleep(0.1)
    assert time.process_time() - start < 0.05
    wakes = pool_statistics()["wakes"]
    f(x, x)
    assert pool_statistics()["wakes"] == wakes + 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_fork(threads):
    threads(3)
    f = spread()
    x = np.arange(10_000.0)
    f(x, x)

    def check():
        for _ in range(20):
            np.testing.assert_array_equal(f(x, x), x * x)
        assert pool_statistics()["workers"] == 2
        assert child_status(lambda: f(x, x)) == 0

    assert child_status(check) == 0
    check()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_fork_while_another_thread_computes(threads):
    threads(3)
    busy = slow(200)
    f = spread()
    x = np.arange(10_000.0)
    runner = threading.Thread(target=busy)
    runner.start()
    time.sleep(0.005)
    assert child_status(lambda: f(x, x)) == 0
    runner.join()


SCRIPT = """
import sys, threading, time
sys.path.append({tests!r})
import numpy as np
from by_hand import multiply
from croton.runtime.threads import set_threads
set_threads(3)
f = multiply(shape=(None,), grain=100)
x = np.ones(100_000)
def forever():
    while True:
        f(x, x)
{body}
"""


@pytest.mark.parametrize(
    "body",
    [
        "f(x, x)",
        "[f(x, x) for _ in range(100)]; time.sleep(0.01)",
        "threading.Thread(target=forever, daemon=True).start(); time.sleep(0.1)",
        "f(x, x); kept = f; sys.modules['kept'] = f",
    ],
)
def test_the_interpreter_ends_cleanly(body):
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(tests=tests, body=body)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
