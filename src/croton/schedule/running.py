"""Running the steps of a plan from Python, without a Program: for tests and measurements."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from croton.schedule.counts import evaluate
from croton.schedule.steps import NOTHING, Plan, Step

Array = np.ndarray[Any, np.dtype[Any]]

_KERNEL = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
)


class Callee:
    """A kernel in native code with its buffers and sizes, as a ``Call`` finds it."""

    def __init__(self, address: int, buffers: list[Array], sizes: list[int]) -> None:
        self._arrays = buffers
        self._buffers = (ctypes.c_void_p * max(1, len(buffers)))(*map(_address, buffers))
        self._sizes = (ctypes.c_int64 * max(1, len(sizes)))(*sizes)
        self.words = np.array(
            [address, ctypes.addressof(self._buffers), ctypes.addressof(self._sizes)], np.int64
        )


def run(
    plan: Plan,
    address: Callable[[str], int],
    buffers: dict[str, Array],
    names: dict[str, int],
    cuts: Callable[[int], list[tuple[int, int]]] | None = None,
) -> None:
    """Run all steps on ``buffers``, with kernels at ``address(name)`` and sizes ``names``.

    ``cuts`` says in which parts the items of a step run.
    """
    itemsize = np.dtype(plan.dtype).itemsize
    held = dict(buffers)
    for name, elements in plan.temporaries:
        held[name] = aligned(max(1, evaluate(elements, names)) * itemsize).view(plan.dtype)
    for step in plan.steps:
        _launch(step, address(step.kernel), held, names, cuts)


def aligned(size: int) -> Array:
    """``size`` bytes at a multiple of 64."""
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


def _launch(
    step: Step,
    address: int,
    buffers: dict[str, Array],
    names: dict[str, int],
    cuts: Callable[[int], list[tuple[int, int]]] | None,
) -> None:
    items = evaluate(step.items, names)
    if items == 0:
        return
    pointers = (ctypes.c_void_p * len(step.buffers))(
        *(None if b == NOTHING else _address(buffers[b]) for b in step.buffers)
    )
    sizes = (ctypes.c_int64 * len(step.sizes))(*(evaluate(s, names) for s in step.sizes))
    scratch = aligned(evaluate(step.scratch, names))
    kernel = _KERNEL(address)
    for lo, hi in [(0, items)] if cuts is None else cuts(items):
        status = kernel(pointers, sizes, lo, hi, scratch.ctypes.data)
        if status:
            raise RuntimeError(f"{step.kernel} failed with status {status}")


def _address(array: Array) -> int:
    return int(array.ctypes.data)
