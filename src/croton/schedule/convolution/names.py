"""What the sizes of a convolution are called in its plans.

There are always three spatial dimensions, 0 to 2; those that an image does not have come first,
with size 1, stride 1, dilation 1 and nothing before.  ``x`` and ``y`` are contiguous with their
channels last: (batch, x0, x1, x2, groups * channels), (batch, y0, y1, y2, groups * filters).
Filters that are read lie in any way: element (f, c, t0, t1, t2), with f in [0, groups * filters)
and c in [0, channels), is ``w[w_start + f * w_filter + c * w_channel + t0 * w_step0 + ...]``.
Filters that are computed are contiguous: (k0, k1, k2, channels, groups * filters).
"""

from __future__ import annotations

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

KINDS: Mapping[str, tuple[str, str, str]] = {
    "forward": ("x", "w", "y"),
    "inputs": ("y", "w", "x"),
    "filters": ("x", "y", "w"),
}
"""For each kind the buffers that are read, and the one that is computed."""


def along(prefix: str) -> Sequence[str]:
    """The names of a quantity in the three dimensions.

    >>> along("stride")
    ['stride0', 'stride1', 'stride2']
    """
    return [f"{prefix}{d}" for d in range(3)]
