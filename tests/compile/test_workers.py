"""Threads that work meanwhile: their order, errors, forks and interrupts."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers import child_status

from croton.compile.workers import Workers


@pytest.fixture(params=[0, 1, 3])
def threads(request):
    return request.param


def test_results(threads):
    workers = Workers(lambda item: item * 2, threads)
    for item in range(20):
        workers.ask(item, item % 7)
    assert [workers.result(item) for item in range(20)] == [2 * item for item in range(20)]
    workers.close()


def test_the_largest_comes_first():
    order = []
    workers = Workers(order.append, 0)
    for item, size in enumerate((3, 9, 1, 9, 5)):
        workers.ask(item, size)
    workers.result(2)
    assert order == [1, 3, 4, 0, 2]


def test_work_goes_on_meanwhile():
    began = threading.Event()
    workers = Workers(lambda item: began.set(), 1)
    workers.ask(0, 1)
    assert began.wait(10)
    workers.close()


def test_an_error_is_that_of_its_result(threads):
    def work(item):
        if item == 1:
            raise MemoryError("no room")
        return item

    workers = Workers(work, threads)
    for item in range(3):
        workers.ask(item, 1)
    assert workers.result(0) == 0
    with pytest.raises(MemoryError, match="no room"):
        workers.result(1)
    assert workers.result(2) == 2
    workers.close()


def test_nothing_begins_after_the_end():
    may_end, seen = threading.Event(), []

    def work(item):
        seen.append(item)
        may_end.wait(10)

    workers = Workers(work, 1)
    for item in range(5):
        workers.ask(item, 5 - item)
    while not seen:
        time.sleep(0.001)
    threading.Timer(0.05, may_end.set).start()
    workers.close()
    assert seen == [0]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_fork_waits_for_what_is_under_way():
    under_way, done = threading.Event(), []

    def work(item):
        under_way.set()
        time.sleep(0.2)
        done.append(item)
        return item

    workers = Workers(work, 1)
    workers.ask(0, 2)
    workers.ask(1, 1)
    under_way.wait()

    def child():
        # It does itself what was not done.
        assert done == [0]
        assert [workers.result(0), workers.result(1)] == [0, 1]
        workers.close()
        mine = Workers(work, 2)
        mine.ask(5, 1)
        assert mine.result(5) == 5
        mine.close()

    assert child_status(child) == 0
    assert [workers.result(0), workers.result(1)] == [0, 1]
    workers.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_signal_handler_may_fork_at_work():
    found = []
    before = signal.signal(signal.SIGUSR1, lambda *_: found.append(child_status(lambda: None)))
    try:
        workers = Workers(lambda _: signal.raise_signal(signal.SIGUSR1), 0)
        workers.ask(0, 1)
        workers.result(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert found == [0]


def test_an_interrupt_ends_waiting(threads):
    may_end = threading.Event()

    def work(item):
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)
        may_end.wait(10)

    workers = Workers(work, threads)
    for item in range(6):
        workers.ask(item, 1)
    with pytest.raises(KeyboardInterrupt):
        workers.result(5)
    may_end.set()
    workers.close()


def test_a_process_ends_with_threads_at_work():
    program = (
        "from croton.compile.workers import Workers; import time\n"
        "w = Workers(time.sleep, 2)\n"
        "for k in range(20): w.ask(0.05 + k / 1000, 1)\n"
        "raise SystemExit(3)\n"
    )
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=False)
    assert done.returncode == 3
    assert time.perf_counter() - start < 20
