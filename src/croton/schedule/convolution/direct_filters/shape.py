"""The constants of the kernels: what stays in registers, and what in the first cache."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.product.tiling import ITEMSIZE

#: Panels of filters that an item has at most.
PANELS = 4

#: Numbers of a line in the table of lines: where it begins in the image, in the result, and
#: how many places it has.
ENTRY = 3


class Shape(NamedTuple):
    """A block has one of three ``heights`` (rows: elements of the image) and one or two vectors.

    ``depth`` is how many places are summed up before a block's sums go to memory.
    """

    dtype: str
    lanes: int
    heights: tuple[int, int, int]
    depth: int

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
    heights = (14, 8, 4) if machine.registers >= 32 else (6, 4, 2)
    depth = machine.l1 * 2 // 3 // (2 * lanes * ITEMSIZE[dtype])
    return Shape(dtype, lanes, heights, depth)
