"""A Program: what a compiled function does, as plain data.

It holds no graph and no pointers, so it can be printed, cached, exported and
run by anything.  A call goes through the instructions from first to last,
through those between a :class:`Loop` and its :class:`Next` again and again, and
through those between a :class:`Split` and its :class:`Join` for one part after another.
Three kinds of things exist while it runs:

- *registers*: int64 numbers, numbered from 0.  They hold sizes: the
  dimensions of the inputs, and what is computed from them.  A register may
  have a known initial value (``Program.constants``).
- *buffers*: flat memory of one dtype, numbered from 0 (``Program.buffers``).
- *kernels*: native functions (``Program.kernels`` names them; see
  :class:`croton.kernel.nodes.Function` for their signature).

All arrays are C-contiguous; an argument that is not is copied on the way in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

#: What a :class:`Compute` may do, as functions of Python's integers.
OPERATIONS: Mapping[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b if b else 0,
    "mod": lambda a, b: a % b if b else 0,
    "ceildiv": lambda a, b: -(-a // b) if b else 0,
    "minimum": min,
    "maximum": max,
    "neg": lambda a: -a,
    "abs": abs,
    "eq": lambda a, b: int(a == b),
    "ne": lambda a, b: int(a != b),
    "lt": lambda a, b: int(a < b),
    "le": lambda a, b: int(a <= b),
    "and": lambda a, b: int(bool(a) and bool(b)),
    "or": lambda a, b: int(bool(a) or bool(b)),
    "not": lambda a: int(not a),
    "select": lambda c, a, b: a if c else b,
}


class Argument(NamedTuple):
    """An array that comes from outside into buffer ``buffer``.

    ``source`` is ``"input"`` (a call's argument), ``"shared"`` (the value of a
    shared variable) or ``"constant"``; ``position`` counts within its source.
    Dimension ``d`` is written to register ``first_register + d`` (where
    ``first_register`` is not -1); where ``shape[d]`` is not None it must be that.
    """

    source: str
    position: int
    buffer: int
    dtype: str
    shape: tuple[int | None, ...]
    first_register: int
    name: str


class Buffer(NamedTuple):
    """Memory.

    ``kind`` is one of

    - ``"argument"``: bound to an :class:`Argument` (never written, unless it is
      a shared variable that the program updates in place);
    - ``"temporary"``: scratch of this call in arena slot ``slot`` (buffers whose
      lifetimes do not overlap share a slot);
    - ``"output"``: becomes the storage of an array that is handed out (an
      output, or the new value of a shared variable);
    - ``"kept"``: filled by the first call that needs it, for all later ones (see
      :class:`Keep`);
    - ``"view"``: a part of another buffer (see :class:`View`).
    """

    kind: str
    dtype: str
    slot: int = -1


class Compute(NamedTuple):
    """``registers[target] = operation(registers[a], registers[b], registers[c])``.

    ``operation`` is one of :data:`OPERATIONS`.  A sum or product that does not fit into 64 bits
    ends the call.
    """

    operation: str
    target: int
    a: int
    b: int = -1
    c: int = -1

    def chooses(self, known: Mapping[int, int]) -> bool:
        """Whether it is how many items an alternative has: ``select(condition, items, 0)``.

        ``known`` has the registers of known values.
        """
        return self.operation == "select" and 0 in (known.get(self.b), known.get(self.c))


class Allocate(NamedTuple):
    """Make ``buffer`` at least ``registers[count]`` elements large (64-byte aligned).

    For an ``"output"`` buffer, ``shape`` lists the registers of its dimensions.
    """

    buffer: int
    count: int  # type: ignore[assignment]
    shape: tuple[int, ...] = ()


class Keep(NamedTuple):
    """Make the ``"kept"`` buffer ``buffer`` at least ``registers[count]`` elements large.

    The next instruction, a :class:`Launch`, fills it, from constants and from the shared
    variables at the positions ``shared``, which the program does not update.  A call that finds
    it filled, from the values that they still have, passes over that.  With a count of 0 nothing
    happens.
    """

    buffer: int
    count: int  # type: ignore[assignment]
    shared: tuple[int, ...] = ()


class Launch(NamedTuple):
    """Run kernel ``kernel`` on the items ``[0, registers[items])``.

    ``buffers`` (-1: one that the kernel does not look at) and ``sizes`` (registers) are
    bound to the kernel's names.  ``scratch`` is the register with the bytes of scratch that
    each thread needs.  ``grain`` is the register with the least number of items that is
    worth a thread of its own, or less than 0: that many, and items that follow each other take
    less time together.  Work is cut into items by its size alone, so the
    result does not depend on the number of threads.  ``calls`` are the kernels
    that it reaches through pointers: ``(buffer position, Launch)``, bound before it runs.
    A status other than 0 from the kernel is error ``status - 1`` of ``Program.errors``.
    """

    kernel: int
    buffers: tuple[int, ...]
    sizes: tuple[int, ...]
    items: int
    grain: int
    scratch: int
    calls: tuple[tuple[int, Launch], ...] = ()

    def reached(self) -> Iterator[int]:
        """The kernel, and those that it calls."""
        yield self.kernel
        for _, called in self.calls:
            yield from called.reached()


class LaunchAt(NamedTuple):
    """Run a kernel that is not the program's own on one item: ``registers[address]`` is where.

    An answer (see :class:`Ask`) told the address; at 0 there is none, and nothing runs.
    ``buffers``, ``sizes`` and ``scratch`` are as for a :class:`Launch`.  The kernel writes only
    to the buffers at the positions ``writes``.
    """

    address: int
    buffers: tuple[int, ...]
    sizes: tuple[int, ...]
    scratch: int
    writes: tuple[int, ...]


class Copy(NamedTuple):
    """Copy ``registers[count]`` elements from buffer ``source`` to ``target``."""

    target: int
    source: int
    count: int  # type: ignore[assignment]


class Item(NamedTuple):
    """Read element ``registers[index]`` of an integer or bool buffer into a register."""

    target: int
    buffer: int
    index: int  # type: ignore[assignment]


class Check(NamedTuple):
    """Stop with error ``error`` of ``Program.errors`` unless ``registers[condition]`` is not 0."""

    condition: int
    error: int


class Host(NamedTuple):
    """Call Python: host function ``function`` gets arrays of ``inputs`` and gives ``outputs``.

    ``inputs`` are ``(buffer, shape registers)``; ``outputs`` are
    ``(buffer, shape registers)``: the result's shape is written to the
    registers, and its data become the buffer (kept alive until the call ends).
    """

    function: int
    inputs: tuple[tuple[int, tuple[int, ...]], ...]
    outputs: tuple[tuple[int, tuple[int, ...]], ...]


class View(NamedTuple):
    """Let the ``"view"`` buffer ``buffer`` be a part of ``source``, of the same dtype.

    It is ``registers[count]`` elements from element ``registers[offset]`` on.  Where ``source``
    gets other memory, ``buffer`` stays on the old one.
    """

    buffer: int
    source: int
    offset: int
    count: int  # type: ignore[assignment]


class Loop(NamedTuple):
    """Run what follows, up to the matching :class:`Next`, ``registers[count]`` times.

    Meanwhile ``registers[index]`` is 0, 1, 2 and so on; afterwards it is how often that was.
    Registers and buffers that are set inside of a loop are not to be read behind it.  What a
    ``lazy`` loop does is not to be done before it.
    """

    index: int  # type: ignore[assignment]
    count: int  # type: ignore[assignment]
    lazy: bool = False


class Next(NamedTuple):
    """The end of the innermost loop's body.

    The loop ends here if ``registers[stop]`` is not 0; with -1 there is no such register.
    """

    stop: int = -1


class Split(NamedTuple):
    """Run what follows, up to the matching :class:`Join`, for each part of ``registers[total]``.

    A part has ``registers[unit]`` rows, the last one what is left: it begins with row
    ``registers[first]`` and has ``registers[count]`` of them.  No part reads what another one
    writes, so several threads may run them at the same time, each with registers, views and
    temporaries of its own.  Behind the join they are not to be read.
    """

    first: int
    count: int  # type: ignore[assignment]
    total: int
    unit: int


class Join(NamedTuple):
    """The end of what is done for each part."""


class Ask(NamedTuple):
    """``registers[target]`` is the answer to question ``question`` about ``registers[about]``.

    Unless ``registers[when]`` is 0: then nobody is asked, and it is 0.  Somebody outside of the
    program answers; the same numbers as in the call before get the answer that they got then.
    """

    target: int
    question: int
    when: int
    about: tuple[int, ...]


Instruction = (
    Compute
    | Allocate
    | Keep
    | Launch
    | LaunchAt
    | Copy
    | Item
    | Check
    | Host
    | View
    | Loop
    | Next
    | Split
    | Join
    | Ask
)
#: What begins a stretch of instructions that runs several times, and what ends one.
BEGINS, ENDS = Loop | Split, Next | Join


class Output(NamedTuple):
    """What a call returns: ``buffer`` with the dimensions in registers ``shape``.

    A buffer of kind ``"argument"`` is copied, never handed out itself,
    unless ``borrow`` says that the caller may see a shared variable's own memory.
    """

    buffer: int
    dtype: str
    shape: tuple[int, ...]
    borrow: bool = False


class Update(NamedTuple):
    """At the end, shared variable ``position`` takes the value in ``buffer``.

    If ``buffer`` is the shared variable's own argument buffer it was written in
    place and nothing is left to do.  All updates happen or none: a program with
    an instruction that can fail after the first in-place write is not valid.
    """

    position: int
    buffer: int
    dtype: str
    shape: tuple[int, ...]


class Error(NamedTuple):
    """What to raise: an exception's name, a message with ``{0}``, ``{1}`` ... for the values.

    The values are those of ``registers``, then the kernel's details.
    """

    exception: str
    message: str
    registers: tuple[int, ...] = ()


class Question(NamedTuple):
    """What an :class:`Ask` asks: a ``subject``, and what is known of it beforehand."""

    subject: str
    known: tuple[tuple[str, str | int | bool | None], ...]


class Program(NamedTuple):
    """A compiled function without its code: see the module's text."""

    name: str
    arguments: tuple[Argument, ...]
    buffers: tuple[Buffer, ...]
    registers: int
    constants: tuple[tuple[int, int], ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Output, ...]
    updates: tuple[Update, ...]
    kernels: tuple[str, ...]
    errors: tuple[Error, ...]
    questions: tuple[Question, ...] = ()
