"""Running a plan from Python, without a Program: for tests and measurements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from croton.schedule.running import Array, Callee, run
from croton.schedule.steps import Plan


def run_product(
    plan: Plan,
    address: Callable[[str], int],
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    d: Array | None = None,
    epilogue: Callee | None = None,
    cuts: Callable[[int], list[tuple[int, int]]] | None = None,
) -> Array | None:
    """``a @ b`` for arrays of rank 3, by the kernels at ``address(name)``.

    The product is stored into ``c`` (a new array if that is None), or goes to
    ``epilogue``.  The plan may add ``d``.  ``cuts`` says in which parts the items of a step run.
    """
    names = sizes_of(a, b) | {"c_batch": 0, "c_row": 0}
    if c is None and epilogue is None:
        c = np.empty((a.shape[0], a.shape[1], b.shape[2]), a.dtype)
    if c is not None:
        names |= {"c_batch": c.strides[0] // c.itemsize, "c_row": c.strides[1] // c.itemsize}
    buffers: dict[str, Array] = {"a": a, "b": b}
    if c is not None:
        buffers["c"] = c
    if d is not None:
        buffers["d"] = d
        names |= {"d_batch": d.strides[0] // d.itemsize, "d_row": d.strides[1] // d.itemsize}
    if epilogue is not None:
        buffers["epilogue"] = epilogue.words
    run(plan, address, buffers, names, cuts)
    return c


def sizes_of(a: Array, b: Array) -> dict[str, int]:
    """The extents and the strides, in elements, of two factors of rank 3."""
    (batch, m, k), n = a.shape, b.shape[2]
    strides = [s // a.itemsize for s in (*a.strides, *b.strides)]
    names = ("a_batch", "a_row", "a_inner", "b_batch", "b_inner", "b_column")
    return {"batch": batch, "m": m, "n": n, "k": k} | dict(zip(names, strides, strict=True))
