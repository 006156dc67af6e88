"""Matrix products as steps of a program: how the factors lie in memory, and in which amounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from croton.graph.variable import Variable
from croton.kernel.machine import Machine
from croton.runtime.program import OPERATIONS
from croton.schedule.counts import Count, Operation
from croton.schedule.group import Group
from croton.schedule.product import plan as product_plan
from croton.schedule.sizes import ONE, ZERO, Size, Sizes
from croton.schedule.steps import Plan
from croton.schedule.views import reversed_axes
from croton.tensor.elementwise import Elemwise
from croton.tensor.shapes import DimShuffle, SpecifyShape

#: Terms of an amount that is kept as a polynomial.
_TERMS = 2


class Factor(NamedTuple):
    """Memory in which a factor lies, where it starts, and its strides, in elements."""

    memory: Any
    strides: tuple[Size, ...]
    start: Size = ZERO


def factor(v: Variable, sizes: Sizes, memory: Callable[[Variable], Any]) -> Factor:
    """How the factor ``v`` of a product lies in memory: as a view of what is stored."""
    found = _lies(v, sizes, memory)
    if found is None:
        raise KeyError(f"the factor {v} of a product is not in memory")
    return found


def _lies(v: Variable, sizes: Sizes, memory: Callable[[Variable], Any]) -> Factor | None:
    """How ``v`` lies in memory, if it is a view of what does."""
    order: list[int | None] = list(range(v.type.ndim))  # type: ignore[attr-defined]
    backwards: set[int] = set()
    shape = None
    while memory(v) is None:
        if v.owner is not None and isinstance(v.owner.op, SpecifyShape):
            shape = sizes.shape(v) if shape is None else shape
            v = v.owner.inputs[0]
            continue
        shape = None
        axes = None if v.owner is None else reversed_axes(v.owner.op)
        if axes is not None:
            backwards ^= {k for k, d in enumerate(order) if d in axes}
        elif v.owner is not None and isinstance(v.owner.op, DimShuffle):
            new_order = v.owner.op.new_order
            order = [None if d is None or new_order[d] == "x" else new_order[d] for d in order]  # type: ignore[misc]
        else:
            return None
        v = v.owner.inputs[0]  # type: ignore[union-attr]
    shape = sizes.shape(v) if shape is None else shape
    strides = [ONE] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    steps = [ZERO if d is None or shape[d] == ONE else strides[d] for d in order]
    start = ZERO
    for k in backwards:
        place = order[k]
        if place is not None:
            start, steps[k] = start + steps[k] * (shape[place] - ONE), -steps[k]
    return Factor(memory(v), tuple(steps), start)


class Tiled(NamedTuple):
    """A plan for a node, the size of each amount in it, and the memory of its operands by name.

    ``result`` is the name of the buffer for the node's value.
    """

    plan: Plan
    amount: Callable[[Count], Size]
    operands: Mapping[str, Any]
    result: str


def addend(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    stored: Sequence[Variable],
) -> Factor | None:
    """What the group adds to its product, if that is all that it does and it lies by rows."""
    v: Any = group.members[0]
    if group.kind != "product" or len(stored) != 1 or not _adds(stored[0], v):
        return None
    x, y = stored[0].owner.inputs  # type: ignore[union-attr]
    found = _lies(y if x is v else x, sizes, memory)
    if found is None or found.start != ZERO:
        return None
    return found if found.strides[-1] == ONE or sizes.shape(v)[-1] == ONE else None


def _adds(total: Any, v: Any) -> bool:
    """Whether ``total`` is the sum of ``v`` and something of its type."""
    node = total.owner
    if not isinstance(node.op, Elemwise) or node.op.name != "add" or len(node.inputs) != 2:
        return False
    dtypes = {u.type.dtype for u in (total, *node.inputs)}
    return len(dtypes) == 1 and sum(u is v for u in node.inputs) == 1


def product_steps(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    machine: Machine,
    plain: bool,
    added: Factor | None,
    repeated: Callable[[Any], bool],
) -> Tiled:
    """The plan for the group's product; unless it is ``plain``, its blocks go to an epilogue.

    What is ``added`` is all that happens to it.  ``repeated`` tells of memory whether it is the
    same in many rounds of a loop.
    """
    node: Any = group.members[0].owner
    a, b = (factor(v, sizes, memory) for v in node.inputs)
    assert a.start == b.start == ZERO
    plan = product_plan(
        node.outputs[0].type.dtype,
        machine,
        epilogue=not plain,
        adds=added is not None,
        repeated=not node.op.batched and repeated(b.memory),
    )
    names = extents(node, sizes, a, b)
    operands = {"a": a.memory, "b": b.memory}
    if added is not None:
        operands["d"] = added.memory
        names["d_row"] = added.strides[-2]
        names["d_batch"] = added.strides[0] if node.op.batched else ZERO
    return Tiled(plan, amounts(names, sizes), operands, "c")


def extents(node: Any, sizes: Sizes, a: Factor, b: Factor) -> dict[str, Size]:
    """The names of a product plan (its EXTENTS and STRIDES) with their sizes."""
    left, right = (sizes.shape(v) for v in node.inputs)
    batch = left[0] if len(left) == 3 else ONE
    m, k, n = left[-2], left[-1], right[-1]
    return {
        "batch": batch,
        "m": m,
        "n": n,
        "k": k,
        "a_batch": a.strides[0] if len(left) == 3 else ZERO,
        "a_row": a.strides[-2],
        "a_inner": a.strides[-1],
        "b_batch": b.strides[0] if len(left) == 3 else ZERO,
        "b_inner": b.strides[-2],
        "b_column": b.strides[-1],
        "c_batch": m * n,
        "c_row": n,
    }


def _size(value: Size | int) -> Size:
    return Size.of(value) if isinstance(value, int) else value


def _number_if_known(size: Size) -> Size | int:
    return size if size.value is None else size.value


def amounts(
    names: Mapping[str, Size], sizes: Sizes, plan: Plan | None = None
) -> Callable[[Count], Size]:
    """What integer expressions of a plan are as sizes; each is worked out once.

    Layers of a network are often alike: of a ``plan`` that is told, what is known for the same
    sizes holds for all.  What is added to ``names`` later follows from these and the plan.
    """
    # Most are numbers, with which Python is quicker.
    known: dict[int, Size | int] = {}
    if plan is not None:
        # The plan is kept, so that another one's expressions are not taken for its own.
        key = id(plan), *names.items()
        _, known = sizes.amounts.setdefault(key, (plan, known))

    def amount(value: Count) -> Size:
        return _size(find(value))

    def find(value: Count) -> Size | int:
        if isinstance(value, int):
            return value
        if isinstance(value, str):
            return _number_if_known(names[value])
        found = known.get(id(value))
        if found is None:
            found = known[id(value)] = work_out(value)
        return found

    def work_out(value: Operation) -> Size | int:
        name, args = value
        if name in ("select", "and"):
            # Most conditions of a plan are decided by what comes first.
            first = find(args[0])
            if isinstance(first, int) and (name == "select" or not first):
                return find(args[1 if first else 2]) if name == "select" else 0
        found = [find(a) for a in args]
        numbers = [a for a in found if isinstance(a, int)]
        if len(numbers) == len(found):
            return OPERATIONS[name](*numbers)
        return _number_if_known(apply(name, [_size(a) for a in found]))

    def apply(name: str, args: list[Size]) -> Size:
        if name == "add":
            result = args[0] + args[1]
        elif name == "sub":
            result = args[0] - args[1]
        elif name == "mul":
            result = args[0] * args[1]
        else:
            return sizes.operation(name, *args)
        # Sums multiplied out would grow and grow.
        return result if len(result.terms) <= _TERMS else sizes.opaque(name, *args)

    return amount
