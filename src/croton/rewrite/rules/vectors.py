"""Products with a vector: sums, which are computed in one pass with what surrounds them."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import op, var
from croton.rewrite.rule import Match, Rule
from croton.tensor.elementwise import mul
from croton.tensor.product import Dot
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle, dimshuffle

a, b = var("a b")


def _inner_of_transpose(v: Any) -> Any:
    """The matrix of which ``v`` is the transpose, if it is one."""
    node = v.owner
    if node is not None and isinstance(node.op, DimShuffle) and node.op.new_order == (1, 0):
        return node.inputs[0]
    return None


def _with_vector(m: Match) -> Any:
    """``dot(a, b)`` where ``b`` has one column or ``a`` one row.

    The matrix is read as it lies in memory: by rows, or for a transpose by columns.
    """
    if m.op.batched:
        return None
    dtype = m.out.type.dtype
    if m.b.type.shape[1] == 1:
        matrix = _inner_of_transpose(m.a)
        if matrix is None:
            row = dimshuffle(m.b, ["x", 0])
            total = Reduce("sum", (1,), dtype)(mul(m.a, row))
        else:
            total = Reduce("sum", (0,), dtype)(mul(matrix, m.b))
        return dimshuffle(total, [0, "x"])
    if m.a.type.shape[0] == 1:
        matrix = _inner_of_transpose(m.b)
        if matrix is None:
            column = dimshuffle(m.a, [1, "x"])
            total = Reduce("sum", (0,), dtype)(mul(m.b, column))
        else:
            total = Reduce("sum", (1,), dtype)(mul(matrix, m.a))
        return dimshuffle(total, ["x", 0])
    return None


def _outer(m: Match) -> Any:
    """A product with an inner size of 1 is an elementwise one."""
    if m.op.batched or (m.a.type.shape[1] != 1 and m.b.type.shape[0] != 1):
        return None
    return mul(_single(m.a, 1), _single(m.b, 0))


def _single(v: Any, axis: int) -> Any:
    # Where only the other factor says that the inner size is 1.
    if v.type.shape[axis] == 1:
        return v
    return v.specify_shape([1 if d == axis else None for d in range(2)])


def _is_float(m: Match) -> bool:
    return m.out.type.dtype in ("float32", "float64", "int64", "int32")


RULES = (
    Rule(
        "dot_of_single_inner",
        op(Dot, a, b),
        _outer,
        "specialise",
        _is_float,
        "may change the sign of a zero",
    ),
    Rule(
        "dot_with_vector",
        op(Dot, a, b),
        _with_vector,
        "specialise",
        _is_float,
        "may change the order of summation",
    ),
)
