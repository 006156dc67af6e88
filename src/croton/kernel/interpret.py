"""Running a kernel step by step in Python: slow, and the judge of every renderer.

Every access to a buffer is checked against its bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from croton.kernel import philox
from croton.kernel.build import best_assignments
from croton.kernel.nodes import (
    Advance,
    Aligned,
    Allocate,
    Assign,
    Barrier,
    Best,
    Body,
    Buffer,
    Call,
    Choose,
    Const,
    Cursor,
    Expr,
    Fail,
    For,
    Function,
    If,
    KernelError,
    Let,
    Load,
    Local,
    Op,
    Outlined,
    Part,
    Prefetch,
    Reload,
    Stmt,
    Store,
    Var,
    While,
)
from croton.kernel.ops import OPS
from croton.kernel.text import statement_text

Array = np.ndarray[Any, np.dtype[Any]]


class Status(NamedTuple):
    """How a kernel ended: code 0, or the code and details of a ``Fail``."""

    code: int = 0
    details: tuple[int, ...] = ()


class Callee(NamedTuple):
    """What a ``Call`` reaches: a kernel with its own buffers and sizes."""

    function: Function
    buffers: Mapping[str, Array]
    sizes: Mapping[str, int]


def interpret(
    function: Function,
    buffers: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    lo: int = 0,
    hi: int = 0,
    *,
    scratch: int = 1 << 16,
    callees: Mapping[str, Callee] | None = None,
) -> Status:
    """Run ``function`` on ``buffers`` (written in place) for the items ``[lo, hi)``.

    ``scratch`` is the size of its scratch memory in bytes; ``callees`` says what
    the target buffers of its calls stand for.
    """
    run = _Run(function, buffers, sizes or {}, (lo, hi), scratch, callees or {})
    with np.errstate(all="ignore"):
        try:
            run.body(function.body)
        except _Failure as failure:
            return failure.status
    return Status()


class _Failure(Exception):
    def __init__(self, status: Status) -> None:
        self.status = status


class _Run:
    def __init__(
        self,
        function: Function,
        buffers: Mapping[str, Array],
        sizes: Mapping[str, int],
        items: tuple[int, int],
        scratch: int,
        callees: Mapping[str, Callee],
    ) -> None:
        self.function = function
        self.buffers = {b.name: buffers[b.name] for b in function.buffers}
        #: Where each cursor begins.
        self.starts: dict[str, int] = {}
        for buffer in function.buffers:
            have = self.buffers[buffer.name].dtype
            if have != np.dtype(buffer.dtype):
                raise KernelError(f"the buffer {buffer.name!r} holds {have}, not {buffer.dtype}")
        names = {s.name: sizes[s.name] for s in function.sizes} | {"lo": items[0], "hi": items[1]}
        self.names: dict[str, Any] = {name: np.int64(value) for name, value in names.items()}
        self.scratch = np.zeros(scratch, np.uint8)
        self.callees = callees
        self.memo: dict[int, Any] = {}
        self.statement: Stmt | None = None

    def body(self, body: Body) -> None:
        for statement in body:
            self.statement = statement
            self.memo = {}
            _STATEMENTS[type(statement)](self, statement)

    # -- statements --------------------------------------------------------------------

    def loop(self, s: For) -> None:
        start, stop, step = (int(self.value(e)) for e in (s.start, s.stop, s.step))
        for number in range(start, stop, step):
            self.names[s.var.name] = np.int64(number)
            self.body(s.body)

    def outlined(self, s: Outlined) -> None:
        self.body(s.body)

    def repeat(self, s: While) -> None:
        while self.value(s.condition):
            self.body(s.body)
            self.memo = {}

    def condition(self, s: If) -> None:
        self.body(s.body if self.value(s.condition) else s.orelse)

    def bind(self, s: Let | Local | Assign) -> None:
        self.names[s.var.name] = self.value(s.value)

    def best(self, s: Best) -> None:
        self.body(best_assignments(s))

    def store(self, s: Store) -> None:
        value = self.value(s.value)
        lanes = s.value.lanes
        places, on = self.places(s.buffer, s.index, lanes, s.mask)
        self.buffers[s.buffer.name][places[on]] = np.broadcast_to(value, lanes)[on]

    def allocate(self, s: Allocate) -> None:
        offset, size = int(self.value(s.offset)), np.dtype(s.buffer.dtype).itemsize
        count = (len(self.scratch) - offset) // size
        part = self.scratch[offset : offset + count * size]
        self.buffers[s.buffer.name] = part.view(s.buffer.dtype)

    def choose(self, s: Choose) -> None:
        source = s.first if self.value(s.condition) else s.second
        self.buffers[s.buffer.name] = self.buffers[source.name]

    def part(self, s: Part) -> None:
        self.buffers[s.buffer.name] = self.buffers[s.source.name][int(self.value(s.offset)) :]

    def cursor(self, s: Cursor) -> None:
        self.buffers[s.buffer.name] = self.buffers[s.source.name]
        self.starts[s.buffer.name] = int(self.value(s.offset))

    def advance(self, s: Advance) -> None:
        self.starts[s.buffer.name] += int(self.value(s.offset))

    def aligned(self, s: Aligned) -> None:
        self.names[s.var.name] = np.bool_(self.buffers[s.buffer.name].ctypes.data % s.size == 0)

    def call(self, s: Call) -> None:
        callee = self.callees[s.target.name]
        lo, hi = int(self.value(s.lo)), int(self.value(s.hi))
        status = interpret(callee.function, callee.buffers, callee.sizes, lo, hi)
        if status.code:
            raise _Failure(status)

    def fail(self, s: Fail) -> None:
        raise _Failure(Status(s.code, tuple(int(self.value(d)) for d in s.details)))

    def nothing(self, s: Stmt) -> None:
        """A hint: it changes nothing."""

    # -- memory ------------------------------------------------------------------------

    def places(
        self, buffer: Buffer, index: Expr, lanes: int, mask: Expr | None
    ) -> tuple[Array, Array]:
        """The indices of every lane and which lanes are on, within the bounds of the buffer."""
        first = self.value(index)
        places = np.atleast_1d(first if index.lanes > 1 else first + np.arange(lanes))
        places = places + self.starts.get(buffer.name, 0)
        on = np.broadcast_to(True if mask is None else self.value(mask), lanes)
        size = len(self.buffers[buffer.name])
        wrong = places[on & ((places < 0) | (places >= size))]
        if wrong.size:
            where = f"{buffer.name}[{wrong[0]}] of {size}"
            shown = statement_text(self.statement) if self.statement is not None else ""
            raise KernelError(f"kernel {self.function.name} touches {where}, in `{shown}`")
        return places, on

    # -- expressions -------------------------------------------------------------------

    def value(self, e: Expr) -> Any:
        """``e``: a NumPy scalar, or an array of its lanes."""
        stack = [e]
        while stack:
            node = stack[-1]
            if id(node) in self.memo:
                stack.pop()
                continue
            inner: tuple[Expr, ...] = ()
            if isinstance(node, Op):
                inner = node.args
            elif isinstance(node, Load):
                inner = (node.index,) if node.mask is None else (node.index, node.mask)
            pending = [a for a in inner if id(a) not in self.memo]
            if pending:
                stack.extend(pending)
                continue
            self.memo[id(node)] = self.one(node)
            stack.pop()
        return self.memo[id(e)]

    def one(self, e: Expr) -> Any:
        if isinstance(e, Const):
            value = np.dtype(e.dtype).type(e.value)
            return value if e.lanes == 1 else np.full(e.lanes, value)
        if isinstance(e, Var):
            return self.names[e.name]
        if isinstance(e, Load):
            places, on = self.places(e.buffer, e.index, e.lanes, e.mask)
            result = np.zeros(e.lanes, e.dtype)
            result[on] = self.buffers[e.buffer.name][places[on]]
            return result[0] if e.lanes == 1 else result
        if isinstance(e, Op):
            args = [self.memo[id(a)] for a in e.args]
            special = _SPECIAL.get(e.name)
            if special is not None:
                return special(e, *args)
            evaluate = OPS[e.name].evaluate
            if evaluate is None:
                raise KernelError(f"{e.name} has no meaning in the interpreter")
            return np.asarray(evaluate(*args)).astype(e.dtype)[()]
        raise KernelError(f"not an expression of the kernel language: {e!r}")


def convert(value: Any, dtype: str) -> Any:
    """A cast: a float goes to the nearest integer towards zero that there is, NaN to 0."""
    source = np.asarray(value)
    target = np.dtype(dtype)
    if source.dtype.kind == "f" and target.kind in "iu":
        info = np.iinfo(target)
        whole = np.trunc(
            np.nan_to_num(source.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
        )
        low, high = float(info.min), float(info.max)
        inside = (whole > low) & (whole < high)
        cast = np.where(inside, whole, 0).astype(target)
        # Not np.where of Python's integers: a uint64's limit fits no signed type.
        edge = np.where(whole >= high, target.type(info.max), target.type(info.min))
        return np.where(inside, cast, edge)[()]
    return source.astype(target)[()]


def _shuffle(e: Op, a: Any, b: Any) -> Any:
    joined = np.concatenate([np.atleast_1d(a), np.atleast_1d(b)])
    return joined[list(e.attrs)] if e.lanes > 1 else joined[e.attrs[0]]


def _reduce(e: Op, a: Any) -> Any:
    """Halves onto each other until one lane is left, as every target does it."""
    combine = OPS[_COMBINE[e.name]].evaluate
    assert combine is not None
    values = np.atleast_1d(a)
    while len(values) > 1:
        half = len(values) // 2
        values = np.asarray(combine(values[:half], values[half:])).astype(e.dtype)
    return values[0]


_COMBINE = {
    "reduce_add": "add",
    "reduce_mul": "mul",
    "reduce_max": "maximum",
    "reduce_min": "minimum",
    "reduce_and": "and",
    "reduce_or": "or",
    "reduce_xor": "xor",
}

_SPECIAL: dict[str, Callable[..., Any]] = {
    "cast": lambda e, a: convert(a, e.dtype),
    "bitcast": lambda e, a: np.atleast_1d(a).view(e.dtype)[() if e.lanes > 1 else 0],
    "broadcast": lambda e, a: np.full(e.lanes, a),
    "ramp": lambda e, a: a + np.arange(e.lanes, dtype=e.dtype),
    "shuffle": _shuffle,
    "extract": lambda e, a: np.atleast_1d(a)[e.attrs[0]],
    "philox": lambda e, *args: philox.element(*args, *e.attrs[:3]),
    **dict.fromkeys(_COMBINE, _reduce),
}

_STATEMENTS: dict[type, Callable[[_Run, Any], None]] = {
    For: _Run.loop,
    While: _Run.repeat,
    If: _Run.condition,
    Let: _Run.bind,
    Local: _Run.bind,
    Assign: _Run.bind,
    Best: _Run.best,
    Store: _Run.store,
    Outlined: _Run.outlined,
    Prefetch: _Run.nothing,
    Allocate: _Run.allocate,
    Choose: _Run.choose,
    Part: _Run.part,
    Cursor: _Run.cursor,
    Advance: _Run.advance,
    Aligned: _Run.aligned,
    Call: _Run.call,
    Fail: _Run.fail,
    Reload: _Run.nothing,
    Barrier: _Run.nothing,
}
