"""From kernels to machine code: made once, kept in the cache one by one."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from croton.codegen import llvm, native
from croton.codegen.targets import cpu
from croton.compile.caching import build_id, object_cache
from croton.compile.workers import Workers
from croton.kernel.nodes import Function, walk_statements
from croton.kernel.structure import structure
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
    """What identifies the machine code of a kernel: all of it but the name, and the target."""
    body = function.identity or structure(function)
    return hashlib.sha256((_target_key() + body).encode()).hexdigest()


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
    def of(cls, functions: Sequence[Function], key: Callable[[Function], str] = kernel_key) -> Code:
        """That of kernels which are at hand."""
        keys = list(map(key, functions))
        return cls(keys, dict(zip(keys, functions, strict=True)))

    def need(self, numbers: Iterable[int], ahead: Ahead | None = None) -> None:
        """Have the kernels at these places of ``keys``: from the cache, or newly compiled.

        Of those that ``ahead`` has begun it has what came of it.
        Any number of threads may call this.  RuntimeError if ``again`` lacks a kernel.
        """
        with making:
            keys = {self.keys[k] for k in numbers if not self.addresses[k]}
            if not keys:
                return
            if ahead is None:
                with Ahead() as made:
                    objects = made.objects(sorted(keys), self._function)
            else:
                objects = ahead.objects(sorted(keys), self._function)
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


class Ahead:
    """Object code of kernels that are compiled while others are still being made.

    What has begun is waited for at the end of a ``with`` block, and nothing more begins.
    """

    def __init__(self) -> None:
        self._cache = object_cache()
        self._workers = Workers(self._compile, native.cores_available() - 1)
        self._functions: dict[str, Function] = {}
        self._found: dict[str, bytes] = {}
        self._texts: dict[str, str] = {}
        self._keys: dict[int, tuple[str, Function]] = {}
        self._seconds: list[float] = []

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()
        if self._functions:
            native.give_back(sum(self._seconds))

    def key(self, function: Function) -> str:
        """What identifies the kernel's code: found once for each."""
        known = self._keys.get(id(function))
        if known is None:
            known = self._keys[id(function)] = kernel_key(function), function
        return known[0]

    def begin(self, function: Function, *, at_once: bool = False) -> None:
        """Have the kernel, soon.

        ``at_once``: this thread writes LLVM's text before it goes on.  Another one would have to
        share the interpreter with it, and code generation, which need not, would begin later.
        """
        self._begin(self.key(function), lambda _: function, at_once)

    def objects(self, keys: Sequence[str], function: Callable[[str], Function]) -> list[bytes]:
        """The code of the kernels called ``keys``, of which ``function`` tells what they are."""
        for key in keys:
            self._begin(key, function)
        for key in keys:
            if key in self._found:
                counters["found"] += 1
            else:
                self._found[key] = self._workers.result(key)
                self._cache.put(key, self._found[key])
                counters["compiled"] += 1
        return [self._found[key] for key in keys]

    def _begin(self, key: str, function: Callable[[str], Function], at_once: bool = False) -> None:
        if key in self._found or key in self._functions:
            return
        found = self._cache.get(key)
        if found is not None:
            self._found[key] = found
            return
        kernel = self._functions[key] = function(key)
        if at_once:
            self._texts[key] = self._text(key)
        self._workers.ask(key, sum(1 for _ in walk_statements(kernel.body)))

    def _text(self, key: str) -> str:
        target = cpu.host()
        named = self._functions[key]._replace(name=symbol(key))
        return llvm.render([vectorise(named, target.machine)], target)

    def _compile(self, key: str) -> bytes:
        began = time.thread_time()
        text = self._texts.pop(key, None) or self._text(key)
        code = cpu.host().compile(text)
        self._seconds.append(time.thread_time() - began)
        return code
