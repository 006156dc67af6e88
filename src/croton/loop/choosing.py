"""``ifelse``: one of two expressions, by a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected, is_disconnected
from croton.graph.op import Op
from croton.graph.variable import Constant
from croton.loop.fitting import promise
from croton.loop.given import tensor
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import zeros_like
from croton.tensor.elementwise import ne, switch
from croton.tensor.type import TensorType


class IfElse(Op):
    """The first ``n`` inputs after the condition if that is true, else the ``n`` after them.

    ``alike``: the one that is chosen has the sizes that the other should have.
    """

    __props__ = ("n", "alike")

    def __init__(self, n: int, alike: bool = False) -> None:
        self.n = n
        self.alike = alike

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
        results: list[Any] = []
        for v, way in zip(inputs, self._ways(inputs), strict=True):
            g = disconnected() if way is None else gradients[way[0]]
            results.append(g if way is None or is_disconnected(g) else way[1].enter(g, v))
        return results

    def gates(self, node: Apply) -> list[tuple[int, _Gate] | None]:
        """What flows back from an output reaches what may be chosen for it if that was chosen."""
        return self._ways(node.inputs)

    def cases(self, inputs: Sequence[Any], side: int) -> tuple[Sequence[Any], Sequence[Any]]:
        """What of ``inputs`` is needed if the branch ``side`` is taken, and what otherwise."""
        first = 1 + side * self.n
        return inputs[first : first + self.n], [*inputs[:first], *inputs[first + self.n :]]

    def _ways(self, inputs: Sequence[Any]) -> list[tuple[int, _Gate] | None]:
        ways: list[tuple[int, _Gate] | None] = [None]
        for side in (0, 1):
            for j, pair in enumerate(self._pairs(inputs)):
                is_float = pair[side].type.dtype in dtypes.FLOATS
                ways.append((j, _Gate(inputs[0], side)) if is_float else None)
        return ways

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


class _Gate(NamedTuple):
    """Whether ``condition`` chooses the first branch (``side`` 0) or the second (1)."""

    condition: Any
    side: int

    @property
    def other(self) -> _Gate:
        """The gate of the other branch."""
        return _Gate(self.condition, 1 - self.side)

    def enter(self, g: Any, v: Any) -> Any:
        """``g``, a gradient of ``v`` if this branch is chosen, and else zeros."""
        return promise(self._one(g, zeros_like(v), False), v.type)

    def only(self, g: Any, v: Any) -> Any:
        """The same of a ``g`` that would be zeros as well."""
        return promise(self._one(g, zeros_like(v), True), v.type)

    def either(self, here: Any, there: Any) -> Any:
        """``here`` if this branch is chosen, and else ``there``, of the same sizes."""
        return self._one(here, there, True)

    def _one(self, here: Any, there: Any, alike: bool) -> Any:
        pair = (here, there) if self.side == 0 else (there, here)
        return IfElse(1, alike).make_node(self.condition, *pair).outputs[0]


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
    chosen = tensor(condition, "the condition of ifelse")
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
    what = "the branches of ifelse"
    matched = [_matched(tensor(a, what), tensor(b, what)) for a, b in pairs]
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
