"""Convolutions of NumPy arrays: products of matrices whose rows are what a filter sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from croton.tensor.nnet.conv.geometry import extent

Array = np.ndarray[Any, Any]

_CHUNK = 1 << 21
"""About how many elements the matrix of a chunk of the batch may hold."""


class Layout:
    """The numbers of one convolution, with all sizes known.

    ``pads`` are pairs of numbers; ``image``, ``filters`` and ``output`` sizes are those
    of the spatial dimensions.
    """

    def __init__(
        self,
        image: Sequence[int],
        filters: Sequence[int],
        output: Sequence[int],
        strides: Sequence[int],
        pads: Sequence[tuple[int, int]],
        dilation: Sequence[int],
        groups: int,
    ) -> None:
        self.image = tuple(image)
        self.filters = tuple(filters)
        self.output = tuple(output)
        self.strides = tuple(strides)
        self.pads = tuple(pads)
        self.dilation = tuple(dilation)
        self.groups = groups

    def chunks(self, batch: int, channels: int) -> Iterator[slice]:
        """Pieces of the batch whose matrices are not too large."""
        each = channels * math.prod(self.filters) * math.prod(self.output)
        step = max(1, _CHUNK // max(each, 1))
        for start in range(0, batch, step):
            yield slice(start, min(start + step, batch))

    def rows(self, x: Array) -> Array:
        """(groups, batch * output, channels / groups * filter): what each position sees."""
        n, g, r = len(self.image), self.groups, len(x)
        channels = x.shape[1] // g
        x = np.pad(x, [(0, 0), (0, 0), *self.pads])
        reach = [extent(k, d) for k, d in zip(self.filters, self.dilation, strict=True)]
        seen = sliding_window_view(x, reach, axis=tuple(range(2, 2 + n)))
        steps = [slice(None, None, s) for s in (*self.strides, *self.dilation)]
        seen = seen[(slice(None), slice(None), *steps)]
        seen = seen.reshape(r, g, channels, *self.output, *self.filters)
        order = [1, 0, *range(3, 3 + n), 2, *range(3 + n, 3 + 2 * n)]
        height, width = r * math.prod(self.output), channels * math.prod(self.filters)
        return seen.transpose(order).reshape(g, height, width)

    def to_matrix(self, y: Array) -> Array:
        """(groups, batch * output, channels / groups) of (batch, channels, output...)."""
        r, channels = len(y), y.shape[1] // self.groups
        split = y.reshape(r, self.groups, channels, math.prod(self.output))
        return split.transpose(1, 0, 3, 2).reshape(self.groups, -1 if r else 0, channels)

    def from_matrix(self, y: Array, batch: int) -> Array:
        """The other way round."""
        channels = y.shape[2]
        split = y.reshape(self.groups, batch, math.prod(self.output), channels)
        moved = split.transpose(1, 0, 3, 2)
        return moved.reshape(batch, self.groups * channels, *self.output)


def _accumulated(*arrays: Array) -> list[Array]:
    return [a.astype(np.float32) if a.dtype == np.float16 else a for a in arrays]


def correlate(x: Array, w: Array, layout: Layout) -> Array:
    """``y[b, m, o] = sum over c, k of x[b, c, o * stride + k * dilation - pad] * w[m, c, k]``."""
    x, w = _accumulated(x, w)
    g, out = layout.groups, w.shape[0]
    matrix = w.reshape(g, out // g, math.prod(w.shape[1:])).transpose(0, 2, 1)
    y = np.zeros((len(x), out, *layout.output), x.dtype)
    for part in layout.chunks(len(x), x.shape[1]):
        piece = x[part]
        y[part] = layout.from_matrix(np.matmul(layout.rows(piece), matrix), len(piece))
    return y


def correlate_filters(x: Array, dy: Array, layout: Layout) -> Array:
    """``dw[m, c, k] = sum over b, o of x[b, c, o * stride + k * dilation - pad] * dy[b, m, o]``."""
    x, dy = _accumulated(x, dy)
    g, channels, out = layout.groups, x.shape[1], dy.shape[1]
    dw = np.zeros((g, out // g, channels // g * math.prod(layout.filters)), x.dtype)
    for part in layout.chunks(len(x), channels):
        dw += np.matmul(layout.to_matrix(dy[part]).transpose(0, 2, 1), layout.rows(x[part]))
    return dw.reshape(out, channels // g, *layout.filters)


def correlate_inputs(dy: Array, w: Array, layout: Layout) -> Array:
    """``dx[b, c, o * stride + k * dilation - pad] += dy[b, m, o] * w[m, c, k]``."""
    dy, w = _accumulated(dy, w)
    g, out, channels = layout.groups, w.shape[0], w.shape[1]
    matrix = w.reshape(g, out // g, channels * math.prod(layout.filters))
    sizes = [b + n + a for n, (b, a) in zip(layout.image, layout.pads, strict=True)]
    dx = np.zeros((len(dy), g * channels, *sizes), dy.dtype)
    for part in layout.chunks(len(dy), g * channels):
        terms = np.matmul(layout.to_matrix(dy[part]), matrix)
        count = part.stop - part.start
        terms = terms.reshape(g, count, *layout.output, channels, *layout.filters)
        n = len(layout.image)
        back = [1, 0, 2 + n, *range(2, 2 + n), *range(3 + n, 3 + 2 * n)]
        terms = terms.transpose(back)
        terms = terms.reshape(count, g * channels, *layout.output, *layout.filters)
        for k in np.ndindex(*layout.filters):
            place = tuple(
                slice(i * d, i * d + s * (o - 1) + 1, s)
                for i, d, s, o in zip(
                    k, layout.dilation, layout.strides, layout.output, strict=True
                )
            )
            dx[(part, slice(None), *place)] += terms[(..., *k)]
    inner = [slice(b, b + n) for n, (b, _) in zip(layout.image, layout.pads, strict=True)]
    return dx[(slice(None), slice(None), *inner)]
