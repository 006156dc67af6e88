"""A state of which only the last rows are read needs no history."""

from __future__ import annotations

from typing import Any, NamedTuple

from croton.graph import Apply, Variable
from croton.rewrite.loops.driver import Graph, LoopRule, Swaps
from croton.rewrite.loops.parts import Assembled, StatePart, states_of
from croton.tensor.elementwise import lt, switch
from croton.tensor.indexing import Subtensor
from croton.tensor.indexing.basic import Slice
from croton.tensor.shapes import known_size


class _Reader(NamedTuple):
    """``result[first:][-back]``, ``back`` rows from the end; the first ``first`` are left out."""

    result: Variable
    back: int
    first: int


def _last(graph: Graph, node: Apply) -> Swaps | None:
    op: Any = node.op
    if op.layout.backwards:
        return None
    found = {p: _readers(graph, p) for p in states_of([node]) if op.layout.states[p.k].history}
    only_last = {p: readers for p, readers in found.items() if readers}
    if not only_last:
        return None
    return _without_history(graph, node, only_last)


def _readers(graph: Graph, part: StatePart) -> list[_Reader] | None:
    """Those who read a state's history, if each takes one of its last rows."""
    op: Any = part.node.op
    depth = op.layout.states[part.k].depth
    if part.result in graph.outputs:
        return None
    found: list[_Reader] = []
    pending = [(node, 0) for node in graph.readers(part.result)]
    while pending:
        node, first = pending.pop()
        entry = _only_entry(node)
        result = node.outputs[0]
        if isinstance(entry, int) and -depth <= entry < 0:
            found.append(_Reader(result, -entry, first))
        elif entry == Slice(depth, None, None) and not first and result not in graph.outputs:
            pending += [(reader, depth) for reader in graph.readers(result)]
        else:
            return None
    return found


def _only_entry(node: Apply) -> Any:
    op = node.op
    if not isinstance(op, Subtensor) or len(node.inputs) > 1:
        return None
    whole = Slice(None, None, None)
    return op.entries[0] if all(e == whole for e in op.entries[1:]) else None


def _without_history(graph: Graph, node: Apply, only_last: dict[StatePart, list[_Reader]]) -> Swaps:
    op: Any = node.op
    wanted = [v for v in node.outputs if graph.is_read(v)]
    if op.layout.until:
        wanted.append(node.outputs[-1])
    made = Assembled([node], [[p] for p in states_of([node])], wanted, only_last=only_last).make()
    steps = made[node.outputs[-1]] if op.layout.until else node.inputs[0]
    for part, readers in only_last.items():
        rows: Any = made.pop(part.result)
        depth = op.layout.states[part.k].depth
        for reader in readers:
            made[reader.result] = rows[_place(reader, depth, steps)]
    return made


def _place(reader: _Reader, depth: int, steps: Any) -> Any:
    """Which of the ``depth`` last rows it is: none, where there were not as many steps."""
    known = known_size(steps)
    if not reader.first or (known is not None and known >= reader.back):
        return depth - reader.back
    return switch(lt(steps, reader.back), depth, depth - reader.back)


LAST = LoopRule("last_of_loop", _last)
