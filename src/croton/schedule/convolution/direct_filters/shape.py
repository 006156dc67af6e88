"""The constants of the kernels: what stays in registers, and what in the first cache."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.product.tiling import ITEMSIZE

#: Panels of filters that an item has at most.
PANELS = 4

#: Numbers of a line in the table of lines: where it begins in the image, in the result, and
#: how many places it has.
ENTRY = 3


#: Bits of what :func:`covers` says of a number of rows.
CODE = 6


class Shape(NamedTuple):
    """A block has one of three ``heights`` (rows: elements of the image) and two vectors.

    If it has one vector, its height is one of ``singles``.  ``depth`` is how many places are
    summed up before a block's sums go to memory.
    """

    dtype: str
    lanes: int
    heights: tuple[int, int, int]
    singles: tuple[int, int, int]
    depth: int

    def heights_of(self, vectors: int) -> tuple[int, int, int]:
        """The heights of blocks of so many vectors."""
        return self.heights if vectors == 2 else self.singles

    @property
    def highest(self) -> int:
        """Rows of the highest block."""
        return max(self.heights[0], self.singles[0])

    @property
    def panel(self) -> int:
        """Filters of a panel: two vectors."""
        return 2 * self.lanes

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return ITEMSIZE[self.dtype]


def shape(dtype: str, machine: Machine) -> Shape:
    """The constants for ``dtype`` on ``machine``."""
    lanes = machine.lanes(ITEMSIZE[dtype])
    many = machine.registers >= 32
    heights, singles = ((14, 10, 8), (16, 8, 8)) if many else ((6, 4, 2), (6, 4, 4))
    # At each place the image's elements are in another line, often in few sets of the caches.
    share = (2, 3) if many else (3, 16)
    depth = machine.l1 * share[0] // share[1] // (2 * lanes * ITEMSIZE[dtype])
    return Shape(dtype, lanes, heights, singles, depth)


@lru_cache
def covers(heights: tuple[int, int, int], others: bool) -> int:
    """Which blocks cover best what is left of rows over a multiple of the first height.

    All heights are even.  Bits ``CODE * i`` and following tell it of 2 i rows: two bits for one
    more than how many further blocks of the first height, which may be one less if there are
    ``others``; two for how many of the second height, and two for the third.

    >>> code = covers((14, 10, 8), True) >> CODE * 2
    >>> code % 4 - 1, code // 4 % 4, code // 16 % 4
    (-1, 1, 1)
    """
    low = range(3 if heights[2] < heights[1] else 1)
    blocks = list(product((-1, 0, 1) if others else (0, 1), range(3), low))

    def rows(several: tuple[int, int, int]) -> int:
        return sum(n * height for n, height in zip(several, heights, strict=True))

    def cost(several: tuple[int, int, int]) -> int:
        # Sums of few rows wait for each other; and each block takes some time to begin.
        return sum(n * (max(h, 4) + 1) for n, h in zip(several, heights, strict=True))

    found = 0
    for i in range(heights[0] // 2 + 1):
        many, some, few = min((b for b in blocks if rows(b) >= 2 * i), key=cost)
        found |= (many + 1 | some << 2 | few << 4) << CODE * i
    return found
