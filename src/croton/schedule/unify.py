"""Checks of sizes that only a call can make, and the equalities that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.printing import details
from croton.graph.traversal import toposort
from croton.graph.variable import Variable
from croton.runtime.program import Error
from croton.schedule.emission import escape
from croton.schedule.registers import SizeRegisters
from croton.schedule.sizes import ShapeOf, Size, Sizes
from croton.tensor.elementwise import Elemwise
from croton.tensor.type import TensorType


class SizeCheck:
    """A condition on sizes that an application states (see the ops' ``checks``)."""

    __slots__ = ("a", "b", "kind", "node", "sizes", "sources", "what")

    def __init__(
        self,
        kind: str,
        a: Size,
        b: Size | None,
        what: str,
        node: Apply,
        sizes: Sizes,
        sources: tuple[Variable, Variable | None],
    ) -> None:
        self.kind = kind
        self.a = a
        self.b = b
        self.what = what
        self.node = node
        self.sizes = sizes
        self.sources = sources

    @property
    def needs(self) -> list[Size]:
        """The sizes that must be known."""
        found = [self.a] if self.b is None else [self.a, self.b]
        for v in self.node.inputs:
            if isinstance(v.type, TensorType):
                found.extend(self.sizes.shape(v))
        return found

    def condition(self, registers: SizeRegisters) -> int | None:
        """The register that is 0 where the check fails; None if it cannot fail."""
        compute, number = registers.registers.compute, registers.registers.number
        a = registers.of(self.a)
        if self.kind in ("eq", "le"):
            assert self.b is not None
            return compute(self.kind, a, registers.of(self.b))
        if self.kind == "positive":
            return compute("lt", number(0), a)
        if self.kind == "nonzero":
            return compute("ne", a, number(0))
        if self.kind == "size":
            return compute("le", number(0), a)
        if self.kind == "index":
            assert self.b is not None
            size = registers.of(self.b)
            low = compute("le", compute("neg", size), a)
            return compute("and", low, compute("lt", a, size))
        raise ValueError(f"unknown kind of check: {self.kind!r}")

    def kernel_error(self) -> Error:
        """What to raise where a kernel fails with the index and the size."""
        where = escape(details(self.node) + trace.describe(self.node.made_at))
        text = f"index {{0}} is out of bounds for {escape(self.what)} of size {{1}}"
        return Error("IndexError", text + where)

    def error(self, registers: SizeRegisters) -> Error:
        """What to raise."""
        used: list[int] = []

        def show(size: Size) -> str:
            if size.value is not None:
                return str(size.value)
            used.append(registers.of(size))
            return f"{{{len(used) - 1}}}"

        # Where rewriting has changed an op's order of dimensions, the program's own is shown.
        written = getattr(self.node.op, "written", None)
        op, orders = (self.node.op, []) if written is None else written()
        shapes = []
        for k, v in enumerate(self.node.inputs):
            if isinstance(v.type, TensorType) and v.type.ndim:
                shape = self.sizes.shape(v)
                if k < len(orders):
                    shape = tuple(shape[d] for d in orders[k])
                inner = ", ".join(map(show, shape))
                shapes.append(f"({inner},)" if v.type.ndim == 1 else f"({inner})")
        where = details(self.node) + trace.describe(self.node.made_at)
        whole = self.node.part_of if written is None else None
        name = str(op) if whole is None else f"{op}, a part of {whole}"
        where, name, what = map(escape, (where, name, self.what))
        given = " and ".join(shapes)
        if self.kind == "index":
            text = (
                f"index {show(self.a)} is out of bounds for {what} of size "
                f"{show(self.b)}"  # type: ignore[arg-type]
            )
            return Error("IndexError", text + where, tuple(used))
        if self.kind == "positive":
            return Error("ValueError", f"{what} of no elements: shape {given}" + where, tuple(used))
        if self.kind == "size":
            text = f"{what} cannot be negative: {show(self.a)}"
            return Error("ValueError", text + where, tuple(used))
        if self.kind == "nonzero":
            return Error("ValueError", f"{what} cannot be zero" + where, tuple(used))
        text = f"shapes do not fit in {name}: {given}"
        if what:
            text += f" ({what}: {show(self.a)} and {show(self.b)})"  # type: ignore[arg-type]
        hint = ""
        if isinstance(op, Elemwise) and (whole is None or isinstance(whole, Elemwise)):
            hint = (
                "\nOnly a dimension known to be 1 when building broadcasts: declare it so "
                "(T.tensor(dtype, (None, 1)), T.row, T.col), or say so with T.addbroadcast."
            )
        return Error("ValueError", text + hint + where, tuple(used))


def find_checks(outputs: Sequence[Variable], sizes: Sizes) -> list[SizeCheck]:
    """The checks of all applications, without those that hold by construction."""
    found: list[SizeCheck] = []
    seen: set[Any] = set()
    order = toposort(outputs)
    sizes.learn(order)
    for node in order:
        checks = getattr(node.op, "checks", None)
        if checks is None:
            continue
        shapes = [ShapeOf(v) if isinstance(v.type, TensorType) else None for v in node.inputs]
        for kind, a, b, what in checks(node, shapes):
            left = sizes.of(a)
            right = None if b is None else sizes.of(b)
            if kind == "eq" and left == right:
                continue
            if kind == "positive" and (left.value or 0) > 0:
                continue
            if kind == "size" and sizes.never_negative(left):
                continue
            if kind == "le" and right is not None and None not in (left.value, right.value):
                if left.value <= right.value:  # type: ignore[operator]
                    continue
            key = (kind, left, right) if kind != "eq" else (kind, frozenset((left, right)))
            if key in seen:
                continue
            seen.add(key)
            found.append(SizeCheck(kind, left, right, what, node, sizes, (a, b)))
    return found


def unify(
    checks: Sequence[SizeCheck], sizes: Sizes, known: Mapping[tuple[Variable, int], Any]
) -> dict[tuple[Variable, int], Any]:
    """Dimensions that are equal in every call that passes the checks, and those ``known`` to be.

    Maps (variable, axis) to the (variable, axis) or the number that stands for it.
    """
    parent: dict[Any, Any] = dict(known)

    def find(x: Any) -> Any:
        while x in parent:
            x = parent[x]
        return x

    for check in checks:
        if check.kind != "eq":
            continue
        a, b = (_plain(s, sizes) for s in (check.a, check.b))
        if a is None or b is None:
            continue
        a, b = find(a), find(b)
        if a == b or (isinstance(a, int) and isinstance(b, int)):
            continue
        if isinstance(a, int) or (not isinstance(b, int) and _comes_late(b)):
            a, b = b, a
        # Of two that are known late neither may stand for the other.
        if isinstance(b, int) or not _comes_late(b):
            parent[a] = b
    return {x: find(x) for x in parent}


def numbers(checks: Sequence[SizeCheck]) -> list[tuple[Variable, int]]:
    """What is a certain number in every call that passes the checks, though no dimension is it."""
    found: list[tuple[Variable, int]] = []
    for check in checks:
        if check.kind != "eq" or check.b is None:
            continue
        for size, source, other in zip(
            (check.a, check.b), check.sources, (check.b, check.a), strict=True
        ):
            if source is not None and other.value is not None and _plain(size, check.sizes) is None:
                found.append((source, other.value))
    return found


def _comes_late(dimension: tuple[Variable, int]) -> bool:
    """Whether only running a Python op tells the dimension."""
    return dimension[0].owner is not None


def _plain(size: Size | None, sizes: Sizes) -> Any:
    """A size as the number or the single dimension that it is."""
    if size is None:
        return None
    if size.value is not None:
        return size.value
    if len(size.terms) == 1 and size.terms[0][1] == 1 and len(size.terms[0][0]) == 1:
        factor = size.terms[0][0][0]
        if not isinstance(factor, Size) and sizes.atoms[factor].kind == "dimension":
            return sizes.atoms[factor].what
    return None


def sizes_read_from_memory(outputs: Sequence[Variable], tables: Sequence[Sizes]) -> list[Variable]:
    """The integer scalars that a call must compute and read to know its sizes.

    They hang on the values of arrays; some are not in the graph yet, since
    they are made from shapes.
    """
    found: list[Variable] = []
    while True:
        order = toposort([*outputs, *found])
        for node in order:
            scalars = getattr(node.op, "scalars", None)
            shapes = [ShapeOf(v) if isinstance(v.type, TensorType) else None for v in node.inputs]
            for sizes in tables:
                for v in node.outputs:
                    if isinstance(v.type, TensorType):
                        sizes.shape(v)
                if scalars is not None:
                    for v in scalars(node, shapes):
                        sizes.of(v)
        before = len(found)
        for sizes in tables:
            for atom in sizes.atoms:
                if atom.kind == "value" and atom.what.owner is not None and atom.what not in found:
                    found.append(atom.what)
        if len(found) == before:
            return found
