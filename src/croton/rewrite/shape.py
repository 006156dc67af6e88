"""The sizes of variables as expressions, each worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.graph import Variable
from croton.rewrite.intern import Table
from croton.tensor.convert import constant
from croton.tensor.shapes import Shape_i, as_size

Sizes = tuple[Any, ...]


class Shapes:
    """The sizes of interned variables, simplified and interned."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sizes: dict[int, Sizes | None] = {}
        # Kept alive, so that their identities stay their own.
        self._known: list[Variable] = []
        self._atoms: dict[tuple[int, int], Variable] = {}

    def of(self, v: Variable, simplify: Callable[[Variable], Variable]) -> Sizes:
        """The sizes of ``v``; TypeError if it is no tensor."""
        found = self._sizes.get(id(v))
        if found is None:
            found = self._work_out(v, simplify)
        if found is None:
            raise TypeError(f"{v} of type {v.type} has no shape")
        return found

    def is_atom(self, v: Variable) -> bool:
        """Whether ``v`` is a size that only looking at the array tells."""
        owner = v.owner
        return owner is not None and (id(owner.inputs[0]), owner.op.i) in self._atoms  # type: ignore[attr-defined]

    def _work_out(self, v: Variable, simplify: Callable[[Variable], Variable]) -> Sizes | None:
        sizes = self._sizes
        stack = [v]
        while stack:
            top = stack[-1]
            if id(top) in sizes:
                stack.pop()
                continue
            node = top.owner
            static = getattr(top.type, "shape", None)
            self._known.append(top)
            if static is None:
                sizes[id(top)] = None
            elif node is None or None not in static:
                sizes[id(top)] = self._finish(top, None, simplify)
            else:
                waiting = [i for i in node.inputs if id(i) not in sizes]
                if waiting:
                    stack.extend(waiting)
                    continue
                self._by_op(node, simplify)
            stack.pop()
        return sizes[id(v)]

    def _by_op(self, node: Any, simplify: Callable[[Variable], Variable]) -> None:
        try:
            found = node.op.infer_shape(node, [self._sizes[id(i)] for i in node.inputs])
        except NotImplementedError:  # Theano's way to say that only computing tells
            found = None
        for k, out in enumerate(node.outputs):
            if id(out) in self._sizes:
                continue
            if getattr(out.type, "shape", None) is None:
                self._sizes[id(out)] = None
                continue
            given = None if found is None else found[k]
            self._sizes[id(out)] = self._finish(out, given, simplify)

    def _finish(self, v: Any, given: Any, simplify: Callable[[Variable], Variable]) -> Sizes:
        result = []
        for d, known in enumerate(v.type.shape):
            if known is not None:
                result.append(self._table.adopt(constant(np.int64(known))))
            elif given is None or given[d] is None:
                result.append(self._atom(v, d))
            else:
                result.append(simplify(self._table.adopt(as_size(given[d]), origin=v.owner)))
        return tuple(result)

    def _atom(self, v: Variable, d: int) -> Variable:
        node = self._table.apply(Shape_i(d), [v], origin=v.owner)
        self._atoms[(id(v), d)] = v
        return node.outputs[0]
