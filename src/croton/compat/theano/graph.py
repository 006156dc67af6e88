"""Names of ``theano.gof`` for what :mod:`croton.graph.traversal` does."""

from __future__ import annotations

from collections.abc import Iterable

from croton.graph import Apply, Variable
from croton.graph.traversal import (
    ancestors,
    clone_graph,
    graph_inputs,
    is_in_ancestors,
    toposort,
)

__all__ = [
    "ancestors",
    "clone_graph",
    "inputs",
    "io_toposort",
    "is_in_ancestors",
    "ops",
    "variables",
]


def inputs(variable_list: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Variable]:
    """The variables without an owner that ``variable_list`` is computed from."""
    return graph_inputs(variable_list, blockers or ())


def io_toposort(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> list[Apply]:
    """The applications between ``inputs`` and ``outputs``, each after those it needs."""
    return toposort(outputs, inputs)


def ops(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> set[Apply]:
    """The applications between ``inputs`` and ``outputs``."""
    return set(toposort(outputs, inputs))


def variables(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> set[Variable]:
    """The variables between ``inputs`` and ``outputs``, those included."""
    found = {*inputs, *outputs}
    for node in toposort(outputs, inputs):
        found.update(node.inputs, node.outputs)
    return found
