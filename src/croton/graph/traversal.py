"""Walking a graph: ancestors, order, inputs, rebuilding with replacements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.shared import SharedVariable
from croton.graph.variable import Constant, Variable


def toposort(outputs: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Apply]:
    """The applications that compute ``outputs``, each after those it needs.

    Nothing before a variable of ``blockers`` is visited.
    """
    stop = {id(v) for v in blockers}
    done: set[int] = set()
    order: list[Apply] = []
    for output in outputs:
        if output.owner is None or id(output) in stop or id(output.owner) in done:
            continue
        stack: list[tuple[Apply, Iterator[Variable]]] = [(output.owner, iter(output.owner.inputs))]
        done.add(id(output.owner))
        while stack:
            node, inputs = stack[-1]
            for v in inputs:
                owner = v.owner
                if owner is not None and id(owner) not in done and id(v) not in stop:
                    done.add(id(owner))
                    stack.append((owner, iter(owner.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def ancestors(outputs: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Variable]:
    """``outputs`` and every variable they depend on, each once, dependencies first."""
    outputs = list(outputs)
    seen: set[int] = set()
    found: list[Variable] = []
    for node in toposort(outputs, blockers):
        for v in (*node.inputs, *node.outputs):
            if id(v) not in seen:
                seen.add(id(v))
                found.append(v)
    for v in outputs:
        if id(v) not in seen:
            seen.add(id(v))
            found.append(v)
    return found


def graph_inputs(outputs: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Variable]:
    """The variables without owner (constants and shared variables too) that outputs need."""
    stop = {id(v) for v in blockers}
    return [v for v in ancestors(outputs, blockers) if v.owner is None or id(v) in stop]


def explicit_inputs(outputs: Iterable[Variable]) -> list[Variable]:
    """As :func:`graph_inputs` without constants and shared variables."""
    return [v for v in graph_inputs(outputs) if not isinstance(v, Constant | SharedVariable)]


def is_in_ancestors(variable: Variable, node: Apply) -> bool:
    """Whether ``variable`` depends on an output of ``node``."""
    return any(n is node for n in toposort([variable]))


def replace(
    outputs: Sequence[Variable],
    replacements: Mapping[Variable, Variable] | Iterable[tuple[Variable, Variable]],
    rebuild: Callable[[Apply, list[Variable]], Sequence[Variable]] | None = None,
) -> list[Variable]:
    """``outputs`` with variables replaced; what depends on none of them stays the same object.

    The replacements themselves are not searched.  ``rebuild(node, inputs)``
    makes the new outputs of a changed application (default: apply the op again).
    """
    pairs = replacements.items() if isinstance(replacements, Mapping) else replacements
    memo: dict[int, Variable] = {id(old): new for old, new in pairs}
    keep: list[Any] = list(memo.values())
    for node in toposort(outputs, [v for v in ancestors(outputs) if id(v) in memo]):
        inputs = [memo.get(id(v), v) for v in node.inputs]
        if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            continue
        with trace.made_by(node.made_at):
            if rebuild is None:
                new = node.clone_with_new_inputs(inputs).outputs
            else:
                new = list(rebuild(node, inputs))
        for old, fresh in zip(node.outputs, new, strict=True):
            if id(old) not in memo:
                fresh.name = old.name
                memo[id(old)] = fresh
                keep.append(old)
    return [memo.get(id(v), v) for v in outputs]


def clone_graph(
    inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> tuple[list[Variable], list[Variable]]:
    """A copy of the graph from fresh ``inputs`` to ``outputs``; constants are shared.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> inputs, outputs = croton.clone_graph([x], [x + 1])
    >>> inputs[0] is x, outputs[0].eval({inputs[0]: 1.0})
    (False, array(2.))
    """
    fresh = [v if isinstance(v, Constant | SharedVariable) else v.clone() for v in inputs]
    return fresh, replace(outputs, list(zip(inputs, fresh, strict=True)))
