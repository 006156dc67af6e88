"""Kernels as readable, C-like text: what a user sees of the code that runs.

A vector reads as its type with the lanes behind it (``float32x16``), a load or
store of neighbours as ``a[i:+16]``, a masked one as ``a[i:+16 if m]``.  A large
part of an expression that occurs twice, and what would make a line too long, is
written once, as ``_1``, ``_2`` ... before the statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

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
    Expr,
    Fail,
    For,
    Function,
    If,
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
from croton.kernel.uniform import operands, post_order, statement_expressions

#: Infix operations: their sign and how tightly they bind.
_INFIX = {
    "mul": ("*", 9),
    "div": ("/", 9),
    "floordiv": ("//", 9),
    "mod": ("%", 9),
    "add": ("+", 8),
    "sub": ("-", 8),
    "shl": ("<<", 7),
    "shr": (">>", 7),
    "and": ("&", 6),
    "xor": ("^", 5),
    "or": ("|", 4),
    "lt": ("<", 3),
    "le": ("<=", 3),
    "gt": (">", 3),
    "ge": (">=", 3),
    "eq": ("==", 3),
    "ne": ("!=", 3),
}
_SELECT, _PREFIX, _ATOM = 1, 10, 12

#: From how many operations on a part is written once, and nothing is written in one.
_REPEATED, _LONGEST = 12, 60


#: Lines from which on a kernel is shown by its head.
LONG = 200


def text(function: Function) -> str:
    """The whole of ``function``."""
    buffers = ", ".join(f"{b.dtype} *{b.name}" for b in function.buffers)
    sizes = ", ".join(size.name for size in function.sizes)
    head = f"kernel {function.name}({buffers}{'; ' if buffers and sizes else ''}{sizes})"
    lines = [f"{head} {{", *_Writer().block(function.body, 1), "}"]
    return "\n".join(lines) + "\n"


def abridged(function: Function) -> str:
    """The whole of ``function``, or only its head if it is long."""
    lines = text(function).splitlines()
    if len(lines) > LONG:
        lines[1:-1] = [f"    ... {len(lines) - 2} lines"]
    return "\n".join(lines) + "\n"


def statement_text(statement: Stmt) -> str:
    """The first line of ``statement`` itself: enough to find it by."""
    return next(_Writer().lines(statement, 0, parts=False))


def expression_text(expr: Expr) -> str:
    """``expr`` on one line; parts that have names follow behind it."""
    writer = _Writer()
    named = [f"{name} = {writer.whole(part)}" for name, part in writer.parts((expr,))]
    shown = writer.expression(expr)
    return f"{shown} where {', '.join(named)}" if named else shown


def type_text(dtype: str, lanes: int) -> str:
    """``float32`` or ``float32x16``."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


class _Writer:
    """Writes statements; ``names`` are those of the parts written before the current one."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.count = 0

    # -- statements ----------------------------------------------------------------------

    def block(self, body: Body, depth: int) -> Iterator[str]:
        for statement in body:
            yield from self.lines(statement, depth)

    def lines(self, s: Stmt, depth: int, parts: bool = True) -> Iterator[str]:
        pad = "    " * depth
        for var, value in self.parts(statement_expressions(s)):
            if parts:
                kind = type_text(value.dtype, value.lanes)
                yield f"{pad}const {kind} {var} = {self.whole(value)};"
        if isinstance(s, For):
            name, start, stop, step = s.var.name, *map(self.expression, (s.start, s.stop, s.step))
            step = f"++{name}" if step == "1" else f"{name} += {step}"
            kind = "" if s.kind == "serial" else f"{s.kind} "
            yield f"{pad}{kind}for ({name} = {start}; {name} < {stop}; {step}) {{"
            yield from self.block(s.body, depth + 1)
            yield f"{pad}}}"
        elif isinstance(s, While):
            yield f"{pad}while ({self.expression(s.condition)}) {{"
            yield from self.block(s.body, depth + 1)
            yield f"{pad}}}"
        elif isinstance(s, If):
            yield f"{pad}if ({self.expression(s.condition)}) {{"
            yield from self.block(s.body, depth + 1)
            if s.orelse:
                yield f"{pad}}} else {{"
                yield from self.block(s.orelse, depth + 1)
            yield f"{pad}}}"
        elif isinstance(s, Outlined):
            yield f"{pad}outlined {{"
            yield from self.block(s.body, depth + 1)
            yield f"{pad}}}"
        else:
            yield f"{pad}{self.simple(s)};"

    def parts(self, roots: Sequence[Expr]) -> list[tuple[str, Expr]]:
        """Names for what of ``roots`` is written before them, innermost first."""
        self.names = {}
        order: list[Expr] = []
        uses: Counter[int] = Counter(map(id, roots))
        done: dict[int, object] = {}
        for root in roots:
            for node in post_order(root, done):
                order.append(node)
                uses.update(map(id, operands(node)))
        size: dict[int, int] = {}
        found: list[tuple[str, Expr]] = []
        for node in order:
            count = 1 + sum(size[id(a)] for a in operands(node))
            repeated = uses[id(node)] > 1 and count >= _REPEATED
            if isinstance(node, Op) and (repeated or count >= _LONGEST):
                self.count += 1
                self.names[id(node)] = f"_{self.count}"
                found.append((f"_{self.count}", node))
                count = 1
            size[id(node)] = count
        return found

    def simple(self, s: Stmt) -> str:
        show = self.expression
        if isinstance(s, Let | Local):
            const = "const " if isinstance(s, Let) else ""
            kind = type_text(s.var.dtype, s.var.lanes)
            return f"{const}{kind} {s.var.name} = {show(s.value)}"
        if isinstance(s, Assign):
            return f"{s.var.name} = {show(s.value)}"
        if isinstance(s, Best):
            how = "largest" if s.largest else "smallest"
            pair = f"({show(s.value)}, {show(s.index)})"
            return f"({s.var.name}, {s.where.name}) = {how} of {pair}"
        if isinstance(s, Store):
            place = self.element(s.buffer, s.index, s.value.lanes, s.mask)
            note = "  /* nontemporal */" if s.nontemporal else ""
            return f"{place} = {show(s.value)}{note}"
        if isinstance(s, Prefetch):
            purpose = ", write" if s.write else ""
            return f"prefetch({s.buffer.name}[{show(s.index)}]{purpose})"
        if isinstance(s, Allocate):
            return f"{s.buffer.dtype} *{s.buffer.name} = scratch + {show(s.offset)}"
        if isinstance(s, Choose):
            chosen = f"{show(s.condition)} ? {s.first.name} : {s.second.name}"
            return f"{s.buffer.dtype} *{s.buffer.name} = {chosen}"
        if isinstance(s, Part):
            return f"{s.buffer.dtype} *{s.buffer.name} = {s.source.name} + {show(s.offset)}"
        if isinstance(s, Advance):
            return f"{s.buffer.name} += {show(s.offset)}"
        if isinstance(s, Aligned):
            return f"const bool {s.var.name} = aligned({s.buffer.name}, {s.size})"
        if isinstance(s, Call):
            return f"call {s.target.name}({show(s.lo)}, {show(s.hi)}, {s.scratch.name})"
        if isinstance(s, Fail):
            return f"fail({', '.join([str(s.code), *map(show, s.details)])})"
        if isinstance(s, Reload):
            return "reload()"
        if isinstance(s, Barrier):
            return "barrier()"
        return repr(s)

    # -- expressions ---------------------------------------------------------------------

    def expression(self, e: Expr) -> str:
        """``e``, or its name."""
        return self._text(e)[0]

    def whole(self, e: Expr) -> str:
        """What the name of ``e`` stands for."""
        return self._operation(e)[0]

    def element(self, buffer: Buffer, index: Expr, lanes: int, mask: Expr | None) -> str:
        where = self.expression(index)
        if index.lanes == 1 and lanes > 1:
            where += f":+{lanes}"
        if mask is not None:
            where += f" if {self.expression(mask)}"
        return f"{buffer.name}[{where}]"

    def _text(self, e: Expr) -> tuple[str, int]:
        """The text of ``e`` and how tightly its outermost operation binds."""
        name = self.names.get(id(e))
        return self._operation(e) if name is None else (name, _ATOM)

    def _operation(self, e: Expr) -> tuple[str, int]:
        if isinstance(e, Const):
            return _literal(e.value, e.dtype), _ATOM
        if isinstance(e, Var):
            return e.name, _ATOM
        if isinstance(e, Load):
            return self.element(e.buffer, e.index, e.lanes, e.mask), _ATOM
        if not isinstance(e, Op):
            return repr(e), _ATOM
        if e.name in _INFIX and len(e.args) == 2:
            sign, level = _INFIX[e.name]
            # Chains of one operation group to the left, as they are evaluated.
            a, b = self._within(e.args[0], level), self._within(e.args[1], level + 1)
            return f"{a} {sign} {b}", level
        if e.name == "select":
            condition, a, b = (self._within(x, _SELECT + 1) for x in e.args)
            return f"{condition} ? {a} : {b}", _SELECT
        if e.name in ("neg", "not"):
            sign = "-" if e.name == "neg" else "!" if e.dtype == "bool" else "~"
            return f"{sign}{self._within(e.args[0], _PREFIX)}", _PREFIX
        if e.name == "shuffle":
            return self._shuffle(e), _ATOM
        call = {
            "cast": e.dtype,
            "bitcast": f"bits_as_{e.dtype}",
            "broadcast": f"all{e.lanes}",
            "ramp": f"ramp{e.lanes}",
        }.get(e.name, e.name)
        extra = [str(list(e.attrs))] if e.name in ("extract", "philox") else []
        return f"{call}({', '.join([*map(self.expression, e.args), *extra])})", _ATOM

    def _shuffle(self, e: Op) -> str:
        """The lanes picked, an even run of them by its first two and its last."""
        a, b = e.args
        one = a is b
        lanes = [i % a.lanes for i in e.attrs] if one else list(e.attrs)
        order = ", ".join(map(str, lanes))
        if len(lanes) > 4 and len({y - x for x, y in pairwise(lanes)}) == 1:
            order = f"{lanes[0]}, {lanes[1]}, ..., {lanes[-1]}"
        args = [self.expression(a)] if one else [self.expression(a), self.expression(b)]
        return f"shuffle({', '.join(args)}, [{order}])"

    def _within(self, e: Expr, level: int) -> str:
        """``e`` as an operand of something that binds at ``level``."""
        shown, own = self._text(e)
        return shown if own >= level else f"({shown})"


def _literal(value: Any, dtype: str) -> str:
    if dtype == "bool":
        return "true" if value else "false"
    return f"{float(value):.9g}" if dtype in ("float32", "float16") else repr(value)
