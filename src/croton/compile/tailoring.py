"""Kernels of loops for the sizes that calls tell, compiled when a call first needs them.

What was compiled is kept in the object cache, so that later processes only load it.  Where
calls have ever other sizes, the loop's own instructions serve those that come later.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from croton.compile import kernels
from croton.compile.caching import object_cache
from croton.schedule.tailored import Tailored

#: Combinations of sizes that a loop gets a kernel for, and those that are remembered at all.
MOST, MOST_KNOWN = 8, 64

_STAMP = b"croton tailored 1\n"


class Tailor:
    """Tells the address of the kernel for some sizes of one loop; 0 if there is none.

    ``find`` gives the loop; ``key`` names it in the cache, unless it is None.
    """

    def __init__(self, find: Callable[[], Tailored | None], key: str | None) -> None:
        self._find = find
        self._key = key
        self._made: dict[tuple[int, ...], kernels.Linked | None] = {}
        self._making = threading.Lock()

    def __call__(self, *sizes: int) -> int:
        """The address of the kernel for steps of these ``sizes``."""
        with self._making:
            if sizes not in self._made:
                if len(self._made) >= MOST_KNOWN or sum(map(bool, self._made.values())) >= MOST:
                    return 0
                self._made[sizes] = self._make(sizes)
            made = self._made[sizes]
        return made.addresses[0] if made else 0

    def _make(self, sizes: Sequence[int]) -> kernels.Linked | None:
        cache = object_cache()
        entry = None
        if self._key is not None:
            entry = hashlib.sha256(f"{self._key} {sizes}".encode()).hexdigest()
            known, linked = _read(cache, entry)
            if known:
                return linked
        loop = self._find()
        function = None if loop is None else loop.kernel(sizes)
        made = None if function is None else kernels.link([function])
        if entry is not None and loop is not None:
            cache.put(entry, _STAMP + json.dumps(made.keys if made else []).encode())
        return made


def _read(cache: Any, entry: str) -> tuple[bool, kernels.Linked | None]:
    """Whether the cache knows what there is for some sizes, and the kernel, if there is one."""
    data = cache.get(entry)
    if data is None or not data.startswith(_STAMP):
        return False, None
    try:
        keys = json.loads(data[len(_STAMP) :])
        if not keys:
            return True, None
        (key,) = keys
        found = cache.get(key)
    except (ValueError, TypeError):
        return False, None
    return (False, None) if found is None else (True, kernels.load([found], [kernels.symbol(key)]))
