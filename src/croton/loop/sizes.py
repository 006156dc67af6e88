"""The sizes of what a step computes, as far as they follow from sizes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from croton.graph.traversal import graph_inputs, replace, toposort
from croton.graph.variable import Constant, Variable
from croton.loop.inner import Inner
from croton.tensor.convert import constant
from croton.tensor.shapes import Shape_i, as_size
from croton.tensor.type import TensorType

Sizes = tuple[Any, ...]


def sizes_inside(inner: Inner, v: Variable) -> Sizes:
    """The sizes of ``v`` as int64 scalars over the inner inputs."""
    known: dict[Variable, Sizes] = {}

    def find(u: Any, given: Any = None) -> Sizes:
        sizes = []
        for d, n in enumerate(u.type.shape):
            if n is not None:
                sizes.append(constant(np.int64(n)))
            elif given is None or given[d] is None:
                sizes.append(Shape_i(d)(u))
            else:
                sizes.append(as_size(given[d]))
        return tuple(sizes)

    for u in inner.inputs:
        if isinstance(u.type, TensorType):
            known[u] = find(u)
    for node in toposort([v], inner.inputs):
        for u in node.inputs:
            if u not in known and isinstance(u.type, TensorType):
                known[u] = find(u)
        try:
            found = node.op.infer_shape(node, [known.get(u) for u in node.inputs])
        except NotImplementedError:  # Theano's way to say that only computing tells
            found = None
        for k, u in enumerate(node.outputs):
            if isinstance(u.type, TensorType) and u not in known:
                known[u] = find(u, None if found is None else found[k])
    return known[v] if v in known else find(v)


def sizes_outside(
    inner: Inner,
    v: Variable,
    shapes: Mapping[Variable, Sequence[Any]],
    values: Mapping[Variable, Variable],
) -> list[Any]:
    """The sizes of ``v``, an inner variable, over variables outside; None where they vary.

    ``shapes`` are the sizes of the inner inputs, ``values`` those that are the same in
    every step.
    """
    return [_outside(inner, size, shapes, values) for size in sizes_inside(inner, v)]


def _outside(
    inner: Inner,
    size: Any,
    shapes: Mapping[Variable, Sequence[Any]],
    values: Mapping[Variable, Variable],
) -> Any:
    if isinstance(size, Constant):
        return size
    swaps: dict[Variable, Variable] = dict(values)
    for node in toposort([size], inner.inputs):
        if isinstance(node.op, Shape_i) and node.inputs[0] in shapes:
            swaps[node.outputs[0]] = shapes[node.inputs[0]][node.op.i]
    (moved,) = replace([size], swaps)
    own = set(inner.inputs)
    if any(u in own for u in graph_inputs([moved])):
        return None
    return moved
