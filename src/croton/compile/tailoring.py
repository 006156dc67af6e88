"""Kernels of loops for the sizes that calls tell, compiled when a call first needs them.

What was compiled is kept in the object cache, so that later processes only load it.  Where
calls have ever other sizes, the loop's own instructions serve those that come later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from croton.compile import kernels
from croton.compile.caching import object_cache
from croton.kernel.nodes import Function
from croton.schedule.tailored import Tailored

#: Combinations of sizes that a loop gets a kernel for, and those that are remembered at all.
MOST, MOST_KNOWN = 8, 64

_STAMP = b"croton tailored 1\n"


class Tailor:
    """Tells the address of the kernel for some sizes of one loop; 0 if there is none.

    ``find`` gives the loop; ``key`` names it in the cache, unless it is None.
    """

    def __init__(self, find: Callable[[], Tailored], key: str | None) -> None:
        self._find = find
        self._key = key
        self._made: dict[tuple[int, ...], kernels.Code | None] = {}

    def __call__(self, *sizes: int) -> int:
        """The address of the kernel for steps of these ``sizes``."""
        with kernels.making:
            if sizes not in self._made:
                if len(self._made) >= MOST_KNOWN or sum(map(bool, self._made.values())) >= MOST:
                    return 0
                self._made[sizes] = self._make(sizes)
            made = self._made[sizes]
        return made.addresses[0] if made else 0

    def _make(self, sizes: Sequence[int]) -> kernels.Code | None:
        cache = object_cache()
        entry = None
        code = None
        if self._key is not None:
            entry = hashlib.sha256(f"{self._key} {sizes}".encode()).hexdigest()
            keys = _read(cache.get(entry))
            if keys is not None:
                code = kernels.Code(keys, {}, lambda: self._functions(sizes))
        if code is None:
            code = kernels.Code.of(self._functions(sizes))
            if entry is not None:
                cache.put(entry, _STAMP + json.dumps(code.keys).encode())
        if not code.keys:
            return None
        code.need([0])
        return code

    def _functions(self, sizes: Sequence[int]) -> list[Function]:
        """The kernel for these sizes, if there is one."""
        function = self._find().kernel(sizes)
        return [] if function is None else [function]


def _read(data: bytes | None) -> list[str] | None:
    """The key of the kernel for some sizes, if there is one; None if that is not known."""
    if data is None or not data.startswith(_STAMP):
        return None
    try:
        keys = json.loads(data[len(_STAMP) :])
    except ValueError:
        return None
    is_list = isinstance(keys, list) and len(keys) < 2 and all(isinstance(k, str) for k in keys)
    return keys if is_list else None
