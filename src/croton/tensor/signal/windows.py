"""Windows over the last dimensions of an array: how many there are, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from croton.tensor.elementwise import maximum
from croton.tensor.nnet.conv.geometry import UNKNOWN

Array = np.ndarray[Any, Any]


def count(size: Any, window: int, stride: int, pad: int, ignore_border: bool) -> Any:
    """How many windows a dimension has, by Theano's rule.

    ``size`` is a number, a symbolic integer, or unknown.  With ``ignore_border`` only
    windows that lie in the padded dimension, and none where it is too short; otherwise
    also those that reach over its end, as many as it takes to see all elements.

    >>> count(5, 2, 2, 0, True), count(5, 2, 2, 0, False), count(5, 3, 2, 1, True)
    (2, 3, 3)
    """
    padded = size + 2 * pad if pad else size
    if ignore_border:
        if window == stride:
            return padded // stride
        return _not_negative((padded - window + stride) // stride)
    if stride >= window:
        return (padded - 1 + stride) // stride
    return _not_negative((padded - 1 - window) // stride + 1) + 1


def _not_negative(size: Any) -> Any:
    if isinstance(size, int):
        return max(size, 0)
    return size if size is UNKNOWN else maximum(size, np.int64(0))


class Windows:
    """The windows of one pooling of an array of known ``shape``.

    For every place in a window there is one slice of the padded array, which has in each
    dimension the element at that place of every window.
    """

    def __init__(
        self,
        shape: Sequence[int],
        window: Sequence[int],
        strides: Sequence[int],
        pad: Sequence[int],
        ignore_border: bool,
    ) -> None:
        n = len(window)
        self.inner = tuple(shape[len(shape) - n :])
        self.lead = tuple(shape[: len(shape) - n])
        self.window, self.strides, self.pad = tuple(window), tuple(strides), tuple(pad)
        self.counts = tuple(
            count(n, k, s, p, ignore_border)
            for n, k, s, p in zip(self.inner, window, strides, pad, strict=True)
        )
        self.after = tuple(
            max(0, (c - 1) * s + k - n - p)
            for c, s, k, n, p in zip(self.counts, strides, window, self.inner, pad, strict=True)
        )

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of the result."""
        return (*self.lead, *self.counts)

    def padded(self, x: Array, fill: Any) -> Array:
        """``x`` with as much of ``fill`` around it as the windows reach."""
        widths = [*((0, 0) for _ in self.lead), *zip(self.pad, self.after, strict=True)]
        return np.pad(x, widths, constant_values=fill)

    def empty(self, dtype: Any) -> Array:
        """Zeros of the padded shape."""
        sizes = zip(self.inner, self.pad, self.after, strict=True)
        return np.zeros((*self.lead, *(n + p + a for n, p, a in sizes)), dtype)

    def within(self, padded: Array) -> Array:
        """The array inside its padding."""
        inner = (slice(p, p + n) for p, n in zip(self.pad, self.inner, strict=True))
        place: tuple[Any, ...] = (..., *inner)
        return padded[place]  # type: ignore[no-any-return]

    def places(self) -> Iterator[tuple[Any, ...]]:
        """For every place in a window an index into the padded array."""
        if 0 in self.counts:
            return
        for k in np.ndindex(*self.window):
            parts = zip(k, self.strides, self.counts, strict=True)
            yield (..., *(slice(i, i + s * (c - 1) + 1, s) for i, s, c in parts))
