"""Running a convolution's plan from Python, without a Program: for tests and measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from croton.schedule.convolution.names import KINDS
from croton.schedule.running import Array, Callee, run
from croton.schedule.steps import Plan


def sizes_of(
    x: Sequence[int],
    w: Array,
    y: Sequence[int],
    strides: Sequence[int],
    before: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> dict[str, int]:
    """All names of a convolution.

    ``x`` and ``y`` are shapes (batch, spatial..., channels) with one to three spatial
    dimensions; ``w`` is an array (spatial..., channels of a group, all filters).
    """
    rank = len(strides)
    fill = 3 - rank
    names = {"batch": x[0], "groups": groups, "channels": x[-1] // groups}
    names["filters"] = y[-1] // groups
    for prefix, values, neutral in (
        ("x", x[1:-1], 1),
        ("k", w.shape[:rank], 1),
        ("y", y[1:-1], 1),
        ("stride", strides, 1),
        ("before", before, 0),
        ("dilation", dilation, 1),
        ("w_step", [s // w.itemsize for s in w.strides[:rank]], 0),
    ):
        whole = [neutral] * fill + [int(v) for v in values]
        names |= {f"{prefix}{d}": v for d, v in enumerate(whole)}
    names |= {"w_start": 0, "w_channel": w.strides[-2] // w.itemsize}
    names["w_filter"] = w.strides[-1] // w.itemsize
    return names


def run_convolution(
    kind: str,
    plan: Plan,
    address: Callable[[str], int],
    names: dict[str, int],
    left: Array,
    right: Array,
    out: Array | None = None,
    *,
    epilogue: Callee | None = None,
    cuts: Callable[[int], list[tuple[int, int]]] | None = None,
) -> Array | None:
    """The result of a convolution of ``kind``, given its two arrays (see :data:`KINDS`)."""
    first, second, result = KINDS[kind]
    buffers = {first: left, second: right}
    if epilogue is not None:
        buffers["epilogue"] = epilogue.words
    else:
        if out is None:
            out = np.empty(_count(names, result), plan.dtype)
        buffers[result] = out
    run(plan, address, buffers, names, cuts)
    return out


def _count(names: dict[str, int], result: str) -> tuple[int, ...]:
    places = tuple(names[f"{'k' if result == 'w' else result}{d}"] for d in range(3))
    groups, channels, filters = (names[n] for n in ("groups", "channels", "filters"))
    if result == "w":
        return (*places, channels, groups * filters)
    return (names["batch"], *places, groups * (channels if result == "x" else filters))
