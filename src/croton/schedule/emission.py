"""Emission: the program that is being put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from croton.graph import trace
from croton.graph.printing import details
from croton.graph.shared import SharedVariable
from croton.graph.variable import Constant, Variable
from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.runtime import program as p
from croton.schedule.heirs import Heir
from croton.schedule.hoisting import Kernel, kernel_effects
from croton.schedule.registers import Registers
from croton.tensor.type import TensorType


class Emission:
    """Instructions, buffers and kernels so far.  All graphs of a program share one.

    ``updated`` are the shared variables that it updates, ``lines`` the user's lines that
    instructions come from.  ``launched`` is told each kernel whose launch is emitted, unless it is
    one of an alternative, of which others may be taken.
    """

    def __init__(
        self,
        machine: Machine,
        updated: Sequence[SharedVariable],
        launched: Callable[[Function], None] | None = None,
    ) -> None:
        self.machine = machine
        self.updated = updated
        self._launched = launched
        self._split = False
        self.registers = Registers()
        self.buffers: list[p.Buffer] = []
        self.heirs: list[Heir] = []
        self.arguments: list[p.Argument] = []
        self.shared: list[SharedVariable] = []
        self.constants: list[Any] = []
        self.host: list[Callable[..., Any]] = []
        self.errors: list[p.Error] = []
        self.functions: dict[str, Function] = {}
        self.kernels: list[str] = []
        self._numbers: dict[str, int] = {}
        #: Scans that questions are about (see ``schedule.tailored``).
        self.tailored: list[Any] = []
        self.lines: dict[int, str] = {}
        self._effects: dict[str, Kernel] = {}
        self._error_numbers: dict[Any, int] = {}

    @property
    def instructions(self) -> list[p.Instruction]:
        """What has been emitted."""
        return self.registers.instructions

    def emit(self, instruction: p.Instruction) -> None:
        """The next instruction."""
        self.instructions.append(instruction)
        if isinstance(instruction, p.Split | p.Join):
            self._split = isinstance(instruction, p.Split)
        elif isinstance(instruction, p.Launch) and self._launched is not None:
            if self._split or instruction.items not in self.registers.chosen:
                for number in instruction.reached():
                    self._launched(self.functions[self.kernels[number]])

    def buffer(self, kind: str, dtype: str) -> int:
        """A new buffer."""
        self.buffers.append(p.Buffer(kind, dtype))
        return len(self.buffers) - 1

    def argument(self, source: str, v: Variable) -> tuple[int, int]:
        """A new argument: its buffer and the first register of its sizes (-1 without any)."""
        kind: Any = v.type
        lists: dict[str, list[Any]] = {"shared": self.shared, "constant": self.constants}
        if source in lists:
            position = len(lists[source])
            lists[source].append(v.data if isinstance(v, Constant) else v)
        else:
            position = sum(a.source == source for a in self.arguments)
        first = self.registers.new(kind.ndim) if kind.ndim else -1
        buffer = self.buffer("argument", kind.dtype)
        name = v.name or f"{source} {position}"
        shape = getattr(v.tag, "assumed", kind.shape)
        self.arguments.append(p.Argument(source, position, buffer, kind.dtype, shape, first, name))
        return buffer, first

    def is_argument(self, number: int) -> bool:
        """Whether buffer ``number`` comes from outside."""
        return self.buffers[number].kind == "argument"

    def whole(self, number: int) -> int:
        """The buffer that the view ``number`` is a part of; others are themselves."""
        sources = {i.buffer: i.source for i in self.instructions if isinstance(i, p.View)}
        while number in sources:
            number = sources[number]
        return number

    def fixed(self, number: int) -> tuple[int, ...] | None:
        """Of what is the same in many calls the shared variables that it is; else None."""
        for a in self.arguments:
            if a.buffer == number and a.source == "constant":
                return ()
            if a.buffer == number and a.source == "shared":
                updated = any(s is self.shared[a.position] for s in self.updated)
                return None if updated else (a.position,)
        return None

    def kernel(self, function: Function) -> int:
        """The number of a kernel; equal ones are one."""
        name = function.name
        if name == "kernel":
            name = f"kernel{len(self.kernels)}"
            function = function._replace(name=name)
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.kernels)
            self.functions[name] = function
            self.kernels.append(name)
        return number

    def effects(self, number: int) -> Kernel:
        """What kernel ``number`` does to its buffers."""
        name = self.kernels[number]
        found = self._effects.get(name)
        if found is None:
            found = self._effects[name] = kernel_effects(self.functions[name])
        return found

    def error(self, key: Any, make: Callable[[], p.Error]) -> int:
        """The number of the error called ``key``, which ``make`` makes the first time."""
        found = self._error_numbers.get(key)
        if found is None:
            found = self._error_numbers[key] = len(self.errors)
            self.errors.append(make())
        return found

    def index_error(self, check: Any) -> int:
        """The error of an index that a kernel checks."""
        return self.error(("index", check), check.kernel_error)

    def position_error(self, node: Any) -> int:
        """The error of an index of ``node`` that is out of bounds."""

        def make() -> p.Error:
            where = escape(details(node) + trace.describe(node.made_at))
            text = "index {0} is out of bounds for a dimension of size {1}, in "
            return p.Error("IndexError", text + escape(str(node.op)) + where)

        return self.error(("position", node), make)


def tensor_type(node: Any, v: Variable) -> TensorType:
    """The type of an input or output of ``node``; TypeError if it is no tensor."""
    if not isinstance(v.type, TensorType):
        raise TypeError(f"{node.op} takes {v}, which is no tensor: {v.type}")
    return v.type


def escape(text: str) -> str:
    """``text`` as part of an error's message."""
    return text.replace("{", "{{").replace("}", "}}")
