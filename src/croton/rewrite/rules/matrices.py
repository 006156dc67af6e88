"""Matrix products: transposes, numbers and zeros outside."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import op, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.crossentropy import is_zeros
from croton.tensor import dtypes
from croton.tensor.convert import constant
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import mul, neg, true_div
from croton.tensor.product import Dot
from croton.tensor.shapes import DimShuffle, dimshuffle

x, y = var("x y")
_alloc = Alloc()


def _order(m: Match) -> tuple[int, ...]:
    return (0, 2, 1) if m.op.batched else (1, 0)


def _is_transpose(v: Any, order: tuple[int, ...]) -> bool:
    node = v.owner
    return node is not None and isinstance(node.op, DimShuffle) and node.op.new_order == order


def _of_transposes(m: Match) -> Any:
    order = _order(m)
    if not (_is_transpose(m.x, order) and _is_transpose(m.y, order)):
        return None
    return dimshuffle(m.op(m.y.owner.inputs[0], m.x.owner.inputs[0]), order)


def _transposed(m: Match) -> Any:
    """The transpose of a product that nothing else reads, as a product of transposes.

    What is computed from it is then computed along with the product.
    """
    inner = m.inputs[0]
    node = inner.owner
    order = (0, 2, 1) if node.op.batched else (1, 0)
    a, b = node.inputs
    if m.op.new_order != order or m.context.uses(inner) > 1:
        return None
    # Of two transposes, or of none, the transpose is the simpler form.
    if _is_transpose(a, order) == _is_transpose(b, order):
        return None
    return node.op(dimshuffle(b, order), dimshuffle(a, order))


def _of_zeros(m: Match) -> Any:
    """A product with zeros (or over no elements) is zeros."""
    if not (is_zeros(m.x, m) or is_zeros(m.y, m)):
        return None
    return _alloc(constant(0, dtype=m.out.type.dtype), *m.sizes(m.out))


def _is_scalar(v: Any) -> bool:
    return all(n == 1 for n in v.type.shape)


def _scaled(v: Any, m: Match) -> tuple[str, Any, Any] | None:
    """``(how, rest, number)`` if ``v`` is ``rest`` times, or over, one number."""
    for name in ("mul", "true_div"):
        args = m.arguments(v, name)
        if args is None:
            continue
        for rest, scale in (args, args[::-1])[: 2 if name == "mul" else 1]:
            if _is_scalar(scale) and rest.type.broadcastable == v.type.broadcastable:
                return name, rest, scale
    return None


def _scale_outside(m: Match) -> Any:
    if m.out.type.dtype not in dtypes.FLOATS:
        return None
    for k in (0, 1):
        found = _scaled(m.inputs[k], m)
        if found is None or _is_scalar(found[1]):
            continue
        name, rest, scale = found
        operands = list(m.inputs)
        operands[k] = rest
        return (mul if name == "mul" else true_div)(m.op(*operands), scale)
    return None


def _negative_outside(m: Match) -> Any:
    for k in (0, 1):
        args = m.arguments(m.inputs[k], "neg")
        if args is not None:
            operands = list(m.inputs)
            operands[k] = args[0]
            return neg(m.op(*operands))
    return None


def _rule(name: str, build: Any, note: str = "") -> Rule:
    return Rule(name, op(Dot, x, y), build, "specialise", note=note)


RULES = (
    _rule("dot_of_zeros", _of_zeros, "with NaN or infinity in the other operand it was NaN"),
    _rule("dot_of_transposes", _of_transposes),
    Rule("transpose_of_dot", op(DimShuffle, op(Dot, x, y)), _transposed, "specialise"),
    _rule("dot_of_negative", _negative_outside),
    _rule("dot_of_scaled", _scale_outside, "may change rounding"),
)
