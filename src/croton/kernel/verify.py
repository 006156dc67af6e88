"""Checking that a kernel keeps the rules of its language."""

from __future__ import annotations

from typing import NamedTuple

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
    walk_statements,
)
from croton.kernel.ops import OPS
from croton.kernel.text import expression_text, statement_text, type_text

_INTEGERS = {
    f"{sign}int{size}": (-(1 << size - 1), (1 << size - 1) - 1)
    if not sign
    else (0, (1 << size) - 1)
    for sign in ("", "u")
    for size in (8, 16, 32, 64)
}
_FLOATS = {"float16", "float32", "float64"}
DTYPES = frozenset({"bool", *_INTEGERS, *_FLOATS})

_KINDS = ("serial", "unroll", "vector", "parallel")
_FLOAT_ONLY = frozenset(
    "div fma sqrt floor ceil trunc rint round_half_away copysign ldexp exp exp2 expm1 log log2 "
    "log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh pow fmod erf "
    "erfc sigmoid softplus".split()
)
_INTEGER_ONLY = frozenset({"floordiv", "mod", "shl", "shr"})
_NO_BOOL = frozenset({"sub", "neg", "abs", "ramp"})
_NO_FLOAT = frozenset({"and", "or", "xor", "not", "reduce_and", "reduce_or", "reduce_xor"})


class _Name(NamedTuple):
    kind: str
    dtype: str
    lanes: int


def verify(function: Function) -> None:
    """Raise KernelError, naming the statement, if ``function`` breaks a rule."""
    checker = _Checker(function)
    for buffer in function.buffers:
        checker.bind_buffer(buffer)
    for size in function.sizes:
        if size.dtype != "int64" or size.lanes != 1:
            raise checker.error(f"the size {size.name!r} is no int64")
        checker.bind(size.name, "size", "int64", 1)
    checker.body(function.body)


class _Checker:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.names: dict[str, _Name] = {
            "lo": _Name("size", "int64", 1),
            "hi": _Name("size", "int64", 1),
        }
        self.buffers: dict[str, str] = {}
        self.cursors: set[str] = set()
        self.statement: Stmt | None = None
        self.checked: dict[int, Expr] = {}

    def error(self, message: str) -> KernelError:
        where = f", in `{statement_text(self.statement)}`" if self.statement is not None else ""
        return KernelError(f"kernel {self.function.name}: {message}{where}")

    # -- names -------------------------------------------------------------------------

    def bind(self, name: str, kind: str, dtype: str, lanes: int) -> None:
        if name in self.names:
            raise self.error(f"the name {name!r} is bound already")
        self.names[name] = _Name(kind, dtype, lanes)

    def bind_buffer(self, buffer: Buffer) -> None:
        if buffer.name in self.buffers:
            raise self.error(f"the buffer {buffer.name!r} is bound already")
        if buffer.dtype not in DTYPES:
            raise self.error(f"the buffer {buffer.name!r} has no known dtype: {buffer.dtype!r}")
        self.buffers[buffer.name] = buffer.dtype

    # -- statements --------------------------------------------------------------------

    def body(self, body: Body) -> None:
        names, buffers, cursors = dict(self.names), dict(self.buffers), set(self.cursors)
        for statement in body:
            self.statement = statement
            # A name that a statement binds may change what an expression means.
            self.checked = {}
            self.one(statement)
        self.names, self.buffers, self.cursors = names, buffers, cursors

    def one(self, s: Stmt) -> None:
        if isinstance(s, For):
            self.loop(s)
        elif isinstance(s, While):
            self.expect(s.condition, "bool", 1, "the condition")
            self.body(s.body)
        elif isinstance(s, If):
            self.expect(s.condition, "bool", 1, "the condition")
            self.body(s.body)
            self.body(s.orelse)
        elif isinstance(s, Outlined):
            self.outlined(s)
        elif isinstance(s, Let | Local):
            self.expect(s.value, s.var.dtype, s.var.lanes, f"the value of {s.var.name!r}")
            kind = "let" if isinstance(s, Let) else "local"
            self.bind(s.var.name, kind, s.var.dtype, s.var.lanes)
        elif isinstance(s, Assign):
            self.assign(s.var, s.value)
        elif isinstance(s, Best):
            self.assign(s.var, s.value)
            self.assign(s.where, s.index)
            if s.value.lanes != s.index.lanes or s.value.dtype == "bool":
                raise self.error("the best of numbers, each with its index, was expected")
        elif isinstance(s, Store):
            self.expect(s.value, s.buffer.dtype, s.value.lanes, "the stored value")
            self.access(s.buffer, s.index, s.value.lanes, s.mask)
            if s.nontemporal and (s.mask is not None or s.index.lanes > 1):
                raise self.error("a masked or scattered store cannot be nontemporal")
        elif isinstance(s, Prefetch):
            self.access(s.buffer, s.index, 1, None, reads=True)
        elif isinstance(s, Allocate):
            self.expect(s.offset, "int64", 1, "the offset")
            if isinstance(s.offset, Const) and s.offset.value < 64:
                raise self.error("the first 64 bytes of scratch are not for use")
            self.bind_buffer(s.buffer)
        elif isinstance(s, Choose):
            self.expect(s.condition, "bool", 1, "the condition")
            self.known_buffer(s.first)
            self.known_buffer(s.second)
            if not s.buffer.dtype == s.first.dtype == s.second.dtype:
                raise self.error("a choice between buffers of different types")
            self.bind_buffer(s.buffer)
        elif isinstance(s, Part):
            self.known_buffer(s.source)
            self.expect(s.offset, "int64", 1, "the offset")
            if s.buffer.dtype != s.source.dtype:
                raise self.error("a part of a buffer of another type")
            self.bind_buffer(s.buffer)
            if isinstance(s, Cursor):
                self.cursors.add(s.buffer.name)
        elif isinstance(s, Advance):
            self.known_buffer(s.buffer, reads=True)
            if s.buffer.name not in self.cursors:
                raise self.error(f"{s.buffer.name!r} is no cursor")
            self.expect(s.offset, "int64", 1, "the offset")
        elif isinstance(s, Aligned):
            self.known_buffer(s.buffer)
            if s.size < 1 or s.size & (s.size - 1):
                raise self.error(f"an alignment is a power of two, not {s.size}")
            self.bind(s.var.name, "let", "bool", 1)
        elif isinstance(s, Call):
            self.known_buffer(s.target)
            self.known_buffer(s.scratch)
            self.expect(s.lo, "int64", 1, "the first item")
            self.expect(s.hi, "int64", 1, "the end of the items")
        elif isinstance(s, Fail):
            if not s.code or len(s.details) > 2:
                raise self.error("a failure has a code other than 0 and at most two details")
            for detail in s.details:
                self.expect(detail, "int64", 1, "a detail")
        elif not isinstance(s, Reload | Barrier):
            raise self.error(f"not a statement of the kernel language: {s!r}")

    def outlined(self, s: Outlined) -> None:
        names = dict(self.names)
        self.names = {
            name: known._replace(kind="let") if known.kind == "local" else known
            for name, known in names.items()
        }
        for inner in walk_statements(s.body):
            if isinstance(inner, Allocate | Call | Fail | Barrier):
                self.statement = inner
                raise self.error("this cannot be outlined")
        buffers, cursors = dict(self.buffers), set(self.cursors)
        # Where those begin is not handed on.
        for name in cursors:
            self.buffers.pop(name, None)
        self.body(s.body)
        self.names, self.buffers, self.cursors = names, buffers, cursors

    def assign(self, var: Var, value: Expr) -> None:
        known = self.names.get(var.name)
        if known is None or known.kind != "local":
            raise self.error(f"{var.name!r} is assigned to but is no local variable")
        self.expression(var)
        self.expect(value, known.dtype, known.lanes, f"the value of {var.name!r}")

    def loop(self, s: For) -> None:
        if s.kind not in _KINDS:
            raise self.error(f"a loop of kind {s.kind!r}, which is none of {', '.join(_KINDS)}")
        for expr, what in ((s.start, "start"), (s.stop, "stop"), (s.step, "step")):
            self.expect(expr, "int64", 1, f"the {what} of the loop")
            if s.kind == "unroll" and not isinstance(expr, Const):
                raise self.error(f"the {what} of an unrolled loop must be a constant")
        if isinstance(s.step, Const):
            if s.step.value < 1:
                raise self.error("the step of a loop must be positive")
            if s.kind == "vector" and s.step.value != 1:
                raise self.error("the step of a vector loop must be 1")
        elif s.kind == "vector":
            raise self.error("the step of a vector loop must be 1")
        if s.var.dtype != "int64" or s.var.lanes != 1:
            raise self.error(f"the loop variable {s.var.name!r} is no int64")
        names = dict(self.names)
        self.bind(s.var.name, "loop", "int64", 1)
        self.body(s.body)
        self.names = names

    # -- memory ------------------------------------------------------------------------

    def known_buffer(self, buffer: Buffer, reads: bool = False) -> None:
        if buffer.name in self.cursors and not reads:
            raise self.error(f"{buffer.name!r} is a cursor, which is only read")
        dtype = self.buffers.get(buffer.name)
        if dtype is None:
            raise self.error(f"the buffer {buffer.name!r} is not bound")
        if dtype != buffer.dtype:
            raise self.error(f"the buffer {buffer.name!r} holds {dtype}, not {buffer.dtype}")

    def access(
        self, buffer: Buffer, index: Expr, lanes: int, mask: Expr | None, reads: bool = False
    ) -> None:
        self.known_buffer(buffer, reads)
        if index.lanes not in (1, lanes):
            raise self.error(f"{index.lanes} indices for {lanes} lanes of {buffer.name!r}")
        self.expect(index, "int64", index.lanes, f"the index into {buffer.name!r}")
        if mask is not None:
            self.expect(mask, "bool", lanes, "the mask")

    # -- expressions -------------------------------------------------------------------

    def expect(self, e: Expr, dtype: str, lanes: int, what: str) -> None:
        self.expression(e)
        if e.dtype != dtype or e.lanes != lanes:
            have, want = type_text(e.dtype, e.lanes), type_text(dtype, lanes)
            raise self.error(f"{what} is a {have}, not a {want}")

    def expression(self, e: Expr) -> None:
        """Check ``e`` and everything below it, each node once a statement."""
        stack = [e]
        while stack:
            node = stack.pop()
            if id(node) in self.checked:
                continue
            self.checked[id(node)] = node
            if isinstance(node, Op):
                self.operation(node)
                stack.extend(node.args)
            elif isinstance(node, Load):
                if node.dtype != node.buffer.dtype:
                    raise self.error(f"a load of {node.buffer.name!r} as {node.dtype}")
                self.access(node.buffer, node.index, node.lanes, node.mask, reads=True)
            elif isinstance(node, Var):
                self.variable(node)
            elif isinstance(node, Const):
                self.constant(node)
            else:
                raise self.error(f"not an expression of the kernel language: {node!r}")

    def variable(self, e: Var) -> None:
        known = self.names.get(e.name)
        if known is None:
            raise self.error(f"the name {e.name!r} is not bound")
        if (known.dtype, known.lanes) != (e.dtype, e.lanes):
            have, want = type_text(known.dtype, known.lanes), type_text(e.dtype, e.lanes)
            raise self.error(f"{e.name!r} is a {have}, used as a {want}")

    def constant(self, e: Const) -> None:
        if e.dtype not in DTYPES or e.lanes < 1:
            raise self.error(f"a constant of type {e.dtype!r} in {e.lanes} lanes")
        if e.dtype in _INTEGERS:
            low, high = _INTEGERS[e.dtype]
            if not low <= int(e.value) <= high or int(e.value) != e.value:
                raise self.error(f"the constant {e.value!r} is no {e.dtype}")

    def operation(self, e: Op) -> None:
        info = OPS.get(e.name)
        if info is None:
            raise self.error(f"there is no operation {e.name!r}")
        if len(e.args) != info.arity:
            raise self.error(f"{e.name} takes {info.arity} arguments, not {len(e.args)}")
        first = e.args[0]
        subject = e.args[1] if e.name == "select" else first
        wrong = (
            subject.dtype not in _FLOATS
            if e.name in _FLOAT_ONLY
            else subject.dtype not in _INTEGERS
            if e.name in _INTEGER_ONLY
            else subject.dtype == "bool"
            if e.name in _NO_BOOL
            else subject.dtype in _FLOATS and e.name in _NO_FLOAT
        )
        wanted_first = {"mulhi": "uint32", "philox": "int64"}.get(e.name, first.dtype)
        if wrong or first.dtype != wanted_first:
            raise self.error(f"{e.name} is not defined for {subject.dtype}")
        self.operands(e)
        self.lanes(e)
        wanted = {"same": first.dtype, "bool": "bool", "second": e.args[-1].dtype}
        if e.dtype != wanted.get(info.result, e.dtype) or e.dtype not in DTYPES:
            raise self.error(f"`{expression_text(e)}` is said to be a {e.dtype}")

    def operands(self, e: Op) -> None:
        dtypes = [a.dtype for a in e.args]
        wanted = [dtypes[0]] * len(dtypes)
        if e.name == "select":
            wanted = ["bool", dtypes[1], dtypes[1]]
        elif e.name == "ldexp":
            wanted = [dtypes[0], "int32"]
        if dtypes != wanted:
            raise self.error(f"{e.name} of {', '.join(dtypes)}, not of {', '.join(wanted)}")

    def lanes(self, e: Op) -> None:
        have = [a.lanes for a in e.args]
        if e.name in ("broadcast", "ramp"):
            good = have == [1]
        elif e.name == "shuffle":
            total = have[0] + have[1]
            good = have[0] == have[1] and len(e.attrs) == e.lanes
            good = good and all(0 <= i < total for i in e.attrs)
        elif e.name == "extract":
            good = e.lanes == 1 and len(e.attrs) == 1 and 0 <= e.attrs[0] < have[0]
        elif e.name.startswith("reduce_"):
            good = e.lanes == 1 and have[0] & (have[0] - 1) == 0
        else:
            good = all(n == e.lanes for n in have)
        if not good:
            shown = ", ".join(map(str, have))
            raise self.error(f"{e.name} of {shown} lanes cannot give {e.lanes}")
