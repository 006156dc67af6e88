"""From a group of values to a kernel: the loop nest that computes them.

The work is cut into *items*: chunks of rows, or of the only axis.  Each row is
gone through in *passes*: pass p computes the reductions that need those of
earlier passes only, and stores what is then known.  The innermost axis runs in
lanes (a loop of kind ``"vector"``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Body,
    Buffer,
    Const,
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
from croton.kernel.vectorise import identity
from croton.schedule.collapse import merge_axes
from croton.schedule.elements import Arguments, Elements, Index
from croton.schedule.groups import Alignment, Group
from croton.schedule.sizes import ONE, Size, Sizes, product
from croton.schedule.views import HEAVY, cost, free_inputs, is_free

#: Vector operations that make up one work item, about.
ITEM_WORK = 1 << 17
_LEAST, _MOST = 512, 16384


class Plan(NamedTuple):
    """A kernel and how to launch it.  ``keys`` say what its buffers stand for."""

    function: Function
    keys: tuple[Any, ...]
    sizes: tuple[Size, ...]
    items: Size
    grain: Size
    scratch: Size


class Parts(NamedTuple):
    """Key of the memory that holds the partial results of a terminal reduction."""

    terminal: Variable


ErrorOf = Callable[[Any], int]


def accumulator_dtype(v: Variable) -> str:
    """The dtype in which parts of a sum are kept and added: wider than the result's for floats."""
    op: Any = v.owner.op  # type: ignore[union-attr]
    dtype: str = v.type.dtype  # type: ignore[attr-defined]
    if op.combine == "add" and dtype in ("float32", "float16"):
        return "float64"
    return dtype


def operand_dtype(v: Variable) -> str:
    """The dtype of what the reduction ``v`` combines."""
    dtype: str = v.type.dtype  # type: ignore[attr-defined]
    return "float32" if dtype == "float16" else dtype


class LoopKernel:
    """Makes the kernel of one loop group."""

    def __init__(
        self,
        group: Group,
        sizes: Sizes,
        memory: Callable[[Variable], Any],
        stores: Sequence[tuple[Variable, Any]],
        error_of: ErrorOf,
        parts_of: Callable[[Variable], tuple[Size, Size]],
    ) -> None:
        self.group = group
        self.sizes = sizes
        self.stores = list(stores)
        self.error_of = error_of
        self.parts_of = parts_of
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
        elif v.owner is None or v in self.group.serial or self._in_memory(v):
            found = 0
        elif self.sizes.is_host(v):
            found = 0
        else:
            found = max((self.level_of(u) for u in v.owner.inputs), default=0)
        self.level[v] = found
        return found

    def _in_memory(self, v: Variable) -> bool:
        return v not in self.group.members and self.memory(v) is not None

    # Axes.

    def _plan_axes(self) -> None:
        group = self.group
        runs = merge_axes(self)
        split = group.split
        if split is None:
            split_run = max(len(runs) - 1, 0)
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
        elements = min(_MOST, max(_LEAST, ITEM_WORK // work))
        flat = not self.outer and len(self.inner) == 1
        sizes = self.sizes
        inner = product(self.inner)
        rows = product(self.outer)
        if flat:
            chunk = Size.of(elements)
            items = sizes.operation("ceildiv", self.inner[0], chunk)
        else:
            per = sizes.operation("floordiv", Size.of(elements), sizes.operation("maximum", inner, ONE))
            chunk = sizes.operation("maximum", per, ONE)
            items = sizes.operation("ceildiv", rows, chunk)
        if not self.extents:
            items, chunk = ONE, ONE
        # A reduction of nothing still has a part, which holds the identity.
        if self.group.terminals:
            items = sizes.operation("maximum", items, ONE)
        self.items = items
        self.scratch = Size.of(64)
        body = self._item(flat, chunk)
        parallel = For(Var("item"), Var("lo"), Var("hi"), tuple(body), "parallel")
        function = Function(
            name,
            tuple(self.arguments.buffers.values()),
            tuple(self.arguments.sizes.values()),
            (parallel,),
            True,
        )
        return Plan(
            function,
            tuple(self.arguments.buffers),
            tuple(self.arguments.sizes),
            items,
            ONE,
            self.scratch,
        )

    def _work(self) -> int:
        seen: set[Variable] = set()
        total = 2 * len(self.stores) + 2 * len(self.group.terminals)
        stack = [v for v, _ in self.stores]
        stack += [t.owner.inputs[0] for t in self.group.terminals]  # type: ignore[union-attr]
        while stack:
            v = stack.pop()
            if v in seen:
                continue
            seen.add(v)
            if v.owner is None or self._in_memory(v) or self.sizes.is_host(v):
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
            self.inner_range = (build.index(0), size(self.inner[-1]) if self.inner else build.index(1))
        before, rows, after = self._row()
        body += before
        if flat or not self.outer:
            body += rows
        else:
            first, last, row = Var("first"), Var("last"), Var("row")
            body.append(Let(first, build.mul(item, size(chunk))))
            body.append(
                Let(
                    last,
                    build.op("minimum", build.add(first, size(chunk)), size(product(self.outer))),
                )
            )
            body.append(For(row, first, last, (*self._decode(row), *rows)))
        body += after
        checks: list[Stmt] = []
        for bad, worst, position in self.flags:
            body.insert(0, Local(worst, build.const(-(2**63), "int64")))
            body.insert(0, Local(bad, build.const(False, "bool")))
            code = self.error_of(position.node) + 1
            checks.append(If(bad, (Fail(code, (worst, position.size)),)))
        return body + checks

    def _decode(self, row: Var) -> list[Stmt]:
        """The outer indices from the number of the row."""
        if len(self.outer) == 1:
            return [Let(self.axis_vars[0], row)]
        found: list[Stmt] = []
        rest: Expr = row
        for k in range(len(self.outer) - 1, 0, -1):
            n = self.arguments.size(self.outer[k])
            found.append(Let(self.axis_vars[k], build.op("mod", rest, n)))
            quotient = Var(f"rest{k}")
            found.append(Let(quotient, build.op("floordiv", rest, n)))
            rest = quotient
        found.append(Let(self.axis_vars[0], rest))
        return found

    # One row, pass by pass.

    def _row(self) -> tuple[list[Stmt], list[Stmt], list[Stmt]]:
        group = self.group
        before: list[Stmt] = []
        after: list[Stmt] = []
        full_stores: dict[int, list[tuple[Variable, Any]]] = {}
        row_stores: dict[int, list[tuple[Variable, Any]]] = {}
        for v, key in self.stores:
            where = full_stores if self._runs_inner(v) else row_stores
            where.setdefault(self.level_of(v), []).append((v, key))
        reductions: dict[int, list[Variable]] = {}
        for r in group.row_reductions:
            reductions.setdefault(self.level_of(r) - 1, []).append(r)
        columns: dict[int, list[Variable]] = {}
        totals: dict[int, list[Variable]] = {}
        row_totals: dict[int, list[Variable]] = {}
        for t in group.terminals:
            x = t.owner.inputs[0]  # type: ignore[union-attr]
            level = self.level_of(x)
            if not self._runs_inner(x):
                row_totals.setdefault(level, []).append(t)
            elif self._is_column(t):
                columns.setdefault(level, []).append(t)
            else:
                totals.setdefault(level, []).append(t)
        passes = 1 + max(
            [0, *full_stores, *row_stores, *reductions, *columns, *totals, *row_totals]
        )
        stash = self._choose_stash(passes, full_stores, reductions, columns, totals)
        accumulate: dict[Variable, Var] = {}
        for t in group.terminals:
            if self._is_column(t):
                before += self._clear_column(t)
            else:
                total = self._name("total")
                dtype = accumulator_dtype(t)
                accumulate[t] = Var(total, dtype)
                before.append(Local(accumulate[t], _identity(t, dtype)))
                after.append(
                    Store(self._parts(t), Var("item"), accumulate[t])
                )
        rows: list[Stmt] = []
        for p in range(passes):
            for v, key in row_stores.get(p, ()):
                rows += self._store(v, key)
            for t in row_totals.get(p, ()):
                x = t.owner.inputs[0]  # type: ignore[union-attr]
                value = self._operand(t, self._alignment(x))
                rows.append(self._add_total(accumulate[t], t, value))
            rows += self._pass(
                full_stores.get(p, []),
                reductions.get(p, []),
                columns.get(p, []),
                totals.get(p, []),
                accumulate,
                stash.get(p, []),
            )
        return before, rows, after

    def _runs_inner(self, v: Variable) -> bool:
        if not self.inner:
            return True
        if self.group.split is None:
            return True
        alignment = self._alignment(v)
        return not self.group.is_row(alignment)

    def _alignment(self, v: Variable) -> Alignment:
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

    def _alignment_or_none(self, v: Variable) -> Alignment | None:
        try:
            return self._alignment(v)
        except KeyError:
            return None

    def _is_column(self, t: Variable) -> bool:
        return any(s != ONE for s in self.sizes.shape(t)) and self._runs_inner(
            t.owner.inputs[0]  # type: ignore[union-attr]
        )

    def _pass(
        self,
        stores: Sequence[tuple[Variable, Any]],
        reductions: Sequence[Variable],
        columns: Sequence[Variable],
        totals: Sequence[Variable],
        accumulate: dict[Variable, Var],
        stash: Sequence[tuple[Variable, Any]],
    ) -> list[Stmt]:
        if not (stores or reductions or columns or totals or stash):
            return []
        before: list[Stmt] = []
        after: list[Stmt] = []
        loop: list[Stmt] = []
        first_position = len(self.elements.positions)
        for v in self.group.serial:
            loop += self._serial(v)
        kept: list[tuple[Variable, Buffer]] = []
        for v, offset in stash:
            dtype: str = v.type.dtype  # type: ignore[attr-defined]
            buffer = Buffer(self._name("row"), dtype, 64)
            before.append(Allocate(buffer, self.arguments.size(offset)))
            kept.append((v, buffer))
            value = self.elements.element(v, self.index_of(self._alignment(v)))
            loop.append(Store(buffer, self._inner_place(), value))
        for r in reductions:
            accumulator = Var(self._name("sum"), operand_dtype(r))
            before.append(Local(accumulator, _identity(r, accumulator.dtype)))
            value = self._operand(r, self._alignment(r.owner.inputs[0]))  # type: ignore[union-attr]
            loop.append(Assign(accumulator, build.op(r.owner.op.combine, accumulator, value)))  # type: ignore[union-attr]
            after.append(Let(Var(accumulator.name + "_", accumulator.dtype), accumulator))
        for t in totals:
            accumulator = Var(self._name("sum"), operand_dtype(t))
            before.append(Local(accumulator, _identity(t, accumulator.dtype)))
            value = self._operand(t, self._alignment(t.owner.inputs[0]))  # type: ignore[union-attr]
            loop.append(Assign(accumulator, build.op(t.owner.op.combine, accumulator, value)))  # type: ignore[union-attr]
            after.append(self._add_total(accumulate[t], t, accumulator))
        for t in columns:
            value = self._operand(t, self._alignment(t.owner.inputs[0]))  # type: ignore[union-attr]
            parts = self._parts(t)
            place = self._column_place()
            old = Load(parts, place)
            loop.append(Store(parts, place, build.op(t.owner.op.combine, old, value)))  # type: ignore[union-attr]
        for v, key in stores:
            loop += self._store(v, key)
        loop = self._flag(first_position) + loop
        body = before + self._inner_loops(loop) + after
        for r, s in zip(reductions, [s for s in after if isinstance(s, Let)], strict=False):
            self._bind_reduction(r, s.var)
        for v, buffer in kept:
            self.elements.bind(v, lambda _, buffer=buffer: Load(buffer, self._inner_place()))
        return body

    def _bind_reduction(self, r: Variable, value: Expr) -> None:
        result = build.cast(value, r.type.dtype)  # type: ignore[attr-defined]
        self.elements.bind(r, lambda _: result)

    def _flag(self, first: int) -> list[Stmt]:
        """Statements that note positions out of bounds."""
        found: list[Stmt] = []
        for position in self.elements.positions[first:]:
            bad = Var(self._name("bad"), "bool")
            worst = Var(self._name("worst"), "int64")
            self.flags.append((bad, worst, position))
            least = build.const(-(2**63), "int64")
            found.append(Assign(bad, build.op("or", bad, position.bad)))
            here = build.select(position.bad, position.value, least)
            found.append(Assign(worst, build.op("maximum", worst, here)))
        return found

    def _inner_loops(self, loop: Sequence[Stmt]) -> list[Stmt]:
        if not self.inner:
            return list(loop)
        start, stop = self.inner_range
        count = len(self.outer)
        body: Body = (For(self.axis_vars[-1], start, stop, tuple(loop), "vector"),)
        for k in range(len(self.inner) - 2, -1, -1):
            stop = self.arguments.size(self.inner[k])
            body = (For(self.axis_vars[count + k], build.index(0), stop, body),)
        return list(body)

    def _inner_place(self) -> Expr:
        """The number of the current element within its row."""
        count = len(self.outer)
        return self.elements.place(self.inner, self.axis_vars[count:])

    def _column_place(self) -> Expr:
        width = self.arguments.size(product(self.inner))
        return build.add(build.mul(Var("item"), width), self._inner_place())

    def _operand(self, r: Variable, alignment: Alignment) -> Expr:
        """What the reduction ``r`` combines, at the current element."""
        node: Any = r.owner
        element = self.elements
        inputs = [lambda *index, u=u: element.element(u, index) for u in node.inputs]
        return node.op.lower(node, inputs, self.index_of(alignment), None)  # type: ignore[no-any-return]

    def _add_total(self, total: Var, t: Variable, value: Expr) -> Stmt:
        value = build.cast(value, total.dtype)
        return Assign(total, build.op(t.owner.op.combine, total, value))  # type: ignore[union-attr]

    def _store(self, v: Variable, key: Any) -> list[Stmt]:
        index = self.index_of(self._alignment(v))
        first = len(self.elements.positions)
        value = self.elements.element(v, index)
        flags = self._flag(first)
        buffer = self.arguments.buffer(key, v.type.dtype)  # type: ignore[attr-defined]
        return [*flags, Store(buffer, self.elements.flat(v, index), value)]

    def _parts(self, t: Variable) -> Buffer:
        dtype = operand_dtype(t) if self._is_column(t) else accumulator_dtype(t)
        return self.arguments.buffer(Parts(t), dtype)

    def _clear_column(self, t: Variable) -> list[Stmt]:
        parts = self._parts(t)
        width = self.arguments.size(product(self.inner))
        j = Var(self._name("j"))
        base = build.mul(Var("item"), width)
        store = Store(parts, build.add(base, j), _identity(t, parts.dtype))
        return [For(j, build.index(0), width, (store,), "vector")]

    # Reductions within one element.

    def _serial(self, v: Variable) -> list[Stmt]:
        node: Any = v.owner
        if v in self.group.finishes:
            return self._finish(v)
        accumulator = Var(self._name("sum"), operand_dtype(v))
        out = self.index_of(self.group.align[v])
        if getattr(node.op, "loop", None) == "product":
            inner = self.sizes.shape(node.inputs[0])[-1]
            k = Var(self._name("k"))
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
                    k = Var(self._name("k"))
                    loops.append((k, size))
                    index.append(k)
            full = tuple(index)
        first = len(self.elements.positions)
        inputs = [lambda *i, u=u: self.elements.element(u, i) for u in node.inputs]
        value = node.op.lower(node, inputs, full, None)
        body: Body = (
            *self._flag(first),
            Assign(accumulator, build.op(node.op.combine, accumulator, value)),
        )
        for k, size in reversed(loops):
            body = (For(k, build.index(0), self.arguments.size(size), body),)
        self._bind_reduction(v, accumulator)
        return [Local(accumulator, _identity(v, accumulator.dtype)), *body]

    def _finish(self, v: Variable) -> list[Stmt]:
        """Combine the parts that another kernel left, chunk by chunk in order."""
        op: Any = v.owner.op  # type: ignore[union-attr]
        count, width = self.parts_of(v)
        dtype = accumulator_dtype(v)
        column = any(s != ONE for s in self.sizes.shape(v))
        parts = self.arguments.buffer(Parts(v), operand_dtype(v) if column else dtype)
        accumulator = Var(self._name("sum"), dtype)
        k = Var(self._name("k"))
        place = self.elements.flat(v, self.index_of(self.group.align[v]))
        load = Load(parts, build.add(build.mul(k, self.arguments.size(width)), place))
        value = build.cast(load, dtype)
        body = (Assign(accumulator, build.op(op.combine, accumulator, value)),)
        loop = For(k, build.index(0), self.arguments.size(count), body)
        self._bind_reduction(v, accumulator)
        return [Local(accumulator, _identity(v, dtype)), loop]

    # Values kept from one pass over a row to the next.

    def _choose_stash(
        self, passes: int, *roots: dict[int, list[Any]]
    ) -> dict[int, list[tuple[Variable, Size]]]:
        if passes == 1 or not self.inner:
            return {}
        used: dict[Variable, list[int]] = {}
        for p in range(passes):
            seen: set[Variable] = set()
            stack: list[Variable] = []
            for table in roots:
                for entry in table.get(p, ()):
                    v = entry[0] if isinstance(entry, tuple) else entry
                    stack.append(v if isinstance(entry, tuple) else v.owner.inputs[0])
            while stack:
                v = stack.pop()
                if v in seen or v.owner is None or v in self.group.row_reductions:
                    continue
                seen.add(v)
                if self._in_memory(v) or self.sizes.is_host(v):
                    continue
                used.setdefault(v, []).append(p)
                stack.extend(v.owner.inputs)
        found: dict[int, list[tuple[Variable, Size]]] = {}
        total: dict[Variable, int] = {}
        covered: set[Variable] = set()
        offset = Size.of(64)
        # Users come behind what they use: the last of a chain is kept.
        for v in sorted(used, key=lambda v: -self._depth(v)):
            where = used[v]
            if len(where) < 2 or v in covered or not self._runs_inner_free(v):
                continue
            if self._total_cost(v, total) < HEAVY:
                continue
            found.setdefault(where[0], []).append((v, offset))
            itemsize = np.dtype(v.type.dtype).itemsize  # type: ignore[attr-defined]
            nbytes = product(self.inner) * Size.of(itemsize) + Size.of(63)
            offset = offset + self.sizes.operation("floordiv", nbytes, Size.of(64)) * Size.of(64)
            below = [v]
            while below:
                u = below.pop()
                if u.owner is not None:
                    for w in u.owner.inputs:
                        if w not in covered:
                            covered.add(w)
                            below.append(w)
        self.scratch = offset
        return found

    def _runs_inner_free(self, v: Variable) -> bool:
        alignment = self._alignment_or_none(v)
        return alignment is not None and self.group.is_full(alignment)

    def _depth(self, v: Variable) -> int:
        try:
            return self.group.members.index(v)
        except ValueError:
            return -1

    def _total_cost(self, v: Variable, memo: dict[Variable, int]) -> int:
        if v not in memo:
            if v.owner is None or v in self.group.row_reductions or self._in_memory(v):
                memo[v] = 0
            else:
                memo[v] = cost(v.owner.op) + sum(self._total_cost(u, memo) for u in v.owner.inputs)
        return memo[v]

    def _name(self, base: str) -> str:
        self.names += 1
        return f"{base}{self.names}"


def _identity(v: Variable, dtype: str) -> Const:
    op: Any = v.owner.op  # type: ignore[union-attr]
    return Const(identity(op.combine, dtype), dtype)
