"""Making many nodes without looking for garbage in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects that may wait until Python next looks for garbage among all that there is; fewer
#: new ones than ``FEW`` are looked at as always, which takes some milliseconds.
MOST, FEW = 1 << 20, 1 << 15


@contextmanager
def collected_later() -> Iterator[None]:
    """Let no cycles of garbage be looked for meanwhile, unless somebody else turns that on.

    A graph is many objects that stay: to go through all of them again and again takes an
    eighth of the time until a large network is compiled.  Nor are they gone through right
    afterwards, as if they were new: that would take another twelfth.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            _waiting.grow_old()
            gc.enable()


class _Waiting:
    """Objects that were not looked at when they were new, since all were looked at."""

    def __init__(self) -> None:
        self._objects = 0
        self._looks = 0

    def grow_old(self) -> None:
        """Let all objects count as old ones, unless they are too many by now, or few are new."""
        if gc.get_count()[0] < FEW or gc.get_freeze_count():
            return  # what somebody keeps apart would not be any more
        looks = gc.get_stats()[-1]["collections"]
        if looks != self._looks:
            self._objects, self._looks = 0, looks
        self._objects += gc.get_count()[0]
        if self._objects > MOST:
            gc.collect()
        else:
            gc.freeze()
            gc.unfreeze()


_waiting = _Waiting()
