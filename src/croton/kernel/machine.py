"""What a schedule needs to know of the machine that it plans for: plain numbers."""

from __future__ import annotations

from typing import NamedTuple


class Machine(NamedTuple):
    """Sizes in bytes.  ``vector`` is the width of a register, ``registers`` their number.

    ``adders``: vectors are added while others are multiplied; else instead of that.
    ``embeds``: an instruction may read one element from memory for all lanes, without another one
    that loads it; so many do so in a cycle as multiply vectors.
    """

    name: str
    vector: int
    registers: int
    l1: int
    l2: int
    l3: int
    kind: str = "cpu"
    adders: bool = True
    embeds: bool = False

    def lanes(self, itemsize: int) -> int:
        """How many elements of ``itemsize`` bytes fill a vector register."""
        return max(1, self.vector // itemsize)
