"""The constants of a product's kernels, chosen by the machine's registers and caches."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.product.tile import LEADING

ITEMSIZE = {"float32": 4, "float64": 8}


class Tiling(NamedTuple):
    """How a product is cut.

    ``heights`` are the rows that one pass over the inner index may keep in
    registers, largest first; ``lanes`` times ``vectors`` are its columns (a panel).
    ``depth`` is how much of the inner index is taken at a time.  ``masks``: loads and
    stores of some lanes are as fast as of all.  ``dots`` are the rows of a block of dot
    products.
    """

    dtype: str
    lanes: int
    vectors: int
    heights: tuple[int, int, int]
    depth: int
    masks: bool
    dots: int

    @property
    def panel(self) -> int:
        """Columns of a panel."""
        return self.lanes * self.vectors

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
    heights = (14, 8, 4) if machine.registers >= 32 else (6, 4, 2)
    panel = 2 * lanes
    depth = max(64, min(512, (machine.l1 * 2 // 3 // (panel * size)) // lanes * lanes))
    return Tiling(
        dtype, lanes, 2, heights, depth, machine.vector >= 64, 4 if machine.registers >= 32 else 2
    )
