"""What the sizes of a convolution are called in its plans.

There are always three spatial dimensions, 0 to 2; those that an image does not have come first,
with size 1, stride 1, dilation 1 and nothing before.  ``x`` and ``y`` are contiguous with their
channels last: (batch, x0, x1, x2, groups * channels), (batch, y0, y1, y2, groups * filters).
Filters that are read lie in any way: element (f, c, t0, t1, t2), with f in [0, groups * filters)
and c in [0, channels), is ``w[w_start + f * w_filter + c * w_channel + t0 * w_step0 + ...]``.
Filters that are computed are contiguous: (k0, k1, k2, channels, groups * filters).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: Extents: of the batch, the groups and one group, the image ``x``, the filter ``k`` and ``y``.
EXTENTS = (
    "batch", "groups", "channels", "filters",
    "x0", "x1", "x2", "k0", "k1", "k2", "y0", "y1", "y2",
)  # fmt: skip
#: How a place in the filter and a place in the result make a place in the image.
PLACES = (
    "stride0", "stride1", "stride2",
    "before0", "before1", "before2",
    "dilation0", "dilation1", "dilation2",
)  # fmt: skip
#: How filters that are read lie in memory, in elements.
FILTERS = ("w_start", "w_filter", "w_channel", "w_step0", "w_step1", "w_step2")

#: The number of the algorithm that measurements found to be the fastest.
ANSWER = "answer"

KINDS: Mapping[str, tuple[str, str, str]] = {
    "forward": ("x", "w", "y"),
    "inputs": ("y", "w", "x"),
    "filters": ("x", "y", "w"),
}
"""For each kind the buffers that are read, and the one that is computed."""


def extent(name: str, given: Mapping[str, int]) -> int:
    """The elements of ``"x"``, ``"y"`` or ``"w"``; of filters that are read, up to the last one."""
    groups, channels, filters = (given[n] for n in ("groups", "channels", "filters"))
    places = [given[f"{'k' if name == 'w' else name}{d}"] for d in range(3)]
    if name != "w":
        pixel = groups * (channels if name == "x" else filters)
        return math.prod((given["batch"], *places, pixel))
    if "w_start" not in given:
        return math.prod((*places, channels, groups * filters))
    ends = [*zip(places, along("w_step"), strict=True)]
    ends += [(channels, "w_channel"), (groups * filters, "w_filter")]
    if not all(n for n, _ in ends):
        return 0
    return 1 + given["w_start"] + sum(max(0, (n - 1) * given[step]) for n, step in ends)


def sizes(kind: str) -> Sequence[str]:
    """The names of the sizes of a convolution of ``kind``, in order."""
    return (*EXTENTS, *PLACES, *(FILTERS if kind != "filters" else ()))


def along(prefix: str) -> Sequence[str]:
    """The names of a quantity in the three dimensions.

    >>> along("stride")
    ['stride0', 'stride1', 'stride2']
    """
    return [f"{prefix}{d}" for d in range(3)]
