"""The grammar of the kernel language.

A kernel is a function over flat buffers: loops, conditions, loads, stores and
scalar or vector expressions.  It knows nothing about tensors' graph or about a
particular machine.  In short::

    function  = Function(name, buffers, sizes, body)
    statement = For | While | If | Let | Local | Assign | Best | Store
              | Prefetch | Allocate | Choose | Part | Cursor | Advance | Reload
              | Aligned | Outlined | Call | Fail | Barrier
    expr      = Const | Var | Op | Load

Every expression has a ``dtype`` (a NumPy name; ``"bool"`` is one bit in a
register and one byte in memory) and a number of ``lanes`` (1: a scalar).
Indices and sizes are ``int64``.  Indices count elements, never bytes.

Sharing: an expression object may appear in several places; it is evaluated
where the statement that holds it runs.  Bind it with ``Let`` to evaluate it
once.  Within one loop iteration a kernel loads what it needs of a buffer
before it stores to it; different buffers of a kernel never overlap, except
that two names may stand for exactly the same memory of an elementwise update.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class KernelError(Exception):
    """A kernel that breaks the rules of its language, or that a target cannot express."""


class Expr:
    """A value: ``dtype`` is a NumPy dtype name, ``lanes`` is 1 for a scalar."""

    __slots__ = ("dtype", "lanes")
    dtype: str
    lanes: int


class Const(Expr):
    """A literal; with ``lanes > 1`` the same value in every lane."""

    __slots__ = ("value",)

    def __init__(self, value: Any, dtype: str, lanes: int = 1) -> None:
        self.value = value
        self.dtype = dtype
        self.lanes = lanes


class Var(Expr):
    """A name bound by a loop, ``Let``, ``Local`` or the function's sizes."""

    __slots__ = ("name",)

    def __init__(self, name: str, dtype: str = "int64", lanes: int = 1) -> None:
        self.name = name
        self.dtype = dtype
        self.lanes = lanes


class Op(Expr):
    """A pure operation of :mod:`croton.kernel.ops` on ``args``.

    ``attrs`` holds what is not an expression (a shuffle's pattern, say).
    """

    __slots__ = ("args", "attrs", "name")

    def __init__(
        self,
        name: str,
        args: tuple[Expr, ...],
        dtype: str,
        lanes: int = 1,
        attrs: tuple[Any, ...] = (),
    ) -> None:
        self.name = name
        self.args = args
        self.dtype = dtype
        self.lanes = lanes
        self.attrs = attrs


class Load(Expr):
    """Read ``buffer[index]``.

    A scalar ``index`` with ``lanes > 1`` reads that many neighbours; a vector
    ``index`` gathers.  Lanes whose ``mask`` is false are not read and give 0.
    """

    __slots__ = ("buffer", "index", "mask")

    def __init__(
        self, buffer: Buffer, index: Expr, lanes: int = 1, mask: Expr | None = None
    ) -> None:
        self.buffer = buffer
        self.index = index
        self.mask = mask
        self.dtype = buffer.dtype
        self.lanes = lanes


class Buffer(NamedTuple):
    """A flat array of ``dtype``; ``align`` is what its start is known to be aligned to."""

    name: str
    dtype: str
    align: int = 1


class Stmt:
    """A step of a kernel."""

    __slots__ = ()


Body = tuple[Stmt, ...]


class For(Stmt):
    """Run ``body`` with ``var`` from ``start`` while it is below ``stop``.

    ``kind`` says how the iterations may run:

    - ``"serial"``: one after the other;
    - ``"unroll"``: the same, repeated in the code (constant bounds);
    - ``"vector"``: in lanes; the body is scalar code whose iterations are
      independent, apart from ``Best`` and ``Assign`` of the form
      ``v = combine(v, value)``, whose order does not matter (combine: add, sub,
      fma, mul, maximum, minimum, and, or, xor);
      :func:`croton.kernel.vectorise.vectorise` makes the lanes explicit;
    - ``"parallel"``: over the work items ``[lo, hi)`` that a call is given.
    """

    __slots__ = ("body", "kind", "start", "step", "stop", "var")

    def __init__(
        self,
        var: Var,
        start: Expr,
        stop: Expr,
        body: Body,
        kind: str = "serial",
        step: Expr | None = None,
    ) -> None:
        self.var = var
        self.start = start
        self.stop = stop
        self.body = body
        self.kind = kind
        self.step = step if step is not None else Const(1, "int64")


class While(Stmt):
    """Run ``body`` again and again, as long as the scalar ``condition`` holds before.

    It changes with the variables that the body assigns.  It cannot run in lanes.
    """

    __slots__ = ("body", "condition")

    def __init__(self, condition: Expr, body: Body) -> None:
        self.condition = condition
        self.body = body


class If(Stmt):
    """Run ``body`` where the scalar ``condition`` holds, else ``orelse``."""

    __slots__ = ("body", "condition", "orelse")

    def __init__(self, condition: Expr, body: Body, orelse: Body = ()) -> None:
        self.condition = condition
        self.body = body
        self.orelse = orelse


class Let(Stmt):
    """Name a value; the name never changes and is visible to the end of its block."""

    __slots__ = ("value", "var")

    def __init__(self, var: Var, value: Expr) -> None:
        self.var = var
        self.value = value


class Local(Stmt):
    """Declare a variable that ``Assign`` may change (an accumulator, in a register)."""

    __slots__ = ("value", "var")

    def __init__(self, var: Var, value: Expr) -> None:
        self.var = var
        self.value = value


class Assign(Stmt):
    """Give a ``Local`` variable a new value."""

    __slots__ = ("value", "var")

    def __init__(self, var: Var, value: Expr) -> None:
        self.var = var
        self.value = value


class Best(Stmt):
    """Keep the largest (or smallest) value seen so far, and where it was.

    If ``value`` beats the ``Local`` ``var``, then ``var`` becomes ``value`` and the
    ``Local`` ``where`` becomes ``index``.  The first of equals stays; a NaN beats
    everything but an earlier NaN.  In a vector loop ``index`` grows with the loop.
    """

    __slots__ = ("index", "largest", "value", "var", "where")

    def __init__(
        self, var: Var, where: Var, value: Expr, index: Expr, largest: bool = True
    ) -> None:
        self.var = var
        self.where = where
        self.value = value
        self.index = index
        self.largest = largest


class Store(Stmt):
    """Write ``value`` to ``buffer[index]``; a vector ``index`` scatters.

    ``nontemporal`` asks to bypass the caches; it needs an address aligned to
    the vector, which is the kernel's business to know (see :class:`Aligned`).
    What was stored so is there for other threads once the kernel has returned.
    """

    __slots__ = ("buffer", "index", "mask", "nontemporal", "value")

    def __init__(
        self,
        buffer: Buffer,
        index: Expr,
        value: Expr,
        mask: Expr | None = None,
        nontemporal: bool = False,
    ) -> None:
        self.buffer = buffer
        self.index = index
        self.value = value
        self.mask = mask
        self.nontemporal = nontemporal


class Prefetch(Stmt):
    """Ask for the cache line of ``buffer[index]``, to be read or written soon.

    ``level`` 1 is the nearest cache, 2 the next one, for what is not needed at once.
    """

    __slots__ = ("buffer", "index", "level", "write")

    def __init__(self, buffer: Buffer, index: Expr, write: bool = False, level: int = 1) -> None:
        self.buffer = buffer
        self.index = index
        self.write = write
        self.level = level


class Allocate(Stmt):
    """Name a part of the thread's scratch memory, ``offset`` bytes from its start.

    It begins with a cache line of 64 bytes.  If it is ``padded``, the line in which
    its last element is has nothing else in it.
    """

    __slots__ = ("buffer", "offset", "padded")

    def __init__(self, buffer: Buffer, offset: Expr, padded: bool = False) -> None:
        self.buffer = buffer
        self.offset = offset
        self.padded = padded


class Choose(Stmt):
    """Let ``buffer`` stand for ``first`` where the scalar ``condition`` holds, else for ``second``.

    All three have one dtype.
    """

    __slots__ = ("buffer", "condition", "first", "second")

    def __init__(self, buffer: Buffer, condition: Expr, first: Buffer, second: Buffer) -> None:
        self.buffer = buffer
        self.condition = condition
        self.first = first
        self.second = second


class Part(Stmt):
    """Let ``buffer`` stand for ``source`` from its element ``offset`` on; both have one dtype."""

    __slots__ = ("buffer", "offset", "source")

    def __init__(self, buffer: Buffer, source: Buffer, offset: Expr) -> None:
        self.buffer = buffer
        self.source = source
        self.offset = offset


class Cursor(Part):
    """A part that can be moved, and is only read.

    Where it begins stays in a register of its own, so that accesses need no other one.
    """

    __slots__ = ()


class Advance(Stmt):
    """Let the cursor ``buffer`` begin ``offset`` elements further on."""

    __slots__ = ("buffer", "offset")

    def __init__(self, buffer: Buffer, offset: Expr) -> None:
        self.buffer = buffer
        self.offset = offset


class Reload(Stmt):
    """What was loaded before is loaded again where it is needed afterwards.

    An instruction that reads an operand from memory needs neither a register for it nor an
    instruction that loads it, but a value that is needed again is loaded into a register.
    """

    __slots__ = ()


class Aligned(Stmt):
    """Let the bool ``var`` say whether ``buffer`` begins at a multiple of ``size`` bytes."""

    __slots__ = ("buffer", "size", "var")

    def __init__(self, var: Var, buffer: Buffer, size: int) -> None:
        self.var = var
        self.buffer = buffer
        self.size = size


class Outlined(Stmt):
    """Run ``body``, whose code is a function of its own where a target has those.

    So its innermost loops have the registers to themselves.  It assigns to variables of its
    own only, and neither allocates scratch memory nor calls or fails.
    """

    __slots__ = ("body",)

    def __init__(self, body: Body) -> None:
        self.body = body


class Call(Stmt):
    """Call another kernel through a pointer.

    ``target`` is a buffer of three words: the address of the kernel, of its
    table of buffers and of its table of sizes.  It runs on the items
    ``[lo, hi)`` with ``scratch`` (a buffer) as its scratch memory.  A failure
    of the callee fails the caller.
    """

    __slots__ = ("hi", "lo", "scratch", "target")

    def __init__(self, target: Buffer, lo: Expr, hi: Expr, scratch: Buffer) -> None:
        self.target = target
        self.lo = lo
        self.hi = hi
        self.scratch = scratch


class Fail(Stmt):
    """Leave the kernel with the non-zero status ``code`` and up to two int64 details."""

    __slots__ = ("code", "details")

    def __init__(self, code: int, details: tuple[Expr, ...] = ()) -> None:
        self.code = code
        self.details = details


class Barrier(Stmt):
    """What was stored before is visible to every lane of the group afterwards (GPU)."""

    __slots__ = ()


class Function(NamedTuple):
    """One kernel.

    Every kernel has the same native signature::

        int64_t name(void **buffers, const int64_t *sizes,
                     int64_t lo, int64_t hi, void *scratch)

    ``buffers[i]`` and ``sizes[i]`` are bound in order to the names below;
    ``lo`` and ``hi`` are the names ``"lo"`` and ``"hi"``.  The result is 0, or
    the code of a ``Fail``, whose details are then in ``scratch[0:2]`` (int64).
    The first 64 bytes of ``scratch`` belong to this convention; ``Allocate``
    starts behind them.

    ``contract`` allows to fuse float products and sums of the body into
    multiply-adds.  An ``Op`` whose attrs are ``("exact",)`` never is, nor is
    what a function of :data:`croton.kernel.ops.FUNCTIONS` expands into.

    Two kernels of one ``identity``, if they have any, are the same but for their names.
    """

    name: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[Var, ...]
    body: Body
    contract: bool = False
    identity: str = ""


def walk_statements(body: Body) -> Iterator[Stmt]:
    """Every statement of ``body``, outermost first, in program order."""
    left = [*reversed(body)]
    while left:
        statement = left.pop()
        yield statement
        if isinstance(statement, If):
            left.extend(reversed(statement.orelse))
            left.extend(reversed(statement.body))
        elif isinstance(statement, _WITH_BODY):
            left.extend(reversed(statement.body))


_WITH_BODY = (For, While, Outlined)
