"""A key for a whole function: equal for graphs that compile to the same program.

Two levels of caching follow from it: an unchanged graph skips rewriting and
scheduling; a changed one still finds the kernels that it shares with others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from croton.config import config
from croton.graph import trace
from croton.graph.op import Op
from croton.graph.shared import SharedVariable
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable
from croton.tensor.type import TensorType

#: The flags that say what becomes of a graph.
_FLAGS = "optimizer_excluding", "optimizer_including", "convolution", "convolution_choice"


def flags_now() -> dict[str, Any]:
    """The flags that say what becomes of a graph, with their values."""
    return {name: getattr(config, name) for name in _FLAGS}


def with_flags(flags: Mapping[str, Any]) -> Any:
    """A context in which ``flags`` have these values."""
    return config.change_flags(
        {name: value for name, value in flags.items() if getattr(config, name) != value}
    )


class Leaves:
    """What a graph has that is not part of its key, in the order in which it is walked.

    ``shared`` variables, and ``traces``: the places in the user's code, which
    error messages name.
    """

    def __init__(self) -> None:
        self.shared: list[SharedVariable] = []
        self.traces: list[trace.Trace] = []


def fingerprint(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
    settings: Sequence[Any],
    assumed: Mapping[SharedVariable, Any] | None = None,
) -> tuple[str, Leaves] | None:
    """A hex digest of the graph and the order of its leaves.

    ``assumed`` are the shapes that shared variables are taken to have.
    None if the graph holds an op that is known by identity only (a user's own,
    say), or calls Python: its program cannot be kept.
    """
    leaves = Leaves()
    number: dict[Variable, int] = {}
    parts: list[Any] = [repr(settings), flags_now()]

    def leaf(v: Variable) -> None:
        if v in number:
            return
        number[v] = len(number)
        kind = v.type
        if isinstance(v, Constant):
            parts.append(("c", str(kind.dtype), kind.shape, v.signature()[1:]))  # type: ignore[attr-defined]
        elif isinstance(v, SharedVariable):
            leaves.shared.append(v)
            shape = (assumed or {}).get(v, kind.shape)  # type: ignore[attr-defined]
            parts.append(("s", kind.dtype, shape, v.name))  # type: ignore[attr-defined]
        else:
            parts.append(("f", kind.dtype, kind.shape, v.name))  # type: ignore[attr-defined]

    for v in inputs:
        number[v] = len(number)
        parts.append(("i", v.type.dtype, v.type.shape, v.name))  # type: ignore[attr-defined]
    wanted = [*outputs, *(v for _, v in updates)]
    for node in toposort(wanted, inputs):
        op = node.op
        key = _op_key(op)
        if key is None:
            return None
        for v in node.inputs:
            if v.owner is None or v not in number:
                if not isinstance(v.type, TensorType):
                    return None
                leaf(v)
        types = [(v.type.dtype, v.type.shape) for v in node.outputs]  # type: ignore[attr-defined]
        parts.append((key, [number[v] for v in node.inputs], types))
        leaves.traces.append(node.made_at)
        leaves.traces.extend(_inner_traces(op))
        for v in node.outputs:
            number.setdefault(v, len(number))
    for v in (*wanted, *(s for s, _ in updates)):
        if v not in number:
            leaf(v)
    parts.append([number[v] for v in outputs])
    parts.append([(number[s], number[v]) for s, v in updates])
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode())
    return digest.hexdigest(), leaves


def _inner_traces(op: Op) -> list[trace.Trace]:
    """The places where the steps of a loop were made."""
    found: list[trace.Trace] = []
    for node in getattr(getattr(op, "inner", None), "nodes", ()):
        found += [node.made_at, *_inner_traces(node.op)]
    return found


def _op_key(op: Op) -> Any:
    if getattr(op, "loop", None) is None and not hasattr(op, "expand"):
        # Computed in Python, unless it only tells sizes or becomes other ops.
        if type(op).__name__ not in ("IfElse", "Shape_i"):
            return None
    props = type(op).__dict__.get("__props__", getattr(op, "__props__", None))
    if props is None or not type(op).__module__.startswith("croton."):
        return None
    return (type(op).__module__, type(op).__qualname__, *(repr(getattr(op, p)) for p in props))
