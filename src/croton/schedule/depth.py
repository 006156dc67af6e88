"""How deep the expressions that one kernel computes may nest.

Kernels are made, checked and rendered by walks down their expressions, and LLVM takes ever longer
for ever longer blocks.  So a long way from memory to a result is cut into *stages*: values of
different stages are computed by different kernels, and reach each other through memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from croton.graph.apply import Apply
from croton.graph.variable import Variable
from croton.schedule.sizes import Sizes
from croton.tensor.shapes import Shape_i

#: Applications from memory to the last value of a stage.
DEEPEST = 48
#: A value no deeper than this belongs to the stage that needs it, as a term does to its sum.
_SHALLOW = 12


def stages(
    order: Sequence[Apply],
    sizes: Sizes,
    is_tiled: Callable[[Apply], bool],
    forced: set[Variable],
) -> dict[Variable, int]:
    """The stage of every value of ``order`` (inputs first) that is not in the first, 0.

    ``is_tiled``: whether kernels for products or convolutions compute a node.  ``forced``: the
    values that are kept in memory; what passes from stage to stage is added.
    """
    depth: dict[Variable, int] = {}
    for node in order:
        given = _is_given(node, sizes, is_tiled)
        deep = 0 if given else 1 + max((depth.get(v, 0) for v in node.inputs), default=0)
        for v in node.outputs:
            depth[v] = deep
    if max(depth.values(), default=0) <= DEEPEST:
        return {}
    found: dict[Variable, int] = {}
    needed: dict[Variable, int] = {}
    readers: dict[Variable, set[int]] = {}
    for node in reversed(order):
        for v in node.outputs:
            late = depth[v] // DEEPEST
            if 0 < depth[v] <= _SHALLOW and v not in forced:
                late = needed.get(v, late)
            if late:
                found[v] = late
        stage = found.get(node.outputs[0], 0)
        for u in node.inputs:
            needed[u] = min(stage, needed.get(u, stage))
            if u.owner is not None and not sizes.is_host(u):
                # Its own stage is not known before all that need it were seen.
                readers.setdefault(u, set()).add(stage)
    forced.update(u for u, seen in readers.items() if seen != {found.get(u, 0)})
    return found


def _is_given(node: Apply, sizes: Sizes, is_tiled: Callable[[Apply], bool]) -> bool:
    """Whether what a node computes is in memory anyhow, or no kernel's to compute."""
    loop = getattr(node.op, "loop", None)
    if loop in (None, "scan", "scatter", "reshape", "convolution") or is_tiled(node):
        return True
    return isinstance(node.op, Shape_i) or sizes.is_host(node.outputs[0])
