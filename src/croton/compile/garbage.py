"""Compiling without looking for garbage in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_later() -> Iterator[None]:
    """Let no cycles of garbage be looked for meanwhile, unless somebody else turns that on.

    A graph is many objects that stay: to go through all of them again and again takes an
    eighth of the time until a large network is compiled.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
