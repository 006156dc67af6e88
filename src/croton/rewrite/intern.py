"""Interning: equal applications are one node, equal constants one variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from croton.graph import Apply, Constant, Op, Variable
from croton.graph.traversal import toposort
from croton.tensor.elementwise import Elemwise

# Functions that give the same bits for either order (not so maximum, of two zeros).
_COMMUTATIVE = frozenset(("add", "mul", "and", "or", "xor", "eq", "ne"))


class Table:
    """The nodes of a graph, each once.

    Two applications are equal if their ops are equal and their inputs are the same interned
    variables; two constants if they have the same type and bits; other variables only if they
    are the same object.
    """

    def __init__(self) -> None:
        # Keys hold identities of interned variables, which ``interned`` keeps alive.
        self._nodes: dict[Any, Apply] = {}
        self._constants: dict[Any, Constant] = {}
        self.interned: dict[int, Variable] = {}

    def register(self, outputs: Iterable[Variable]) -> None:
        """Take in the nodes of a graph that is interned already, as they are."""
        for node in toposort(outputs):
            for v in node.inputs:
                if v.owner is None:
                    self._leaf(v)
            self._nodes.setdefault(_key(node.op, node.inputs), node)
            for v in node.outputs:
                self.interned[id(v)] = v

    def apply(
        self,
        op: Op,
        inputs: Sequence[Variable],
        like: Apply | None = None,
        origin: Apply | None = None,
    ) -> Apply:
        """``op`` applied to interned ``inputs``.

        ``like`` is an application of the same op: its outputs' types, names and trace hold for
        a new node if the inputs' types are the same.  ``origin`` is the node whose trace a new
        one takes over if it has none.
        """
        key = _key(op, inputs)
        node = self._nodes.get(key)
        if node is not None:
            return node
        if like is not None and _same_types(like.inputs, inputs):
            node = Apply(op, inputs, [v.type.make_variable() for v in like.outputs])
        else:
            node = op.make_node(*inputs)
            if len(node.inputs) != len(inputs) or any(
                a is not b for a, b in zip(node.inputs, inputs, strict=False)
            ):
                # The op has converted its inputs, so others are the true ones.
                given = [self.adopt(v, origin=like or origin) for v in node.inputs]
                node.inputs[:] = given
                node = self._nodes.setdefault(_key(op, given), node)
        self._nodes[key] = node
        if like is not None:
            for old, new in zip(like.outputs, node.outputs, strict=True):
                if new.name is None:
                    new.name = old.name
        _trace_from(node, like, origin)
        for v in node.outputs:
            self.interned[id(v)] = v
        return node

    def adopt(
        self,
        v: Variable,
        memo: dict[int, Variable] | None = None,
        origin: Apply | None = None,
    ) -> Variable:
        """The interned equal of ``v``, any variable; new nodes say that they come from ``origin``.

        ``memo`` maps (the identities of) variables that have their equals already; what is
        found is added to it.
        """
        known = self.interned
        found = known.get(id(v))
        if found is not None and memo is None:
            return found
        done = {} if memo is None else memo
        stack = [v]
        while stack:
            top = stack[-1]
            if id(top) in done:
                stack.pop()
                continue
            found = known.get(id(top))
            if found is not None:
                done[id(top)] = found
                stack.pop()
                continue
            node = top.owner
            if node is None:
                done[id(top)] = self._leaf(top)
                stack.pop()
                continue
            waiting = [i for i in node.inputs if id(i) not in done]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            new = self.apply(node.op, [done[id(i)] for i in node.inputs], node, origin)
            for old, fresh in zip(node.outputs, new.outputs, strict=True):
                done[id(old)] = fresh
            stack.pop()
        return done[id(v)]

    def _leaf(self, v: Variable) -> Variable:
        if isinstance(v, Constant):
            v = self._constants.setdefault(v.signature(), v)
        self.interned[id(v)] = v
        return v

    def copy(
        self, outputs: Sequence[Variable], replacements: Mapping[Variable, Variable]
    ) -> list[Variable]:
        """``outputs`` interned, with variables replaced.

        All are replaced at once: a replacement's own expression stays as it is.
        """
        memo: dict[int, Variable] = {}
        for old, new in replacements.items():
            check_fits(old, new)
        for old, new in replacements.items():
            memo[id(old)] = self.adopt(new)
        return [self.adopt(v, memo) for v in outputs]


def commutes(op: Op) -> bool:
    """Whether a function of two arguments gives the same bits for either order."""
    return getattr(op, "name", None) in _COMMUTATIVE and isinstance(op, Elemwise)


def _key(op: Op, inputs: Sequence[Variable]) -> Any:
    if len(inputs) == 2 and commutes(op):
        a, b = map(id, inputs)
        return (op, a, b) if a < b else (op, b, a)
    return (op, *map(id, inputs))


def check_fits(old: Variable, new: Variable) -> None:
    """TypeError if ``new`` cannot stand in the place of ``old``."""
    a, b = old.type, new.type
    if a == b:
        return
    dtypes = getattr(a, "dtype", None), getattr(b, "dtype", None)
    ranks = getattr(a, "ndim", None), getattr(b, "ndim", None)
    if None in dtypes or dtypes[0] != dtypes[1] or ranks[0] != ranks[1]:
        raise TypeError(f"cannot replace {old} of type {a} by {new} of type {b}")


def _same_types(before: Sequence[Variable], now: Sequence[Variable]) -> bool:
    if len(before) != len(now):
        return False
    # A constant may tell an op more about its output than another variable of the type.
    return all(
        a is b or (a.type == b.type and (isinstance(a, Constant) or not isinstance(b, Constant)))
        for a, b in zip(before, now, strict=True)
    )


def _trace_from(node: Apply, *others: Apply | None) -> None:
    for other in others:
        if not node.made_at and other is not None:
            maker = _maker(node.op, other)
            if maker.made_at:
                node.made_at = maker.made_at
                whole = maker.part_of or maker.op
                node.part_of = None if whole == node.op else whole
                for v in node.outputs:
                    v.made_at = maker.made_at


def _maker(op: Op, origin: Apply) -> Apply:
    """Of ``origin`` and what it reads, the node that is made anew by ``op``."""
    if origin.op is not op:
        for v in origin.inputs:
            # Taking a row of a sum becomes a sum of rows: the line that wrote the sum wrote it.
            if v.owner is not None and type(v.owner.op) is type(op) and v.owner.op == op:
                return v.owner
    return origin
