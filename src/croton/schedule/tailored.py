"""Scans whose steps may turn out to be tiny: only a call knows the sizes.

Its first call with few numbers in a step asks for a kernel for these sizes (see
:mod:`croton.schedule.recurrence`), and does not run the loop's own instructions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from croton.graph.variable import Variable
from croton.kernel.nodes import Function, Var
from croton.runtime.program import Question
from croton.schedule.recurrence import (
    MOST,
    MOST_IN_ALL,
    Failing,
    is_simple,
    large_constants,
    recurrence,
)
from croton.schedule.sizes import Size, Sizes
from croton.schedule.unify import SizeCheck
from croton.tensor.indexing import AdvancedIncSubtensor, AdvancedSubtensor

Dimension = tuple[Variable, int]

#: What checks the positions that it reads while it does.
_CHECKED = (AdvancedSubtensor, AdvancedIncSubtensor)
#: What a question about such a scan is called.
SUBJECT = "recurrence"
#: Launches of kernels that the fewest steps do that are worth a kernel of their own: compiling
#: one takes as long as 300,000 of them.
_LAUNCHES = 2048


class Tailored(NamedTuple):
    """A scan, the sizes that its kernel is made for, and the outputs that somebody wants.

    ``dimensions`` tells of each dimension of the step's inputs what it is: a number, the position
    of one of ``sizes`` (a tuple of one), or the dimension of another input that it is the same as.
    Those that are themselves are ``large``, which the kernel is given.  ``checks`` are those that
    only the values decide; ``errors`` has the numbers of errors by check and by node.
    """

    node: Any
    sizes: tuple[Size, ...]
    large: tuple[Size, ...]
    dimensions: dict[Dimension, int | tuple[int] | Dimension]
    wanted: frozenset[Variable]
    checks: tuple[SizeCheck, ...]
    errors: dict[Any, int]

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
        constants = [("constant", k) for k in range(len(large_constants(self.node)))]
        return (*dict.fromkeys(given), *constants, *made)

    @property
    def least_steps(self) -> int:
        """How many steps a call must have for its sizes to be worth a kernel."""
        return -(-_LAUNCHES // max(1, len(self.node.op.inner.nodes)))

    def kernel(self, numbers: Sequence[int]) -> Function | None:
        """The kernel for steps of these sizes; None if they are not tiny."""
        sizes = Sizes()
        large: list[Size] = []
        for place, what in self.dimensions.items():
            if what == place:
                large.append(sizes.dimension(*place))
            elif isinstance(what, int) or len(what) == 2:
                sizes.equal[place] = what
            else:
                sizes.equal[place] = numbers[what[0]]
        made = recurrence(
            self.node, sizes, self.wanted.__contains__, self.checks, _Errors(self.errors), True
        )
        if made is None:
            return None
        function = made.with_buffers(self.node, self.buffers)
        first = len(function.sizes) - len(made.sizes)
        names = dict(zip(made.sizes, function.sizes[first:], strict=True))
        more = [names.get(size, Var(f"unread{k}")) for k, size in enumerate(large)]
        return function._replace(sizes=(*function.sizes[:first], *more))


class _Errors:
    """The errors that a program has for a kernel that is made later."""

    def __init__(self, numbers: dict[Any, int]) -> None:
        self._numbers = numbers

    def index_error(self, check: SizeCheck) -> int:
        """That of a check."""
        return self._numbers[check]

    def position_error(self, node: Any) -> int:
        """That of a node."""
        return self._numbers[node]


def question(number: int) -> Question:
    """What a program asks about the scan ``number`` of those that may be tiny."""
    return Question(SUBJECT, (("number", number),))


def tailored(
    node: Any,
    sizes: Sizes,
    wanted: Collection[Variable],
    checks: Sequence[SizeCheck],
    failing: Failing,
) -> Tailored | None:
    """The scan ``node`` if its step may be tiny; ``sizes`` are those in the step.

    ``checks`` are those that only the values of a step decide.
    """
    layout, nodes = node.op.layout, node.op.inner.nodes
    if not all(is_simple(n, sizes) for n in nodes) or any(c.kind != "index" for c in checks):
        return None
    inputs = list(zip(layout.sources, node.op.inner.inputs, strict=True))
    few = [v for source, v in inputs if source.kind != "non_sequence"]
    few += [v for n in nodes for v in n.outputs]
    shapes = [sizes.shape(v) for v in few]
    if sizes.values_in([s for shape in shapes for s in shape]):
        return None
    least = [_least(shape) for shape in shapes]
    if max(least, default=0) > MOST or sum(least) > MOST_IN_ALL:
        return None
    atoms = sizes.atoms_in([s for shape in shapes for s in shape])
    small = {sizes.dimension(*atom.what) for atom in atoms if atom.kind == "dimension"}
    places: dict[Size, tuple[int]] = {}
    large: dict[Size, Dimension] = {}
    dimensions: dict[Dimension, int | tuple[int] | Dimension] = {}
    for _, v in inputs:
        for d, size in enumerate(sizes.shape(v)):
            if size.value is not None:
                dimensions[v, d] = size.value
            elif size in small:
                dimensions[v, d] = places.setdefault(size, (len(places),))
            else:
                dimensions[v, d] = large.setdefault(size, (v, d))
    if not places:
        return None
    errors: dict[Any, int] = {check: failing.index_error(check) for check in checks}
    errors |= {n: failing.position_error(n) for n in nodes if isinstance(n.op, _CHECKED)}
    return Tailored(
        node, tuple(places), tuple(large), dimensions, frozenset(wanted), tuple(checks), errors
    )


def _least(shape: Sequence[Size]) -> int:
    """How many numbers a value has at least, unless it is empty."""
    total = 1
    for size in shape:
        total *= 1 if size.value is None else size.value
    return total
