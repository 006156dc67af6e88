"""Reverse mode: the gradient of a scalar with respect to any number of variables."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from croton.gradient.gates import Flow, common, total
from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.disconnected import NullType, disconnected, is_disconnected
from croton.graph.garbage import collected_later
from croton.graph.traversal import toposort
from croton.graph.variable import Variable
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.type import TensorType


class DisconnectedInputError(ValueError):
    """The cost does not depend on a variable that a gradient was asked for."""


class NullTypeGradError(TypeError):
    """A gradient that was asked for does not exist."""


def grad(
    cost: Any,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
    add_names: bool = True,
    known_grads: Mapping[Variable, Variable] | None = None,
    return_disconnected: str = "zero",
    null_gradients: str = "raise",
) -> Any:
    """The gradient of the scalar ``cost`` with respect to ``wrt``.

    ``wrt`` is a variable (the result is one too) or a sequence of them (the
    result is a list).  Each gradient has the shape and dtype of its variable.

    ``consider_constant``: variables through which nothing flows back to what they are made of.
    ``known_grads``: gradients of intermediate variables, to start from (then
    ``cost`` may be None).  ``disconnected_inputs``: what to do for a variable
    that the cost does not depend on: ``"raise"``, ``"warn"`` or ``"ignore"``;
    its gradient is zeros, None or a marker, by ``return_disconnected``
    (``"zero"``, ``"None"``, ``"disconnected"``).

    Raises TypeError if the cost is not a real scalar, DisconnectedInputError,
    and NullTypeGradError where a gradient does not exist.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> float(croton.function([x], croton.grad(x**3, x))(2.0))
    12.0
    >>> y = T.sin(x)
    >>> float(croton.grad(None, y, known_grads={y: T.constant(5.0)}).eval())
    5.0
    """
    _check_choice("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore"))
    _check_choice("return_disconnected", return_disconnected, ("zero", "None", "disconnected"))
    _check_choice("null_gradients", null_gradients, ("raise", "return"))
    starts: dict[Variable, Any] = {}
    if cost is None and not known_grads:
        raise ValueError("grad needs a cost, known_grads, or both")
    if known_grads is not None and not isinstance(known_grads, Mapping):
        raise TypeError(f"known_grads is a dict of variables and gradients, got {known_grads!r}")
    constants: Any = () if consider_constant is None else consider_constant
    if isinstance(constants, Variable) or not all(isinstance(v, Variable) for v in constants):
        raise TypeError(f"consider_constant is a list of variables, got {consider_constant!r}")
    if known_grads is not None:
        for v, g in known_grads.items():
            if not isinstance(v, Variable):
                raise TypeError(f"known_grads are of symbolic variables, got {v!r}")
            starts[v] = _fitting(v, as_tensor_variable(g))
    if cost is not None:
        cost = _scalar_cost(cost)
        one = constant(np.ones((), cost.type.dtype))
        starts[cost] = starts[cost] + one if cost in starts else one
    many = isinstance(wrt, list | tuple)
    targets = list(wrt) if many else [wrt]
    for v in targets:
        if not isinstance(v, Variable):
            raise TypeError(f"expected a symbolic variable to differentiate by, got {v!r}")
        known = (*dtypes.FLOATS, *dtypes.DISCRETE)
        if isinstance(v.type, TensorType) and v.type.dtype not in known:
            raise TypeError(f"cannot differentiate by {v} of type {v.type}")
    with collected_later():
        gradients = _flow(starts, targets, list(constants), set(known_grads or ()))
    results = [
        _finish(v, gradients.get(v), cost, disconnected_inputs, return_disconnected, null_gradients)
        for v in targets
    ]
    if add_names and cost is not None and cost.name is not None:
        for v, g in zip(targets, results, strict=True):
            if g is not None and v.name is not None and g.name is None and g.owner is not None:
                g.name = f"(d{cost.name}/d{v.name})"
    return results if many else results[0]


def _check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, got {given!r}")


def _scalar_cost(cost: Any) -> Any:
    cost = as_tensor_variable(cost)
    if cost.type.ndim != 0:
        if all(d == 1 for d in cost.type.shape):
            hint = "; take .sum() or squeeze() of it"
        else:
            hint = "; take its mean or sum"
        raise TypeError(
            f"the cost must be a scalar, got {cost} of rank {cost.type.ndim}{hint}"
            + trace.describe(cost.made_at)
        )
    if cost.type.dtype not in dtypes.FLOATS:
        raise TypeError(
            f"the cost must be a float, got {cost} of dtype {cost.type.dtype}"
            + trace.describe(cost.made_at)
        )
    return cost


def _fitting(v: Variable, g: Any) -> Any:
    if g.type.ndim != v.type.ndim:  # type: ignore[attr-defined]
        raise TypeError(
            f"known gradient of {v}: expected rank {v.type.ndim}, got {g.type}"  # type: ignore[attr-defined]
        )
    return g


def _flow(
    starts: Mapping[Variable, Any],
    targets: Sequence[Variable],
    constants: Sequence[Variable],
    known: set[Variable],
) -> dict[Variable, Any]:
    """The gradients of all variables between ``starts`` and ``targets``."""
    order = toposort(list(starts), constants)
    useful = _useful(order, targets, constants)
    terms: dict[Variable, list[Flow]] = {v: [Flow(g)] for v, g in starts.items()}
    sums: dict[Variable, Flow | None] = {}

    def sum_up(v: Variable) -> Flow | None:
        if v not in sums:
            parts = terms.get(v, [])
            numbers = [p for p in parts if not is_disconnected(p.value)]
            null = next((p for p in numbers if isinstance(p.value.type, NullType)), None)
            if null is not None or not numbers:
                sums[v] = null or (parts[0] if parts else None)
            else:
                sums[v] = total(numbers, v)
        return sums[v]

    blocked = set(constants)
    for node in reversed(order):
        if node not in useful:
            continue
        outputs = [None if v in blocked else sum_up(v) for v in node.outputs]
        if all(g is None or is_disconnected(g.value) for g in outputs):
            continue
        for v, flow in zip(node.inputs, _back(node, outputs, useful[node]), strict=True):
            # What is given for a variable stands for all that flows into it.
            if flow is not None and v not in known:
                terms.setdefault(v, []).append(flow)
    ends = {v: sum_up(v) for v in targets}
    return {v: flow.behind(0, v) for v, flow in ends.items() if flow is not None}


def _back(
    node: Apply, outputs: Sequence[Flow | None], on_path: Sequence[bool]
) -> Sequence[Flow | None]:
    """What flows from the gradients of a node's outputs to its inputs, and through which gates."""
    numbers = [g for g in outputs if g is not None and g.is_number]
    gates = getattr(node.op, "gates", None)
    if gates is not None and numbers:
        found: list[Flow | None] = []
        for v, wanted, way in zip(node.inputs, on_path, gates(node), strict=True):
            g = outputs[way[0]] if wanted and way is not None else None
            if g is not None and g.is_number:
                g = Flow(_cast(g.value, node.outputs[way[0]]), g.gates).through(way[1], v)
            found.append(g)
        return found
    count = common(numbers)
    given = [
        None if g is None else g.behind(count, v) if g.is_number else g.value
        for v, g in zip(node.outputs, outputs, strict=True)
    ]
    shared = numbers[0].gates[:count] if numbers else ()
    flows = [None if g is None else Flow(g) for g in _through(node, given, on_path)]
    return [f._replace(gates=shared) if f is not None and f.is_number else f for f in flows]


def _useful(
    order: Sequence[Apply], targets: Sequence[Variable], constants: Sequence[Variable]
) -> dict[Apply, list[bool]]:
    """The nodes on a differentiable path to a target, with the inputs that lie on it."""
    reaches = set(targets)
    blocked = set(constants)
    useful: dict[Apply, list[bool]] = {}
    for node in order:
        pattern = node.op.connection_pattern(node)
        on_path = [v in reaches for v in node.inputs]
        hit = False
        for j, v in enumerate(node.outputs):
            if v not in blocked and any(p and pattern[i][j] for i, p in enumerate(on_path)):
                reaches.add(v)
                hit = True
        if hit:
            useful[node] = on_path
    return useful


def _through(node: Apply, outputs: Sequence[Any], on_path: Sequence[bool]) -> Sequence[Any]:
    """What flows from the gradients of a node's outputs to its inputs."""
    null = next((g for g in outputs if g is not None and isinstance(g.type, NullType)), None)
    if null is not None:
        return [null if p else None for p in on_path]
    given = []
    for v, g in zip(node.outputs, outputs, strict=True):
        if g is None:
            g = disconnected() if len(node.outputs) > 1 else v.zeros_like()  # type: ignore[attr-defined]
        given.append(g if is_disconnected(g) else _cast(g, v))
    try:
        with trace.made_by(node.made_at):
            results = node.op.L_op(node.inputs, node.outputs, given)
    except NotImplementedError as error:
        raise NotImplementedError(
            f"no gradient through {node.op}: {error}" + trace.describe(node.made_at)
        ) from error
    if len(results) != len(node.inputs):
        raise ValueError(
            f"the gradient of {node.op} has {len(results)} terms for {len(node.inputs)} inputs"
        )
    checked: list[Any] = []
    for v, g, wanted in zip(node.inputs, results, on_path, strict=True):
        if not wanted or g is None:
            checked.append(None)
            continue
        if not isinstance(g, Variable):
            g = as_tensor_variable(g)
        if isinstance(g.type, TensorType) and g.type.ndim != v.type.ndim:  # type: ignore[attr-defined]
            raise ValueError(
                f"the gradient of {node.op} for {v} has rank {g.type.ndim}, expected {v.type.ndim}"  # type: ignore[attr-defined]
            )
        checked.append(g)
    return checked


def _cast(g: Any, v: Any) -> Any:
    """``g`` in the dtype of ``v``, whose gradient it is."""
    floats = v.type.dtype in dtypes.FLOATS
    return g.astype(v.type.dtype) if floats and g.type.dtype != v.type.dtype else g


def _finish(v: Any, g: Any, cost: Any, if_disconnected: str, as_what: str, if_null: str) -> Any:
    if g is None or is_disconnected(g):
        message = (
            (
                f"the cost does not depend on {v}"
                if cost is not None
                else f"no known gradient depends on {v}"
            )
            + ", or only through what has no gradient"
            + trace.describe(v.made_at)
        )
        if if_disconnected == "raise":
            raise DisconnectedInputError(
                message + "\nPass disconnected_inputs='ignore' to take its gradient as zero."
            )
        if if_disconnected == "warn":
            warnings.warn(message, stacklevel=4)
        if as_what == "None":
            return None
        return (
            v.zeros_like(dtype=None if v.type.dtype in dtypes.FLOATS else "floatX")
            if (as_what == "zero")
            else disconnected()
        )
    if isinstance(g.type, NullType):
        if if_null == "raise":
            raise NullTypeGradError(f"the gradient by {v} does not exist: {g.type.why}")
        return g
    if v.type.dtype in dtypes.FLOATS and g.type.dtype != v.type.dtype:
        g = g.astype(v.type.dtype)
    return g


def Lop(
    f: Any,
    wrt: Any,
    eval_points: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
) -> Any:
    """The vector-Jacobian product: ``eval_points`` times the Jacobian of ``f`` by ``wrt``.

    ``f``, ``wrt`` and ``eval_points`` may be sequences; the result matches ``wrt``.

    >>> import croton, croton.tensor as T
    >>> x, v = T.dvectors("x v")
    >>> croton.Lop(x**2, x, v).eval({x: [1.0, 2.0], v: [1.0, 10.0]})
    array([ 2., 40.])
    """
    outputs = list(f) if isinstance(f, list | tuple) else [f]
    points = list(eval_points) if isinstance(eval_points, list | tuple) else [eval_points]
    if len(outputs) != len(points):
        raise ValueError(f"{len(outputs)} outputs, but {len(points)} evaluation points")
    known: dict[Variable, Any] = {}
    for v, p in zip(outputs, points, strict=True):
        p = as_tensor_variable(p)
        known[v] = known[v] + p if v in known else p
    return grad(
        None,
        wrt,
        consider_constant=consider_constant,
        known_grads=known,
        disconnected_inputs=disconnected_inputs,
    )


def subgraph_grad(
    wrt: Sequence[Variable],
    end: Sequence[Variable],
    start: Mapping[Variable, Variable] | None = None,
    cost: Variable | None = None,
    details: bool = False,
) -> Any:
    """Gradients of a part of a graph: by ``wrt`` and by ``end``, where it stops.

    ``start`` gives gradients to begin with, ``cost`` a cost to add.  Returns the
    gradients by ``wrt`` and those by ``end``.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> y = x**2
    >>> by_wrt, by_end = croton.gradient.subgraph_grad([], [y], cost=3 * y)
    >>> by_end[0].eval({x: 1.0})
    array(3.)
    """
    known = dict(start or {})
    inside = grad(
        cost, [*wrt, *end], consider_constant=list(end), known_grads=known or None,
        disconnected_inputs="ignore",
    )  # fmt: skip
    at_end = grad(cost, list(end), known_grads=known or None, disconnected_inputs="ignore")
    return inside[: len(wrt)], at_end
