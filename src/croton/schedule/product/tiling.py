"""The constants of a product's kernels, chosen by the machine's registers and caches."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.product.tile import LEADING

ITEMSIZE = {"float32": 4, "float64": 8}

#: Steps after which sums that go to memory and come back are hardly noticed.
LEAST = 192


class Tiling(NamedTuple):
    """How a product is cut.

    ``strips`` are the heights of the strips that the left factor may be copied into,
    ``blocks`` those of the blocks of rows that are read where they lie; ``lanes`` times
    ``vectors`` are the columns of a panel: so much stays in ``registers``.
    ``depth`` is how much of the inner index is taken at a time, of strips ``piece``.
    ``stays``: it is so little that a strip and a panel stay in the first cache.
    ``second`` is the size of the second cache; ``large`` is what does not stay in any.
    ``masks``: loads and stores of some lanes are as fast as of all.  ``dots`` are the rows of a
    block of dot products.  ``few``: there are so few registers that a kernel has none to spare.
    ``embeds``: an element that is multiplied with a vector may stay in memory.
    """

    dtype: str
    lanes: int
    vectors: int
    registers: int
    strips: tuple[int, int]
    blocks: tuple[int, int]
    depth: int
    piece: int
    stays: bool
    second: int
    large: int
    masks: bool
    dots: int
    few: bool
    embeds: bool

    @property
    def panel(self) -> int:
        """Columns of a panel."""
        return self.lanes * self.vectors

    @property
    def longest(self) -> int:
        """Elements of the inner index up to which it is not cut."""
        return 2 * self.depth

    @property
    def line_pitch(self) -> int:
        """Elements from line to line of a panel that is copied for dot products."""
        return self.longest + self.lanes

    @property
    def leading(self) -> int:
        """Elements of one row of an epilogue's tile: the columns of the widest block."""
        return LEADING[self.dtype]

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return ITEMSIZE[self.dtype]


def tiling(dtype: str, machine: Machine) -> Tiling:
    """The constants for ``dtype`` on ``machine``."""
    size = ITEMSIZE[dtype]
    lanes = machine.lanes(size)
    # All sums, one row of a panel and one element of the left factor stay in registers.
    few = machine.registers < 32
    strips, blocks, dots = ((6, 4), (6, 2), 2) if few else ((14, 8), (8, 4), 4)
    panel = 2 * lanes
    # Blocks of many sums read a panel from the second cache as fast as from the first one.
    near = machine.l1 * 4 // 3 if few else machine.l2 // 8
    depth = min(512, near // (panel * size) // lanes * lanes)
    # What a strip and a panel fill the first cache with.
    first = machine.l1 // ((panel + width(lanes, strips[0])) * size) // lanes * lanes
    stays = not few and first >= LEAST
    masks = machine.vector >= 64
    second, large = machine.l2, machine.l3 // 4
    return Tiling(
        dtype,
        lanes,
        2,
        machine.registers,
        strips,
        blocks,
        depth,
        first if stays else depth,
        stays,
        second,
        large,
        masks,
        dots,
        few,
        machine.embeds,
    )


def width(lanes: int, height: int) -> int:
    """Elements from row to row of a strip, so that rows begin where vectors do."""
    unit = min(lanes, 8)
    return -(-height // unit) * unit
