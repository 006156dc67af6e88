"""From kernels to machine code: made once, kept in the cache one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.compile.caching import build_id, object_cache
from croton.kernel.nodes import Function, walk_statements
from croton.kernel.text import text
from croton.kernel.vectorise import vectorise

#: Counts what was compiled and what was found, for tests and reports.
counters = {"compiled": 0, "found": 0}


class Linked(NamedTuple):
    """Kernels in memory: ``library`` keeps them there."""

    addresses: list[int]
    library: Any
    names: list[str]
    keys: list[str]


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


def load(objects: Sequence[bytes], names: Sequence[str]) -> Linked:
    """Machine code that the cache kept, in memory again."""
    library = cpu.host().load(*objects)
    counters["found"] += len(objects)
    return Linked([library.address(name) for name in names], library, list(names), [])


def link(functions: Sequence[Function]) -> Linked:
    """Machine code of ``functions``, from the cache or newly compiled (in parallel)."""
    target = cpu.host()
    cache = object_cache()
    keys = [kernel_key(f) for f in functions]
    names = list(map(symbol, keys))
    objects: dict[str, bytes] = {}
    missing: list[tuple[str, Function]] = []
    for key, name, function in zip(keys, names, functions, strict=True):
        if key in objects or any(key == k for k, _ in missing):
            continue
        found = cache.get(key)
        if found is None:
            missing.append((key, function._replace(name=name)))
        else:
            objects[key] = found
            counters["found"] += 1
    if missing:
        # The largest first: then the others fill the time until it is done.
        missing.sort(key=lambda pair: -sum(1 for _ in walk_statements(pair[1].body)))
        texts = (llvm.render([vectorise(f, target.machine)], target) for _, f in missing)
        for (key, _), data in zip(missing, target.compile_many(texts), strict=True):
            objects[key] = data
            cache.put(key, data)
            counters["compiled"] += 1
    library = target.load(*objects.values())
    return Linked([library.address(name) for name in names], library, names, keys)
