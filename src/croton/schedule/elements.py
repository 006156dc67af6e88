"""Elements: the kernel expression of one element of a tensor, pulled through the graph.

``element(v, index)`` asks the op that computes ``v`` for its expression in
terms of its inputs' elements, and so on down to what is in memory (a load) or
known otherwise (a row's sum in a register, a size, a constant).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from croton.graph.variable import Constant, Variable
from croton.kernel import build
from croton.kernel.nodes import Buffer, Const, Expr, Load, Var
from croton.schedule.sizes import ONE, Size, Sizes
from croton.tensor.convert import constant_scalar
from croton.tensor.shapes import Reshape

Index = tuple[Expr, ...]


#: Known sizes up to this are written into kernels; larger ones are arguments as unknown ones
#: are, so that layers of different sizes share their kernels.
_LITERAL = 8


class Arguments:
    """The buffers and sizes of one kernel, named in the order of their first use."""

    def __init__(self) -> None:
        self.buffers: dict[Any, Buffer] = {}
        self.sizes: dict[Size, Var] = {}
        self.params: dict[str, Size] = {}

    def buffer(self, key: Any, dtype: str) -> Buffer:
        """The kernel's name for what ``key`` stands for."""
        found = self.buffers.get(key)
        if found is None:
            found = self.buffers[key] = Buffer(f"b{len(self.buffers)}", dtype)
        return found

    def size(self, size: Size) -> Expr:
        """The kernel's name for a size, or the number if it is small."""
        value = size.value
        if value is not None and value <= _LITERAL:
            return Const(value, "int64")
        found = self.sizes.get(size)
        if found is None:
            found = self.sizes[size] = Var(f"s{len(self.sizes)}")
            self.params[found.name] = size
        return found


class Position:
    """A checked position: ``bad``: where it is out of bounds; ``value``, ``size``: what it was."""

    __slots__ = ("bad", "node", "noted", "size", "value")

    def __init__(self, bad: Expr, value: Expr, size: Expr, node: Any) -> None:
        self.bad = bad
        self.value = value
        self.size = size
        self.node = node
        self.noted = False


class Elements:
    """Pulls elements for one kernel.

    ``memory(v)`` gives the key of the memory that holds ``v``, or None if it
    is to be computed.  ``bound`` gives what is known without either.
    """

    def __init__(
        self,
        sizes: Sizes,
        arguments: Arguments,
        memory: Callable[[Variable], Any],
        may_compute: Callable[[Variable], bool] = lambda v: True,
    ) -> None:
        self.sizes = sizes
        self.arguments = arguments
        self.memory = memory
        self.may_compute = may_compute
        self.bound: dict[Variable, Callable[[Index], Expr]] = {}
        self.positions: list[Position] = []
        #: How far loop variables run from 0, where that is known.
        self.ranges: dict[str, Size] = {}
        self._memo: dict[Any, Expr] = {}
        self._keep: list[Any] = []
        self._guard: Expr | None = None

    def bind(self, v: Variable, element: Callable[[Index], Expr]) -> None:
        """Let ``element(index)`` stand for ``v`` from now on."""
        self.bound[v] = element
        self._memo.clear()

    def element(self, v: Variable, index: Index) -> Expr:
        """The expression of ``v[index]``."""
        key = (v, self._guard, *map(id, index))
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._pull(v, index)
            self._keep.append(index)
        return found

    def _pull(self, v: Variable, index: Index) -> Expr:
        bound = self.bound.get(v)
        if bound is not None:
            return bound(index)
        dtype: str = v.type.dtype  # type: ignore[attr-defined]
        if isinstance(v, Constant):
            value = v.data.item() if v.data.size == 1 else constant_scalar(v)
            if value is not None and not (v.data.size > 1 and _varies(v)):
                return Const(value, dtype)
        memory = self.memory(v)
        if memory is not None:
            return self.load(memory, dtype, self.flat(v, index))
        if self.sizes.is_host(v):
            return self.arguments.size(self.sizes.of(v))
        node: Any = v.owner
        if node is None:
            raise KeyError(f"{v} is not in memory")
        if isinstance(node.op, Reshape):
            inner = node.inputs[0]
            memory = self.memory(inner)
            if memory is None:
                raise KeyError(f"the input of {node} is not in memory")
            return self.load(memory, dtype, self.flat(v, index))
        if not self.may_compute(v):
            raise KeyError(f"{v} is neither in memory nor computed here")
        return self.compute(v, index)

    def compute(self, v: Variable, index: Index) -> Expr:
        """What the op that computes ``v`` makes of its inputs' elements for ``v[index]``."""
        node: Any = v.owner
        inputs = [_Element(self, u) for u in node.inputs]
        return node.op.lower(node, inputs, index, _Context(self, node))  # type: ignore[no-any-return]

    def run(self, v: Variable, index: Index, run: Sequence[Expr]) -> Expr:
        """What ``v[index]`` combines where the loops within that element are at ``run``."""
        node: Any = v.owner
        inputs = [_Element(self, u) for u in node.inputs]
        return node.op.lower_run(node, inputs, index, run, _Context(self, node))  # type: ignore[no-any-return]

    def load(self, memory: Any, dtype: str, flat: Expr) -> Expr:
        """A load, masked by what guards this part of the expression."""
        return self.masked(self.arguments.buffer(memory, dtype), flat)

    def masked(self, buffer: Buffer, flat: Expr) -> Expr:
        """A load from ``buffer``, masked as :meth:`load` does."""
        return Load(buffer, flat, mask=self._guard)

    def flat(self, v: Variable, index: Sequence[Expr]) -> Expr:
        """The place of an element in the row-major memory of ``v``."""
        return self.place(self.sizes.shape(v), index)

    def place(self, shape: Sequence[Size], index: Sequence[Expr]) -> Expr:
        """The place of ``index`` in a row-major array of ``shape``."""
        total: Expr = build.index(0)
        stride = ONE
        terms = []
        for size, i in zip(reversed(shape), reversed(index), strict=True):
            if size != ONE:
                # A stride that is not needed is no argument: more kernels are alike.
                if not (isinstance(i, Const) and i.value == 0):
                    terms.append(build.mul(i, self.arguments.size(stride)))
                stride = stride * size
        for term in reversed(terms):
            total = build.add(total, term)
        return total


def _varies(v: Constant) -> bool:
    # A constant array with one value has no zero of another sign among its elements.
    data = np.asarray(v.data)
    return bool(data.dtype.kind == "f" and np.any(np.signbit(data) != np.signbit(data.flat[0])))


class _Element:
    """What an op's ``lower`` gets for an input: call it with an index."""

    __slots__ = ("_elements", "_v")

    def __init__(self, elements: Elements, v: Variable) -> None:
        self._elements = elements
        self._v = v

    def __call__(self, *index: Expr) -> Expr:
        return self._elements.element(self._v, index)


class _Context:
    """What an op's ``lower`` may ask for beyond its inputs' elements."""

    __slots__ = ("_elements", "_node")

    def __init__(self, elements: Elements, node: Any) -> None:
        self._elements = elements
        self._node = node

    def size(self, k: int, axis: int) -> Expr:
        """Dimension ``axis`` of input ``k``."""
        e = self._elements
        return e.arguments.size(e.sizes.shape(self._node.inputs[k])[axis])

    def out_size(self, axis: int) -> Expr:
        """Dimension ``axis`` of the output."""
        e = self._elements
        return e.arguments.size(e.sizes.shape(self._node.outputs[0])[axis])

    def shape(self, k: int) -> tuple[Any, ...]:
        """The sizes of input ``k`` as graph scalars."""
        v = self._node.inputs[k]
        shape = v.shape
        return tuple(shape[d] for d in range(v.type.ndim))

    def scalar(self, v: Any) -> Expr:
        """An integer scalar of the graph."""
        e = self._elements
        if isinstance(v, int):
            return Const(v, "int64")
        return e.arguments.size(e.sizes.of(v))

    def guard(self, condition: Expr, pull: Callable[[], Expr]) -> Expr:
        """``pull()``, whose loads happen only where ``condition`` holds."""
        e = self._elements
        before = e._guard
        if before is not None:
            condition = build.op("and", before, condition)
        e._guard = condition
        try:
            return pull()
        finally:
            e._guard = before

    def position(self, value: Expr, size: Expr, node: Any) -> Expr:
        """An index from memory as an int64 within ``[0, size)``; out of bounds fails the call."""
        e = self._elements
        unsigned = value.dtype.startswith("u")
        value = build.cast(value, "int64")
        if isinstance(value, Var) and isinstance(size, Const | Var):
            # A loop variable that runs over the very dimension is within it.
            known = e.ranges.get(value.name)
            if known is not None and e.arguments.size(known) is size:
                return value
        zero = build.index(0)
        if unsigned and value.dtype == "uint64":
            wrapped = value
        else:
            negative = build.op("lt", value, zero)
            wrapped = build.select(negative, build.add(value, size), value)
        bad = build.op("or", build.op("lt", wrapped, zero), build.op("ge", wrapped, size))
        if e._guard is not None:
            bad = build.op("and", bad, e._guard)
        e.positions.append(Position(bad, value, size, node))
        return build.select(bad, zero, wrapped)
