"""Writes a Program as the flat vector of int64 words that the C interpreter walks.

The vector is a sequence of sections; ``n x (...)`` is a count and that many groups:

==========  ====================================================================
header      format, registers, slots, outputs held, hosted arrays, kept buffers,
            table words, instructions
initial     n x (register, value)
reset       n x (register, value): those of ``initial`` that the program overwrites
kernels     n x (address), 0 for those that are linked when a call needs them
buffers     n x (kind, itemsize, place)
inputs      n x (buffer, type, ndim, first register, policy, position, shape...)
shared      as inputs
constants   as inputs
outputs     n x (buffer, type, itemsize, borrow, ndim, shape registers...)
updates     n x (position, buffer, type, itemsize, in place, ndim, shape registers...)
code        instructions, the last one is ``end``
==========  ====================================================================

A *type* is NumPy's type number; an unknown dimension in a shape is -1.  There is one
group of ``inputs`` for each input of the function; one that the program does not read has
buffer -1.  The *place* of a buffer tells where its memory is kept: for an argument the
index among inputs, shared variables and constants together, for a temporary its slot, for
an output its index among outputs, for the result of a host function its index among those,
for the target of a call the offset of its three words in the table.  A view has none.

The first word of an instruction is its code (:data:`croton.runtime._native.CODES`) plus its
number in the Program times 2**32.  What follows it:

===========  ===================================================================
computation  target, a, b, c
temporary    buffer, count, itemsize
output       buffer, count, itemsize
keep         count, itemsize, words of this and of what fills the buffer, then those of
             ``filled``
filled       buffer, number of shared arguments that it is made of, these
bind         kernel, items of the launch that it is for, target buffer, tables
launch       kernel, items, grain, scratch, tables
launch_at    register of the address, scratch, tables
copy         target, source, count, itemsize
item         target, buffer, index, width (negative: signed)
check        condition, error
host         words of the instruction, function, inputs, outputs, then for each input and
             output: buffer, type, itemsize, ndim, shape registers...
view         buffer, source, offset, count, itemsize
loop         index, count, words of this, of the body and of its ``next``
next         index, count, stop (-1: none), words from the body's begin to here
split        first, count, total, unit, whether several threads may run its parts, words of
             this, of the body and of its ``join``
join         first, count, total, unit, words from the body's begin to here
ask          target, when, function, place of what is remembered in the table words, number of
             registers that it is about, these
===========  ===================================================================

*tables* is: buffers, sizes, offset in the table words, buffer..., register...  A ``bind``
fills the tables of a kernel that another one calls and writes its address and theirs to
the three words of its target, which is a buffer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from croton.runtime._native import CODES
from croton.runtime.program import (
    OPERATIONS,
    Allocate,
    Argument,
    Ask,
    Check,
    Compute,
    Copy,
    Host,
    Instruction,
    Item,
    Join,
    Keep,
    Launch,
    LaunchAt,
    Loop,
    Next,
    Program,
    Split,
    View,
)

_ARITY = {"neg": 1, "abs": 1, "not": 1, "select": 3}
_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in (
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
        "float16 float32 float64 complex64 complex128"
    ).split()
}
_UNREAD = Argument("input", -1, -1, "bool", (), -1, "")  # an input without an argument
_MOST_DIMENSIONS = 32
_MOST_REGISTERS = 1 << 24


def encode(
    program: Program, addresses: Sequence[int], inputs: int, policies: Sequence[str]
) -> NDArray[np.int64]:
    """The words of ``program``; ``addresses`` are those of its kernels, 0 where there is none yet.

    ``inputs`` is the number of inputs of the function, ``policies`` says for each how
    scalars are taken.  ValueError if the program refers to something that it does not have.
    """
    return _Encoder(program, addresses, inputs, policies).words()


class _Open(NamedTuple):
    """A loop or split whose end is still to come.

    Its registers, where it and its body begin, and what was set before.
    """

    kind: str
    registers: tuple[int, ...]
    start: int
    body: int
    known: set[int]
    ready: set[int]


def _dtype(name: str) -> np.dtype[Any]:
    if name not in _DTYPES:
        raise ValueError(f"a program has no arrays of dtype {name!r}")
    return _DTYPES[name]


class _Encoder:
    def __init__(
        self, program: Program, addresses: Sequence[int], inputs: int, policies: Sequence[str]
    ) -> None:
        if len(addresses) != len(program.kernels):
            raise ValueError(
                f"{program.name}: expected {len(program.kernels)} kernel addresses, "
                f"not {len(addresses)}"
            )
        if not 0 <= program.registers <= _MOST_REGISTERS:
            raise ValueError(f"{program.name}: {program.registers} registers")
        self.program = program
        self.addresses = addresses
        self.policies = policies
        self.by_source = self._arguments(inputs)
        self.buffers: list[tuple[int, int, int]] = []
        self.ready: set[int] = set()  # the buffers that have memory so far
        self.hosted = 0
        self.kept = 0
        #: What is filled and what of (the words of ``filled``), and where its ``keep`` begins.
        self.filling: tuple[tuple[int, ...], int] | None = None
        self.outputs_held = 0
        self.table_words = 0
        self.known: set[int] = set()  # the registers that have a value so far
        self.written: set[int] = set()  # those that a call sets
        self.code: list[int] = []
        self.slots: dict[int, int] = {}  # the program's numbers may have gaps
        self.open: list[_Open] = []
        self.nothing = -1
        self._plan_buffers()

    def _arguments(self, inputs: int) -> dict[str, list[Argument]]:
        groups: dict[str, list[Argument]] = {"input": [], "shared": [], "constant": []}
        groups["input"] = [_UNREAD] * inputs
        for argument in self.program.arguments:
            if argument.source not in groups:
                raise ValueError(f"an argument from {argument.source!r}")
            if argument.source != "input":
                groups[argument.source].append(argument)
            elif not 0 <= argument.position < inputs:
                raise ValueError(f"there is no input {argument.position}: there are {inputs}")
            elif groups["input"][argument.position] is not _UNREAD:
                raise ValueError(f"two arguments for input {argument.position}")
            else:
                groups["input"][argument.position] = argument
        return groups

    # checks of what is referred to

    def register(self, index: int) -> int:
        if index not in self.known:
            raise ValueError(f"{self.program.name}: register {index} is read before it is set")
        return index

    def set_register(self, index: int) -> int:
        if not 0 <= index < self.program.registers:
            raise ValueError(f"{self.program.name}: there is no register {index}")
        self.known.add(index)
        return index

    def write_register(self, index: int) -> int:
        self.written.add(self.set_register(index))
        return index

    def new_buffer(self, index: int) -> int:
        if not 0 <= index < len(self.program.buffers):
            raise ValueError(f"{self.program.name}: there is no buffer {index}")
        self.ready.add(index)
        return index

    def buffer(self, index: int) -> int:
        if index not in self.ready:
            raise ValueError(f"{self.program.name}: buffer {index} is used before it has memory")
        return index

    def kernel(self, index: int) -> int:
        if not 0 <= index < len(self.addresses):
            raise ValueError(f"{self.program.name}: there is no kernel {index}")
        if not self.addresses[index] and any(o.kind == "split" for o in self.open):
            # Threads that have no business with Python may come to it.
            raise ValueError(f"{self.program.name}: kernel {index} in a split has no address")
        return index

    def error(self, index: int) -> int:
        if not 0 <= index < len(self.program.errors):
            raise ValueError(f"{self.program.name}: there is no error {index}")
        return index

    def _plan_buffers(self) -> None:
        places: dict[int, int] = {}
        arguments = [a for group in self.by_source.values() for a in group]
        for place, argument in enumerate(arguments):
            if argument is _UNREAD:
                continue
            if argument.buffer in places:
                raise ValueError(f"buffer {argument.buffer} is bound to two arguments")
            places[self.new_buffer(argument.buffer)] = place
            if self.program.buffers[argument.buffer].dtype != argument.dtype:
                raise ValueError(f"argument {argument.name!r} and its buffer differ in dtype")
        from_host = {
            buffer
            for instruction in self.program.instructions
            if isinstance(instruction, Host)
            for buffer, _ in instruction.outputs
        }
        for index, buffer in enumerate(self.program.buffers):
            if (buffer.kind == "argument") != (index in places):
                raise ValueError(f"buffer {index} is {buffer.kind}, but bound otherwise")
            if index in places:
                kind, place = "argument", places[index]
            elif index in from_host:
                kind, place = "hosted", self.hosted
                self.hosted += 1
            elif buffer.kind == "output":
                kind, place = "output", self.outputs_held
                self.outputs_held += 1
            elif buffer.kind == "kept":
                kind, place = "kept", self.kept
                self.kept += 1
            elif buffer.kind == "view":
                kind, place = "view", 0
            elif buffer.kind == "temporary":
                kind = "temporary"
                own = buffer.slot if buffer.slot >= 0 else -1 - index
                place = self.slots.setdefault(own, len(self.slots))
            else:
                raise ValueError(f"buffer {index} is of unknown kind {buffer.kind!r}")
            self.buffers.append((CODES[f"kind {kind}"], _dtype(buffer.dtype).itemsize, place))

    # sections

    def _argument_words(self, group: list[Argument]) -> Iterable[int]:
        yield len(group)
        for position, argument in enumerate(group):
            ndim = len(argument.shape)
            if ndim > _MOST_DIMENSIONS:
                raise ValueError(f"argument {argument.name!r} has {ndim} dimensions")
            if argument.first_register >= 0:
                for d in range(ndim):
                    self.write_register(argument.first_register + d)
            policy = self.policies[position] if argument.source == "input" else "strict"
            if f"policy {policy}" not in CODES:
                raise ValueError(f"unknown conversion policy {policy!r}")
            yield argument.buffer
            yield _dtype(argument.dtype).num
            yield ndim
            yield argument.first_register
            yield CODES[f"policy {policy}"]
            yield argument.position
            for extent in argument.shape:
                yield -1 if extent is None else extent

    def _shape(self, buffer: int, dtype: str, shape: Sequence[int]) -> list[int]:
        """type, itemsize of an array on ``buffer``."""
        own = self.program.buffers[self.buffer(buffer)].dtype
        if own != dtype:
            raise ValueError(f"buffer {buffer} is of dtype {own}, not {dtype}")
        if len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"an array of {len(shape)} dimensions")
        for register in shape:
            self.register(register)
        return [_dtype(dtype).num, _dtype(dtype).itemsize]

    def _output_words(self) -> Iterable[int]:
        yield len(self.program.outputs)
        for output in self.program.outputs:
            kind = self._shape(output.buffer, output.dtype, output.shape)
            yield from (output.buffer, *kind, int(output.borrow))
            yield from (len(output.shape), *output.shape)

    def _update_words(self) -> Iterable[int]:
        own = {a.position: a.buffer for a in self.by_source["shared"]}
        positions = [update.position for update in self.program.updates]
        if len(set(positions)) < len(positions):
            raise ValueError(f"{self.program.name}: a shared variable is updated twice")
        yield len(positions)
        for update in self.program.updates:
            kind = self._shape(update.buffer, update.dtype, update.shape)
            in_place = own.get(update.position) == update.buffer
            yield from (update.position, update.buffer, *kind, int(in_place))
            yield from (len(update.shape), *update.shape)

    # instructions

    def _tables(self, buffers: Sequence[int], sizes: Sequence[int]) -> list[int]:
        offset = self.table_words
        self.table_words += len(buffers) + len(sizes)
        return [len(buffers), len(sizes), offset, *buffers, *map(self.register, sizes)]

    def _call_target(self) -> int:
        self.buffers.append((CODES["kind call"], 8, self.table_words))
        self.table_words += 3
        return len(self.buffers) - 1

    def _nothing(self) -> int:
        """Something in the place of a buffer that a kernel does not look at."""
        if self.nothing < 0:
            self.nothing = self._call_target()
        return self.nothing

    def _bound(self, launch: Launch, number: int, items: int) -> list[int]:
        """The tables of ``launch``, after binding the kernels that it calls.

        ``items`` is the register of the items of the outermost launch.
        """
        buffers = list(launch.buffers)
        for position, callee in launch.calls:
            if not 0 <= position < len(buffers):
                raise ValueError(f"a call through buffer {position} of {len(buffers)}")
            kernel = self.kernel(callee.kernel)
            tables = self._bound(callee, number, items)
            buffers[position] = self._call_target()
            self._emit("bind", number, kernel, items, buffers[position], *tables)
        targets = {position for position, _ in launch.calls}
        for position, buffer in enumerate(buffers):
            if buffer == -1:
                buffers[position] = self._nothing()
            elif position not in targets:
                self.buffer(buffer)
        return self._tables(buffers, launch.sizes)

    def _emit(self, name: str, number: int, *words: int) -> None:
        self.code.append(CODES[f"op {name}"] + (number << 32))
        self.code.extend(words)

    def _instruction(self, number: int, instruction: Instruction) -> None:
        program = self.program
        match instruction:
            case Compute(operation, target, a, b, c):
                if operation not in OPERATIONS:
                    raise ValueError(f"unknown operation {operation!r} on registers")
                arguments = (a, b, c)[: _ARITY.get(operation, 2)]
                for register in arguments:
                    self.register(register)
                padded = (*arguments, 0, 0)[:3]
                self._emit(operation, number, self.write_register(target), *padded)
            case Allocate(buffer, count, _):
                kind, itemsize, _ = self.buffers[self.new_buffer(buffer)]
                names = {CODES["kind temporary"]: "temporary", CODES["kind output"]: "output"}
                if kind not in names:
                    raise ValueError(f"{program.name}: buffer {buffer} cannot be allocated")
                self._emit(names[kind], number, buffer, self.register(count), itemsize)
            case Keep(buffer, count, shared):
                kind, itemsize, _ = self.buffers[self.new_buffer(buffer)]
                if kind != CODES["kind kept"]:
                    raise ValueError(f"{program.name}: buffer {buffer} cannot be kept")
                places = {a.position: k for k, a in enumerate(self.by_source["shared"])}
                if not places.keys() >= set(shared):
                    raise ValueError(f"{program.name}: there is no shared variable of {shared}")
                made_of = (buffer, len(shared), *(places[p] for p in shared))
                self.filling = made_of, len(self.code)
                self._emit("keep", number, self.register(count), itemsize, 0, *made_of)
            case Launch(kernel, _, _, items, grain, scratch, _):
                numbers = [self.kernel(kernel), *map(self.register, (items, grain, scratch))]
                tables = self._bound(instruction, number, items)
                self._emit("launch", number, *numbers, *tables)
            case LaunchAt(address, buffers, sizes, scratch, _):
                for buffer in buffers:
                    self.buffer(buffer)
                numbers = [self.register(r) for r in (address, scratch)]
                self._emit("launch_at", number, *numbers, *self._tables(buffers, sizes))
            case Copy(target, source, count):
                itemsize = self.buffers[self.buffer(target)][1]
                if self.buffers[self.buffer(source)][1] != itemsize:
                    raise ValueError(f"{program.name}: a copy between different dtypes")
                self._emit("copy", number, target, source, self.register(count), itemsize)
            case Item(target, buffer, index):
                dtype = _dtype(program.buffers[self.buffer(buffer)].dtype)
                if dtype.kind not in "biu":
                    raise ValueError(f"{program.name}: an item of a {dtype} buffer as a size")
                width = -dtype.itemsize if dtype.kind == "i" else dtype.itemsize
                target = self.write_register(target)
                self._emit("item", number, target, buffer, self.register(index), width)
            case Check(condition, error):
                self._emit("check", number, self.register(condition), self.error(error))
            case Host(function, inputs, outputs):
                self._host(number, function, inputs, outputs)
            case View(buffer, source, offset, count):
                itemsize = self.buffers[self.buffer(source)][1]
                kind, own, _ = self.buffers[self.new_buffer(buffer)]
                if kind != CODES["kind view"] or own != itemsize:
                    raise ValueError(f"{program.name}: buffer {buffer} is no view of {source}")
                registers = self.register(offset), self.register(count)
                self._emit("view", number, buffer, source, *registers, itemsize)
            case Loop(index, count, _):
                self.register(count)
                self._begin("loop", number, (self.write_register(index), count))
            case Next(stop):
                self._end("loop", "next", number, stop if stop < 0 else self.register(stop))
            case Split(first, count, total, unit):
                parts = first, count, self.register(total), self.register(unit)
                self._begin("split", number, parts, int(self._may_spread(number)))
                # Behind the join they are not to be read.
                self.write_register(first)
                self.write_register(count)
            case Join():
                self._end("split", "join", number)
            case Ask(target, question, when, about):
                self._ask(number, target, question, when, about)

    def _host(
        self,
        number: int,
        function: int,
        inputs: Sequence[tuple[int, tuple[int, ...]]],
        outputs: Sequence[tuple[int, tuple[int, ...]]],
    ) -> None:
        # What answers questions comes first.
        words = [len(self.program.questions) + function, len(inputs), len(outputs)]
        for buffer, shape in inputs:
            kind = self._shape(buffer, self.program.buffers[self.buffer(buffer)].dtype, shape)
            words += [buffer, *kind, len(shape), *shape]
        for buffer, shape in outputs:
            self.new_buffer(buffer)
            registers = [self.write_register(register) for register in shape]
            kind = self._shape(buffer, self.program.buffers[buffer].dtype, shape)
            words += [buffer, *kind, len(shape), *registers]
        self._emit("host", number, len(words) + 2, *words)

    def _ask(
        self, number: int, target: int, question: int, when: int, about: Sequence[int]
    ) -> None:
        if not 0 <= question < len(self.program.questions):
            raise ValueError(f"{self.program.name}: there is no question {question}")
        registers = [self.register(r) for r in (when, *about)]
        # An answer, whether there is one yet, and what it was about.
        place = self.table_words
        self.table_words += 2 + len(about)
        words = (registers[0], question, place, len(about), *registers[1:])
        self._emit("ask", number, self.write_register(target), *words)

    def _begin(self, kind: str, number: int, registers: tuple[int, ...], *more: int) -> None:
        start = len(self.code)
        self._emit(kind, number, *registers, *more, 0)
        known, ready = set(self.known), set(self.ready)
        self.open.append(_Open(kind, registers, start, len(self.code), known, ready))

    def _end(self, kind: str, end: str, number: int, *more: int) -> None:
        if not self.open or self.open[-1].kind != kind:
            raise ValueError(f"{self.program.name}: the end of a {kind} that was not begun")
        begun = self.open.pop()
        back = len(self.code) - begun.body
        self._emit(end, number, *begun.registers, *more, back)
        self.code[begun.body - 1] = len(self.code) - begun.start
        # The body may not have run, or elsewhere.
        self.known, self.ready = begun.known, begun.ready

    def _may_spread(self, split: int) -> bool:
        """Whether several threads may run the parts of a split: they need only what each has."""
        depth = 0
        for i in self.program.instructions[split + 1 :]:
            depth += isinstance(i, Split) - isinstance(i, Join)
            if depth < 0:
                return True
            output = isinstance(i, Allocate) and self.program.buffers[i.buffer].kind == "output"
            if output or depth or isinstance(i, Host | Keep | Ask):
                return False
        return True

    def _end_filling(self, number: int) -> None:
        """Behind what follows a ``keep``: the buffer is filled, and here others go on."""
        if self.filling is not None:
            made_of, start = self.filling
            self._emit("filled", number, *made_of)
            self.code[start + 3] = len(self.code) - start
            self.filling = None

    def words(self) -> NDArray[np.int64]:
        program = self.program
        constants = [(self.set_register(register), value) for register, value in program.constants]
        arguments: list[int] = []
        for group in self.by_source.values():
            arguments.extend(self._argument_words(group))
        for number, instruction in enumerate(program.instructions):
            self._instruction(number, instruction)
            if isinstance(instruction, Launch):
                self._end_filling(number)
            elif self.filling is not None and not isinstance(instruction, Keep):
                raise ValueError(f"{program.name}: nothing fills a buffer that is kept")
        if self.open:
            raise ValueError(f"{program.name}: a {self.open[-1].kind} without an end")
        self._emit("end", len(program.instructions))
        reset = [pair for pair in constants if pair[0] in self.written]
        header = [
            CODES["format"],
            program.registers,
            len(self.slots),
            self.outputs_held,
            self.hosted,
            self.kept,
        ]
        header += [self.table_words, len(program.instructions)]
        words = header
        for pairs in (constants, reset):
            words.append(len(pairs))
            words.extend(word for pair in pairs for word in pair)
        words += [len(self.addresses), *self.addresses]
        words.append(len(self.buffers))
        words.extend(word for buffer in self.buffers for word in buffer)
        words += arguments
        words.extend(self._output_words())
        words.extend(self._update_words())
        words += self.code
        return np.array(words, np.int64)
