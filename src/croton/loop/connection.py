"""What of a scan depends differentiably on what."""

from __future__ import annotations

from collections.abc import Collection

from croton.graph.variable import Variable
from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.tensor import dtypes


def reached(inner: Inner) -> list[set[int]]:
    """For each inner output the inner inputs that reach it differentiably."""
    known: dict[Variable, set[int]] = {v: {k} for k, v in enumerate(inner.inputs)}
    for node in inner.nodes:
        pattern = node.op.connection_pattern(node)
        for j, out in enumerate(node.outputs):
            if out not in known:
                known[out] = set().union(
                    *(known.get(v, set()) for i, v in enumerate(node.inputs) if pattern[i][j])
                )
    return [known.get(v, set()) for v in inner.outputs]


def pattern(inner: Inner, layout: Layout) -> list[list[bool]]:
    """``pattern[i][j]``: whether input i of the scan reaches its output j differentiably."""
    sources, targets, inside = layout.sources, layout.targets, reached(inner)
    through: list[set[int]] = [set() for _ in targets]
    for k in range(len(layout.states)):
        through[k].add(layout.state_input(k))
    changed = True
    while changed:
        changed = False
        for target, mine, reaching in zip(targets, through, inside, strict=True):
            if target.kind == "until":
                continue
            before = len(mine)
            for i in reaching:
                mine.add(sources[i].outer)
                if sources[i].kind == "state":
                    mine |= through[sources[i].entry]
            changed = changed or len(mine) > before
    return [[i in through[j] for j in range(len(targets))] for i in range(layout.n_inputs)]


def live_targets(inner: Inner, layout: Layout, wanted: Collection[int]) -> set[int]:
    """The inner outputs (of floats) that lead to those of ``wanted`` differentiably."""
    sources, inside = layout.sources, reached(inner)
    live = set(wanted)
    while True:
        feeding = {sources[i].entry for j in live for i in inside[j] if sources[i].kind == "state"}
        more = {
            k
            for k in feeding - live
            if inner.outputs[k].type.dtype in dtypes.FLOATS  # type: ignore[attr-defined]
        }
        if not more:
            return live
        live |= more
