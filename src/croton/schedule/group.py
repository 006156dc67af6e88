"""Groups: values that one kernel, or one tiled step, computes.

A :class:`Group` becomes one kernel.  Its domain is a tuple of sizes, the axes
of a loop nest; some leading ones (``split``) are its *rows*.  A value of the
group has an *alignment*: for each of its dimensions the domain axis along
which it runs (None for a dimension of size 1).  A value is

- *full*, if it runs along every axis;
- a *row* value, if it runs along the rows only (a reduction over the rest,
  or what is computed from such);
- *terminal*, if it is a reduction over the rows: each chunk of rows leaves a
  partial result, and another group, which starts from these, finishes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from croton.graph.variable import Variable
from croton.schedule.sizes import Size

Alignment = tuple[int | None, ...]

#: Kinds whose kernels hand blocks of the result on to what is computed from it.
TILED = ("product", "convolution")
#: The dtypes that they have kernels for.
TILED_DTYPES = frozenset(("float32", "float64"))


class Order(NamedTuple):
    """The order in which the kernels of a gradient by filters give it.

    ``views``: the gradient, and what is computed in its place, up to the last one, which is in
    this order.  ``domain`` are the sizes of that but those of 1, of which the first ``rows`` are
    rows of blocks (see :mod:`croton.schedule.convolution.filters_end`, also for ``turned`` and
    ``backwards``); ``align`` says how the views run along them.
    """

    views: tuple[Variable, ...]
    domain: tuple[Size, ...]
    align: Mapping[Variable, Alignment]
    rows: int
    turned: bool
    backwards: bool


class Group:
    """Values computed together.  ``kind``: loop, product, convolution, scatter, scan or host."""

    def __init__(self, number: int, kind: str, domain: Sequence[Size]) -> None:
        self.number = number
        self.kind = kind
        self.domain = list(domain)
        self.split: int | None = None
        self.members: list[Variable] = []
        self.align: dict[Variable, Alignment] = {}
        self.row_reductions: list[Variable] = []
        self.serial: list[Variable] = []  # reductions by a loop within each element
        self.terminals: list[Variable] = []
        self.finishes: dict[Variable, Group] = {}  # terminal -> the group that made its parts
        self.needs: set[Group] = set()
        self.stage = 0
        #: Of a convolution: the group over its pooled places, which its kernels compute as well.
        self.pool: Group | None = None
        #: Then: others than the pooling read what the convolution gives as well.
        self.stores_unpooled = False
        #: It computes a size, which nothing that runs at the same time may need.
        self.closed = False
        #: Of a gradient by filters.
        self.order: Order | None = None
        #: Its kernels compute what it began with and nothing else.
        self.alone = False
        #: Members that are put together from parts, each of which runs along the axes as they
        #: are aligned: they are stored part by part, and not read here.
        self.joined: set[Variable] = set()

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.domain)

    def is_full(self, alignment: Alignment) -> bool:
        """Whether a value so aligned runs along every axis."""
        return set(alignment) - {None} == set(range(self.rank))

    def is_row(self, alignment: Alignment) -> bool:
        """Whether a value so aligned runs along the rows only."""
        return self.split is not None and set(alignment) - {None} == set(range(self.split))

    def __repr__(self) -> str:
        return f"Group({self.number}, {self.kind}, rank {self.rank}, {len(self.members)} values)"
