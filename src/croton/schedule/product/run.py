"""Running a plan from Python, without a Program: for tests and measurements."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from croton.schedule.product.counts import evaluate
from croton.schedule.product.plan import Plan, Step

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


def run_product(
    plan: Plan,
    address: Callable[[str], int],
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    epilogue: Callee | None = None,
    cuts: Callable[[int], list[tuple[int, int]]] | None = None,
) -> Array | None:
    """``a @ b`` for arrays of rank 3, by the kernels at ``address(name)``.

    The product is stored into ``c`` (a new array if that is None), or goes to
    ``epilogue``.  ``cuts`` says in which parts the items of a step run.
    """
    names = sizes_of(a, b)
    if c is None and epilogue is None:
        c = np.empty((a.shape[0], a.shape[1], b.shape[2]), a.dtype)
    if c is not None:
        names |= {"c_batch": c.strides[0] // c.itemsize, "c_row": c.strides[1] // c.itemsize}
    buffers: dict[str, Array] = {"a": a, "b": b}
    if c is not None:
        buffers["c"] = c
    if epilogue is not None:
        buffers["epilogue"] = epilogue.words
    for name, elements in plan.temporaries:
        buffers[name] = aligned(max(1, evaluate(elements, names)) * a.itemsize).view(a.dtype)
    for step in plan.steps:
        _launch(step, address(step.kernel), buffers, names, cuts)
    return c


def sizes_of(a: Array, b: Array) -> dict[str, int]:
    """The extents and the strides, in elements, of two factors of rank 3."""
    (batch, m, k), n = a.shape, b.shape[2]
    strides = [s // a.itemsize for s in (*a.strides, *b.strides)]
    names = ("a_batch", "a_row", "a_inner", "b_batch", "b_inner", "b_column")
    return {"batch": batch, "m": m, "n": n, "k": k} | dict(zip(names, strides, strict=True))


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
    pointers = (ctypes.c_void_p * len(step.buffers))(*(_address(buffers[b]) for b in step.buffers))
    sizes = (ctypes.c_int64 * len(step.sizes))(*(evaluate(s, names) for s in step.sizes))
    scratch = aligned(evaluate(step.scratch, names))
    kernel = _KERNEL(address)
    for lo, hi in [(0, items)] if cuts is None else cuts(items):
        status = kernel(pointers, sizes, lo, hi, scratch.ctypes.data)
        if status:
            raise RuntimeError(f"{step.kernel} failed with status {status}")


def _address(array: Array) -> int:
    return int(array.ctypes.data)
