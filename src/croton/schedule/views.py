"""Which ops only say where elements come from, and how dimensions correspond through them."""

from __future__ import annotations

from typing import Any

from croton.graph.op import Op
from croton.graph.variable import Constant, Variable
from croton.tensor.creation import Alloc, ARange
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import AdvancedSubtensor, IncSubtensor, Subtensor
from croton.tensor.indexing.basic import Slice
from croton.tensor.joining import Join
from croton.tensor.shapes import DimShuffle, MakeVector, Reshape, Shape_i, SpecifyShape
from croton.tensor.signal.ops import PoolingOp

_WHOLE, _BACKWARDS = Slice(None, None, None), Slice(None, None, -1)

#: Computed where they are used, at no cost beyond their inputs'.
FREE = (DimShuffle, SpecifyShape, Subtensor, Alloc, ARange, MakeVector, Reshape, AdvancedSubtensor)

#: Elementwise functions that cost about as much as the load they save.
_CHEAP = frozenset(
    "add sub mul neg abs maximum minimum lt le gt ge eq ne and or xor invert switch identity sqr "
    "isnan clip sgn".split()
)

#: Vector operations that a function costs, about; 1 where not listed.
_COST = {
    "exp": 13, "exp2": 12, "expm1": 22, "log": 16, "log2": 17, "log10": 18, "log1p": 20,
    "sin": 25, "cos": 25, "tan": 35, "arcsin": 25, "arccos": 25, "arctan": 25, "arctan2": 35,
    "sinh": 30, "cosh": 25, "tanh": 25, "arcsinh": 35, "arccosh": 35, "arctanh": 30, "pow": 60,
    "erf": 30, "erfc": 40, "sigmoid": 22, "softplus": 40, "true_div": 5, "reciprocal": 5,
    "sqrt": 6, "int_div": 12, "mod": 12, "Normal{float32}": 45, "Normal{float64}": 90,
    "Below": 15, "Bernoulli": 3,
}  # fmt: skip
HEAVY = 5


def is_free(op: Op) -> bool:
    """Whether the op is evaluated where its result is used."""
    return isinstance(op, FREE) or (
        getattr(op, "loop", None) == "map" and getattr(op, "view_map", None) is not None
    )


def is_size(node: Any) -> bool:
    """Whether the node tells a size."""
    return isinstance(node.op, Shape_i)


def is_cheap(op: Op) -> bool:
    """Whether computing the result again costs no more than storing and loading it."""
    if is_free(op):
        return True
    return isinstance(op, Elemwise) and (op.name in _CHEAP or op.name.startswith("Cast"))


def cost(op: Op) -> int:
    """About how many vector operations one element takes."""
    if is_free(op):
        return 1 if isinstance(op, AdvancedSubtensor) else 0
    if isinstance(op, Elemwise):
        return _COST.get(op.name, 1)
    if isinstance(op, PoolingOp):
        return op.work
    return 20 if getattr(op, "loop", None) == "map" else 1


def view_base(v: Variable, backwards: bool) -> Variable:
    """What ``v`` is only another order of: its dimensions, or places of one gone ``backwards``."""
    while v.owner is not None and (
        isinstance(v.owner.op, DimShuffle | SpecifyShape)
        or (backwards and reversed_axes(v.owner.op) is not None)
    ):
        v = v.owner.inputs[0]
    return v


def promised(v: Variable) -> Variable:
    """What ``v`` is, without promises of its sizes."""
    while v.owner is not None and isinstance(v.owner.op, SpecifyShape):
        v = v.owner.inputs[0]
    return v


def reversed_axes(op: Op) -> tuple[int, ...] | None:
    """The axes that the op goes through backwards, if it does nothing else; else None."""
    if not isinstance(op, Subtensor):
        return None
    entries = op.entries
    if any(e not in (_WHOLE, _BACKWARDS) for e in entries):
        return None
    return tuple(d for d, e in enumerate(entries) if e == _BACKWARDS)


def is_leading_part(node: Any) -> bool:
    """Whether the node selects whole rows, which lie side by side in the memory of its input."""
    return isinstance(node.op, Subtensor) and node.inputs[0].type.ndim > 0 and node.op.is_leading


def moved_inputs(node: Any) -> list[Variable]:
    """The inputs of which ``node`` reads elements at other places than its result's own."""
    op = node.op
    if isinstance(op, PoolingOp):
        return [node.inputs[k] for k in op.elsewhere]
    if isinstance(op, Join | IncSubtensor):
        return list(node.inputs[isinstance(op, IncSubtensor) :])
    return []


def aligned_inputs(node: Any) -> list[Variable]:
    """The inputs whose dimensions run along those of the result of ``node``, which is not free."""
    moved = moved_inputs(node) if isinstance(node.op, PoolingOp) else []
    return [u for u in node.inputs if u not in moved]


def free_inputs(v: Variable) -> list[Variable]:
    """The inputs of a free op whose elements (not only whose sizes) it reads."""
    node: Any = v.owner
    op = node.op
    if isinstance(op, Alloc | Reshape | Subtensor):
        return [node.inputs[0]]
    if isinstance(op, Shape_i):
        return []
    return list(node.inputs)


def is_whole_range(v: Variable) -> bool:
    """Whether ``v`` is ``arange(n)``: 0, 1, 2, ..."""
    if v.owner is None or not isinstance(v.owner.op, ARange):
        return False
    start, _, step = v.owner.inputs
    return (
        isinstance(start, Constant)
        and isinstance(step, Constant)
        and int(start.data) == 0
        and int(step.data) == 1
    )


def is_elsewhere(op: Any) -> bool:
    """Whether the op reads its input elsewhere than at its own index."""
    return not isinstance(op, Alloc) and type(op).__name__ not in (
        "SpecifyShape",
        "DisconnectedGrad",
        "ZeroGrad",
        "GradClip",
        "GradScale",
    )
