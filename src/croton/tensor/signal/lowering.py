"""Windows in kernels: which elements a window holds, and which windows hold an element.

Along each dimension a position has a small, known number of *partners*: an output the elements
of its window, an input the windows that reach it.  Partner ``k`` is said by its index and by
the condition under which there is one (None: there always is).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from croton.kernel import build
from croton.kernel.nodes import Const, Expr, Load

#: As many partners are written out one by one; of more, the leading dimensions are loops.
UNROLLED = 16

Partner = tuple[Expr, Expr | None]


class Along(NamedTuple):
    """One dimension of a pooling: the numbers, and the sizes before and after."""

    window: int
    stride: int
    pad: int
    ignore_border: bool
    size: Expr
    outputs: Expr

    @property
    def reach(self) -> int:
        """How many windows hold an element, at most."""
        return -(-self.window // self.stride)

    def element(self, o: Expr, k: Expr) -> Partner:
        """Place ``k`` of window ``o``."""
        first, last = _range(k, self.window)
        start = build.mul(o, build.index(self.stride))
        if isinstance(k, Const):
            i = _moved(start, first - self.pad)
        else:
            i = _moved(build.add(start, k), -self.pad)
        inside = None
        if first < self.pad:
            inside = build.op("ge", i, build.index(0))
        if self._may_end_beyond(last):
            inside = _both(inside, build.op("lt", i, self.size))
        return i, inside

    def _may_end_beyond(self, k: int) -> bool:
        size, count = _number(self.size), _number(self.outputs)
        if size is not None and count is not None:
            return (count - 1) * self.stride + k - self.pad >= size
        # Windows lie in the padded dimension, or begin in it.
        return k >= self.window - self.pad if self.ignore_border else k > 0

    def windows(self, i: Expr) -> Callable[[Expr], Partner]:
        """The ``k``-th last window that begins at or before element ``i``, as a function of k."""
        window, stride, pad = self.window, self.stride, self.pad
        at = _moved(i, pad)
        last = build.op("floordiv", at, build.index(stride))
        rest = None if stride == 1 else build.sub(at, build.mul(last, build.index(stride)))

        def partner(k: Expr) -> Partner:
            least, most = _range(k, self.reach)
            o = build.sub(last, k)
            inside = None
            if rest is not None and most * stride + stride > window:
                behind = build.add(rest, build.mul(k, build.index(stride)))
                inside = build.op("lt", behind, build.index(window))
            if most * stride > pad:
                inside = _both(inside, build.op("ge", o, build.index(0)))
            if self._may_be_too_late(least):
                inside = _both(inside, build.op("lt", o, self.outputs))
            return o, inside

        return partner

    def _may_be_too_late(self, k: int) -> bool:
        size, count = _number(self.size), _number(self.outputs)
        if size is not None and count is not None:
            return (size - 1 + self.pad) // self.stride - k >= count
        if self.ignore_border:
            return self.window - 1 - self.pad > k * self.stride
        return self.window - self.stride > k * self.stride


def _range(k: Expr, count: int) -> tuple[int, int]:
    number = _number(k)
    return (0, count - 1) if number is None else (number, number)


def _number(e: Expr) -> int | None:
    return int(e.value) if isinstance(e, Const) else None


def _moved(e: Expr, by: int) -> Expr:
    return build.sub(e, build.index(-by)) if by < 0 else build.add(e, build.index(by))


def _both(a: Expr | None, b: Expr | None) -> Expr | None:
    if a is None or b is None:
        return b if a is None else a
    return build.op("and", a, b)


def looped(counts: Sequence[int]) -> int:
    """Along how many leading dimensions to loop, with so many partners along each.

    >>> looped((2, 2, 1)), looped((7, 7, 1)), looped((3, 3, 3)), looped((100, 1)), looped((20,))
    (0, 1, 1, 1, 1)
    """
    total, d = 1, len(counts)
    while d and total * counts[d - 1] <= UNROLLED:
        total *= counts[d - 1]
        d -= 1
    return d


def partners(
    along: Sequence[Callable[[Expr], Partner]], counts: Sequence[int], run: Sequence[Expr]
) -> Iterator[tuple[list[Expr], Expr | None]]:
    """All partners, where the loops over the leading dimensions are at ``run``."""
    ranges = [[build.index(k) for k in range(n)] for n in counts[len(run) :]]
    known: list[list[Partner]] = [[f(k)] for f, k in zip(along, run, strict=False)]
    known += [[f(k) for k in ks] for f, ks in zip(along[len(run) :], ranges, strict=True)]
    for chosen in product(*known):
        inside: Expr | None = None
        for _, condition in chosen:
            inside = _both(inside, condition)
        yield [i for i, _ in chosen], inside


def only(
    inside: Expr | None, pull: Callable[[], Expr], otherwise: Callable[[Any], Any], ctx: Any
) -> Expr:
    """``pull()`` where it is ``inside``, else what is ``otherwise`` of its dtype."""
    if inside is None:
        return pull()
    value: Expr = ctx.guard(inside, pull)
    number = otherwise(np.dtype(value.dtype))
    if isinstance(value, Load) and number == 0:
        # What is not loaded is 0.
        return value
    return build.select(inside, value, build.const(number, value.dtype))


def zero(dtype: Any) -> int:
    """0."""
    return 0


def combined(name: str, terms: Sequence[Expr]) -> Expr:
    """All terms combined, in pairs."""
    found = list(terms)
    while len(found) > 1:
        pairs = [build.op(name, a, b) for a, b in zip(found[::2], found[1::2], strict=False)]
        found = pairs + found[len(pairs) * 2 :]
    return found[0]
