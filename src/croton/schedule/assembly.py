"""Assembly: the instructions that compute one graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from croton.graph.shared import SharedVariable
from croton.graph.traversal import graph_inputs
from croton.graph.variable import Constant, Variable
from croton.runtime import program as p
from croton.schedule.convolutions import convolution_steps
from croton.schedule.emission import Emission, tensor_type
from croton.schedule.epilogue import epilogue_kernel, is_plain
from croton.schedule.group import TILED, TILED_DTYPES, Group
from croton.schedule.groups import Grouping
from croton.schedule.host import host_function
from croton.schedule.inplace import plan_in_place, plan_reuse
from croton.schedule.loops import LoopKernel, Plan
from croton.schedule.merging import merge_groups
from croton.schedule.pooled import pooling_kernel
from croton.schedule.pooling import pool_convolutions
from croton.schedule.products import Tiled, addend, product_steps
from croton.schedule.registers import SizeRegisters
from croton.schedule.scatter import scatter_kernel
from croton.schedule.sizes import ZERO, ShapeOf, Size, Sizes, product
from croton.schedule.steps import NOTHING
from croton.schedule.storage import Storage, order_groups
from croton.schedule.terminals import Chunks
from croton.schedule.transpositions import only_transposes, transposition_steps
from croton.schedule.unify import find_checks, numbers, sizes_read_from_memory, unify

#: Emits a group of a kind of its own.
Emitter = Callable[["Assembly", Group, Mapping[str, Any]], None]


class Assembly:
    """Plans a graph, and emits its steps once its inputs are bound.

    ``known`` are sizes of its inputs, by (variable, dimension).  ``number`` has the buffer of
    each value in memory, ``dimensions`` registers of sizes.  ``placed``: the buffers that values
    are to be computed into.  ``emitters`` are for kinds of groups that hold a graph themselves.
    ``hands_out``: whether the outputs are results of a call.
    """

    def __init__(
        self,
        emission: Emission,
        outputs: Sequence[Variable],
        updates: Sequence[tuple[SharedVariable, Variable]],
        known: Mapping[tuple[Variable, int], Any],
        emitters: Mapping[str, Emitter],
        hands_out: bool = True,
    ) -> None:
        self.emission = emission
        self.registers = emission.registers
        self.emitters = emitters
        self.outputs = list(outputs)
        self.updates = list(updates)
        self.number: dict[Any, int] = {}  # memory key -> buffer
        self.dimensions: dict[tuple[Variable, int], int] = {}
        self.placed: dict[Variable, int] = {}
        #: What is placed where the group that computes it may read its own columns.
        self.over_columns: set[Variable] = set()
        self.chunks: dict[Variable, Chunks] = {}
        #: Memory that is read again and again, round by round of a loop.
        self.repeated: set[Any] = set()
        self.wanted = [*self.outputs, *(v for _, v in self.updates)]
        raw = Sizes()
        raw.equal = dict(known)
        checks = find_checks(self.wanted, raw)
        self.sizes = Sizes()
        self.sizes.equal = unify(checks, raw, known)
        self.sizes.take(numbers(checks))
        self.read = sizes_read_from_memory(self.wanted, (raw, self.sizes))
        self.grouping = Grouping(self.wanted, self.sizes, TILED_DTYPES, self.read)
        merge_groups(self.grouping)
        pool_convolutions(self.grouping, emission.machine, self.wanted)
        self.storage = Storage(self.grouping, self.wanted)
        #: What is handed out, or has parts that are.
        self.results = {self.storage.root(v) for v in self.wanted} if hands_out else set()
        self.pending = list(checks)
        self.size = SizeRegisters(self.registers, self.sizes, self._dimension, self._buffer_of)
        self.raw = SizeRegisters(self.registers, raw, self._dimension, self._buffer_of)
        self.target: Mapping[Variable, SharedVariable] = {}
        self.reused: Mapping[Variable, Variable] = {}
        self.overwriting: set[Variable] = set()

    def bind(self, v: Variable, buffer: int, registers: Sequence[int]) -> None:
        """``v`` is in memory, and has these sizes."""
        self.number[v] = buffer
        for d, register in enumerate(registers):
            self.dimensions[v, d] = register

    def bind_constants(self) -> None:
        """Constants that are read from memory become arguments."""
        for v in graph_inputs(self.wanted):
            if isinstance(v, Constant) and v not in self.number:
                if self.storage.memory(v) is not None:
                    self._bind_constant(v)

    def _bind_constant(self, v: Any) -> None:
        buffer, first = self.emission.argument("constant", v)
        self.bind(v, buffer, range(first, first + v.type.ndim))

    def emit(self) -> None:
        """All steps in order."""
        self.emit_checks()
        late = {v for _, v in self.updates}
        order = order_groups(self.storage.groups, lambda g: any(v in late for v in g.members))
        self.target = plan_in_place(
            order, self.grouping, self.storage, self.outputs, self.updates, bool(self.pending)
        )
        held = [*self.wanted, *self.read]
        self.reused = plan_reuse(order, self.grouping, self.storage, held, self.target)
        self.overwriting = {*self.target, *self.reused, *self.over_columns}
        for group in order:
            self._emit_group(group)
            self.emit_checks()
        if self.pending:
            raise AssertionError(f"checks of sizes that nobody computes: {self.pending}")

    # Memory.

    def memory_number(self, v: Variable) -> int:
        """The buffer in which ``v`` lies."""
        key = self.storage.memory(v)
        if key is None or (key not in self.number and key not in self.grouping.parts):
            if isinstance(v, Constant):
                self._bind_constant(v)
                return self.number[v]
            raise KeyError(f"{v} is not in memory")
        return self.number_of(key)

    def number_of(self, key: Any) -> int:
        """The buffer of a key of memory; a part of other memory becomes a view of it."""
        if key not in self.number and key in self.grouping.parts:
            whole = self.grouping.parts[key]
            node: Any = key.owner
            first = node.op.first_row(node, [ShapeOf(whole)])
            row = product(self.sizes.shape(whole)[1:])
            number = Size.of(first) if isinstance(first, int) else self.sizes.of(first)
            view = self.emission.buffer("view", key.type.dtype)
            offset, count = self.size.of(number * row), self.size.of(product(self.sizes.shape(key)))
            self.emission.emit(p.View(view, self.memory_number(whole), offset, count))
            self.number[key] = view
        return self.number[key]

    def shape_registers(self, v: Variable) -> tuple[int, ...]:
        """The registers of the sizes of ``v``."""
        return tuple(self.size.of(s) for s in self.sizes.shape(v))

    def is_result(self, v: Variable) -> bool:
        """Whether ``v`` is handed out."""
        return v in self.results

    def copy(self, source: int, v: Variable) -> int:
        """A copy of buffer ``source``, which holds ``v``, to be handed out."""
        shape = self.sizes.shape(v)
        target = self.new_buffer(object(), v.type.dtype, shape, True)  # type: ignore[attr-defined]
        self.emission.emit(p.Copy(target, source, self.size.of(product(shape))))
        return target

    def new_buffer(self, key: Any, dtype: str, shape: Sequence[Size], result: bool) -> int:
        """Memory for ``key``, now."""
        number = self.emission.buffer("output" if result else "temporary", dtype)
        self.number[key] = number
        count = self.size.of(product(shape))
        dims = tuple(self.size.of(s) for s in shape) if result else ()
        self.emission.emit(p.Allocate(number, count, dims))
        return number

    def _allocate(self, v: Variable) -> None:
        """Memory for the value ``v``, now."""
        if v in self.placed:
            self.number[v] = self.placed[v]
            return
        shared: Variable | None = self.target.get(v, self.reused.get(v))
        if shared is not None:
            self.number[v] = self.number[shared]
            return
        dtype: str = v.type.dtype  # type: ignore[attr-defined]
        self.new_buffer(v, dtype, self.sizes.shape(v), self.is_result(v))

    def _dimension(self, v: Variable, axis: int) -> int:
        return self.dimensions[v, axis]

    def _buffer_of(self, v: Variable) -> int:
        key = self.storage.memory(v)
        return self.number_of(v if key is None else key)

    # Checks.

    def emit_checks(self, unless: int | None = None) -> None:
        """The checks of sizes that are known by now; ``unless`` a register is not 0."""
        left = []
        for check in self.pending:
            if not all(map(self.is_known, check.needs)):
                left.append(check)
                continue
            condition = check.condition(self.raw)
            if condition is None:
                continue
            if unless is not None:
                condition = self.registers.compute("or", unless, condition)
            error = self.emission.error(check, lambda check=check: check.error(self.raw))  # type: ignore[misc]
            self.emission.emit(p.Check(condition, error))
        self.pending = left

    def is_known(self, size: Size) -> bool:
        """Whether no value that is still to be computed tells the size."""
        return not self._unknown(size, self.raw.sizes)

    def _unknown(self, size: Size, sizes: Sizes) -> bool:
        for monomial, _ in size.terms:
            for factor in monomial:
                if isinstance(factor, Size):
                    if self._unknown(factor, sizes):
                        return True
                    continue
                atom = sizes.atoms[factor]
                if atom.kind == "value":
                    held = self.storage.root(atom.what)
                    if held not in self.number and atom.what not in self.number:
                        return True
                elif atom.kind == "dimension":
                    if atom.what not in self.dimensions:
                        return True
                elif any(self._unknown(a, sizes) for a in atom.args):
                    return True
        return False

    # Groups.

    def _emit_group(self, group: Group) -> None:
        start = len(self.emission.instructions)
        if group.kind in self.emitters:
            self.emitters[group.kind](self, group, self.emitters)
        elif group.kind == "host":
            self._emit_host(group)
        elif group.kind == "scatter":
            self._emit_scatter(group)
        elif group.kind in TILED:
            self._emit_tiled(group)
        elif only_transposes(group, self._stored_members(group), self.sizes, self.storage.memory):
            self._emit_transpositions(group)
        else:
            self._emit_loop(group)
        line = next(
            (str(v.made_at[0]) for v in group.members if v.owner is not None and v.made_at),
            "",
        )
        for k in range(start, len(self.emission.instructions)):
            self.emission.lines.setdefault(k, line)

    def _stored_members(self, group: Group) -> list[Variable]:
        return [v for v in group.members if v in self.storage.stored]

    def _chunks_of(self, t: Variable) -> Chunks:
        return self.chunks[t]

    def _emit_loop(self, group: Group) -> None:
        stores = self._stored_members(group)
        for v in stores:
            self._allocate(v)
        maker = LoopKernel(
            group, self.sizes, self.storage.memory, stores, self.emission.position_error,
            self._chunks_of, self.overwriting,
        )  # fmt: skip
        plan = maker.make("kernel")
        for t, chunks in zip(maker.terminals, maker.chunks, strict=True):
            self.chunks[t.v] = chunks
            for key, dtype in t.parts():
                self.new_buffer(key, dtype, [chunks.parts, chunks.width], False)
        self._launch(plan)

    def _launch(self, plan: Plan) -> None:
        launch = p.Launch(
            self.emission.kernel(plan.function),
            tuple(self.number_of(k) for k in plan.keys),
            tuple(self.size.of(s) for s in plan.sizes),
            self.size.of(plan.items),
            self.size.of(plan.grain),
            self.size.of(plan.scratch),
        )
        self.emission.emit(launch)

    def _emit_scatter(self, group: Group) -> None:
        (v,) = group.members
        self._allocate(v)
        for plan in scatter_kernel(
            v, self.sizes, self.storage.memory, self.emission.position_error
        ):
            self._launch(plan)

    def _emit_tiled(self, group: Group) -> None:
        stored = self._stored_members(group)
        shapes, memory, machine = self.sizes, self.storage.memory, self.emission.machine
        added = addend(group, shapes, memory, stored)
        plain = is_plain(group, stored) or added is not None
        if group.kind == "product":
            repeated = self.repeated.__contains__
            tiled = product_steps(group, shapes, memory, machine, plain, added, repeated)
        else:
            tiled = convolution_steps(
                group, shapes, memory, machine, plain,
                lambda key: self.emission.fixed(self.number_of(key)) is not None,
            )  # fmt: skip
        for v in stored:
            self._allocate(v)
        reached: p.Launch | None = None
        bound = {name: self.number_of(key) for name, key in tiled.operands.items()}
        if plain:
            (result,) = stored
            bound[tiled.result] = self.number[result]
        else:
            following = epilogue_kernel if group.pool is None else pooling_kernel
            function, keys, used = following(
                group, self.sizes, self.storage.memory, stored, self.emission.position_error,
                self.overwriting,
            )  # fmt: skip
            one = self.registers.number(1)
            callee = p.Launch(
                self.emission.kernel(function),
                tuple(self.number_of(k) for k in keys),
                tuple(self.size.of(s) for s in used),
                one,
                one,
                one,
            )
            reached = callee
        self._launch_steps(tiled, bound, reached)

    def _emit_transpositions(self, group: Group) -> None:
        for v in self._stored_members(group):
            self._allocate(v)
            tiled = transposition_steps(v, self.sizes, self.storage.memory, self.emission.machine)
            bound = {name: self.number_of(key) for name, key in tiled.operands.items()}
            bound[tiled.result] = self.number[v]
            self._launch_steps(tiled, bound, None)

    def _launch_steps(self, tiled: Tiled, bound: dict[str, int], reached: p.Launch | None) -> None:
        """The steps of a plan on the buffers ``bound``; ``reached`` is what they call."""
        plan, amount = tiled.plan, tiled.amount
        fixed = {n: self.emission.fixed(v) for n, v in bound.items()}
        fixed = {n: positions for n, positions in fixed.items() if positions is not None}
        totals = {name: amount(count) for name, count in plan.temporaries}
        functions = {f.name: f for f in plan.functions}
        steps = [s for s in plan.steps if amount(s.items) != ZERO]
        kept = {
            s.buffers[-1]
            for s in steps
            if fixed.keys() >= set(s.buffers[:-1])
            and s.buffers[-1] in totals
            and all(amount(c).value is not None for c in s.sizes)
        }
        for name, total in totals.items():
            if name not in kept and any(name in s.buffers for s in steps):
                bound[name] = self.new_buffer(object(), plan.dtype, [total], False)
        bound |= {"epilogue": -1, NOTHING: -1}
        for step in steps:
            items, grain, scratch = (
                self.size.of(amount(c)) for c in (step.items, step.grain, step.scratch)
            )
            sizes = tuple(self.size.of(amount(c)) for c in step.sizes)
            made = step.buffers[-1]
            if made in kept:
                bound[made] = self.emission.buffer("kept", plan.dtype)
                number = self.size.of(totals[made])
                made_of = {k for name in step.buffers[:-1] for k in fixed[name] or ()}
                self.emission.emit(p.Keep(bound[made], number, tuple(sorted(made_of))))
            self.emission.emit(
                p.Launch(
                    self.emission.kernel(functions[step.kernel]),
                    tuple(bound[name] for name in step.buffers),
                    sizes,
                    items,
                    grain,
                    scratch,
                    ((step.buffers.index("epilogue"), reached),)
                    if reached is not None and "epilogue" in step.buffers
                    else (),
                )
            )

    def _emit_host(self, group: Group) -> None:
        node: Any = group.members[0].owner
        number = len(self.emission.host)
        self.emission.host.append(host_function(node))
        inputs, outputs = [], []
        for v in node.inputs:
            tensor_type(node, v)
            inputs.append((self.memory_number(v), self.shape_registers(v)))
        for v in node.outputs:
            kind = "output" if self.is_result(v) else "temporary"
            first = self.registers.new(max(v.type.ndim, 1))
            registers = range(first, first + v.type.ndim)
            self.bind(v, self.emission.buffer(kind, v.type.dtype), registers)
            outputs.append((self.number[v], tuple(registers)))
        self.emission.emit(p.Host(number, tuple(inputs), tuple(outputs)))
