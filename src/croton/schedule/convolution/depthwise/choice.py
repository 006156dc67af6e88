"""How the work of a depthwise convolution is cut, by its sizes and the machine's caches."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.machine import Machine
from croton.schedule.counts import Count, count, mul
from croton.schedule.product import tile
from croton.schedule.product.tiling import ITEMSIZE

#: Bytes of a line of a cache.
LINE_BYTES = 64
#: Products of two numbers that make an item.
WORK = 1 << 20
#: Products that are worth a thread of their own.
LEAST = 1 << 17
#: Products of an element of the result that are few: it takes longer to read what they are of.
FEW = 32
#: Items that the sums over all places are cut into, at least for long lines.
PARTS = 32


class Tiling(NamedTuple):
    """What is the same for all sizes: the lanes of a vector and the blocks of registers.

    ``group`` is how many channels, and filters, a group has.
    """

    dtype: str
    group: int
    lanes: int
    registers: int
    l1: int
    l2: int
    last: int
    #: Neighbouring places of a large and of a small block.
    places: tuple[int, int]
    #: Vectors of channels of a place that does not see all taps.
    edge: int

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return ITEMSIZE[self.dtype]

    @property
    def leading(self) -> int:
        """Elements of one row of an epilogue's tile."""
        return tile.LEADING[self.dtype]


def tiling(dtype: str, machine: Machine, group: int) -> Tiling:
    """The constants for ``dtype`` on ``machine``.

    Raises ValueError if groups do not fill vectors evenly.
    """
    lanes = machine.lanes(ITEMSIZE[dtype])
    if group < 1 or lanes % group:
        raise ValueError(f"groups of {group} channels do not fill vectors of {lanes} lanes")
    caches = machine.l1, machine.l2, machine.l3
    return Tiling(dtype, group, lanes, machine.registers, *caches, (8, 4), 2)


def all_channels(t: Tiling) -> Count:
    """The channels of all groups."""
    return mul("groups", t.group)


def family(t: Tiling) -> str:
    """How the names of the kernels begin."""
    return "depthwise" if t.group == 1 else f"grouped{t.group}"


class Cut(NamedTuple):
    """What an item is: so many ``lines`` of the result, so much (``span``) of each, and channels.

    A line is what has one place in all dimensions but the last.  ``down``, ``pieces`` and
    ``across`` are how many items there are along lines, the last dimension and channels; ``tile``
    is how many lines an epilogue gets at a time; ``work`` are the products of an item.
    """

    lines: Count
    span: Count
    channels: Count
    down: Count
    pieces: Count
    across: Count
    tile: Count
    work: Count


def cut(t: Tiling, source: str, result: str, epilogue: bool) -> Cut:
    """The cut for any sizes, of a result (``"x"`` or ``"y"``) that is made from the other one."""
    last = f"{result}2"
    pieces = count("ceildiv", last, tile.ROWS)
    span = count("ceildiv", last, pieces)
    if epilogue:
        channels: Count = t.leading
    else:
        channels = _channels(t, source)
    across = count("ceildiv", all_channels(t), channels)
    taps = mul("k0", "k1", "k2", t.group)
    each = mul(taps, span, count("minimum", channels, all_channels(t)))
    all_lines = mul("batch", f"{result}0", f"{result}1")
    lines = count("maximum", 1, count("floordiv", WORK, count("maximum", 1, each)))
    down = count("ceildiv", all_lines, lines)
    lines = count("ceildiv", all_lines, down)
    rows = count("maximum", 1, count("floordiv", tile.ROWS // 2, count("maximum", 1, span)))
    rows = count("select", count("lt", 1, pieces), 1, rows)
    return Cut(lines, span, channels, down, pieces, across, rows, mul(lines, each))


def cut_sums(t: Tiling) -> Cut:
    """The cut of the lines of ``y``, for sums over all of them: at most so many parts."""
    c = cut(t, "x", "y", False)
    all_lines = mul("batch", "y0", "y1")
    parts = count("maximum", 1, count("floordiv", PARTS, count("maximum", 1, c.across)))
    lines = count("maximum", c.lines, count("ceildiv", all_lines, parts))
    down = count("ceildiv", all_lines, lines)
    lines = count("ceildiv", all_lines, down)
    work = count("floordiv", mul(c.work, lines), count("maximum", 1, c.lines))
    return c._replace(lines=lines, down=down, work=work)


def _channels(t: Tiling, source: str) -> Count:
    """So many that what a line reads stays in a near cache, in equal parts.

    That is the first one if there are many products.  If there are few, what comes from far counts,
    and it comes the faster the more neighbours are read at a time.
    """
    vector = t.lanes * t.itemsize
    read = mul("k0", "k1", count("minimum", f"{source}2", tile.ROWS), vector)
    few = count("le", mul("k0", "k1", "k2", t.group), FEW)
    near = count("select", few, max(t.l1, t.l2 // 4), t.l1)
    fitting = count("floordiv", near, count("maximum", 1, read))
    fitting = count("maximum", fitting, 2)
    vectors = count("ceildiv", all_channels(t), t.lanes)
    parts = count("ceildiv", vectors, fitting)
    return count("mul", t.lanes, count("ceildiv", vectors, parts))


def far(t: Tiling) -> Count:
    """Whether an image and its result are too large for the last cache, or for its half.

    The half counts where a vector is less than a line: nothing is stored past the caches then,
    and to fetch lines ahead pays as soon as others have a part of that cache.
    """
    places = [mul(f"{name}0", f"{name}1", f"{name}2") for name in "xy"]
    size = mul("batch", all_channels(t), t.itemsize, count("add", *places))
    whole = t.lanes * t.itemsize >= LINE_BYTES
    return count("lt", t.last if whole else t.last // 2, size)
