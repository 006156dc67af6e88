"""Sizes of convolutions: what a filter covers, the padding, how many positions it has.

The functions compute with Python integers, with symbolic int64 scalars, and with
:data:`UNKNOWN`, so that building, checking in a call and the NumPy reference share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.variable import Constant
from croton.tensor.convert import constant
from croton.tensor.shapes import known_size

WORDS = ("half", "same", "full")
"""Paddings that follow from the filter's size, which may be known only in a call."""

Padding = tuple[int, int] | str


class _Unknown:
    """A size that nobody knows yet: whatever is computed from it is unknown too."""

    def _same(self, other: Any) -> _Unknown:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _same
    __floordiv__ = __rfloordiv__ = _same

    def __repr__(self) -> str:
        return "?"


UNKNOWN = _Unknown()


def from_type(shape: Sequence[int | None]) -> list[Any]:
    """The sizes that a type knows."""
    return [UNKNOWN if n is None else n for n in shape]


def from_variables(sizes: Sequence[Any]) -> list[Any]:
    """int64 scalars, the constants among them as integers."""
    return [s if known_size(s) is None else known_size(s) for s in sizes]


def to_variable(size: Any) -> Any:
    """A size as an int64 scalar."""
    return constant(np.int64(size)) if isinstance(size, int) else size


def to_known(size: Any) -> int | None:
    """A size for a type: the number, or None."""
    return size if isinstance(size, int) else None


def extent(filter_size: Any, dilation: int) -> Any:
    """How far a filter reaches: ``(filter_size - 1) * dilation + 1``.

    >>> extent(3, 1), extent(3, 2)
    (3, 5)
    """
    return filter_size if dilation == 1 else (filter_size - 1) * dilation + 1


def pads(padding: Padding, filter_size: Any, dilation: int) -> tuple[Any, Any]:
    """The zeros before and after the image.

    ``"half"`` is ``extent // 2`` on both sides; ``"same"`` is ``extent - 1`` in all, the
    odd one after the image; ``"full"`` is ``extent - 1`` on both sides.

    >>> pads("half", 4, 1), pads("same", 4, 1), pads("full", 4, 1), pads((1, 2), 4, 1)
    ((2, 2), (1, 2), (3, 3), (1, 2))
    """
    if isinstance(padding, tuple):
        return padding
    reach = extent(filter_size, dilation)
    if padding == "half":
        return reach // 2, reach // 2
    if padding == "full":
        return reach - 1, reach - 1
    before = (reach - 1) // 2
    return before, reach - 1 - before


def padded(image: Any, filter_size: Any, padding: Padding, dilation: int) -> Any:
    """The size of the image with its padding."""
    before, after = pads(padding, filter_size, dilation)
    return image + (before + after)


def positions(image: Any, filter_size: Any, padding: Padding, stride: int, dilation: int) -> Any:
    """How many positions a filter has: ``(padded - extent) // stride + 1``.

    >>> positions(10, 3, (1, 1), 2, 1), positions(10, 3, "full", 1, 2)
    (5, 14)
    """
    room = padded(image, filter_size, padding, dilation) - extent(filter_size, dilation)
    # One quotient, not a sum with one: expressions of it stay short.
    return room + 1 if stride == 1 else (room + stride) // stride


def whole(value: Any, what: str) -> int:
    """A number that must be known when building, as an int."""
    data = value.data if isinstance(value, Constant) else value
    if isinstance(data, int | np.integer | np.ndarray) and not isinstance(data, bool):
        number = np.asarray(data)
        if number.ndim == 0 and number.dtype.kind in "iu":
            return int(number)
    raise TypeError(f"{what} is an integer that is known when building, got {value!r}")


def per_dimension(value: Any, dimensions: int, what: str, least: int = 1) -> tuple[int, ...]:
    """A number for each dimension; one number stands for all.

    >>> per_dimension(2, 3, "stride"), per_dimension((1, 2), 2, "stride")
    ((2, 2, 2), (1, 2))
    """
    data = value.data if isinstance(value, Constant) else value
    if isinstance(data, np.ndarray) and data.dtype.kind in "iu":
        value = data.tolist()
    given = list(value) if isinstance(value, list | tuple) else [value] * dimensions
    if len(given) != dimensions:
        raise ValueError(f"{what} takes {dimensions} numbers, got {value!r}")
    found = tuple(whole(v, what) for v in given)
    if min(found) < least:
        raise ValueError(f"{what} must be at least {least}, got {value!r}")
    return found


def padding_of(
    border_mode: Any, filter_sizes: Sequence[int | None], dilation: Sequence[int]
) -> tuple[Padding, ...]:
    """Theano's ``border_mode`` as a padding for each dimension.

    ``filter_sizes`` are those known; a word stays one where they are not.  Raises
    ValueError for anything else than ``"valid"``, ``"half"``, ``"same"``, ``"full"``, a
    number, or a number or a pair for each dimension, none of them negative.

    >>> padding_of("half", [3, None], [1, 1])
    ((1, 1), 'half')
    >>> padding_of((1, (0, 2)), [3, 3], [1, 1])
    ((1, 1), (0, 2))
    """
    count = len(filter_sizes)
    if isinstance(border_mode, str):
        if border_mode == "valid":
            return ((0, 0),) * count
        if border_mode not in WORDS:
            raise _no_border_mode(border_mode, count)
        return tuple(
            border_mode if k is None else pads(border_mode, k, d)
            for k, d in zip(filter_sizes, dilation, strict=True)
        )
    given = list(border_mode) if isinstance(border_mode, list | tuple) else [border_mode] * count
    if len(given) != count:
        raise _no_border_mode(border_mode, count)
    found: list[Padding] = []
    for entry in given:
        pair = entry if isinstance(entry, list | tuple) else (entry, entry)
        if len(pair) != 2:
            raise _no_border_mode(border_mode, count)
        before, after = (whole(p, "border_mode") for p in pair)
        if before < 0 or after < 0:
            raise ValueError(f"border_mode cannot be negative, got {border_mode!r}")
        found.append((before, after))
    return tuple(found)


def _no_border_mode(given: Any, dimensions: int) -> ValueError:
    return ValueError(
        f"border_mode is 'valid', 'half', 'same', 'full', a number, or a tuple of {dimensions} "
        f"numbers or pairs of numbers, got {given!r}"
    )
