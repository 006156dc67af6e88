"""FunctionGraph: the graph of one function, between its inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence

from croton.graph.apply import Apply
from croton.graph.traversal import ancestors, toposort
from croton.graph.variable import Variable


class FunctionGraph:
    """What a function computes, after rewriting."""

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)

    def toposort(self) -> list[Apply]:
        """The applications, each after those it needs."""
        return toposort(self.outputs, self.inputs)

    @property
    def apply_nodes(self) -> set[Apply]:
        """The applications."""
        return set(self.toposort())

    @property
    def variables(self) -> set[Variable]:
        """The variables."""
        return set(ancestors(self.outputs, self.inputs))

    def __str__(self) -> str:
        return "FunctionGraph(" + ", ".join(map(str, self.outputs)) + ")"
