"""Registers: symbolic sizes as the numbers that a running program holds."""

from __future__ import annotations

from collections.abc import Callable

from croton.graph.variable import Variable
from croton.runtime.program import OPERATIONS, Ask, Compute, Instruction, Item, Question
from croton.schedule.sizes import Atom, Size, Sizes

#: What lies beyond is too large, which a call tells.
_LIMIT = 1 << 63


class Registers:
    """Gives each size a register, and the program the instructions that compute it."""

    def __init__(self) -> None:
        self.count = 0
        self.constants: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self.instructions: list[Instruction] = []
        self.questions: list[Question] = []
        #: Those that hold how many items of an alternative there are.
        self.chosen: set[int] = set()

    def new(self, count: int = 1) -> int:
        """The first of ``count`` new registers."""
        first = self.count
        self.count += count
        return first

    def number(self, value: int) -> int:
        """A register that holds a known number."""
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = self.new()
            self.constants[found] = value
        return found

    def compute(self, operation: str, *args: int) -> int:
        """A register with the result of an operation on registers.

        What follows from numbers that are known is a known number, so that equal amounts of memory
        have one register.  Items of alternatives are told by the operation that chooses them.
        """
        values = [self.constants.get(a) for a in args]
        if operation != "select" and None not in values:
            found = OPERATIONS[operation](*values)
            if -_LIMIT <= found < _LIMIT:
                return self.number(found)
        target = self.new()
        made = Compute(operation, target, *args)
        self.instructions.append(made)
        if made.chooses(self.constants):
            self.chosen.add(target)
        return target

    def ask(self, question: Question, when: int, *about: int) -> int:
        """A register with the answer to a question, or 0 where ``when`` is."""
        if question not in self.questions:
            self.questions.append(question)
        target = self.new()
        self.instructions.append(Ask(target, self.questions.index(question), when, about))
        return target


class SizeRegisters:
    """The registers of the sizes of one :class:`Sizes`."""

    def __init__(
        self,
        registers: Registers,
        sizes: Sizes,
        dimension: Callable[[Variable, int], int],
        buffer: Callable[[Variable], int],
    ) -> None:
        self.registers = registers
        self.sizes = sizes
        self._dimension = dimension
        self._buffer = buffer
        self._sizes: dict[Size, int] = {}
        self._atoms: dict[int, int] = {}

    def of(self, size: Size) -> int:
        """The register that holds ``size``."""
        found = self._sizes.get(size)
        if found is None:
            found = self._sizes[size] = self._make(size)
        return found

    def _make(self, size: Size) -> int:
        r = self.registers
        value = size.value
        if value is not None:
            return r.number(value)
        total: int | None = None
        for monomial, coefficient in size.terms:
            if not monomial:
                term = r.number(coefficient)
            else:
                term = self._factor(monomial[0])
                # Products of dimensions recur: each prefix keeps its register.
                for k in range(1, len(monomial)):
                    prefix = Size(((monomial[: k + 1], 1),))
                    known = self._sizes.get(prefix)
                    if known is None:
                        known = r.compute("mul", term, self._factor(monomial[k]))
                        self._sizes[prefix] = known
                    term = known
                if coefficient != 1:
                    term = r.compute("mul", term, r.number(coefficient))
            total = term if total is None else r.compute("add", total, term)
        assert total is not None
        return total

    def _factor(self, factor: int | Size) -> int:
        return self.of(factor) if isinstance(factor, Size) else self.atom(factor)

    def atom(self, number: int) -> int:
        """The register of an atom."""
        found = self._atoms.get(number)
        if found is None:
            found = self._atoms[number] = self._make_atom(self.sizes.atoms[number])
        return found

    def _make_atom(self, atom: Atom) -> int:
        r = self.registers
        if atom.kind == "dimension":
            return self._dimension(*atom.what)
        if atom.kind == "value":
            target = r.new()
            r.instructions.append(Item(target, self._buffer(atom.what), r.number(0)))
            return target
        args = [self.of(a) for a in atom.args]
        if atom.kind == "answer":
            return r.ask(atom.what, *args)
        return r.compute(atom.kind, *args)
