"""Scans: the instructions of a step between those that repeat them.

A step reads rows of sequences and states as views of what lies in memory, and computes its
results into the rows that they go to.  A state of which only the last rows are wanted has a ring
of one row more than the step looks back to; any other lies in the memory of its whole history.
Where each row of a batch needs only itself, all steps are done for one part of the batch after
another, or for several at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from croton.graph import trace
from croton.graph.printing import details
from croton.graph.variable import Variable
from croton.kernel.nodes import Buffer, For, Function, Store, Var
from croton.loop.layout import State, Target
from croton.runtime import program as p
from croton.schedule.apart import rows_apart
from croton.schedule.assembly import Assembly, Emitter
from croton.schedule.emission import escape
from croton.schedule.group import Group
from croton.schedule.heirs import Heir
from croton.schedule.inplace import reads_own_columns
from croton.schedule.launching import Launching
from croton.schedule.recurrence import recurrence
from croton.schedule.sizes import ZERO, Size, product
from croton.schedule.tailored import Tailored

#: Of a batch's parts: how many rows one has at least where there are products, how many elements
#: of states where there are none, and how many parts there may be.
_ROWS, _ELEMENTS, _PARTS = 16, 4096, (2, 4, 8, 16)


def emit_scan(assembly: Assembly, group: Group, emitters: Mapping[str, Emitter]) -> None:
    """The instructions of a scan, whose inputs are in memory."""
    _Steps(assembly, group.members[0].owner, emitters).emit()


class _Part(NamedTuple):
    """The rows of a batch that steps are done for: registers of the first, and of how many."""

    first: int
    count: int  # type: ignore[assignment]


class _Rows:
    """Memory for rows of ``size`` elements, and the places of those that a step deals with.

    Rows of a batch are ``each`` so many elements; there only those of the part that is at work
    are dealt with.
    """

    def __init__(
        self, steps: _Steps, v: Any, buffer: int, row: Sequence[Size], batched: bool = False
    ) -> None:
        self.steps = steps
        self.dtype: str = v.type.dtype
        #: Of all rows.
        self.shape = steps.outer.sizes.shape(v)
        self.buffer = buffer
        self.size = steps.outer.size.of(product(row))
        self.each = steps.outer.size.of(product(row[1:])) if batched else None

    def lies_like(self, other: _Rows) -> bool:
        """Whether rows of the same number, or their parts, are at the same place."""
        if self.buffer == other.buffer or (self.each is None) != (other.each is None):
            return False
        return self.dtype == other.dtype and self.shape == other.shape

    def view(self, row: int) -> int:
        """A view of the row whose number is in register ``row``."""
        view = self.steps.emission.buffer("view", self.dtype)
        self.show(view, row)
        return view

    def show(self, view: int, row: int, count: int | None = None) -> None:
        """Let ``view`` be the row (or ``count`` elements from there on)."""
        compute, part = self.steps.compute, self.steps.part
        offset = compute("mul", row, self.size)
        if part is not None and self.each is not None:
            offset = compute("add", offset, compute("mul", part.first, self.each))
        count = self.count() if count is None else count
        self.steps.emission.emit(p.View(view, self.buffer, offset, count))

    def count(self) -> int:
        """The register of how many elements of a row are dealt with."""
        part = self.steps.part
        if part is None or self.each is None:
            return self.size
        return self.steps.compute("mul", part.count, self.each)


class _State(_Rows):
    """A state's rows.  ``depth`` of them come from outside."""

    def __init__(self, steps: _Steps, k: int, state: State) -> None:
        node = steps.node
        self.result: Any = node.outputs[k]
        self.initial: Any = node.inputs[steps.layout.state_input(k)]
        self.depth = state.depth
        self.is_wanted = steps.is_wanted(self.result)
        self.has_history = state.history and self.is_wanted
        outer = steps.outer
        row = outer.sizes.shape(self.initial)[1:]
        buffer = self._memory(steps, row)
        super().__init__(steps, self.result, buffer, row, bool(steps.batched))
        self._begin()

    def _memory(self, steps: _Steps, row: Sequence[Size]) -> int:
        if not self.has_history:
            shape = (Size.of(self.depth + 1), *row)
            return steps.outer.new_buffer(object(), self.result.type.dtype, shape, False)
        depth = steps.compute("add", steps.n, steps.number(self.depth))
        return steps.allocate(self.result, depth, row)

    def _begin(self) -> None:
        """The initial rows, where the first steps look for them."""
        steps = self.steps
        given = steps.outer.memory_number(self.initial)
        source = _Rows(steps, self.initial, given, steps.outer.sizes.shape(self.initial)[1:])
        if steps.layout.backwards and not self.has_history:
            # A ring is filled in the order of the steps.
            for k in range(self.depth):
                self._copy(self.view(steps.number(self.depth - 1 - k)), source, k)
            return
        first = steps.n if steps.layout.backwards else steps.number(0)
        whole = steps.compute("mul", self.size, steps.number(self.depth))
        view = steps.emission.buffer("view", self.dtype)
        self.show(view, first, whole)
        steps.emission.emit(p.Copy(view, given, whole))

    def _copy(self, target: int, source: _Rows, row: int) -> None:
        view = source.view(self.steps.number(row))
        self.steps.emission.emit(p.Copy(target, view, self.size))

    def place(self, lag: int) -> int:
        """The register with the number of the row of ``lag`` steps ago; 0 is the new one."""
        steps = self.steps
        if self.has_history:
            if steps.layout.backwards:
                return steps.compute("add", steps.time, steps.number(lag))
            return steps.compute("add", steps.time, steps.number(self.depth - lag))
        return self._in_ring(steps.step, self.depth - lag)

    def _in_ring(self, step: int, ahead: int) -> int:
        steps = self.steps
        row = steps.compute("add", step, steps.number(ahead))
        return steps.compute("mod", row, steps.number(self.depth + 1))

    def finish(self) -> None:
        """Hand out the last rows, in the order of time."""
        steps = self.steps
        if not self.is_wanted or self.has_history:
            return
        row = steps.outer.sizes.shape(self.initial)[1:]
        last = steps.allocate(self.result, steps.number(self.depth), row)
        target = _Rows(steps, self.result, last, row)
        for k in range(self.depth):
            ahead = self.depth - 1 - k if steps.layout.backwards else k
            source = self.view(self._in_ring(steps.step, ahead))
            view = target.view(steps.number(k))
            steps.emission.emit(p.Copy(view, source, self.size))


class _Steps:
    """The loop of one scan."""

    def __init__(self, outer: Assembly, node: Any, emitters: Mapping[str, Emitter]) -> None:
        self.outer = outer
        self.node = node
        self.layout = node.op.layout
        self.graph = node.op.inner
        self.emission = outer.emission
        self.compute = outer.registers.compute
        self.number = outer.registers.number
        self.n = outer.size.of(outer.sizes.of(node.inputs[0]))
        self.targets = [
            (v, t)
            for v, t in zip(self.graph.outputs, self.layout.targets, strict=True)
            if t.kind != "collected" or self.is_wanted(node.outputs[t.outer])
        ]
        self.emitters = emitters
        #: Which of the step's inputs have rows of a batch, and the part of it that is at work.
        self.batched: frozenset[int] = frozenset()
        self.part: _Part | None = None
        self.inner = self._assembly()
        self.step = self.time = -1

    def _assembly(self) -> Assembly:
        outputs = [v for v, _ in self.targets]
        return Assembly(self.emission, outputs, [], self._known(), self.emitters, False)

    def is_wanted(self, v: Variable) -> bool:
        """Whether anybody reads ``v``."""
        return v in self.outer.storage.stored

    def _known(self) -> dict[tuple[Variable, int], Any]:
        """Sizes of a step's inputs that are numbers, or equal to others of them."""
        known: dict[tuple[Variable, int], Any] = {}
        first: dict[Any, tuple[Variable, int]] = {}
        for k, (source, v) in enumerate(zip(self.layout.sources, self.graph.inputs, strict=True)):
            shape = self.outer.sizes.shape(self.node.inputs[source.outer])
            for d, size in enumerate(shape if source.kind == "non_sequence" else shape[1:]):
                if v.type.shape[d] is not None:
                    continue
                # Parts of a batch have rows of their own number.
                rows = d == 0 and k in self.batched
                if size.value is not None and not rows:
                    known[v, d] = size.value
                elif first.setdefault((size, rows), (v, d)) != (v, d):
                    known[v, d] = first[size, rows]
        return known

    def allocate(self, v: Any, rows: int, row: Sequence[Size]) -> int:
        """Memory for the scan's output ``v``, of so many rows (a register)."""
        outer = self.outer
        result = outer.is_result(v)
        number = self.emission.buffer("output" if result else "temporary", v.type.dtype)
        outer.number[v] = number
        dims = (rows, *(outer.size.of(s) for s in row))
        count = self.compute("mul", rows, outer.size.of(product(row)))
        self.emission.emit(p.Allocate(number, count, dims if result else ()))
        return number

    def emit(self) -> None:
        """All of the loop."""
        self._check_sizes()
        launching = Launching(self)
        late = self.inner.pending
        tiny = None
        if not self.unsure:
            tiny = recurrence(self.node, self.inner.sizes, self.is_wanted, late, self.emission)
        if tiny is not None:
            launching.launch(tiny)
            return
        told = None if self.unsure else launching.ask()
        self._emit_loop(told, None if late or self.unsure else self._apart())
        if told is not None:
            launching.launch_tailored(*told)

    def _apart(self) -> int | None:
        """The register of how many rows of a batch a part has, if the steps can be done so."""
        apart = rows_apart(self.node)
        if apart is None:
            return None
        before = self.graph, self.targets, self.inner
        self.graph, self.batched = apart, apart.batched
        self.targets = [
            (apart.outputs[k], t) for k, t in enumerate(self.layout.targets)
            if t.kind != "collected" or self.is_wanted(self.node.outputs[t.outer])
        ]  # fmt: skip
        self.inner = self._assembly()
        if not self._have_one_number():
            self.graph, self.targets, self.inner = before
            self.batched = frozenset()
            return None
        # What holds for all rows, and is checked, holds for some.
        self.inner.pending = []
        return self._unit(apart.products)

    def _have_one_number(self) -> bool:
        """Whether what has rows of the batch has as many of them, and nothing else is as many."""
        rows: set[Size] = set()
        others: set[Size] = set()
        for k, v in enumerate(self.graph.inputs):
            for d, size in enumerate(self.inner.sizes.shape(v)):
                (rows if d == 0 and k in self.batched else others).add(size)
        return len(rows) == 1 and rows.isdisjoint(others) and None in {s.value for s in rows}

    def _unit(self, products: bool) -> int:
        """Rows that are worth a part of their own; of parts there are 1, 2, 4 ... at most."""
        compute, number, size = self.compute, self.number, self.outer.size
        shapes = [
            self.outer.sizes.shape(self.node.inputs[self.layout.state_input(k)])[1:]
            for k in range(len(self.layout.states))
        ]
        least = number(_ROWS)
        if not products:
            each = sum((product(s[1:]) for s in shapes), ZERO)
            least = compute("ceildiv", number(_ELEMENTS), size.of(each))
            least = compute("maximum", least, number(1))
        total, parts = size.of(shapes[0][0]), number(1)
        self.total = total
        for k in _PARTS:
            fits = compute("le", compute("mul", number(k), least), total)
            parts = compute("select", fits, number(k), parts)
        if products:
            # Each part reads all of the matrices in every step.  Without parts a thread reads only
            # its columns of them, which stay in its own cache.
            few = compute(
                "le", size.of(self._bytes_of_matrices()), number(self.emission.machine.l2 // 2)
            )
            parts = compute("select", few, parts, number(1))
        return compute("maximum", compute("ceildiv", total, parts), number(1))

    def _bytes_of_matrices(self) -> Size:
        """How large what all rows of a batch have in common is, vectors and numbers apart."""
        total = ZERO
        for k in range(-self.layout.non_sequences, 0):
            v = self.node.inputs[k]
            if v.type.ndim > 1 and len(self.graph.inputs) + k not in self.batched:
                each = Size.of(np.dtype(v.type.dtype).itemsize)
                total += product(self.outer.sizes.shape(v)) * each
        return total

    def _emit_loop(self, told: tuple[Tailored, int] | None, unit: int | None) -> None:
        """The loop; its steps are done for ``unit`` rows of a batch at a time, if that is given.

        There are none where the kernel that was ``told`` of runs in its place.
        """
        count = self.n
        if told is not None:
            count = self.compute("select", told[1], self.number(0), self.n)
        self.states = [_State(self, k, s) for k, s in enumerate(self.layout.states)]
        collected = {t.outer: self._collected(t) for _, t in self.targets if t.kind == "collected"}
        bound = self._rows_of_inputs()
        if unit is not None:
            self.part = _Part(self.outer.registers.new(), self.outer.registers.new())
            self.emission.emit(p.Split(*self.part, self.total, unit))
        views = self._bind(bound)
        self.step = self.outer.registers.new()
        self.emission.emit(p.Loop(self.step, count, self.node.op.lazy))
        self.time = self.step
        if self.layout.backwards:
            last = self.compute("sub", self.n, self.number(1))
            self.time = self.compute("sub", last, self.step)
        for view, rows, source in views:
            if source.kind == "state":
                rows.show(view, self.states[source.entry].place(source.offset))
            else:
                rows.show(view, self.compute("add", self.time, self.number(source.offset)))
        rows_of = [
            (self.states[t.entry], self.states[t.entry].place(0))
            if t.kind == "state"
            else (collected[t.outer], self.time)
            for _, t in self.targets
            if t.kind != "until"
        ]
        now = {
            view: rows
            for view, rows, source in views
            if source.kind == "sequence" and not source.offset
        }
        self._results(rows_of, now)
        stop = -1
        if self.layout.until:
            stop = self.outer.registers.new()
            ends = self.inner.memory_number(self.graph.outputs[-1])
            self.emission.emit(p.Item(stop, ends, self.number(0)))
        self.emission.emit(p.Next(stop))
        if self.part is not None:
            self.emission.emit(p.Join())
            self.part, self.step = None, count
        if self.layout.until:
            self._count_steps()
        for state in self.states:
            state.finish()

    def _check_sizes(self) -> None:
        """Check before the first step, if there is one, what is known of sizes by then."""
        for source, v in zip(self.layout.sources, self.graph.inputs, strict=True):
            registers = self.outer.shape_registers(self.node.inputs[source.outer])
            for d, register in enumerate(registers[source.kind != "non_sequence" :]):
                self.inner.dimensions[v, d] = register
        none = self.compute("eq", self.n, self.number(0))
        self.inner.emit_checks(none)
        #: The states whose rows must be checked in every step.
        self.unsure = {k for k in range(len(self.layout.states)) if not self._check_row(k, none)}

    def _collected(self, target: Target) -> _Rows:
        v = self.node.outputs[target.outer]
        row = self.outer.sizes.shape(v)[1:]
        return _Rows(self, v, self.allocate(v, self.n, row), row, bool(self.batched))

    def _rows_of_inputs(self) -> list[_Rows | None]:
        """The rows that the step's inputs are; None for what it takes as a whole."""
        found: list[_Rows | None] = []
        for k, source in enumerate(self.layout.sources):
            whole: Any = self.node.inputs[source.outer]
            memory, shape = self.outer.memory_number(whole), self.outer.sizes.shape(whole)
            if source.kind == "state":
                found.append(self.states[source.entry])
            elif source.kind == "sequence":
                found.append(_Rows(self, whole, memory, shape[1:], k in self.batched))
            else:
                found.append(_Rows(self, whole, memory, shape, True) if k in self.batched else None)
        return found

    def _bind(self, bound: Sequence[_Rows | None]) -> list[tuple[int, _Rows, Any]]:
        """Give the step its inputs; the views that each step moves, and what they are of."""
        moving: list[tuple[int, _Rows, Any]] = []
        outer = self.outer
        for k, (source, v) in enumerate(zip(self.layout.sources, self.graph.inputs, strict=True)):
            whole: Any = self.node.inputs[source.outer]
            registers = outer.shape_registers(whole)[source.kind != "non_sequence" :]
            rows = bound[k]
            if rows is None:
                self.inner.bind(v, outer.memory_number(whole), registers)
                if not self.node.op.lazy:
                    self.inner.repeated.add(v)
                continue
            if k in self.batched and self.part is not None:
                registers = (self.part.count, *registers[1:])
            view = self.emission.buffer("view", v.type.dtype)
            self.inner.bind(v, view, registers)
            if source.kind == "non_sequence":
                rows.show(view, self.number(0))
            else:
                moving.append((view, rows, source))
        self.inner.bind_constants()
        return moving

    def _results(self, rows: Sequence[tuple[_Rows, int]], read: Mapping[int, _Rows]) -> None:
        """Compute the step, each result in the row that it goes to.

        It may take the memory of a row of the same time that is ``read``.
        """
        views = [memory.view(place) for memory, place in rows]
        for (v, target), (memory, _), view in zip(self.targets, rows, views, strict=False):
            for seen, source in read.items():
                if target.kind == "collected" and memory.lies_like(source):
                    self._inherit(v, memory.buffer, view, seen, source.buffer)
        for (v, _), view in zip(self.targets, views, strict=False):
            if v.owner is not None:
                self.inner.placed.setdefault(v, view)
        self.inner.emit()
        for (v, target), view, (memory, _) in zip(self.targets, views, rows, strict=False):
            if target.kind == "state" and target.entry in self.unsure:
                self._check_row(target.entry)
            number = self.inner.memory_number(v)
            if number != view:
                self.emission.emit(p.Copy(view, number, memory.count()))

    def _inherit(self, v: Any, buffer: int, view: int, seen: int, source: int) -> None:
        """Let rows of ``v`` take the memory of rows that are ``seen``, if nobody needs these."""
        (s,) = (u for u in self.graph.inputs if self.inner.number.get(u) == seen)
        inner = self.inner
        at_once = reads_own_columns(v, s, inner.grouping, inner.storage)
        if at_once:
            inner.over_columns.add(v)
        self.emission.heirs.append(Heir(source, buffer, seen, view, at_once))

    def _check_row(self, k: int, unless: int | None = None) -> bool:
        """Check that a state's new row has the shape of the row before; False if it is early."""
        old, new = self.graph.inputs[self.layout.first_of_state(k)], self.graph.outputs[k]
        sizes, size = self.inner.raw.sizes, self.inner.raw
        expected, given = sizes.shape(old), sizes.shape(new)
        if self.inner.sizes.shape(old) == self.inner.sizes.shape(new):
            return True
        if unless is not None and not all(map(self.inner.is_known, given)):
            return False
        for a, b in zip(expected, given, strict=True):
            fits = self.compute("eq", size.of(a), size.of(b))
            if unless is not None:
                fits = self.compute("or", unless, fits)
            error = self.emission.error(("state", self.node, k), lambda: self._row_error(k))
            self.emission.emit(p.Check(fits, error))
        return True

    def _row_error(self, k: int) -> p.Error:
        old, new = self.graph.inputs[self.layout.first_of_state(k)], self.graph.outputs[k]
        sizes, of = self.inner.raw.sizes, self.inner.raw.of
        rank = len(sizes.shape(old))
        comma = "," if rank == 1 else ""
        shown = [", ".join(f"{{{d + part}}}" for d in range(rank)) + comma for part in (0, rank)]
        text = f"state {k} changes its shape: expected ({shown[0]}), a step gave ({shown[1]})"
        where = escape(details(self.node) + trace.describe(new.made_at or self.node.made_at))
        registers = tuple(of(s) for s in (*sizes.shape(old), *sizes.shape(new)))
        return p.Error("ValueError", escape(f"{self.node.op}: ") + text + where, registers)

    def allocate_count(self) -> int:
        """Memory for the number of steps that there were."""
        v = self.node.outputs[-1]
        return self.outer.new_buffer(v, "int64", (), self.outer.is_result(v))

    def _count_steps(self) -> None:
        """Hand out how many steps there were."""
        if not self.is_wanted(self.node.outputs[-1]):
            return
        count = self.allocate_count()
        buffer, size = Buffer("b0", "int64"), Var("s0")
        store = Store(buffer, Var("item"), size)
        body = (For(Var("item"), Var("lo"), Var("hi"), (store,), "parallel"),)
        one = self.number(1)
        kernel = self.emission.kernel(Function("store_size", (buffer,), (size,), body))
        self.emission.emit(p.Launch(kernel, (count,), (self.step,), one, one, self.number(64)))
