"""Forward mode: how expressions change along a direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.gradient.reverse import DisconnectedInputError
from croton.graph import trace
from croton.graph.traversal import toposort
from croton.graph.variable import Variable
from croton.tensor.convert import as_tensor_variable


def Rop(f: Any, wrt: Any, eval_points: Any, disconnected_outputs: str = "raise") -> Any:
    """The Jacobian of ``f`` by ``wrt`` times the direction ``eval_points``.

    ``f`` and ``wrt`` may be variables or sequences; ``eval_points`` matches ``wrt``.

    >>> import croton, croton.tensor as T
    >>> x, v = T.dvector("x"), T.dvector("v")
    >>> croton.function([x, v], croton.gradient.Rop(x**2, x, v))([1.0, 2.0], [1.0, 10.0])
    array([ 2., 40.])
    """
    by: Sequence[Any] = list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    points = list(eval_points) if isinstance(eval_points, list | tuple) else [eval_points]
    if len(by) != len(points):
        raise ValueError(f"{len(by)} variables, but {len(points)} directions")
    moved: dict[Variable, Any] = {}
    for v, p in zip(by, points, strict=True):
        p = as_tensor_variable(p)
        if p.type.ndim != v.type.ndim:
            raise ValueError(f"the direction of {v} has rank {p.type.ndim}, not {v.type.ndim}")
        moved[v] = p if p.type.dtype == v.type.dtype else p.astype(v.type.dtype)
    outputs = list(f) if isinstance(f, list | tuple) else [f]
    for node in toposort(outputs, by):
        given = [moved.get(v) for v in node.inputs]
        if all(d is None for d in given):
            continue
        with trace.made_by(node.made_at):
            for v, d in zip(node.outputs, node.op.R_op(node.inputs, given), strict=True):
                if d is not None:
                    moved[v] = d
    results = []
    for v in outputs:
        d = moved.get(v)
        if d is None:
            if disconnected_outputs == "raise":
                raise DisconnectedInputError(f"{v} does not depend on what is differentiated by")
            d = v.zeros_like()
        results.append(d)
    return results if isinstance(f, list | tuple) else results[0]
