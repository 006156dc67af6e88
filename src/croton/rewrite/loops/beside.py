"""What steps collect of the columns of a row lies in the columns of one row as well.

An LSTM's gates are parts of one row, and so are their activations then, which its gradient reads:
one history instead of several, and it can take the memory of the rows that it was computed from
(:mod:`croton.schedule.heirs`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from croton.graph import Apply, trace
from croton.loop.op import Scan
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.parts import Assembled, states_of
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing.columns import Columns, columns_of
from croton.tensor.joining import join


class _Collected(NamedTuple):
    """A step's value, the output that collects it, and the scan that reads that."""

    value: Any
    result: Any
    reader: Apply


def _beside(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    if op.layout.until:
        return None
    found: dict[tuple[Any, Apply], dict[tuple[int, int], _Collected]] = {}
    for target, v in zip(op.layout.targets, op.inner.outputs, strict=True):
        if target.kind == "collected":
            collected = _read_row_by_row(graph, v, node.outputs[target.outer])
            columns = _origin(v)
            if collected is not None and columns is not None:
                parts = found.setdefault((columns.array, collected.reader), {})
                parts.setdefault((columns.start, columns.stop), collected)
    for (row, _), parts in found.items():
        if len(parts) > 1 and _cover(row.type, parts):
            return _one_history(graph, node, parts)
    return None


def _read_row_by_row(graph: Graph, value: Any, result: Any) -> _Collected | None:
    """What is collected, if a scan reads it, row t at time t, and nobody else does."""
    readers = graph.readers(result)
    if result in graph.outputs or len(readers) != 1:
        return None
    (reader,) = readers
    op: Any = reader.op
    if not isinstance(op, Scan):
        return None
    uses = [s for s in op.layout.sources if reader.inputs[s.outer] is result]
    if len(uses) != 1 or uses[0].kind != "sequence" or uses[0].offset:
        return None
    return _Collected(value, result, reader)


def _origin(v: Any) -> Columns | None:
    """The columns of which ``v`` is computed element by element."""
    while v.owner is not None and isinstance(v.owner.op, Elemwise) and len(v.owner.inputs) == 1:
        v = v.owner.inputs[0]
    found = columns_of(v)
    return found if found is not None and found.array.type.ndim == 2 else None


def _cover(row: Any, parts: dict[tuple[int, int], _Collected]) -> bool:
    """Whether the parts are all columns of a row, each once, and look like it."""
    ends = sorted(parts)
    starts, stops = [start for start, _ in ends], [stop for _, stop in ends]
    types = {(p.value.type.dtype, p.value.type.shape[0]) for p in parts.values()}
    same = types == {(row.dtype, row.shape[0])}
    return same and [*starts, row.shape[1]] == [0, *stops]


def _one_history(graph: Graph, node: Apply, parts: dict[tuple[int, int], _Collected]) -> Swaps:
    """The scan that collects the parts side by side; each of them is columns of that."""
    row = [parts[ends] for ends in sorted(parts)]
    with trace.made_by(row[0].value.owner.made_at):
        joined = join(1, *(p.value for p in row))
    results = {p.result for p in row}
    wanted = [v for v in node.outputs if graph.is_read(v) and v not in results]
    made = Assembled([node], [[p] for p in states_of([node])], wanted).make([joined])
    history: Any = made.pop(joined)
    for (start, stop), part in parts.items():
        made[part.result] = history[:, :, start:stop]
    return made


def _with_the_row(graph: Graph, node: Apply) -> Swaps | None:
    """The scan that reads rows of an array where its sequences are columns of that."""
    op: Any = node.op
    columns: dict[Any, Columns] = {}
    for source, v in zip(op.layout.sources, op.inner.inputs, strict=True):
        found = columns_of(node.inputs[source.outer]) if source.kind == "sequence" else None
        if found is not None and found.array.type.ndim == 3:
            columns[v] = found
    if not columns:
        return None
    wanted = [v for v in node.outputs if graph.is_read(v)]
    return Assembled([node], [[p] for p in states_of([node])], wanted, columns=columns).make()


BESIDE = LoopRule("collected_beside", _beside)
COLUMNS = LoopRule("columns_of_rows", _with_the_row)
