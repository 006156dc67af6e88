"""From a graph to a Program and the kernels that it launches: all of scheduling, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from croton.graph import trace
from croton.graph.printing import details
from croton.graph.shared import SharedVariable
from croton.graph.traversal import graph_inputs
from croton.graph.variable import Constant, Variable
from croton.kernel.machine import Machine
from croton.kernel.nodes import Fail, Function, walk_statements
from croton.runtime import program as p
from croton.schedule.arena import share_slots
from croton.schedule.convolutions import convolution_steps
from croton.schedule.epilogue import epilogue_kernel, is_plain
from croton.schedule.group import TILED, Group
from croton.schedule.groups import Grouping
from croton.schedule.host import host_function
from croton.schedule.inplace import plan_in_place, plan_reuse
from croton.schedule.loops import LoopKernel, Plan
from croton.schedule.merging import merge_groups
from croton.schedule.products import Tiled, product_steps
from croton.schedule.registers import Registers, SizeRegisters
from croton.schedule.scatter import scatter_kernel
from croton.schedule.sizes import ZERO, Size, Sizes, product
from croton.schedule.storage import Storage, order_groups
from croton.schedule.terminals import Chunks
from croton.schedule.transpositions import only_transposes, transposition_steps
from croton.schedule.unify import find_checks, sizes_read_from_memory, unify
from croton.tensor.type import TensorType


class Scheduled(NamedTuple):
    """A Program and what it refers to.

    ``functions`` are its kernels, in the order of ``program.kernels``;
    ``shared`` and ``constants`` its arguments of those kinds; ``host`` the
    Python functions that it calls; ``lines`` for each instruction the place
    in the user's code that it comes from (or an empty string).
    """

    program: p.Program
    functions: tuple[Function, ...]
    shared: tuple[SharedVariable, ...]
    constants: tuple[Any, ...]
    host: tuple[Callable[..., Any], ...]
    lines: tuple[str, ...]


def schedule(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
    machine: Machine,
    name: str = "function",
    borrowed: Sequence[bool] = (),
    assumed: Sequence[SharedVariable] = (),
) -> Scheduled:
    """The program that computes ``outputs`` from ``inputs`` and updates shared variables.

    The ``assumed`` variables are among its arguments whether or not it reads them.
    """
    with trace.made_by(()):
        return _Assembly(inputs, outputs, updates, machine, name, borrowed, assumed).run()


class _Assembly:
    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        updates: Sequence[tuple[SharedVariable, Variable]],
        machine: Machine,
        name: str,
        borrowed: Sequence[bool],
        assumed: Sequence[SharedVariable],
    ) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.updates = list(updates)
        self.assumed = list(assumed)
        self.machine = machine
        self.name = name
        self.borrowed = list(borrowed) or [False] * len(self.outputs)
        self.registers = Registers()
        self.buffers: list[p.Buffer] = []
        self.arguments: list[p.Argument] = []
        self.number: dict[Any, int] = {}  # memory key -> buffer
        self.dimensions: dict[tuple[Variable, int], int] = {}
        self.shared: list[SharedVariable] = []
        self.constants: list[Any] = []
        self.host: list[Callable[..., Any]] = []
        self.errors: list[p.Error] = []
        self.error_numbers: dict[Any, int] = {}
        self.functions: dict[str, Function] = {}
        self.kernels: list[str] = []
        self.lines: dict[int, str] = {}
        self.fallible: list[int] = []
        self.chunks: dict[Variable, Chunks] = {}

    @property
    def instructions(self) -> list[p.Instruction]:
        """What has been emitted."""
        return self.registers.instructions

    def run(self) -> Scheduled:
        """All steps in order."""
        wanted = [*self.outputs, *(v for _, v in self.updates)]
        raw = Sizes()
        checks = find_checks(wanted, raw)
        self.sizes = Sizes()
        assumed = self._assumed(wanted)
        same = {x: assumed.get(y, y) for x, y in unify(checks, raw).items()}
        self.sizes.equal = same | assumed
        read = sizes_read_from_memory(wanted, (raw, self.sizes))
        grouping = Grouping(wanted, self.sizes, frozenset(("float32", "float64")), read)
        merge_groups(grouping)
        self.grouping = grouping
        self.storage = Storage(grouping, wanted)
        self._bind_arguments(wanted)
        self.size = SizeRegisters(self.registers, self.sizes, self._dimension, self._buffer_of)
        self.raw = SizeRegisters(self.registers, raw, self._dimension, self._buffer_of)
        self.pending = list(checks)
        self._emit_checks()
        late = {v for _, v in self.updates}
        order = order_groups(self.storage.groups, lambda g: any(v in late for v in g.members))
        self.target = plan_in_place(
            order, grouping, self.storage, self.outputs, self.updates, bool(self.pending)
        )
        held = [*self.outputs, *(v for _, v in self.updates), *read]
        self.reused = plan_reuse(order, grouping, self.storage, held, self.target)
        self.overwriting = {*self.target, *self.reused}
        for position, group in enumerate(order):
            self.position = position
            self._emit_group(group)
            self._emit_checks()
        if self.pending:
            raise AssertionError(f"checks of sizes that nobody computes: {self.pending}")
        outs, ups = self._emit_results()
        program = p.Program(
            self.name,
            tuple(self.arguments),
            tuple(share_slots(self.buffers, self.instructions)),
            self.registers.count,
            tuple(self.registers.constants.items()),
            tuple(self.instructions),
            tuple(outs),
            tuple(ups),
            tuple(self.kernels),
            tuple(self.errors),
        )
        return Scheduled(
            program,
            tuple(self.functions[k] for k in self.kernels),
            tuple(self.shared),
            tuple(self.constants),
            tuple(self.host),
            tuple(self.lines.get(k, "") for k in range(len(self.instructions))),
        )

    # Arguments.

    def _assumed(self, wanted: Sequence[Variable]) -> dict[tuple[Variable, int], int]:
        """Sizes that shared variables are taken to have, though their types do not tell."""
        return {
            (v, d): size
            for v in (*graph_inputs(wanted), *(s for s, _ in self.updates))
            for d, size in enumerate(getattr(v.tag, "assumed", ()))
        }

    def _bind_arguments(self, wanted: Sequence[Variable]) -> None:
        for k, v in enumerate(self.inputs):
            self._bind("input", k, v)
        needed = graph_inputs(wanted)
        for v in (*needed, *(s for s, _ in self.updates), *self.assumed):
            if v in self.number:
                continue
            if isinstance(v, SharedVariable):
                self.shared.append(v)
                self._bind("shared", len(self.shared) - 1, v)
            elif isinstance(v, Constant):
                if self.storage.memory(v) is not None:
                    self.constants.append(v.data)
                    self._bind("constant", len(self.constants) - 1, v)
            elif isinstance(v.type, TensorType):
                raise ValueError(f"{v} is not among the inputs" + trace.describe(v.made_at))

    def _bind(self, source: str, position: int, v: Variable) -> None:
        kind: Any = v.type
        first = self.registers.new(kind.ndim) if kind.ndim else -1
        for d in range(kind.ndim):
            self.dimensions[v, d] = first + d
        self.number[v] = len(self.buffers)
        self.buffers.append(p.Buffer("argument", kind.dtype))
        name = v.name or f"{source} {position}"
        shape = getattr(v.tag, "assumed", kind.shape)
        self.arguments.append(
            p.Argument(source, position, self.number[v], kind.dtype, shape, first, name)
        )

    def _dimension(self, v: Variable, axis: int) -> int:
        return self.dimensions[v, axis]

    def _buffer_of(self, v: Variable) -> int:
        key = self.storage.memory(v)
        return self.number[v if key is None else key]

    # Errors and checks.

    def _error(self, key: Any, make: Callable[[], p.Error]) -> int:
        found = self.error_numbers.get(key)
        if found is None:
            found = self.error_numbers[key] = len(self.errors)
            self.errors.append(make())
        return found

    def _position_error(self, node: Any) -> int:
        def make() -> p.Error:
            where = _escape(details(node) + trace.describe(node.made_at))
            text = "index {0} is out of bounds for a dimension of size {1}, in " + _escape(
                str(node.op)
            )
            return p.Error("IndexError", text + where)

        return self._error(("position", node), make)

    def _emit_checks(self) -> None:
        left = []
        for check in self.pending:
            if any(self._unknown(s) for s in check.needs):
                left.append(check)
                continue
            condition = check.condition(self.raw)
            if condition is None:
                continue
            error = self._error(check, lambda check=check: check.error(self.raw))  # type: ignore[misc]
            self.fallible.append(len(self.instructions))
            self.instructions.append(p.Check(condition, error))
        self.pending = left

    def _unknown(self, size: Size) -> bool:
        """Whether the size hangs on a value that is not computed yet."""
        sizes = self.raw.sizes
        for monomial, _ in size.terms:
            for factor in monomial:
                if isinstance(factor, Size):
                    if self._unknown(factor):
                        return True
                    continue
                atom = sizes.atoms[factor]
                if atom.kind == "value":
                    held = self.storage.memory(atom.what)
                    if held not in self.number and atom.what not in self.number:
                        return True
                elif atom.kind == "dimension":
                    if atom.what not in self.dimensions:
                        return True
                elif any(self._unknown(a) for a in atom.args):
                    return True
        return False

    # Groups.

    def _emit_group(self, group: Group) -> None:
        start = len(self.instructions)
        if group.kind == "host":
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
        for k in range(start, len(self.instructions)):
            self.lines[k] = line

    def _stored_members(self, group: Group) -> list[Variable]:
        return [v for v in group.members if v in self.storage.stored]

    def _allocate(self, v: Variable) -> None:
        """Memory for the value ``v``, now."""
        dtype: str = v.type.dtype  # type: ignore[attr-defined]
        shared: Variable | None = self.target.get(v, self.reused.get(v))
        if shared is not None:
            self.number[v] = self.number[shared]
            return
        self._new_buffer(v, dtype, self.sizes.shape(v), self._is_result(v))

    def _is_result(self, v: Variable) -> bool:
        return any(v is o for o in self.outputs) or any(v is u for _, u in self.updates)

    def _new_buffer(self, key: Any, dtype: str, shape: Sequence[Size], result: bool) -> int:
        number = len(self.buffers)
        self.buffers.append(p.Buffer("output" if result else "temporary", dtype, -1))
        self.number[key] = number
        count = self.size.of(product(shape))
        dims = tuple(self.size.of(s) for s in shape) if result else ()
        self.instructions.append(p.Allocate(number, count, dims))
        return number

    def _chunks_of(self, t: Variable) -> Chunks:
        return self.chunks[t]

    def _emit_loop(self, group: Group) -> None:
        stores = self._stored_members(group)
        for v in stores:
            self._allocate(v)
        maker = LoopKernel(
            group, self.sizes, self.storage.memory, stores, self._position_error,
            self._chunks_of, self.overwriting,
        )  # fmt: skip
        plan = maker.make("kernel")
        for t, chunks in zip(maker.terminals, maker.chunks, strict=True):
            self.chunks[t.v] = chunks
            for key, dtype in t.parts():
                self._new_buffer(key, dtype, [chunks.parts, chunks.width], False)
        self._launch(plan)

    def _launch(self, plan: Plan) -> None:
        kernel = self._kernel(plan.function)
        if _can_fail(plan.function):
            self.fallible.append(len(self.instructions))
        launch = p.Launch(
            kernel,
            tuple(self.number[k] for k in plan.keys),
            tuple(self.size.of(s) for s in plan.sizes),
            self.size.of(plan.items),
            self.size.of(plan.grain),
            self.size.of(plan.scratch),
        )
        self.instructions.append(launch)

    def _kernel(self, function: Function) -> int:
        """The number of a kernel; equal ones are one."""
        name = function.name
        if name == "kernel":
            name = f"kernel{len(self.kernels)}"
            function = function._replace(name=name)
        if name not in self.functions:
            self.functions[name] = function
            self.kernels.append(name)
        return self.kernels.index(name)

    def _emit_scatter(self, group: Group) -> None:
        (v,) = group.members
        self._allocate(v)
        for plan in scatter_kernel(v, self.sizes, self.storage.memory, self._position_error):
            self._launch(plan)

    def _emit_tiled(self, group: Group) -> None:
        stored = self._stored_members(group)
        plain = is_plain(group, stored)
        make = product_steps if group.kind == "product" else convolution_steps
        tiled = make(
            group.members[0].owner, self.sizes, self.storage.memory, self.machine, plain,
            lambda key: self._fixed(self.number[key]) is not None,
        )  # fmt: skip
        for v in stored:
            self._allocate(v)
        reached: p.Launch | None = None
        bound = {name: self.number[key] for name, key in tiled.operands.items()}
        bound["epilogue"] = -1
        if plain:
            bound[tiled.result] = self.number[group.members[0]]
        else:
            function, keys, used = epilogue_kernel(
                group, self.sizes, self.storage.memory, stored, self._position_error,
                self.overwriting,
            )  # fmt: skip
            if _can_fail(function):
                self.fallible.append(len(self.instructions))
            one = self.registers.number(1)
            callee = p.Launch(
                self._kernel(function),
                tuple(self.number[k] for k in keys),
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
            tiled = transposition_steps(v, self.sizes, self.storage.memory, self.machine)
            bound = {name: self.number[key] for name, key in tiled.operands.items()}
            bound[tiled.result] = self.number[v]
            self._launch_steps(tiled, bound, None)

    def _launch_steps(self, tiled: Tiled, bound: dict[str, int], reached: p.Launch | None) -> None:
        """The steps of a plan on the buffers ``bound``; ``reached`` is what they call."""
        plan, amount = tiled.plan, tiled.amount
        fixed = {n: self._fixed(v) for n, v in bound.items() if n != "epilogue"}
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
                bound[name] = self._new_buffer(object(), plan.dtype, [total], False)
        for step in steps:
            items, grain, scratch = (
                self.size.of(amount(c)) for c in (step.items, step.grain, step.scratch)
            )
            sizes = tuple(self.size.of(amount(c)) for c in step.sizes)
            made = step.buffers[-1]
            if made in kept:
                bound[made] = len(self.buffers)
                self.buffers.append(p.Buffer("kept", plan.dtype))
                number = self.size.of(totals[made])
                made_of = {k for name in step.buffers[:-1] for k in fixed[name] or ()}
                self.instructions.append(p.Keep(bound[made], number, tuple(sorted(made_of))))
            self.instructions.append(
                p.Launch(
                    self._kernel(functions[step.kernel]),
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

    def _fixed(self, number: int) -> tuple[int, ...] | None:
        """Of what is the same in many calls the shared variables that it is; else None."""
        for a in self.arguments:
            if a.buffer == number and a.source == "constant":
                return ()
            if a.buffer == number and a.source == "shared":
                updated = any(s is self.shared[a.position] for s, _ in self.updates)
                return None if updated else (a.position,)
        return None

    def _emit_host(self, group: Group) -> None:
        node: Any = group.members[0].owner
        number = len(self.host)
        self.host.append(host_function(node))
        inputs, outputs = [], []
        for v in node.inputs:
            if not isinstance(v.type, TensorType):
                raise TypeError(f"{node.op} takes {v}, which is no tensor: {v.type}")
            inputs.append((self._memory_number(v), self._shape_registers(v)))
        for v in node.outputs:
            buffer = len(self.buffers)
            result = self._is_result(v)
            self.buffers.append(p.Buffer("output" if result else "temporary", v.type.dtype, -1))
            self.number[v] = buffer
            first = self.registers.new(max(v.type.ndim, 1))
            for d in range(v.type.ndim):
                self.dimensions[v, d] = first + d
            outputs.append((buffer, tuple(first + d for d in range(v.type.ndim))))
        self.fallible.append(len(self.instructions))
        self.instructions.append(p.Host(number, tuple(inputs), tuple(outputs)))

    def _memory_number(self, v: Variable) -> int:
        key = self.storage.memory(v)
        if key is None or key not in self.number:
            if isinstance(v, Constant):
                self.constants.append(v.data)
                self._bind("constant", len(self.constants) - 1, v)
                return self.number[v]
            raise KeyError(f"{v} is not in memory")
        return self.number[key]

    def _shape_registers(self, v: Variable) -> tuple[int, ...]:
        return tuple(self.size.of(s) for s in self.sizes.shape(v))

    # Results.

    def _emit_results(self) -> tuple[list[p.Output], list[p.Update]]:
        given: set[int] = set()
        updated_in_place = {self.number[s] for s in self.target.values()}
        outs: list[p.Output] = []
        for v, borrow in zip(self.outputs, self.borrowed, strict=True):
            number = self._memory_number(v)
            shape = self._shape_registers(v)
            if (
                number in given
                or number in updated_in_place
                or (self.buffers[number].kind != "output" and not self._is_argument(number))
                or v not in self.number
            ):
                number = self._copy(number, v)
            given.add(number)
            outs.append(p.Output(number, v.type.dtype, shape, borrow))  # type: ignore[attr-defined]
        ups: list[p.Update] = []
        for s, v in self.updates:
            shape = self._shape_registers(v)
            position = next(k for k, w in enumerate(self.shared) if w is s)
            if v in self.target:
                ups.append(p.Update(position, self.number[s], s.type.dtype, shape))  # type: ignore[attr-defined]
                continue
            if v is s:
                continue
            number = self._memory_number(v)
            if number in given or self.buffers[number].kind != "output" or v not in self.number:
                number = self._copy(number, v)
            given.add(number)
            ups.append(p.Update(position, number, s.type.dtype, shape))  # type: ignore[attr-defined]
        return outs, ups

    def _is_argument(self, number: int) -> bool:
        return self.buffers[number].kind == "argument"

    def _copy(self, source: int, v: Variable) -> int:
        shape = self.sizes.shape(v)
        target = self._new_buffer(object(), v.type.dtype, shape, True)  # type: ignore[attr-defined]
        self.instructions.append(p.Copy(target, source, self.size.of(product(shape))))
        return target


def _can_fail(function: Function) -> bool:
    return any(isinstance(s, Fail) for s in walk_statements(function.body))


def _escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
