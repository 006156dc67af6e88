"""Scans whose steps may turn out to be tiny: only a call knows the sizes.

Its first call with few numbers in a step asks for a kernel for these sizes (see
:mod:`croton.schedule.recurrence`), and does not run the loop's own instructions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from croton.graph.variable import Variable
from croton.kernel.nodes import Function
from croton.runtime.program import Question
from croton.schedule.recurrence import MOST, MOST_IN_ALL, is_simple, recurrence
from croton.schedule.sizes import Size, Sizes

#: What a question about such a scan is called.
SUBJECT = "recurrence"
#: Launches of kernels that the fewest steps do that are worth a kernel of their own: compiling
#: one takes as long as 300,000 of them.
_LAUNCHES = 2048


class Tailored(NamedTuple):
    """A scan, the sizes that its kernel is made for, and the outputs that somebody wants.

    ``dimensions`` tells of each dimension of the step's inputs what it is: a number, or (a tuple
    of one) the position of one of ``sizes``.
    """

    node: Any
    sizes: tuple[Size, ...]
    dimensions: dict[tuple[Variable, int], int | tuple[int]]
    wanted: frozenset[Variable]

    @property
    def buffers(self) -> tuple[tuple[str, int], ...]:
        """What the kernel's buffers are, as of a :class:`~croton.schedule.recurrence.Recurrence`.

        The outputs come last.
        """
        layout = self.node.op.layout
        states = range(len(layout.states))
        given = [
            ("input", source.outer)
            for source in layout.sources
            if source.kind != "state" or not layout.until
        ]
        made = [("output", k) for k, v in enumerate(self.node.outputs) if v in self.wanted]
        if layout.until:
            last = len(self.node.outputs) - 1
            made = [("output", k) for _, k in made if k not in (*states, last)]
            made += [*(("state", k) for k in states), ("count", 0), ("ended", 0)]
        return (*dict.fromkeys(given), *made)

    @property
    def least_steps(self) -> int:
        """How many steps a call must have for its sizes to be worth a kernel."""
        return -(-_LAUNCHES // max(1, len(self.node.op.inner.nodes)))

    def kernel(self, numbers: Sequence[int]) -> Function | None:
        """The kernel for steps of these sizes; None if they are not tiny."""
        sizes = Sizes()
        sizes.equal = {
            place: numbers[size[0]] if isinstance(size, tuple) else size
            for place, size in self.dimensions.items()
        }
        made = recurrence(self.node, sizes, self.wanted.__contains__)
        return None if made is None else made.with_buffers(self.node, self.buffers)


def question(number: int) -> Question:
    """What a program asks about the scan ``number`` of those that may be tiny."""
    return Question(SUBJECT, (("number", number),))


def tailored(node: Any, sizes: Sizes, wanted: Collection[Variable]) -> Tailored | None:
    """The scan ``node`` if its step may be tiny; ``sizes`` are those in the step."""
    nodes, inputs = node.op.inner.nodes, node.op.inner.inputs
    shapes = [sizes.shape(v) for v in (*inputs, *(v for n in nodes for v in n.outputs))]
    if not all(is_simple(n, sizes) for n in nodes):
        return None
    if sizes.values_in([s for shape in shapes for s in shape]):
        return None
    least = [_least(shape) for shape in shapes]
    if max(least, default=0) > MOST or sum(least) > MOST_IN_ALL:
        return None
    places: dict[Size, tuple[int]] = {}
    dimensions: dict[tuple[Variable, int], int | tuple[int]] = {}
    for v in inputs:
        for d, size in enumerate(sizes.shape(v)):
            known = size.value
            dimensions[v, d] = places.setdefault(size, (len(places),)) if known is None else known
    if not places:
        return None
    return Tailored(node, tuple(places), dimensions, frozenset(wanted))


def _least(shape: Sequence[Size]) -> int:
    """How many numbers a value has at least, unless it is empty."""
    total = 1
    for size in shape:
        total *= 1 if size.value is None else size.value
    return total
