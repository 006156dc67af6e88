"""``ifelse``: one of two expressions, by a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected, is_disconnected
from croton.graph.op import Op
from croton.graph.variable import Constant
from croton.loop.fitting import promise
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import zeros_like
from croton.tensor.elementwise import ne, switch
from croton.tensor.type import TensorType


class IfElse(Op):
    """The first ``n`` inputs after the condition if that is true, else the ``n`` after them."""

    __props__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    def make_node(self, condition: Any, *branches: Any) -> Apply:
        """A boolean scalar, and pairs of inputs of the same dtype and rank."""
        if len(branches) != 2 * self.n:
            raise ValueError(f"{self} chooses among {2 * self.n} values, got {len(branches)}")
        given = [as_tensor_variable(v) for v in (condition, *branches)]
        if given[0].type != TensorType("bool", ()):
            raise TypeError(f"the condition is a boolean scalar, got {given[0].type}")
        outputs = []
        for a, b in self._pairs(given):
            if (a.type.dtype, a.type.ndim) != (b.type.dtype, b.type.ndim):
                raise TypeError(f"one of {a} of type {a.type} and {b} of type {b.type} has no type")
            both = zip(a.type.shape, b.type.shape, strict=True)
            kind = TensorType(a.type.dtype, [m if m == n else None for m, n in both])
            outputs.append(kind())
        return Apply(self, given, outputs)

    def _pairs(self, inputs: Sequence[Any]) -> list[tuple[Any, Any]]:
        return list(zip(inputs[1 : 1 + self.n], inputs[1 + self.n :], strict=True))

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Choose."""
        for cell, (a, b) in zip(outputs, self._pairs(inputs), strict=True):
            cell[0] = a if inputs[0] else b

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes of what is chosen."""
        condition = node.inputs[0]
        return [
            tuple(m if _same(m, n) else switch(condition, m, n) for m, n in zip(a, b, strict=True))
            for a, b in self._pairs(shapes)
        ]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Each output is connected to the two that it may be."""
        rows = [[j == k for j in range(self.n)] for k in range(self.n)]
        return [[False] * self.n, *rows, *rows]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """What flows back goes to the one that was chosen, zeros to the other."""
        condition, pairs = inputs[0], self._pairs(inputs)
        flowing = [
            j
            for j, (v, g) in enumerate(zip(outputs, gradients, strict=True))
            if v.type.dtype in dtypes.FLOATS and not is_disconnected(g)
        ]
        results: list[Any] = [disconnected() for _ in inputs]
        given = [gradients[j] for j in flowing]
        for side in (0, 1):
            zeros = [zeros_like(pairs[j][side]) for j in flowing]
            both = (given, zeros) if side == 0 else (zeros, given)
            found = IfElse(len(flowing)).make_node(condition, *both[0], *both[1]).outputs
            for j, g in zip(flowing, found, strict=True):
                results[1 + side * self.n + j] = promise(g, pairs[j][side].type)
        return results

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The change of what was chosen."""
        moving = [
            j for j, pair in enumerate(self._pairs(directions)) if any(d is not None for d in pair)
        ]
        changes = [
            [
                zeros_like(pair[side]) if d[side] is None else d[side]
                for j, (pair, d) in enumerate(
                    zip(self._pairs(inputs), self._pairs(directions), strict=True)
                )
                if j in moving
            ]
            for side in (0, 1)
        ]
        results: list[Any] = [None] * self.n
        if moving:
            found = IfElse(len(moving)).make_node(inputs[0], *changes[0], *changes[1]).outputs
            for j, d in zip(moving, found, strict=True):
                results[j] = d
        return results


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Constant) and isinstance(b, Constant):
        return int(a.data) == int(b.data)
    return a is b


def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """``then_branch`` if the scalar ``condition`` is true (or not 0), else ``else_branch``.

    Both are a tensor, or lists of as many tensors; the result is like them.  They have the same
    rank, and are brought to their common dtype; their sizes may differ.  What only the other branch
    needs is not computed.  For a choice element by element there is :func:`croton.tensor.switch`.

    TypeError or ValueError if the condition is no scalar, or the branches do not match.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> y = croton.ifelse(x.sum() > 0, x * 2, x[:1])
    >>> y.eval({x: [1.0, 2.0]}), y.eval({x: [-1.0, -2.0]})
    (array([2., 4.]), array([-1.]))
    """
    chosen = as_tensor_variable(condition)
    if chosen.type.ndim:
        raise TypeError(
            f"the condition of ifelse is a scalar, got {chosen} of type {chosen.type}; choose "
            "element by element with switch" + trace.describe(chosen.made_at)
        )
    if chosen.type.dtype != "bool":
        chosen = ne(chosen, 0)
    many = isinstance(then_branch, list | tuple)
    if many != isinstance(else_branch, list | tuple):
        raise TypeError("ifelse takes two tensors, or two lists of as many tensors")
    pairs = [(then_branch, else_branch)]
    if many:
        if len(then_branch) != len(else_branch):
            raise ValueError(
                f"ifelse takes lists of as many tensors, got {len(then_branch)} and "
                f"{len(else_branch)}"
            )
        pairs = list(zip(then_branch, else_branch, strict=True))
    matched = [_matched(as_tensor_variable(a), as_tensor_variable(b)) for a, b in pairs]
    if not matched:
        return []
    sides = [[pair[side] for pair in matched] for side in (0, 1)]
    found = IfElse(len(matched)).make_node(chosen, *sides[0], *sides[1]).outputs
    if not many:
        found[0].name = name
        return found[0]
    return list(found)


def _matched(a: Any, b: Any) -> tuple[Any, Any]:
    if a.type.ndim != b.type.ndim:
        raise TypeError(
            f"the branches of ifelse have the same rank, got {a} of type {a.type} and {b} of type "
            f"{b.type}" + trace.describe(b.made_at or a.made_at)
        )
    dtype = dtypes.upcast(a.type.dtype, b.type.dtype)
    return a.astype(dtype), b.astype(dtype)
