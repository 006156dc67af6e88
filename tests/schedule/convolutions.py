"""Convolutions of channels-last arrays by NumPy, and random ones to try."""

import numpy as np

from croton.kernel.machine import Machine

MACHINES = {
    "wide": Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20),
    "middle": Machine("middle", 32, 16, 32 << 10, 512 << 10, 8 << 20),
    "narrow": Machine("narrow", 16, 16, 32 << 10, 256 << 10, 8 << 20),
}


class Problem:
    """A convolution: shapes of x, w and y, strides, zeros before, dilation and groups."""

    def __init__(self, x, w, y, strides, before, dilation, groups=1):
        self.x, self.w, self.y = tuple(x), tuple(w), tuple(y)
        self.strides, self.before, self.dilation = tuple(strides), tuple(before), tuple(dilation)
        self.groups = groups

    def __repr__(self):
        return f"Problem{tuple(vars(self).values())}"

    def _taps(self):
        """For each tap the slices of x and y that meet there."""
        rank = len(self.strides)
        for tap in np.ndindex(*self.w[:rank]):
            xs, ys = [slice(None)], [slice(None)]
            for d in range(rank):
                s, shift = self.strides[d], tap[d] * self.dilation[d] - self.before[d]
                first = max(0, -(shift // s))
                last = min(self.y[1 + d] - 1, (self.x[1 + d] - 1 - shift) // s)
                if last < first:
                    break
                ys.append(slice(first, last + 1))
                xs.append(slice(first * s + shift, last * s + shift + 1, s))
            else:
                yield tap, tuple(xs), tuple(ys)

    def _groups(self):
        c, f = self.w[-2], self.w[-1] // self.groups
        for g in range(self.groups):
            yield slice(g * c, (g + 1) * c), slice(g * f, (g + 1) * f)

    def forward(self, x, w):
        """The result of the convolution, in float64."""
        x, w, y = np.asarray(x, float), np.asarray(w, float), np.zeros(self.y)
        for tap, xs, ys in self._taps():
            for c, f in self._groups():
                y[ys][..., f] += x[xs][..., c] @ w[tap][:, f]
        return y

    def inputs(self, y, w):
        """The gradient by the image, in float64."""
        y, w, x = np.asarray(y, float), np.asarray(w, float), np.zeros(self.x)
        for tap, xs, ys in self._taps():
            for c, f in self._groups():
                x[xs][..., c] += y[ys][..., f] @ w[tap][:, f].T
        return x

    def filters(self, x, y):
        """The gradient by the filters, in float64."""
        x, y, w = np.asarray(x, float), np.asarray(y, float), np.zeros(self.w)
        for tap, xs, ys in self._taps():
            for c, f in self._groups():
                w[tap][:, f] += np.tensordot(
                    x[xs][..., c], y[ys][..., f], (range(y.ndim - 1), range(y.ndim - 1))
                )
        return w


def random_problem(rng, rank=2, channels=(1, 2, 3, 4, 17, 33), filters=(1, 5, 16, 33, 70)):
    """A small convolution with at least one place in its result."""
    while True:
        k, s, d = rng.integers(1, 5, rank), rng.integers(1, 4, rank), rng.integers(1, 4, rank)
        p, size = rng.integers(0, 4, rank), rng.integers(1, 18 if rank < 3 else 8, rank)
        places = (size + p + rng.integers(0, 3, rank) - (k - 1) * d - 1) // s + 1
        if (places >= 1).all():
            break
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c, f, batch = int(rng.choice(channels)), int(rng.choice(filters)), int(rng.integers(1, 4))
    return Problem(
        (batch, *map(int, size), c * groups), (*map(int, k), c, f * groups),
        (batch, *map(int, places), f * groups), map(int, s), map(int, p), map(int, d), groups,
    )  # fmt: skip


def random_arrays(problem, dtype, rng):
    """x, w and y; the filters lie in memory by filter and channel, or by tap."""
    x, w, y = (rng.standard_normal(s).astype(dtype) for s in (problem.x, problem.w, problem.y))
    if rng.integers(2):
        n = w.ndim
        by_filter = np.ascontiguousarray(w.transpose(n - 1, n - 2, *range(n - 2)))
        w = by_filter.transpose(*range(2, n), 1, 0)
    return x, w, y


def memory(w):
    """The contiguous array that ``w`` is a view of."""
    return w if w.flags.c_contiguous else w.base


def assert_close(got, want, size, terms):
    """``size``: the same convolution of absolute values, ``terms`` how many are added up."""
    allowed = (terms + 4) * np.finfo(got.dtype).eps * size
    assert (np.abs(got.reshape(want.shape) - want) <= allowed).all()
