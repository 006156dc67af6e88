"""From a group of values to a kernel: the loop nest that computes them.

The work is cut into *items*: chunks of rows, or of the only axis.  Each row is
gone through in *passes*: pass p computes the reductions that need those of
earlier passes only, and stores what is then known.  The innermost axis runs in
lanes (a loop of kind ``"vector"``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Expr,
    Fail,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.kernel.philox import NEIGHBOURS
from croton.schedule.collapse import merge_axes
from croton.schedule.elements import Arguments, Elements, Index
from croton.schedule.group import Alignment, Group
from croton.schedule.inplace import reading_first
from croton.schedule.joined import pieces, stored
from croton.schedule.moments import is_moment
from croton.schedule.rows import decode, over_rows
from croton.schedule.sizes import ONE, Size, Sizes, product
from croton.schedule.stash import Stash
from croton.schedule.terminals import (
    Chunks,
    Terminal,
    finish,
    neutral,
    operand_dtype,
    or_nothing,
    terminal,
)
from croton.schedule.views import cost, free_inputs, is_free
from croton.schedule.windows import has_windows, lane_loop, loop_over_window

#: Vector operations that make up one work item, about.
ITEM_WORK = 1 << 17
_LEAST, _MOST = 512, 16384
_FEWEST_ROWS = 64


class Plan(NamedTuple):
    """A kernel and how to launch it.  ``keys`` say what its buffers stand for."""

    function: Function
    keys: tuple[Any, ...]
    sizes: tuple[Size, ...]
    items: Size
    grain: Size
    scratch: Size


ErrorOf = Callable[[Any], int]


class LoopKernel:
    """Makes the kernel of one loop group."""

    def __init__(
        self,
        group: Group,
        sizes: Sizes,
        memory: Callable[[Variable], Any],
        stores: Sequence[Variable],
        error_of: ErrorOf,
        chunks_of: Callable[[Variable], Chunks],
        in_place: Collection[Variable],
    ) -> None:
        self.group = group
        self.in_place = in_place
        self.sizes = sizes
        self.stores = list(stores)
        self.error_of = error_of
        self.chunks_of = chunks_of
        self.memory = memory
        self.arguments = Arguments()
        self.elements = self._elements(self.arguments)
        self.level: dict[Variable, int] = {}
        self.names = 0
        self.body: list[Stmt] = []

    def _elements(self, arguments: Arguments) -> Elements:
        members = set(self.group.members)

        def memory(v: Variable) -> Any:
            return None if v in members else self.memory(v)

        return Elements(self.sizes, arguments, memory)

    # Levels: after how many passes over a row a value is known.

    def level_of(self, v: Variable) -> int:
        """The first pass in which ``v`` can be computed."""
        found = self.level.get(v)
        if found is not None:
            return found
        if v in self.group.row_reductions:
            found = self.level_of(v.owner.inputs[0]) + 1  # type: ignore[union-attr]
        else:
            known = v.owner is None or v in self.group.serial or self.in_memory(v)
            inputs = [] if known or self.sizes.is_host(v) else v.owner.inputs  # type: ignore[union-attr]
            found = max((self.level_of(u) for u in inputs), default=0)
        self.level[v] = found
        return found

    def in_memory(self, v: Variable) -> bool:
        """Whether ``v`` is read from memory here."""
        return v not in self.group.members and self.memory(v) is not None

    # Axes.

    def _plan_axes(self) -> None:
        group = self.group
        runs = merge_axes(self)
        split = group.split
        if split is None:
            # Windows cost index arithmetic for each row, which two axes make longer.
            inner = 2 if len(runs) > 2 and has_windows(group.members) else 1
            split_run = max(len(runs) - inner, 0)
        else:
            split_run = next((k for k, r in enumerate(runs) if r[0] >= split), len(runs))
        self.extents = [product([group.domain[a] for a in r]) for r in runs]
        self.outer = self.extents[:split_run]
        self.inner = self.extents[split_run:]
        self.axis_runs = runs
        names = [f"o{k}" for k in range(len(self.outer))]
        names += [f"i{k}" for k in range(len(self.inner))]
        self.axis_vars = [Var(n) for n in names]
        self.axis_index: list[Expr] = [build.index(0)] * group.rank
        for r, v, n in zip(runs, self.axis_vars, self.extents, strict=True):
            self.axis_index[r[-1]] = v
            if len(r) == 1:
                self.elements.ranges[v.name] = n

    def index_of(self, alignment: Alignment) -> Index:
        """The index of a value so aligned at the current element."""
        zero = build.index(0)
        return tuple(zero if a is None else self.axis_index[a] for a in alignment)

    # The kernel.

    def make(self, name: str) -> Plan:
        """The kernel, called ``name``."""
        self._plan_axes()
        work = max(1, self._work())
        # Chunks of the only axis start where neighbours share their random counters.
        elements = min(_MOST, max(_LEAST, ITEM_WORK // work)) // NEIGHBOURS * NEIGHBOURS
        flat = not self.outer and len(self.inner) == 1
        sizes = self.sizes
        inner = product(self.inner)
        rows = product(self.outer)
        if flat:
            chunk = Size.of(elements)
            items = sizes.operation("ceildiv", self.inner[0], chunk)
        else:
            per = sizes.operation(
                "floordiv", Size.of(elements), sizes.operation("maximum", inner, ONE)
            )
            # A chunk leaves as many parts as there are columns: few rows are not worth it.
            fewest = _FEWEST_ROWS if self._has_columns() else 1
            chunk = sizes.operation("maximum", per, Size.of(fewest))
            items = sizes.operation("ceildiv", rows, chunk)
        if not self.extents:
            items, chunk = ONE, ONE
        # A reduction of nothing still has a part, which holds the identity.
        if self.group.terminals:
            items = sizes.operation("maximum", items, ONE)
        self.terminals = [terminal(self, t) for t in self.group.terminals]
        self.chunks = [
            Chunks(
                items,
                inner if t.mode == "column" else ONE,
                chunk,
                self.inner[0] if flat else rows,
                inner if t.mode == "total" and not flat else ONE,
            )
            for t in self.terminals
        ]
        self.scratch = Size.of(64)
        body = self._item(flat, chunk)
        parallel = For(Var("item"), Var("lo"), Var("hi"), tuple(body), "parallel")
        used = self.arguments
        buffers, counts = tuple(used.buffers.values()), tuple(used.sizes.values())
        function = Function(name, buffers, counts, (parallel,), True)
        return Plan(function, tuple(used.buffers), tuple(used.sizes), items, ONE, self.scratch)

    def _has_columns(self) -> bool:
        return any(
            any(s != ONE for s in self.sizes.shape(t)) and self.runs_inner(t.owner.inputs[0])  # type: ignore[union-attr]
            for t in self.group.terminals
        )

    def _work(self) -> int:
        seen: set[Variable] = set()
        total = 2 * len(self.stores) + 2 * len(self.group.terminals)
        stack = [*self.stores]
        stack += [t.owner.inputs[0] for t in self.group.terminals]  # type: ignore[union-attr]
        while stack:
            v = stack.pop()
            if v in seen:
                continue
            seen.add(v)
            if v.owner is None or self.in_memory(v) or self.sizes.is_host(v):
                total += 1 if v.type.ndim else 0  # type: ignore[attr-defined]
                continue
            total += cost(v.owner.op)
            if v in self.group.serial:
                total += 64
            if v in self.group.finishes:
                continue
            stack.extend(v.owner.inputs)
        return total

    def _item(self, flat: bool, chunk: Size) -> list[Stmt]:
        size = self.arguments.size
        item = Var("item")
        body: list[Stmt] = []
        self.flags: list[tuple[Var, Var, Any]] = []
        if flat:
            start = Var("start")
            stop = Var("stop")
            body.append(Let(start, build.mul(item, size(chunk))))
            body.append(
                Let(stop, build.op("minimum", build.add(start, size(chunk)), size(self.inner[0])))
            )
            self.inner_range: tuple[Expr, Expr] = (start, stop)
        else:
            self.inner_range = (
                build.index(0),
                size(self.inner[-1]) if self.inner else build.index(1),
            )
        outer_first, outer_last = Var("first"), Var("last")
        self.range: tuple[Expr, Expr] = (outer_first, outer_last)
        if flat:
            self.range = self.inner_range
        elif not self.outer:
            self.range = (build.index(0), build.index(1))
        before, rows, after = self._row()
        if self.outer:
            total = size(product(self.outer))
            body.append(Let(outer_first, build.mul(item, size(chunk))))
            end = build.op("minimum", build.add(outer_first, size(chunk)), total)
            body.append(Let(outer_last, end))
            names, outer = self.axis_vars[: len(self.outer)], [size(n) for n in self.outer]
            rows = over_rows(outer_first, outer_last, tuple(rows), names, outer)
        body += [*before, *rows, *after]
        checks: list[Stmt] = []
        for bad, worst, position in self.flags:
            body.insert(0, Local(worst, build.const(-(2**63), "int64")))
            body.insert(0, Local(bad, build.const(False, "bool")))
            code = self.error_of(position.node) + 1
            checks.append(If(bad, (Fail(code, (worst, position.size)),)))
        return body + checks

    # One row, pass by pass.

    def _row(self) -> tuple[list[Stmt], list[Stmt], list[Stmt]]:
        group = self.group
        before: list[Stmt] = []
        after: list[Stmt] = []
        full_stores: dict[int, list[Variable]] = {}
        row_stores: dict[int, list[Variable]] = {}
        for v in self.stores:
            where = full_stores if self.runs_inner(v) else row_stores
            where.setdefault(self.level_of(v), []).append(v)
        reductions: dict[int, list[Variable]] = {}
        for r in group.row_reductions:
            reductions.setdefault(self.level_of(r) - 1, []).append(r)
        terminals: dict[int, list[Terminal]] = {}
        row_terminals: dict[int, list[Terminal]] = {}
        for t in self.terminals:
            table = row_terminals if t.mode == "row" else terminals
            table.setdefault(self.level_of(t.x), []).append(t)
            before += t.begin()
        passes = 1 + max([0, *full_stores, *row_stores, *reductions, *terminals, *row_terminals])
        stash = Stash(
            self,
            [
                [
                    *(u for v in full_stores.get(p, ()) for u in stored(self.group, v)),
                    *(r.owner.inputs[0] for r in reductions.get(p, ())),  # type: ignore[union-attr]
                    *(t.x for t in terminals.get(p, ())),
                ]
                for p in range(passes)
            ],
        )
        self.scratch = stash.scratch
        rows: list[Stmt] = []
        for p in range(passes):
            rows += self._store(row_stores.get(p, ()))
            for t in row_terminals.get(p, ()):
                rows += t.at_row()
            rows += self._pass(
                full_stores.get(p, []),
                reductions.get(p, []),
                terminals.get(p, []),
                stash.kept.get(p, []),
            )
        for t in self.terminals:
            after += t.end()
        return before, rows, after

    def runs_inner(self, v: Variable) -> bool:
        """Whether ``v`` runs along the inner axes (a row value does not)."""
        if not self.inner:
            return True
        if self.group.split is None:
            return True
        alignment = self.alignment(v)
        return not self.group.is_row(alignment)

    def alignment(self, v: Variable) -> Alignment:
        """The domain axis along which each dimension of ``v`` runs."""
        found = self.group.align.get(v)
        if found is not None:
            return found
        # A free value: aligned as its dimensions' sizes say, through the op.
        return self._derived(v)

    def _derived(self, v: Variable) -> Alignment:
        shape = self.sizes.shape(v)
        node: Any = v.owner
        if node is not None and is_free(node.op):
            op = node.op
            inner = [self._alignment_or_none(u) for u in free_inputs(v)]
            if hasattr(op, "new_order") and inner[0] is not None:
                return tuple(None if d == "x" else inner[0][d] for d in op.new_order)
        if node is not None and not is_free(node.op):
            axes: list[int | None] = [None] * len(shape)
            for u in node.inputs:
                found = self._alignment_or_none(u)
                if found is not None and len(found) == len(axes):
                    axes = [a if a is not None else b for a, b in zip(axes, found, strict=True)]
            if all(a is not None or s == ONE for a, s in zip(axes, shape, strict=True)):
                return tuple(axes)
        place = iter(range(self.group.rank))
        axes = []
        for s in shape:
            if s == ONE:
                axes.append(None)
                continue
            for a in place:
                if self.group.domain[a] == s:
                    axes.append(a)
                    break
            else:
                raise KeyError(f"{v} does not run along {self.group}")
        return tuple(axes)

    def is_full(self, v: Variable) -> bool:
        """Whether ``v`` runs along every axis."""
        alignment = self._alignment_or_none(v)
        return alignment is not None and self.group.is_full(alignment)

    def _alignment_or_none(self, v: Variable) -> Alignment | None:
        try:
            return self.alignment(v)
        except KeyError:
            return None

    def _pass(
        self,
        stores: Sequence[Variable],
        reductions: Sequence[Variable],
        terminals: Sequence[Terminal],
        stash: Sequence[tuple[Variable, Any]],
    ) -> list[Stmt]:
        if not (stores or reductions or terminals or stash):
            return []
        before: list[Stmt] = []
        after: list[Stmt] = []
        loop: list[Stmt] = []
        results: list[tuple[Variable, Var]] = []
        first_position = len(self.elements.positions)
        for v in self.group.serial:
            loop += self._serial(v)
        kept: list[tuple[Variable, Buffer]] = []
        for v, offset in stash:
            dtype: str = v.type.dtype  # type: ignore[attr-defined]
            buffer = Buffer(self.name("row"), dtype, 64)
            before.append(Allocate(buffer, self.arguments.size(offset), padded=True))
            kept.append((v, buffer))
            value = self.elements.element(v, self.index_of(self.alignment(v)))
            loop.append(Store(buffer, self._inner_place(), value))
        for r in reductions:
            accumulator = Var(self.name("sum"), operand_dtype(r))
            before.append(Local(accumulator, neutral(r, accumulator.dtype)))
            value = self.operand(r, self.alignment(r.owner.inputs[0]))  # type: ignore[union-attr]
            loop.append(Assign(accumulator, build.op(r.owner.op.combine, accumulator, value)))  # type: ignore[union-attr]
            result = Var(accumulator.name + "_", accumulator.dtype)
            after.append(Let(result, accumulator))
            results.append((r, result))
        for t in terminals:
            first, inside, last = t.around()
            before += first
            loop += inside
            after += last
        loop += self._store(stores)
        loop = self.flag(first_position) + loop
        body = before + self.inner_loops(loop) + after
        for r, value in results:
            self.bind_reduction(r, value)
        for v, buffer in kept:
            self._bind_kept(v, buffer)
        return body

    def _bind_kept(self, v: Variable, buffer: Buffer) -> None:
        group = self.group
        outer = sum(len(run) for run in self.axis_runs[: len(self.outer)])
        where = {a: d for d, a in enumerate(self.alignment(v))}

        def load(index: Index) -> Expr:
            # An element of the row that may be another than the current one (x[i, y[i]]).
            inner = [index[where[a]] for a in range(outer, group.rank)]
            return Load(buffer, self.elements.place(group.domain[outer:], inner))

        self.elements.bind(v, load)

    def bind_reduction(self, r: Variable, value: Expr) -> None:
        """Let ``value`` stand for the reduction ``r`` from now on."""
        result = build.cast(or_nothing(self, r, value), r.type.dtype)  # type: ignore[attr-defined]
        self.elements.bind(r, lambda _: result)

    def flag(self, first: int) -> list[Stmt]:
        """Statements that note positions out of bounds, each once."""
        found: list[Stmt] = []
        for position in self.elements.positions[first:]:
            if position.noted:
                continue
            position.noted = True
            bad = Var(self.name("bad"), "bool")
            worst = Var(self.name("worst"), "int64")
            self.flags.append((bad, worst, position))
            least = build.const(-(2**63), "int64")
            found.append(Assign(bad, build.op("or", bad, position.bad)))
            here = build.select(position.bad, position.value, least)
            found.append(Assign(worst, build.op("maximum", worst, here)))
        return found

    def inner_loops(self, loop: Sequence[Stmt]) -> list[Stmt]:
        """``loop`` for every place in a row, the innermost axis in lanes."""
        if not self.inner:
            return list(loop)
        start, stop = self.inner_range
        count = len(self.outer)
        body = lane_loop(self, For(self.axis_vars[-1], start, stop, tuple(loop), "vector"))
        for k in range(len(self.inner) - 2, -1, -1):
            stop = self.arguments.size(self.inner[k])
            body = (For(self.axis_vars[count + k], build.index(0), stop, body),)
        return list(body)

    def _inner_place(self) -> Expr:
        """The number of the current element within its row."""
        count = len(self.outer)
        return self.elements.place(self.inner, self.axis_vars[count:])

    def column_place(self) -> Expr:
        """The current column's place among the parts of the item."""
        width = self.arguments.size(product(self.inner))
        return build.add(build.mul(Var("item"), width), self._inner_place())

    def operand(self, r: Variable, alignment: Alignment) -> Expr:
        """What the reduction ``r`` combines, at the current element."""
        node: Any = r.owner
        element = self.elements
        inputs = [lambda *index, u=u: element.element(u, index) for u in node.inputs]
        return node.op.lower(node, inputs, self.index_of(alignment), None)  # type: ignore[no-any-return]

    def _store(self, stores: Sequence[Variable]) -> list[Stmt]:
        plain: list[Store] = []
        overwriting: list[Store] = []
        first = len(self.elements.positions)
        for v in stores:
            index = self.index_of(self.alignment(v))
            buffer = self.arguments.buffer(v, v.type.dtype)  # type: ignore[attr-defined]
            some = overwriting if v in self.in_place else plain
            stores_of = pieces(self.group, self.elements, v, index)
            some += [Store(buffer, place, value) for value, place in stores_of]
        return [*self.flag(first), *reading_first(plain, overwriting)]

    def at_first(self, t: Variable, inner: bool) -> tuple[list[Stmt], Expr]:
        """The operand of the reduction ``t`` in the item's first row, and what its index needs.

        With ``inner`` at the current place in the row, else at the first one.
        """
        lets: list[Stmt] = []
        kept = list(self.axis_index)
        count = len(self.outer)
        start = self.range[0]
        if self.outer:
            names = [Var(self.name("o")) for _ in self.outer]
            lets = decode(start, names, [self.arguments.size(n) for n in self.outer])
            for r, v in zip(self.axis_runs[:count], names, strict=True):
                self.axis_index[r[-1]] = v
        if not inner:
            for k, r in enumerate(self.axis_runs[count:]):
                last = k == len(self.inner) - 1
                self.axis_index[r[-1]] = start if not self.outer and last else build.index(0)
        first_position = len(self.elements.positions)
        value = self.operand(t, self.alignment(t.owner.inputs[0]))  # type: ignore[union-attr]
        # Whoever goes through all rows notes those of the first one.
        del self.elements.positions[first_position:]
        self.axis_index = kept
        return lets, value

    # Reductions within one element.

    def _serial(self, v: Variable) -> list[Stmt]:
        node: Any = v.owner
        if v in self.group.finishes:
            return finish(self, v)
        if has_windows([v]):
            return loop_over_window(self, v)
        accumulator = Var(self.name("sum"), operand_dtype(v))
        out = self.index_of(self.group.align[v])
        if getattr(node.op, "loop", None) == "product":
            inner = self.sizes.shape(node.inputs[0])[-1]
            k = Var(self.name("k"))
            full: Index = (*out, k)
            loops = [(k, inner)]
        else:
            shape = self.sizes.shape(node.inputs[0])
            rest = iter(out)
            index: list[Expr] = []
            loops = []
            for d, size in enumerate(shape):
                if d not in node.op.axis:
                    index.append(next(rest))
                elif size == ONE:
                    index.append(build.index(0))
                else:
                    k = Var(self.name("k"))
                    loops.append((k, size))
                    index.append(k)
            full = tuple(index)
        first = len(self.elements.positions)
        inputs = [lambda *i, u=u: self.elements.element(u, i) for u in node.inputs]
        value = node.op.lower(node, inputs, full, None)
        body: Body = (
            *self.flag(first),
            Assign(accumulator, build.op(node.op.combine, accumulator, value)),
        )
        before: list[Stmt] = [Local(accumulator, neutral(v, accumulator.dtype))]
        if is_moment(v):
            # The mean first, then what deviates from it.
            mean = Var(self.name("mean"), accumulator.dtype)
            count = build.cast(self.arguments.size(product([n for _, n in loops])), mean.dtype)
            total = Var(self.name("sum"), accumulator.dtype)
            adding: Body = (Assign(total, build.op("add", total, value)),)
            before += [Local(total, neutral(v, total.dtype)), *self._over(loops, adding)]
            before.append(Let(mean, build.op("div", total, count)))
            deviation = build.op("sub", value, mean)
            square = build.op("mul", deviation, deviation)
            body = (*body[:-1], Assign(accumulator, build.op("add", accumulator, square)))
        self.bind_reduction(v, accumulator)
        return [*before, *self._over(loops, body)]

    def _over(self, loops: Sequence[tuple[Var, Size]], body: Body) -> Body:
        for k, size in reversed(loops):
            body = (For(k, build.index(0), self.arguments.size(size), body),)
        return body

    def name(self, base: str) -> str:
        """A fresh name."""
        self.names += 1
        return f"{base}{self.names}"
