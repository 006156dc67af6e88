"""From kernels to machine code: made once, kept in the cache one by one."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.compile.caching import build_id, object_cache
from croton.kernel.nodes import Function, walk_statements
from croton.kernel.text import text
from croton.kernel.vectorise import vectorise

#: Counts what was compiled and what was found, for tests and reports.
counters = {"compiled": 0, "found": 0}


#: Held while machine code is made and loaded.  A process does not fork meanwhile: in the child
#: nobody would end it.
making = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=making.acquire, after_in_parent=making.release, after_in_child=making.release
    )


@lru_cache(maxsize=1)
def _target_key() -> str:
    target = cpu.host()
    return repr((build_id(), target.triple, target.cpu, sorted(target.instructions)))


def kernel_key(function: Function) -> str:
    """What identifies the machine code of a kernel: its text without the name, and the target."""
    body = function.identity or text(function._replace(name="kernel"))
    unseen = repr((function.contract, [b.align for b in function.buffers]))
    return hashlib.sha256((_target_key() + unseen + body).encode()).hexdigest()


def symbol(key: str) -> str:
    """What the kernel that ``key`` identifies is called in its object."""
    return "k" + key[:24]


class Code:
    """The machine code of kernels, which are compiled and loaded when somebody needs them.

    ``keys`` identify them.  ``addresses`` are where they are: 0 for those that nobody needed yet;
    they are valid as long as this lives.  ``functions`` are kernels by key; those that are neither
    among them nor in the cache are among what ``again`` gives.
    """

    def __init__(
        self,
        keys: Sequence[str],
        functions: Mapping[str, Function],
        again: Callable[[], Iterable[Function]] = tuple,
    ) -> None:
        self.keys = keys
        self.addresses = [0] * len(keys)
        self._functions = dict(functions)
        self._again = again
        self._libraries: list[Any] = []

    @classmethod
    def of(cls, functions: Sequence[Function]) -> Code:
        """That of kernels which are at hand."""
        keys = list(map(kernel_key, functions))
        return cls(keys, dict(zip(keys, functions, strict=True)))

    def need(self, numbers: Iterable[int]) -> None:
        """Have the kernels at these places of ``keys``: from the cache, or newly compiled.

        Any number of threads may call this.  RuntimeError if ``again`` lacks a kernel.
        """
        with making:
            keys = {self.keys[k] for k in numbers if not self.addresses[k]}
            if not keys:
                return
            objects = _objects(sorted(keys), self._function)
            library = cpu.host().load(*objects)
            self._libraries.append(library)
            for k, key in enumerate(self.keys):
                if key in keys:
                    self.addresses[k] = library.address(symbol(key))
                    self._functions.pop(key, None)

    def _function(self, key: str) -> Function:
        if key not in self._functions:
            self._functions = {kernel_key(f): f for f in self._again()}
        if key not in self._functions:
            raise RuntimeError(
                "a function that was found in the cache needs a kernel that its graph does not "
                "give any more: make the function again"
            )
        return self._functions[key]


def link(functions: Sequence[Function]) -> Code:
    """Machine code of ``functions``, all of them."""
    code = Code.of(functions)
    code.need(range(len(functions)))
    return code


def _objects(keys: Sequence[str], function: Callable[[str], Function]) -> list[bytes]:
    """The object code of kernels, from the cache or newly compiled (in parallel)."""
    target = cpu.host()
    cache = object_cache()
    found = {key: cache.get(key) for key in keys}
    missing = [(key, function(key)) for key, data in found.items() if data is None]
    counters["found"] += len(found) - len(missing)
    if missing:
        # The largest first: then the others fill the time until it is done.
        missing.sort(key=lambda pair: -sum(1 for _ in walk_statements(pair[1].body)))
        texts = (
            llvm.render([vectorise(f._replace(name=symbol(key)), target.machine)], target)
            for key, f in missing
        )
        for (key, _), data in zip(missing, target.compile_many(texts), strict=True):
            found[key] = data
            cache.put(key, data)
            counters["compiled"] += 1
    return [data for data in found.values() if data is not None]
