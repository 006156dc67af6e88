"""Threads that work meanwhile, and that no process forks away from."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any


class _Gate:
    """Keeps a process from forking while others are at work: in the child nobody would end it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: set[int] = set()
        self._forks = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._close, after_in_parent=self._open, after_in_child=self._open_in_child
            )

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be at work."""
        this = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._forks)
            self._inside.add(this)
        try:
            yield
        finally:
            with self._changed:
                self._inside.discard(this)
                self._changed.notify_all()

    def _close(self) -> None:
        self._changed.acquire()
        self._forks += 1
        # This thread itself may be at work, where a handler of a signal forks.
        self._changed.wait_for(lambda: self._inside <= {threading.get_ident()})

    def _open(self) -> None:
        self._forks -= 1
        self._changed.notify_all()
        self._changed.release()

    def _open_in_child(self) -> None:
        self._forks = 0
        self._inside.intersection_update((threading.get_ident(),))
        self._changed.release()


_gate = _Gate()


class Workers:
    """Does what it is asked for on so many ``threads``, and on the one that wants a result.

    What is largest comes first: then the rest fills the time until it is done.
    """

    def __init__(self, work: Callable[[Any], Any], threads: int) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(threads, "croton") if threads > 0 else None
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, int, Any]] = []
        self._asked: dict[Any, Future[Any]] = {}
        self._process = os.getpid()

    def ask(self, item: Any, size: int) -> None:
        """Have ``work(item)`` done; the larger its ``size`` the earlier."""
        with self._lock:
            heappush(self._waiting, (-size, len(self._asked), item))
            self._asked[item] = Future()
        if self._pool is not None:
            self._pool.submit(self._next)

    def result(self, item: Any) -> Any:
        """What came of ``item``, which was asked for; its error is raised."""
        found = self._asked[item]
        if os.getpid() != self._process:
            # The threads are not there in a process that was forked meanwhile.
            return found.result() if found.done() else self._work(item)
        while not found.done() and self._next():
            pass
        return found.result()

    def close(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        with self._lock:
            self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _next(self) -> bool:
        """Do the largest thing that nobody does yet, if there is one."""
        with self._lock:
            if not self._waiting:
                return False
            *_, item = heappop(self._waiting)
        try:
            with _gate.passed():
                result = self._work(item)
        except BaseException as error:
            self._asked[item].set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._asked[item].set_result(result)
        return True
