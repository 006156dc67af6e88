"""The change of a scan along a direction: a scan that carries changes beside the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.gradient.forward import Rop
from croton.graph.variable import Variable
from croton.loop.building import Builder
from croton.loop.connection import reached
from croton.loop.fitting import fit, promise
from croton.tensor import dtypes
from croton.tensor.creation import zeros_like


def push_forward(op: Any, inputs: Sequence[Any], directions: Sequence[Any]) -> list[Any]:
    """The changes of a scan's outputs where its inputs change by ``directions`` (None: not)."""
    layout, inner = op.layout, op.inner
    moving = _moving(op, directions)
    builder = Builder(inputs[0], layout.backwards)
    values: list[Any] = []
    changes: dict[Variable, Any] = {}
    for source in layout.sources:
        d = directions[source.outer]
        if source.kind == "sequence":
            values.append(builder.row(inputs[source.outer], source.offset))
            if d is not None:
                changes[values[-1]] = builder.row(d, source.offset)
        elif source.kind == "non_sequence":
            values.append(builder.whole(inputs[source.outer]))
            if d is not None:
                changes[values[-1]] = builder.whole(d)
        elif len(values) == layout.first_of_state(source.entry):
            state, initial = layout.states[source.entry], inputs[source.outer]
            values += builder.state(initial, state.lags, state.history)
    for k in moving:
        if k < len(layout.states):
            state, initial = layout.states[k], inputs[layout.state_input(k)]
            d = directions[layout.state_input(k)]
            before = zeros_like(initial) if d is None else d
            first = layout.first_of_state(k)
            rows = values[first : first + len(state.lags)]
            changes.update(zip(rows, builder.state(before, state.lags, state.history), strict=True))
    swaps = [promise(u, v.type) for u, v in zip(values, inner.inputs, strict=True)]
    outputs = inner.on(swaps)
    moved = Rop([outputs[j] for j in moving], list(changes), list(changes.values()), "ignore")
    count = len(layout.states)
    states = [k for k in moving if k < count]
    fitted = [
        fit(d, row.type, f"the change of state {k}")
        for k, d in zip(states, moved, strict=False)
        for row in [values[layout.first_of_state(k)]]
    ]
    ends = outputs[-1] if layout.until else None
    collected = outputs[count : count + layout.collected]
    step = builder.step([*outputs[:count], *fitted], [*collected, *moved[len(states) :]], ends)
    found = type(op)(step.inner, step.layout, op.name).make_node(*step.inputs).outputs
    results: list[Any] = [None] * layout.n_outputs
    for place, k in enumerate(states):
        results[k] = found[count + place]
    first = count + len(states) + layout.collected
    for place, j in enumerate(moving[len(states) :]):
        results[j] = found[first + place]
    return results


def _moving(op: Any, directions: Sequence[Any]) -> list[int]:
    """The inner outputs that change, in order."""
    layout, inner = op.layout, op.inner
    inside = reached(inner)
    moving: set[int] = {
        k for k in range(len(layout.states)) if directions[layout.state_input(k)] is not None
    }
    while True:
        inputs = {
            i
            for i, source in enumerate(layout.sources)
            if (source.entry in moving if source.kind == "state" else
                directions[source.outer] is not None)
        }  # fmt: skip
        more = {
            target.entry if target.kind == "state" else target.outer
            for target, v, reaching in zip(layout.targets, inner.outputs, inside, strict=True)
            if target.kind != "until" and v.type.dtype in dtypes.FLOATS and reaching & inputs
        }
        if more <= moving:
            return sorted(moving)
        moving |= more
