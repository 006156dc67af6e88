"""Convolutions that Winograd's tiles compute, their results by the definition, and an epilogue."""

import numpy as np

from croton.kernel import build
from croton.kernel.nodes import Allocate, Buffer, Fail, For, Function, If, Let, Load, Store, Var
from croton.schedule.convolution.run import sizes_of
from croton.schedule.convolution.winograd.choice import fits
from croton.schedule.counts import evaluate
from croton.schedule.product import tile

#: Errors, in units of rounding, of the largest result that absolute values would give.
ROUNDINGS = {4: 6, 6: 20}


def direct(kind, image, w, shape, before, dilation=(1, 1), groups=1):
    """The convolution of ``kind``, by its definition; ``shape``: of the result."""
    found = np.zeros(shape)
    if groups > 1:
        parts = [np.split(a, groups, axis=-1) for a in (image, w, found)]
        shape = parts[2][0].shape
        each = [direct(kind, i, k, shape, before, dilation) for i, k, _ in zip(*parts, strict=True)]
        return np.concatenate(each, axis=-1)
    for tap in np.ndindex(w.shape[:2]):
        taps = w[tap] if kind == "forward" else w[tap].T
        (to1, from1), (to2, from2) = (
            shifted(kind, image.shape[2 + d], shape[2 + d], tap[d] * dilation[d] - before[d])
            for d in range(2)
        )
        found[:, :, to1, to2] += image[:, :, from1, from2] @ taps
    return found


def shifted(kind, have, want, shift):
    """Places of the result, and of the image that they take in: x = y + shift."""
    if kind == "inputs":
        shift = -shift
    lo, hi = max(0, -shift), min(want, have - shift)
    hi = max(lo, hi)
    return slice(lo, hi), slice(lo + shift, hi + shift)


class Case:
    """Random arrays of a convolution: ``image`` goes in, an array of ``shape`` comes out."""

    def __init__(
        self, kind, dtype, batch, channels, filters, x, before, layout,
        extra=0, depth=1, taps=3, dilation=(1, 1), groups=1,
    ):  # fmt: skip
        rng = np.random.default_rng(channels + 7 * filters)
        lost = [(taps - 1) * d for d in dilation]
        y = [max(0, n + 2 * b - k + extra) for n, b, k in zip(x, before, lost, strict=True)]
        self.kind, self.before, self.dilation, self.groups = kind, before, dilation, groups
        x_shape = batch, depth, *x, groups * channels
        y_shape = batch, depth, *y, groups * filters
        into, self.shape = (x_shape, y_shape) if kind == "forward" else (y_shape, x_shape)
        self.image = rng.standard_normal(into).astype(dtype)
        self.w = filters_of(rng, taps, channels, groups * filters, dtype, layout)
        one, none = (1, 1, 1), (0, *before)
        apart = (1, *dilation)
        self.names = sizes_of(x_shape, self.w[None], y_shape, one, none, apart, groups)
        assert evaluate(fits(6), self.names)

    def close(self, got, reach):
        """Whether the result is as near as it should be."""
        image, w = self.image.astype(np.float64), self.w.astype(np.float64)
        how = self.shape, self.before, self.dilation, self.groups
        want = direct(self.kind, image, w, *how)
        most = direct(self.kind, np.abs(image), np.abs(w), *how).max(initial=0)
        if image.size and w.size:
            # Where all but a few places of the image are outside, other taps cost digits too.
            whole = np.abs(w).sum((0, 1, 2 if self.kind == "forward" else 3)).max()
            most = max(most, whole * np.abs(image).mean())
        assert got.shape == want.shape
        error = np.abs(got - want).max(initial=0)
        assert error <= ROUNDINGS[reach] * np.finfo(got.dtype).eps * most

    def run(self, compiled, **options):
        return compiled(self.kind, self.image, self.w, self.names, **options)


def filters_of(rng, taps, channels, filters, dtype, layout):
    """Filters of shape (taps, taps, channels, filters) in memory of the given order."""
    size = (taps, taps)
    if layout == "theano":
        return rng.standard_normal((filters, channels, *size)).astype(dtype).transpose(2, 3, 1, 0)
    if layout == "turned":
        turned = rng.standard_normal((filters, channels, *size)).astype(dtype)[:, :, ::-1, ::-1]
        return turned.transpose(2, 3, 1, 0)
    if layout == "sparse":
        whole = rng.standard_normal((taps, 2 * taps, 2 * channels, 3 * filters)).astype(dtype)
        return whole[:, ::2, ::2, ::3]
    return rng.standard_normal((*size, channels, filters)).astype(dtype)


LAYOUTS = ("theano", "last", "sparse", "turned")

#: Batch, channels, filters, places of the image, and what lies before it.
SHAPES = [
    (1, 1, 1, (3, 3), (0, 0)),
    (2, 3, 5, (1, 9), (1, 1)),
    (1, 16, 32, (8, 8), (1, 1)),
    (3, 17, 33, (7, 11), (1, 0)),
    (2, 33, 40, (6, 6), (0, 0)),
    (1, 5, 70, (2, 2), (2, 2)),
    (2, 8, 3, (4, 5), (5, 7)),
    (1, 40, 16, (13, 21), (2, 1)),
    (5, 12, 100, (15, 15), (1, 1)),
]


def add_row(dtype, fail_at=-1):
    """An epilogue: ``out[p, j] += result[p, j] + row[j]``; it fails at a place."""
    i, j, n = Var("i"), Var("j"), Var("n")
    n0, n1, batch = Var("n0"), Var("n1"), Var("batch")
    head, block = Buffer("head", "int64"), Buffer("block", dtype)
    free = Buffer("free", dtype)
    row, out = Buffer("row", dtype), Buffer("out", dtype)
    at = build.mul(build.sub(i, Var("lo")), build.index(tile.LEADING[dtype]))
    value = Load(block, build.add(at, build.sub(j, n0)))
    place = build.add(build.mul(i, n), j)
    total = build.add(build.add(value, Load(row, j)), Load(out, place))
    body = (
        Allocate(head, build.index(tile.HEADER)),
        Allocate(block, build.index(tile.TILE)),
        Allocate(free, build.index(tile.FREE)),
        *(
            Let(name, Load(head, build.index(position)))
            for name, position in ((n0, tile.N0), (n1, tile.N1), (batch, tile.BATCH))
        ),
        If(build.op("eq", Var("hi"), build.index(fail_at)), (Fail(5, (batch, n1)),)),
        For(i, Var("lo"), Var("hi"), (For(j, n0, n1, (Store(out, place, total),)),)),
        # What is its own it may write.
        For(
            Var("k"),
            build.index(0),
            build.index(SPARE // 8),
            (Store(free, Var("k"), build.const(0.0, dtype)),),
        ),
    )
    return Function("add_row", (row, out), (n,), body)


SPARE = 1000
