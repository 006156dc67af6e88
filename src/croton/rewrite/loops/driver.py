"""Applying the rules for scans, until none applies any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from time import perf_counter

from croton.graph import Apply, Variable, trace
from croton.graph.traversal import toposort
from croton.loop.op import Scan
from croton.rewrite.intern import Table
from croton.rewrite.report import Report

#: Rewrites allowed, for each scan, before the rules are said to run away.
_FUEL = 100

#: What a rule finds: variables, and what takes the place of each.
Swaps = dict[Variable, Variable]


@dataclass(frozen=True)
class LoopRule:
    """``find(graph, node)`` gives what to replace if the rule applies to the scan ``node``.

    ``note`` says what may change: rounding, or what happens to NaN and infinities.
    """

    name: str
    find: Callable[[Graph, Apply], Swaps | None]
    note: str = ""
    group: str = "loops"


class LoopError(Exception):
    """A rule for scans failed or ran away."""


class Graph:
    """The whole graph as rules see it: its nodes in order, and who reads what."""

    def __init__(self, outputs: Sequence[Variable]) -> None:
        self.outputs = list(outputs)
        self.order = toposort(self.outputs)
        self.scans = [node for node in self.order if isinstance(node.op, Scan)]
        self._readers: dict[Variable, list[Apply]] = {}
        for node in self.order:
            for v in node.inputs:
                self._readers.setdefault(v, []).append(node)

    def readers(self, v: Variable) -> list[Apply]:
        """The applications that take ``v``."""
        return self._readers.get(v, [])

    def is_read(self, v: Variable) -> bool:
        """Whether anything takes ``v``, or it is an output."""
        return v in self._readers or v in self.outputs

    def depends(self, node: Apply, on: Apply) -> bool:
        """Whether ``node`` needs what ``on`` computes."""
        return any(n is on for n in toposort(node.inputs))


class Loops:
    """Applies ``rules``, but those whose name or group is among ``without``."""

    def __init__(self, rules: Sequence[LoopRule], without: Collection[str], report: Report) -> None:
        self._rules = [r for r in rules if r.name not in without and r.group not in without]
        self._report = report

    def __call__(self, outputs: Sequence[Variable], table: Table) -> list[Variable]:
        """``outputs``, interned in ``table``, with the rules applied to all scans."""
        graph = Graph(outputs)
        if not graph.scans:
            return list(outputs)
        fuel = _FUEL * len(graph.scans)
        while True:
            found = self._first(graph)
            if found is None:
                return graph.outputs
            rule, swaps = found
            fuel -= 1
            if fuel < 0:
                raise LoopError(f"the rules for loops find no end; the last one was {rule.name}")
            graph = Graph(substitute(graph.outputs, swaps, table))

    def _first(self, graph: Graph) -> tuple[LoopRule, Swaps] | None:
        for rule in self._rules:
            for node in graph.scans:
                start = perf_counter()
                try:
                    swaps = rule.find(graph, node)
                except Exception as error:
                    raise LoopError(
                        f"rule {rule.name} failed on {node}: {type(error).__name__}: {error}"
                        + trace.describe(node.made_at)
                    ) from error
                self._report.add(rule, perf_counter() - start, swaps is not None)
                if swaps is not None:
                    return rule, swaps
        return None


def substitute(outputs: Sequence[Variable], swaps: Swaps, table: Table) -> list[Variable]:
    """``outputs`` with variables replaced, interned; what replaces them stays as it is."""
    became = {old: table.adopt(new, origin=old.owner) for old, new in swaps.items()}
    for node in toposort(outputs, became):
        inputs = [became.get(v, v) for v in node.inputs]
        if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            continue
        new = table.apply(node.op, inputs, like=node)
        for old, fresh in zip(node.outputs, new.outputs, strict=True):
            became.setdefault(old, fresh)
    return [became.get(v, v) for v in outputs]
