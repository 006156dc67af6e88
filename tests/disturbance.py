"""How far two correct ways of computing a program may be apart.

That depends on the program.  It is found by computing it several times with every rounding
operation disturbed a little, in another order, and with every decision on a rounded number
(a comparison, a rounding to integers) pushed one way and the other: where such runs differ
among themselves by much, so may compiled code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.graph.traversal import toposort
from croton.graph.variable import Constant

#: Elementwise functions that round nothing, or jump where a disturbance would push them.
EXACT = frozenset(
    "neg abs maximum minimum switch clip identity lt le gt ge eq ne isnan isinf and or xor invert "
    "floor ceil trunc round_half_to_even round_half_away_from_zero sgn int_div mod".split()
)
ROUNDING = frozenset("Reduce Dot Softmax LogSoftmax SquaredDeviations IncSubtensor "
                     "AdvancedIncSubtensor".split())  # fmt: skip
#: Elementwise functions that jump where their arguments are equal, and those of one argument.
COMPARING = frozenset("lt le gt ge eq ne".split())
JUMPING = frozenset("floor ceil trunc round_half_to_even round_half_away_from_zero sgn int_div "
                    "mod isinf isnan".split())  # fmt: skip
#: What each run does where numbers decide: nothing, push them up, down, let those nearby be equal.
RUNS = ("plain", "up", "down", "equal")
ANYTHING = (np.nan, np.inf, 0.0, 1.0)
#: How many times its disturbance a number is pushed.
PUSH = 8


def _name(node: Any) -> str:
    kind = type(node.op).__name__
    return node.op.name if kind == "Elemwise" else kind


def _is_cast(node: Any) -> bool:
    return type(node.op).__name__ == "Elemwise" and node.op.name.startswith("Cast")


def rounds(node: Any) -> bool:
    """Whether the result of an application is rounded."""
    name = _name(node)
    if _is_cast(node):
        return not np.can_cast(np.dtype(node.inputs[0].type.dtype), node.outputs[0].type.dtype)
    if name == "Reduce":
        return node.op.kind in ("sum", "prod")
    if type(node.op).__name__ == "Elemwise":
        return name not in EXACT
    return name in ROUNDING


def disturbed(x: Any, rng: Any) -> Any:
    """Floats, each a few units in the last place off."""
    if x.dtype.kind != "f":
        return x
    units = 1 if x.dtype == np.float16 else 4
    factor = 1 + units * np.finfo(x.dtype).eps * rng.uniform(-1, 1, x.shape)
    return np.asarray(x * factor.astype(np.promote_types(x.dtype, np.float32)), x.dtype)


def _reordered(node: Any, inputs: list[Any], rng: Any) -> list[Any]:
    """What is summed (or multiplied) in another order."""
    name = _name(node)
    if name == "Reduce":
        (x,) = inputs
        for axis in node.op.axis:
            x = np.take(x, rng.permutation(x.shape[axis]), axis)
        return [x]
    if name == "Dot":
        a, b = inputs
        if a.shape[-1] == b.shape[-2]:
            order = rng.permutation(a.shape[-1])
            return [a[..., order], b[..., order, :]]
    return inputs


def _overflows(node: Any, inputs: list[Any], result: Any) -> Any:
    """Where parts of a sum or product leave the range of its floats in some order."""
    if result.dtype.kind != "f" or _name(node) not in ("Reduce", "Dot", "SquaredDeviations"):
        return np.zeros(result.shape, bool)
    info = np.finfo(result.dtype)
    sizes = [np.where(np.isfinite(x), np.abs(x.astype(float)), 0.0) for x in inputs]
    if _name(node) == "Dot":
        return np.matmul(*sizes) > float(info.max)
    axis, (size,) = node.op.axis, sizes
    if _name(node) == "SquaredDeviations":
        return 4 * np.square(size).sum(axis) > float(info.max)
    if node.op.kind == "sum":
        return size.sum(axis) > float(info.max)
    logarithm = np.log2(np.where(size > 0, size, 1.0))
    large, small = (f(logarithm, 0.0).sum(axis) for f in (np.maximum, np.minimum))
    return (large >= info.maxexp - 1) | (small <= info.minexp)


def _stray(node: Any, x: Any, rng: Any) -> Any:
    # Numbers that are computed where they are read may deviate although they are equal.
    off = 4 * np.finfo(x.dtype).eps * rng.uniform(0, 1) * x
    return np.square(off).sum(node.op.axis)


def _noise(x: Any, plain: Any) -> Any:
    """How far numbers are off, about; no less than they are off in the mean."""
    off = np.abs(x.astype(float) - plain.astype(float))
    off = np.where(np.isfinite(off), off, 0.0)
    return np.maximum(off, off.mean() if off.size else 0.0)


def _decides(node: Any) -> bool:
    """Whether a result jumps as inputs grow, at places other than infinities."""
    name = _name(node)
    if name == "Reduce":
        return node.op.kind in ("any", "all")
    to_integer = _is_cast(node) and np.dtype(node.outputs[0].type.dtype).kind != "f"
    return name in COMPARING or name in JUMPING or name == "Argmax" or to_integer


def _pushed(node: Any, inputs: list[Any], plain: list[Any], how: str, rng: Any) -> list[Any]:
    """Numbers that something depends on discretely, moved the way that a run says."""
    x = inputs[0]
    if x.dtype.kind != "f" or how == "plain" or [i.shape for i in inputs] != [
        p.shape for p in plain
    ]:  # fmt: skip
        return inputs
    room = PUSH * _noise(x, plain[0])
    name = _name(node)
    other = None
    if name in COMPARING:
        other = inputs[1]
        if other.dtype.kind == "f":
            room = room + PUSH * _noise(other, plain[1])
    if how == "equal":
        target = np.zeros((), x.dtype) if other is None else other
        near = np.abs(x.astype(float) - target.astype(float)) <= room
        moved = np.where(near, target, x)
    elif name == "Argmax":
        moved = x + room * rng.choice([-1, 1], x.shape)
    else:
        moved = x + (room if how == "up" else -room)
    return [np.asarray(moved, x.dtype), *inputs[1:]]


def _undefined(node: Any, inputs: list[Any], result: Any, rng: Any) -> Any:
    """A cast's result, arbitrary where a number does not fit into the integers."""
    x = np.asarray(inputs[0])
    if not (_is_cast(node) and x.dtype.kind == "f" and result.dtype.kind in "iu"):
        return result
    info = np.iinfo(result.dtype)
    fits = (x > float(info.min) - 1) & (x < float(info.max) + 1)
    return np.where(fits, result, rng.integers(0, 100, x.shape)).astype(result.dtype)


def every_value(
    outputs: list[Any],
    known: dict[Any, Any],
    run: int | None = None,
    replacing: bool = False,
    plain: dict[Any, Any] | None = None,
) -> dict[Any, Any]:
    """All values by each op's NumPy definition; those of a disturbed run, if there is one.

    With ``replacing`` numbers stand for NaN and infinities that operations give.
    ``plain`` holds the values where nothing is disturbed.
    """
    values = dict(known)
    rng = None if run is None else np.random.default_rng(run)

    def value(v: Any, where: dict[Any, Any]) -> Any:
        return np.asarray(v.data if v not in where and isinstance(v, Constant) else where[v])

    with np.errstate(all="ignore"):
        for node in toposort(outputs, list(known)):
            inputs = [value(v, values) for v in node.inputs]
            rounding = rng is not None and rounds(node)
            if rng is not None and run is not None and plain is not None and _decides(node):
                before = [value(v, plain) for v in node.inputs]
                inputs = _pushed(node, inputs, before, RUNS[run], rng)
            if rounding:
                inputs = _reordered(node, [disturbed(x, rng) for x in inputs], rng)
            storage: list[list[Any]] = [[None] for _ in node.outputs]
            node.op.perform(node, inputs, storage)
            for v, cell in zip(node.outputs, storage, strict=True):
                result = np.asarray(cell[0])
                if rng is not None:
                    result = _undefined(node, inputs, result, rng)
                values[v] = disturbed(result, rng) if rounding else result
                if rounding and _name(node) == "SquaredDeviations":
                    values[v] = values[v] + _stray(node, inputs[0], rng)
                if rounding and run is not None:
                    anything = _overflows(node, inputs, result)
                    values[v] = np.where(anything, ANYTHING[run], values[v]).astype(result.dtype)
                if rounding and replacing:
                    odd = ~np.isfinite(result)
                    # One run for each way in which a number may compare with others.
                    sign = {"plain": 1, "up": 3, "down": -3, "equal": 0}[RUNS[run or 0]]
                    number = sign * (abs(rng.standard_normal(odd.shape)) if sign else 1.0)
                    values[v] = np.where(odd, number, values[v]).astype(result.dtype)
        for v in outputs:
            values[v] = value(v, values)
    return values


def evaluated(outputs: list[Any], known: dict[Any, Any]) -> list[Any]:
    """The outputs by each op's NumPy definition."""
    values = every_value(outputs, known)
    return [values[v] for v in outputs]


def not_finite(outputs: list[Any], known: dict[Any, Any]) -> bool:
    """Whether some operation gives NaN or infinity."""
    values = every_value(outputs, known)
    return not all(
        np.all(np.isfinite(np.asarray(x).astype(float))) for v, x in values.items() if v.owner
    )


def slack(
    outputs: list[Any], known: dict[Any, Any], values: list[Any], rewriting: bool = False
) -> list[Any] | None:
    """For each element of ``values`` how far off it may be, NaN where it may be anything.

    None if a disturbance makes the program fail.  Where an operation gives NaN or infinity,
    rewriting may give a number (``x / x`` is 1, the logarithm of a sum does not overflow).
    """
    farthest = [np.zeros(x.shape) for x in values]
    plain = every_value(outputs, known)
    for run in range(len(RUNS)):
        try:
            found = every_value(outputs, known, run, rewriting, plain)
        except (ValueError, IndexError):
            return None
        for k, (v, x) in enumerate(zip(outputs, values, strict=True)):
            y = found[v]
            if x.shape != y.shape:
                return None
            with np.errstate(all="ignore"):
                off = np.abs(x.astype(float) - y.astype(float))
            same = (x == y) | ((x != x) & (y != y))
            farthest[k] = np.maximum(farthest[k], np.where(same, 0.0, off))
            farthest[k] = np.where(np.isinf(farthest[k]), np.nan, farthest[k])
    room = []
    for x, far in zip(values, farthest, strict=True):
        if x.dtype.kind != "f":
            room.append(np.where(far > 0, np.nan, 0.0))
            continue
        usual = float(np.nanmean(far)) if np.any(far == far) else 0.0
        info = np.finfo(x.dtype)
        size = np.where(np.isfinite(x), np.abs(x.astype(float)), 0.0)
        with np.errstate(over="ignore"):
            room.append(16 * far + 4 * usual + 16 * float(info.eps) * size + 4 * float(info.tiny))
    return room
