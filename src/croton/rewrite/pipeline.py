"""Which rules run when, and the functions that other rooms call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any

from croton.config import config
from croton.graph import Variable, trace
from croton.graph.traversal import toposort
from croton.loop.op import Scan
from croton.rewrite.branches import branch
from croton.rewrite.driver import Knowledge, Pass
from croton.rewrite.intern import Table
from croton.rewrite.loops import LATE_RULES, LOOP_RULES, Loops
from croton.rewrite.report import Report
from croton.rewrite.rules import RULES
from croton.rewrite.ruleset import RuleSet, select
from croton.rewrite.steps import Steps

#: The phase that applies the rules for scans, and then all phases to their steps.
LOOPS = "loops"
#: Phases: each is the groups whose rules are applied together until none applies.
FAST_RUN: tuple[str, ...] = (
    "canonicalise+shapes+indexing+stabilise",
    LOOPS,
    "convolution:layout+canonicalise+shapes+indexing",
    "expand+canonicalise+shapes+indexing+specialise",
    "select:canonicalise+shapes+indexing",
    "split:shapes",
)
FAST_COMPILE: tuple[str, ...] = ("convolution:layout+shapes", "expand+shapes")
_SIZES = "canonicalise+shapes+indexing"


def rewrite(
    outputs: Sequence[Variable],
    groups: Sequence[str] = FAST_RUN,
    excluding: Collection[str] = (),
    replacements: Mapping[Variable, Variable] | None = None,
    including: Collection[str] = (),
) -> tuple[list[Variable], Report]:
    """``outputs`` as new, interned, simplified expressions, and a report of what was done.

    ``groups`` are phases, each the names of groups of rules joined by ``+``, run one after the
    other (none: only equal subexpressions are merged).  A phase ``"a:b+c"`` is left out if no
    rule of ``a`` can apply.  ``excluding`` and ``including`` name
    rules or groups to leave out or to add to the first phase, with those of
    ``config.optimizer_excluding`` and ``config.optimizer_including``.  ``replacements`` gives
    variables that others take the place of, all at once.  Variables without owner stay the
    objects that they are; the user's nodes are not touched.
    """
    start = perf_counter()
    without = frozenset((*excluding, *filter(None, config.optimizer_excluding.split(":"))))
    added = sorted({*including, *filter(None, config.optimizer_including.split(":"))})
    report = Report()
    table = Table()

    def steps(phases: Sequence[str]) -> Steps:
        def simplify(step: Sequence[Variable]) -> list[Variable]:
            new, inner = rewrite(step, phases, excluding, None, including)
            report.include(inner)
            return new

        return Steps(simplify)

    with trace.made_by(()):
        current = table.copy(outputs, replacements or {})
        # Rules for loops look for what is simple already, and not yet fit for the machine.
        early = groups[: groups.index(LOOPS)] if LOOPS in groups else groups
        current = steps(early)(current, table)
        report.nodes_before = len(toposort(current))
        knowledge = Knowledge(table)
        for k, phase in enumerate(groups):
            begin = perf_counter()
            if phase == LOOPS and not any(isinstance(n.op, Scan) for n in toposort(current)):
                continue
            if phase == LOOPS:
                current = Loops(LOOP_RULES, without, report)(current, table)
                current = steps(groups)(current, table)
                # What a simplified step does not read any more would lie in memory for nothing.
                current = Loops(LATE_RULES, without, report)(current, table)
                report.phases.append((phase, perf_counter() - begin))
                continue
            decisive, colon, rest = phase.partition(":")
            if colon and not _rules(decisive, without).may_apply(toposort(current)):
                continue
            names = [*filter(None, (decisive, rest)), *(added if k == 0 else ())]
            run = Pass(knowledge, _rules("+".join(names), without), report)
            run.count_uses(current)
            current = [run.simplify(v) for v in current]
            report.phases.append((phase, perf_counter() - begin))
        if _is_for_machine(groups):
            current = branch(current, table, _known_sizes(table, knowledge))
    report.nodes_after = len(toposort(current))
    report.total = perf_counter() - start
    return current, report


def _is_for_machine(groups: Sequence[str]) -> bool:
    """Whether what comes out of these phases is what a program computes."""
    return any("expand" in phase.split("+") for phase in groups)


def _known_sizes(table: Table, knowledge: Knowledge) -> Callable[[Variable], Sequence[Variable]]:
    sizes = Pass(knowledge, _rules(_SIZES, frozenset()), Report())
    sizes.leave(table.interned.values())
    return sizes.sizes


@lru_cache(maxsize=64)
def _rules(phase: str, excluding: frozenset[str]) -> RuleSet:
    return RuleSet(select(RULES, frozenset(phase.split("+")), excluding))


class ShapeMap:
    """The sizes of the variables of an interned graph, as int64 scalars over its inputs.

    Equal sizes are the same variable; known ones are constants.
    """

    def __init__(self, outputs: Iterable[Variable] = ()) -> None:
        self._table = Table()
        self._table.register(outputs)
        self._pass = Pass(Knowledge(self._table), _rules(_SIZES, frozenset()), Report())
        self._pass.leave(self._table.interned.values())

    def __call__(self, v: Variable) -> tuple[Any, ...]:
        """The sizes of ``v``."""
        with trace.made_by(()):
            return self._pass.sizes(self._table.adopt(v))

    def simplify(self, v: Variable) -> Variable:
        """The interned simplified equal of an expression over the graph's variables."""
        with trace.made_by(()):
            return self._pass.simplify(self._table.adopt(v))
