"""What a slice means: where it starts and how much it takes, for known or symbolic sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.graph.variable import Constant, Variable
from croton.tensor.convert import constant
from croton.tensor.elementwise import ge, lt, maximum, minimum, switch


def _number(v: Any) -> int | None:
    if isinstance(v, Constant):
        return int(v.data)
    return None if isinstance(v, Variable) else int(v)


def _fixed(n: int) -> Any:
    return constant(np.int64(n))


def canonical(start: Any, stop: Any, step: Any, size: Any) -> tuple[Any, Any, Any]:
    """``(first, count, step)`` of ``range(size)[start:stop:step]`` as int64 scalars.

    Arguments are ints, int64 scalar variables or None; known values are folded.
    Raises ValueError for a known step of 0.
    """
    stride = 1 if step is None else _number(step)
    if stride == 0:
        raise ValueError("slice step cannot be zero")
    n = _number(size)
    known = [None if v is None else _number(v) for v in (start, stop)]
    if (
        n is not None
        and stride is not None
        and all(v is None or k is not None for v, k in zip((start, stop), known, strict=True))
    ):
        taken = range(n)[slice(known[0], known[1], stride)]
        return _fixed(taken.start), _fixed(len(taken)), _fixed(stride)
    if stride is None:
        return _symbolic_step(start, stop, step, size)
    if stride > 0:
        if start is None and stop is None and stride == 1:
            return _fixed(0), size, _fixed(1)
        first = _fixed(0) if start is None else _clamp(start, size, _fixed(0), size)
        last = size if stop is None else _clamp(stop, size, _fixed(0), size)
        span = last if _number(first) == 0 else last - first
    else:
        end = size - 1
        first = end if start is None else _clamp(start, size, _fixed(-1), end)
        last = _fixed(-1) if stop is None else _clamp(stop, size, _fixed(-1), end)
        span = first - last
    magnitude = abs(stride)
    count = span if magnitude == 1 else (span + (magnitude - 1)) // _fixed(magnitude)
    if not (start is None and stop is None):
        count = maximum(count, _fixed(0))
    return first, count, _fixed(stride)


def _clamp(v: Any, size: Any, low: Any, high: Any) -> Any:
    number = _number(v)
    if number is not None:
        if number >= 0:
            return minimum(_fixed(number), high)
        return maximum(size + _fixed(number), low)
    wrapped = switch(lt(v, 0), v + size, v)
    return minimum(maximum(wrapped, low), high)


def _symbolic_step(start: Any, stop: Any, step: Any, size: Any) -> tuple[Any, Any, Any]:
    forward = ge(step, 0)
    end = size - 1
    low = switch(forward, _fixed(0), _fixed(-1))
    high = switch(forward, size, end)
    first = (
        switch(forward, _fixed(0), end)
        if start is None
        else _clamp(_variable(start), size, low, high)
    )
    last = (
        switch(forward, size, _fixed(-1))
        if stop is None
        else _clamp(_variable(stop), size, low, high)
    )
    span = switch(forward, last - first, first - last)
    magnitude = switch(forward, step, -step)
    return first, maximum((span + magnitude - 1) // magnitude, _fixed(0)), step


def _variable(v: Any) -> Any:
    return v if isinstance(v, Variable) else _fixed(v)


def wrap_index(i: Any, size: Any) -> Any:
    """A possibly negative position as one from the start."""
    number = _number(i)
    if number is not None:
        return _fixed(number) if number >= 0 else size + _fixed(number)
    return switch(lt(i, 0), i + size, i)
