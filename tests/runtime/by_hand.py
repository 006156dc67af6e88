"""Writing Programs by hand: a builder that numbers registers and buffers."""

import native_kernels

from croton.runtime.executable import load
from croton.runtime.program import (
    Allocate,
    Argument,
    Buffer,
    Check,
    Compute,
    Copy,
    Error,
    Host,
    Item,
    Launch,
    Output,
    Program,
    Update,
    View,
)

NEVER = 1 << 40  # a grain that keeps a launch on one thread


class Builder:
    def __init__(self, name="f"):
        self.name = name
        self.arguments, self.buffers, self.instructions = [], [], []
        self.outputs, self.updates, self.kernels, self.errors = [], [], [], []
        self.constants = []
        self.registers = 0
        self.shapes = {}

    def register(self, value=None):
        self.registers += 1
        if value is not None:
            self.constants.append((self.registers - 1, value))
        return self.registers - 1

    def emit(self, instruction):
        self.instructions.append(instruction)

    def compute(self, operation, *operands):
        target = self.register()
        self.emit(Compute(operation, target, *operands))
        return target

    def argument(self, source, name, dtype="float64", shape=()):
        position = sum(a.source == source for a in self.arguments)
        first = self.registers if shape else -1
        self.registers += len(shape)
        buffer = self.buffer("argument", dtype)
        self.arguments.append(Argument(source, position, buffer, dtype, shape, first, name))
        self.shapes[buffer] = tuple(range(first, first + len(shape)))
        return buffer

    def input(self, name, dtype="float64", shape=()):
        return self.argument("input", name, dtype, shape)

    def shared(self, name, dtype="float64", shape=()):
        return self.argument("shared", name, dtype, shape)

    def constant(self, name, dtype="float64", shape=()):
        return self.argument("constant", name, dtype, shape)

    def buffer(self, kind, dtype, slot=-1):
        self.buffers.append(Buffer(kind, dtype, slot))
        return len(self.buffers) - 1

    def count(self, shape):
        count = self.register(1)
        for extent in shape:
            count = self.compute("mul", count, extent)
        return count

    def allocate(self, dtype, shape, kind="output", slot=-1):
        """A new buffer with the extents in the registers ``shape``."""
        buffer = self.buffer(kind, dtype, slot)
        self.emit(Allocate(buffer, self.count(shape), tuple(shape)))
        self.shapes[buffer] = tuple(shape)
        return buffer

    def kernel(self, name):
        if name not in self.kernels:
            self.kernels.append(name)
        return self.kernels.index(name)

    def launched(self, name, buffers, items, grain=NEVER, sizes=(), scratch=0, calls=()):
        return Launch(
            self.kernel(name),
            tuple(buffers),
            tuple(sizes),
            items,
            self.register(grain),
            self.register(scratch),
            tuple(calls),
        )

    def launch(self, *args, **kwargs):
        self.emit(self.launched(*args, **kwargs))

    def binary(self, name, a, b, dtype="float64", kind="output", grain=NEVER, slot=-1):
        """``a <name> b`` elementwise; both have the shape of ``a``."""
        shape = self.shapes[a]
        result = self.allocate(dtype, shape, kind, slot)
        self.launch(name, (a, b, result), self.count(shape), grain)
        return result

    def view(self, source, offset, count):
        """A part of ``source``, where the registers say."""
        buffer = self.buffer("view", self.buffers[source].dtype)
        self.emit(View(buffer, source, offset, count))
        return buffer

    def output(self, buffer, borrow=False):
        dtype = self.buffers[buffer].dtype
        self.outputs.append(Output(buffer, dtype, self.shapes[buffer], borrow))

    def update(self, position, buffer):
        dtype = self.buffers[buffer].dtype
        self.updates.append(Update(position, buffer, dtype, self.shapes[buffer]))

    def copy(self, target, source, count):
        self.emit(Copy(target, source, count))

    def item(self, buffer, index):
        target = self.register()
        self.emit(Item(target, buffer, index))
        return target

    def error(self, exception, message, registers=()):
        self.errors.append(Error(exception, message, tuple(registers)))
        return len(self.errors) - 1

    def check(self, condition, exception, message, registers=()):
        self.emit(Check(condition, self.error(exception, message, registers)))

    def host(self, function, inputs, outputs):
        """``outputs`` are (dtype, rank); the new buffers are returned."""
        made = []
        for dtype, rank in outputs:
            buffer = self.buffer("output", dtype)
            self.shapes[buffer] = tuple(self.register() for _ in range(rank))
            made.append(buffer)
        self.emit(
            Host(
                function,
                tuple((b, self.shapes[b]) for b in inputs),
                tuple((b, self.shapes[b]) for b in made),
            )
        )
        return made

    def program(self):
        return Program(
            self.name,
            tuple(self.arguments),
            tuple(self.buffers),
            self.registers,
            tuple(self.constants),
            tuple(self.instructions),
            tuple(self.outputs),
            tuple(self.updates),
            tuple(self.kernels),
            tuple(self.errors),
        )

    def load(self, shared=(), constants=(), hosts=(), **options):
        addresses = [native_kernels.address(name) for name in self.kernels]
        return load(self.program(), addresses, shared, constants, hosts, **options)


def multiply(dtype="float64", shape=(), grain=NEVER, fixed=None, **options):
    """``f(x, y)``: the product of two arrays of one shape."""
    b = Builder("multiply")
    name = {"float64": "mul_f64", "float32": "mul_f32", "int64": "add_i64"}[dtype]
    x, y = b.input("x", dtype, shape), b.input("y", dtype, fixed or shape)
    b.output(b.binary(name, x, y, dtype, grain=grain))
    return b.load(**options)


def adder(cell, in_place, grain=NEVER, output=False):
    """``f(x)``: the shared vector becomes itself plus x."""
    b = Builder("adder")
    x, s = b.input("x", "float64", (None,)), b.shared("s", "float64", (None,))
    if in_place:
        b.launch("add_f64", (s, x, s), b.count(b.shapes[s]), grain)
        result = s
    else:
        result = b.binary("add_f64", s, x, grain=grain)
    b.update(0, result)
    if output:
        b.output(result)
    return b.load(shared=[cell])
