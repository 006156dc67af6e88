"""Inner: the graph of one step, as a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.printing import details
from croton.graph.traversal import graph_inputs, replace, toposort
from croton.graph.variable import Constant, Variable


class Inner:
    """A graph from ``inputs`` to ``outputs`` that needs nothing else (but constants).

    Two are equal if they have the same structure: equal ops, applied in the same order to
    inputs of the same types and equal constants.  ValueError if the outputs need a variable
    that is not among the inputs, or if an input is given twice.

    >>> import croton.tensor as T
    >>> x, y = T.dscalars("x y")
    >>> Inner([x], [x * 2]) == Inner([y], [y * 2]), Inner([x], [x * 3]) == Inner([y], [y * 2])
    (True, False)
    """

    __slots__ = ("__weakref__", "_hash", "_plan", "_structure", "inputs", "nodes", "outputs")

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        known = set(self.inputs)
        if len(known) < len(self.inputs):
            raise ValueError("an input of a step is given twice")
        for v in graph_inputs(self.outputs, self.inputs):
            if v not in known and not isinstance(v, Constant):
                raise ValueError(
                    f"a step needs {v}, which is not among its inputs" + trace.describe(v.made_at)
                )
        self.nodes: tuple[Apply, ...] = tuple(toposort(self.outputs, self.inputs))
        self._structure = tuple(self._describe(lambda op: op))
        self._hash: int | None = None
        self._plan: _Plan | None = None

    def _describe(self, of_op: Any) -> Iterator[Any]:
        """The structure, item by item, with ``of_op(op)`` for each op."""
        number: dict[Variable, int] = {v: k for k, v in enumerate(self.inputs)}
        constants: dict[Any, int] = {}

        def find(v: Variable) -> Any:
            if v in number:
                return number[v]
            # Only constants are not computed before.
            key = v.signature()  # type: ignore[attr-defined]
            return ("constant", constants.setdefault(key, len(constants)))

        yield tuple(v.type for v in self.inputs)
        for node in self.nodes:
            yield (
                of_op(node.op),
                tuple(find(v) for v in node.inputs),
                tuple(v.type for v in node.outputs),
            )
            for v in node.outputs:
                number[v] = len(number)
        yield tuple(find(v) for v in self.outputs)
        yield tuple(constants)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Inner) and self._structure == other._structure

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self._structure)
        return self._hash

    def __reduce__(self) -> Any:
        # A hash holds for one process.
        return Inner, (self.inputs, self.outputs)

    def __str__(self) -> str:
        return f"Inner({len(self.nodes)} ops)"

    def __repr__(self) -> str:
        """The whole structure, the same in every process for ops that are told by their props."""
        return f"Inner({', '.join(map(repr, self._describe(_op_text)))})"

    def on(self, inputs: Sequence[Variable]) -> list[Variable]:
        """The outputs as expressions of other inputs."""
        return replace(self.outputs, list(zip(self.inputs, inputs, strict=True)))

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The outputs' values by each op's NumPy definition; they may share memory."""
        if self._plan is None:
            self._plan = _Plan.of(self)
        memory: list[Any] = [*values, *self._plan.constants]
        for node, taken in self._plan.steps:
            arguments = [memory[k] for k in taken]
            storage: list[list[Any]] = [[None] for _ in node.outputs]
            try:
                node.op.perform(node, arguments, storage)
            except Exception as error:
                shapes = ", ".join(str(np.shape(a)) for a in arguments)
                error.add_note(
                    f"in {node.op} of {shapes}" + details(node) + trace.describe(node.made_at)
                )
                raise
            memory.extend(np.asarray(cell[0]) for cell in storage)
        return [memory[k] for k in self._plan.results]


class _Plan(NamedTuple):
    """A graph with numbers for its variables: inputs, constants, then what is computed."""

    constants: list[Any]
    steps: list[tuple[Apply, list[int]]]
    results: list[int]

    @staticmethod
    def of(inner: Inner) -> _Plan:
        number: dict[Variable, int] = {v: k for k, v in enumerate(inner.inputs)}
        constants = []
        for v in graph_inputs(inner.outputs, inner.inputs):
            if v not in number:
                number[v] = len(number)
                constants.append(v.data)  # type: ignore[attr-defined]
        steps = []
        count = len(number)
        for node in inner.nodes:
            steps.append((node, [number[v] for v in node.inputs]))
            for v in node.outputs:
                # An input may be an intermediate variable of what it was made from.
                number.setdefault(v, count)
                count += 1
        return _Plan(constants, steps, [number[v] for v in inner.outputs])


def _op_text(op: Op) -> Any:
    kind = type(op)
    return (
        kind.__module__,
        kind.__qualname__,
        *(f"{p}={getattr(op, p)!r}" for p in op.__props__),
    )
