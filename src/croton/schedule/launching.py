"""Kernels that go through all steps of a scan by themselves: their memory, and their launches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from croton.graph.variable import Variable
from croton.loop.layout import Layout, State, Target
from croton.runtime import program as p
from croton.schedule.assembly import Assembly
from croton.schedule.recurrence import MOST, STEPS, Recurrence, dtype_of, large_constants
from croton.schedule.sizes import Size, product
from croton.schedule.tailored import Tailored, question, tailored


class Scan(Protocol):
    """The scan ``node`` of ``n`` (a register) steps, which ``inner`` would compute one by one."""

    outer: Assembly
    inner: Assembly
    node: Any
    layout: Layout
    n: int
    targets: list[tuple[Any, Target]]

    def is_wanted(self, v: Variable) -> bool:
        """Whether anybody reads ``v``."""

    def allocate(self, v: Any, rows: int, row: Sequence[Size]) -> int:
        """Memory for the scan's output ``v``, of so many rows (a register)."""

    def allocate_count(self) -> int:
        """Memory for the number of steps that there were."""


class Launching:
    """Emits the launches for one scan."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.outer = scan.outer
        self.node = scan.node
        self.layout = scan.layout
        self.emission = scan.outer.emission
        self.compute = scan.outer.registers.compute
        self.number = scan.outer.registers.number
        self._more: list[int] = []

    def launch(self, tiny: Recurrence) -> None:
        """All of the scan, by its kernel ``tiny``."""
        for _, target in self.scan.targets:
            result = self.node.outputs[target.outer]
            if target.kind == "state":
                state = self.layout.states[target.entry]
                if self.layout.until:
                    self._begin_state(target.entry, state)
                elif self.scan.is_wanted(result):
                    self._allocate_state(target.entry, state)
            elif target.kind == "collected":
                self.scan.allocate(result, self.scan.n, self.outer.sizes.shape(result)[1:])
        if self.layout.until and self.scan.is_wanted(self.node.outputs[-1]):
            self.scan.allocate_count()
        buffers = tuple(self._memory(kind, k) for kind, k in tiny.buffers)
        more = [self.scan.inner.size.of(s) for s in tiny.sizes]
        one = self.number(1)
        kernel = self.emission.kernel(tiny.function)

        def launch(*sizes: int) -> p.Instruction:
            return p.Launch(kernel, buffers, (*sizes, *more), one, one, self.number(64))

        self._run(launch)

    def ask(self) -> tuple[Tailored, int] | None:
        """What may have a kernel for a call's sizes; the register of its address or 0."""
        scan = self.scan
        wanted = [v for v in self.node.outputs if scan.is_wanted(v)]
        found = tailored(self.node, scan.inner.sizes, wanted, scan.inner.pending, self.emission)
        if found is None:
            return None
        about = [scan.inner.size.of(s) for s in found.sizes]
        self._more = [scan.inner.size.of(s) for s in found.large]
        most = about[0]
        for size in about[1:]:
            most = self.compute("maximum", most, size)
        tiny = self.compute("le", most, self.number(MOST))
        many = self.compute("le", self.number(found.least_steps), scan.n)
        when = self.compute("and", tiny, many)
        asked = question(len(self.emission.tailored))
        self.emission.tailored.append(found)
        return found, self.outer.registers.ask(asked, when, *about)

    def launch_tailored(self, made: Tailored, address: int) -> None:
        """The results that have memory by now from that kernel, where there is one."""
        if self.layout.until:
            for k, state in enumerate(self.layout.states):
                if not self.scan.is_wanted(self.node.outputs[k]):
                    self._begin_state(k, state, address)
        buffers = tuple(self._memory(kind, k) for kind, k in made.buffers)
        writes = tuple(k for k, (kind, _) in enumerate(made.buffers) if kind != "input")

        def launch(*sizes: int) -> p.Instruction:
            return p.LaunchAt(address, buffers, (*sizes, *self._more), self.number(64), writes)

        self._run(launch, address)

    def _run(self, launch: Callable[..., p.Instruction], when: int | None = None) -> None:
        """Run a kernel for all steps at once, or for some of them until the loop has ended.

        ``when``: unless this register is 0.
        """
        n = self.scan.n
        if not self.layout.until:
            self.emission.emit(launch(n))
            return
        times = self.compute("ceildiv", n, self.number(STEPS))
        times = self.compute("maximum", times, self.number(1))
        if when is not None:
            times = self.compute("select", when, times, self.number(0))
        index, stop = self.outer.registers.new(), self.outer.registers.new()
        self.emission.emit(p.Loop(index, times))
        self.emission.emit(launch(n, self.compute("mul", index, self.number(STEPS))))
        self.emission.emit(p.Item(stop, self._memory("ended", 0), self.number(0)))
        self.emission.emit(p.Next(stop))

    # Memory.

    def _allocate_state(self, k: int, state: State) -> int:
        """Memory for the rows of state ``k`` that are wanted; of no history only the last."""
        v = self.node.outputs[k]
        rows = self.number(state.depth)
        if state.history and self.scan.is_wanted(v):
            rows = self.compute("add", self.scan.n, rows)
        row = self.outer.sizes.shape(self.node.inputs[self.layout.state_input(k)])[1:]
        if self.scan.is_wanted(v):
            return self.scan.allocate(v, rows, row)
        shape = (Size.of(state.depth), *row)
        return self.outer.new_buffer(("state", k, self.node), v.type.dtype, shape, False)

    def _begin_state(self, k: int, state: State, when: int | None = None) -> None:
        """That memory with the initial rows in it; ``when``: unless this register is 0."""
        number = self._allocate_state(k, state)
        initial: Any = self.node.inputs[self.layout.state_input(k)]
        count = self.outer.size.of(product(self.outer.sizes.shape(initial)))
        if when is not None:
            count = self.compute("select", when, count, self.number(0))
        self.emission.emit(p.Copy(number, self.outer.memory_number(initial), count))

    def _memory(self, kind: str, k: int) -> int:
        """The buffer that a kernel of all steps calls so (see ``recurrence.Recurrence``)."""
        if kind == "input":
            return self.outer.memory_number(self.node.inputs[k])
        if kind == "constant":
            return self.scan.inner.memory_number(large_constants(self.node)[k])
        result = self.node.outputs[-1 if kind == "count" else k]
        if kind != "ended" and self.scan.is_wanted(result):
            return self.outer.number[result]
        key = kind, k, self.node
        if key not in self.outer.number:
            self.outer.new_buffer(key, dtype_of(self.node, kind, k), (), False)
        return self.outer.number[key]
