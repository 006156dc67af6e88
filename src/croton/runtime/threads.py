"""How many threads calls use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from croton.runtime._native import pool_statistics, set_threads, thread_count

__all__ = ["available_cores", "pool_statistics", "set_threads", "thread_count", "use_threads"]

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def _quota() -> int | None:
    """The cores that a container's CPU limit comes to: more threads than that stall."""
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else min(cores, quota)


def use_threads(count: int = 0) -> int:
    """Let calls use ``count`` threads, 0: as many as there are cores; how many it is then."""
    set_threads(count or available_cores())
    return thread_count()
