"""What tells one kind of machine from another, without asking a compiler."""

from __future__ import annotations

import platform
from functools import lru_cache


@lru_cache(maxsize=1)
def identity() -> str:
    """A text that differs where machine code or its schedule may differ."""
    found = [platform.system(), platform.machine()]
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() in ("model name", "flags", "Features", "CPU part", "stepping"):
                    found.append(value.strip())
                if not line.strip():
                    break
    except OSError:
        found += [platform.processor(), platform.version()]
    return "\n".join(found)
