"""Reductions over the rows: what each chunk of them keeps, and how the chunks are combined.

A terminal reduction leaves its parts in memory, one set an item.  It has one of
three modes: ``"column"`` (the rows are reduced, the inner axes stay: the parts
are arrays over them), ``"total"`` (everything is reduced) and ``"row"`` (a value
of the rows is reduced).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.accumulate import identity
from croton.kernel.nodes import (
    Assign,
    Buffer,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.schedule.moments import Combined, close, column_close, is_moment
from croton.schedule.sizes import ONE, Size, product

if TYPE_CHECKING:
    from croton.schedule.loops import LoopKernel


class Parts(NamedTuple):
    """Key of the memory for one kind of partial results of a terminal reduction."""

    terminal: Variable
    what: str = ""


class Chunks(NamedTuple):
    """How many parts there are, and of how many elements each was made.

    Part k holds ``width`` numbers; it was made of
    ``min(chunk, extent - k * chunk) * per`` elements.
    """

    parts: Size
    width: Size
    chunk: Size
    extent: Size
    per: Size


def operand_dtype(v: Variable) -> str:
    """The dtype of what the reduction ``v`` combines."""
    dtype: str = v.type.dtype  # type: ignore[attr-defined]
    return "float32" if dtype == "float16" else dtype


def accumulator_dtype(v: Variable) -> str:
    """The dtype in which parts of a sum are added: wider than the result's for floats."""
    op: Any = v.owner.op  # type: ignore[union-attr]
    dtype: str = v.type.dtype  # type: ignore[attr-defined]
    if op.combine == "add" and dtype in ("float32", "float16"):
        return "float64"
    return dtype


def neutral(v: Variable, dtype: str) -> Const:
    """What changes nothing when the reduction ``v`` combines it."""
    op: Any = v.owner.op  # type: ignore[union-attr]
    return Const(identity(op.combine, dtype), dtype)


def or_nothing(kernel: LoopKernel, v: Variable, total: Expr) -> Expr:
    """``total``, which the reduction ``v`` came to, but 0 for a sum of nothing.

    It begins with -0, since that is what changes no sum.
    """
    node: Any = v.owner
    if node.op.combine != "add" or "float" not in total.dtype:
        return total
    shape = kernel.sizes.shape(node.inputs[0])
    axes = [-1] if getattr(node.op, "loop", None) == "product" else node.op.axis
    count = product([shape[d] for d in axes])
    if count.value:
        return total
    nothing = build.op("eq", kernel.arguments.size(count), build.index(0))
    return build.select(nothing, build.const(0.0, total.dtype), total)


class Terminal:
    """A sum (or product, maximum, ...) over the rows."""

    def __init__(self, kernel: LoopKernel, v: Variable) -> None:
        self.kernel = kernel
        self.v = v
        self.x: Variable = v.owner.inputs[0]  # type: ignore[union-attr]
        self.combine: str = v.owner.op.combine  # type: ignore[union-attr]
        if not kernel.runs_inner(self.x):
            self.mode = "row"
        elif any(s != ONE for s in kernel.sizes.shape(v)):
            self.mode = "column"
        else:
            self.mode = "total"
        self.dtype = operand_dtype(v)
        self.wide = accumulator_dtype(v)
        self.total = Var(kernel.name("total"), self.wide)

    def parts(self) -> list[tuple[Parts, str]]:
        """The memory that the parts need: keys and dtypes."""
        return [(Parts(self.v), self.dtype if self.mode == "column" else self.wide)]

    def buffer(self, what: str = "") -> Buffer:
        """The kernel's name for the parts."""
        dtype = self.dtype if self.mode == "column" else self.wide
        return self.kernel.arguments.buffer(Parts(self.v, what), dtype)

    def operand(self) -> Expr:
        """The current element."""
        return self.kernel.operand(self.v, self.kernel.alignment(self.x))

    def begin(self) -> list[Stmt]:
        """At the start of an item."""
        if self.mode == "column":
            return [self._clear(self.buffer())]
        return [Local(self.total, neutral(self.v, self.wide))]

    def _clear(self, parts: Buffer) -> Stmt:
        kernel = self.kernel
        width = kernel.arguments.size(product(kernel.inner))
        j = Var(kernel.name("j"))
        place = build.add(build.mul(Var("item"), width), j)
        store = Store(parts, place, neutral(self.v, parts.dtype))
        return For(j, build.index(0), width, (store,), "vector")

    def at_row(self) -> list[Stmt]:
        """For the mode ``"row"``: when the row's value is known."""
        return [self._add(self.operand())]

    def around(self) -> tuple[list[Stmt], list[Stmt], list[Stmt]]:
        """Before, in and after the loop over a row."""
        if self.mode == "column":
            parts, place = self.buffer(), self.kernel.column_place()
            value = build.op(self.combine, Load(parts, place), self.operand())
            return [], [Store(parts, place, value)], []
        row = Var(self.kernel.name("sum"), self.dtype)
        return (
            [Local(row, neutral(self.v, self.dtype))],
            [Assign(row, build.op(self.combine, row, self.operand()))],
            [self._add(row)],
        )

    def _add(self, value: Expr) -> Stmt:
        return Assign(self.total, build.op(self.combine, self.total, build.cast(value, self.wide)))

    def end(self) -> list[Stmt]:
        """At the end of an item."""
        return [] if self.mode == "column" else [Store(self.buffer(), Var("item"), self.total)]


class MomentTerminal(Terminal):
    """Squared deviations over the rows (see :mod:`croton.schedule.moments`)."""

    def __init__(self, kernel: LoopKernel, v: Variable) -> None:
        super().__init__(kernel, v)
        self.shift = Var(kernel.name("shift"), self.dtype)
        self.first = Var(kernel.name("first"), self.wide)
        self.second = Var(kernel.name("second"), self.wide)

    def parts(self) -> list[tuple[Parts, str]]:
        """Means and squared deviations."""
        dtype = self.dtype if self.mode == "column" else self.wide
        return [(Parts(self.v, what), dtype) for what in ("mean", "squares")]

    def begin(self) -> list[Stmt]:
        """Sums of nothing; for a total, the first element to shift by."""
        if self.mode == "column":
            return [self._clear(self.buffer("mean")), self._clear(self.buffer("squares"))]
        zero = build.const(0.0, self.wide)
        found: list[Stmt] = [
            Local(self.shift, build.const(0.0, self.dtype)),
            Local(self.first, zero),
            Local(self.second, zero),
        ]
        if self.mode == "total":
            lets, value = self.kernel.at_first(self.v, inner=False)
            start, stop = self.kernel.range
            here = (*lets, Assign(self.shift, value))
            found.append(If(build.op("lt", start, stop), here))
        return found

    def at_row(self) -> list[Stmt]:
        """Shifted by the value of the first row."""
        value, d = Var(self.kernel.name("value"), self.dtype), Var(self.kernel.name("d"), self.wide)
        is_first = build.op("eq", Var("row"), self.kernel.range[0])
        shifted = build.cast(build.op("sub", value, self.shift), self.wide)
        return [
            Let(value, self.operand()),
            If(is_first, (Assign(self.shift, value),)),
            Let(d, shifted),
            Assign(self.first, build.op("add", self.first, d)),
            Assign(self.second, build.op("add", self.second, build.op("mul", d, d))),
        ]

    def around(self) -> tuple[list[Stmt], list[Stmt], list[Stmt]]:
        """The sums of ``d`` and ``d * d``."""
        d = Var(self.kernel.name("d"), self.dtype)
        if self.mode == "column":
            lets, shift = self.kernel.at_first(self.v, inner=True)
            place = self.kernel.column_place()
            s1, s2 = self.buffer("mean"), self.buffer("squares")
            inside: list[Stmt] = [
                *lets,
                Let(d, build.op("sub", self.operand(), shift)),
                Store(s1, place, build.op("add", Load(s1, place), d)),
                Store(s2, place, build.op("add", Load(s2, place), build.op("mul", d, d))),
            ]
            return [], inside, []
        d1, d2 = (Var(self.kernel.name("sum"), self.dtype) for _ in range(2))
        zero = neutral(self.v, self.dtype)
        return (
            [Local(d1, zero), Local(d2, zero)],
            [
                Let(d, build.op("sub", self.operand(), self.shift)),
                Assign(d1, build.op("add", d1, d)),
                Assign(d2, build.op("add", d2, build.op("mul", d, d))),
            ],
            [
                Assign(self.first, build.op("add", self.first, build.cast(d1, self.wide))),
                Assign(self.second, build.op("add", self.second, build.cast(d2, self.wide))),
            ],
        )

    def end(self) -> list[Stmt]:
        """The chunk's mean and squared deviations."""
        kernel = self.kernel
        start, stop = kernel.range
        count = build.sub(stop, start)
        means, squares = self.buffer("mean"), self.buffer("squares")
        if self.mode == "column":
            lets, shift = kernel.at_first(self.v, inner=True)
            number = build.cast(count, self.dtype)
            body = [*lets, *column_close(means, squares, kernel.column_place(), shift, number)]
            return [If(build.op("lt", start, stop), tuple(kernel.inner_loops(body)))]
        if self.mode == "total" and kernel.outer:
            count = build.mul(count, kernel.arguments.size(product(kernel.inner)))
        shift = build.cast(self.shift, self.wide)
        mean, deviations = close(self.first, self.second, shift, build.cast(count, self.wide))
        return [Store(means, Var("item"), mean), Store(squares, Var("item"), deviations)]


def terminal(kernel: LoopKernel, v: Variable) -> Terminal:
    """What the kernel does for the terminal reduction ``v``."""
    return MomentTerminal(kernel, v) if is_moment(v) else Terminal(kernel, v)


def finish(kernel: LoopKernel, v: Variable) -> list[Stmt]:
    """Combine the parts that another kernel left, in their order; binds ``v`` to the result."""
    op: Any = v.owner.op  # type: ignore[union-attr]
    chunks = kernel.chunks_of(v)
    size = kernel.arguments.size
    wide = accumulator_dtype(v)
    column = any(s != ONE for s in kernel.sizes.shape(v))
    dtype = operand_dtype(v) if column else wide
    k = Var(kernel.name("k"))
    own = kernel.elements.flat(v, kernel.index_of(kernel.group.align[v]))
    place = build.add(build.mul(k, size(chunks.width)), own)

    def part(what: str, into: str) -> Expr:
        return build.cast(Load(kernel.arguments.buffer(Parts(v, what), dtype), place), into)

    if not is_moment(v):
        total = Var(kernel.name("sum"), wide)
        body: tuple[Stmt, ...] = (Assign(total, build.op(op.combine, total, part("", wide))),)
        loop = For(k, build.index(0), size(chunks.parts), body)
        kernel.bind_reduction(v, total)
        return [Local(total, neutral(v, wide)), loop]
    combined = Combined(kernel.name("all"))
    left = build.sub(size(chunks.extent), build.mul(k, size(chunks.chunk)))
    count = build.mul(build.op("minimum", size(chunks.chunk), left), size(chunks.per))
    added = combined.add(
        build.cast(count, "float64"), part("mean", "float64"), part("squares", "float64")
    )
    kernel.bind_reduction(v, combined.squares)
    return [*combined.begin(), For(k, build.index(0), size(chunks.parts), tuple(added))]
