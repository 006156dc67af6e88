"""Kernels as readable, C-like text: what a user sees of the code that runs.

A vector reads as its type with the lanes behind it (``float32x16``), a load or
store of neighbours as ``a[i:+16]``, a masked one as ``a[i:+16 if m]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from croton.kernel.nodes import (
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
    Prefetch,
    Stmt,
    Store,
    Var,
)

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


def text(function: Function) -> str:
    """The whole of ``function``."""
    buffers = ", ".join(f"{b.dtype} *{b.name}" for b in function.buffers)
    sizes = ", ".join(size.name for size in function.sizes)
    head = f"kernel {function.name}({buffers}{'; ' if buffers and sizes else ''}{sizes})"
    lines = [f"{head} {{", *_block(function.body, 1), "}"]
    return "\n".join(lines) + "\n"


def statement_text(statement: Stmt) -> str:
    """The first line of ``statement``: enough to find it by."""
    return next(_lines(statement, 0))


def expression_text(expr: Expr) -> str:
    """``expr`` on one line."""
    return _expression(expr)[0]


def type_text(dtype: str, lanes: int) -> str:
    """``float32`` or ``float32x16``."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def _block(body: Body, depth: int) -> Iterator[str]:
    for statement in body:
        yield from _lines(statement, depth)


def _lines(s: Stmt, depth: int) -> Iterator[str]:
    pad = "    " * depth
    if isinstance(s, For):
        name, start, stop = s.var.name, expression_text(s.start), expression_text(s.stop)
        step = expression_text(s.step)
        step = f"++{name}" if step == "1" else f"{name} += {step}"
        kind = "" if s.kind == "serial" else f"{s.kind} "
        yield f"{pad}{kind}for ({name} = {start}; {name} < {stop}; {step}) {{"
        yield from _block(s.body, depth + 1)
        yield f"{pad}}}"
    elif isinstance(s, If):
        yield f"{pad}if ({expression_text(s.condition)}) {{"
        yield from _block(s.body, depth + 1)
        if s.orelse:
            yield f"{pad}}} else {{"
            yield from _block(s.orelse, depth + 1)
        yield f"{pad}}}"
    else:
        yield f"{pad}{_simple(s)};"


def _simple(s: Stmt) -> str:
    if isinstance(s, Let | Local):
        const = "const " if isinstance(s, Let) else ""
        kind = type_text(s.var.dtype, s.var.lanes)
        return f"{const}{kind} {s.var.name} = {expression_text(s.value)}"
    if isinstance(s, Assign):
        return f"{s.var.name} = {expression_text(s.value)}"
    if isinstance(s, Best):
        how = "largest" if s.largest else "smallest"
        value, index = expression_text(s.value), expression_text(s.index)
        return f"({s.var.name}, {s.where.name}) = {how} of ({value}, {index})"
    if isinstance(s, Store):
        place = _element(s.buffer, s.index, s.value.lanes, s.mask)
        note = "  /* nontemporal */" if s.nontemporal else ""
        return f"{place} = {expression_text(s.value)}{note}"
    if isinstance(s, Prefetch):
        purpose = ", write" if s.write else ""
        return f"prefetch({s.buffer.name}[{expression_text(s.index)}]{purpose})"
    if isinstance(s, Allocate):
        return f"{s.buffer.dtype} *{s.buffer.name} = scratch + {expression_text(s.offset)}"
    if isinstance(s, Choose):
        test = expression_text(s.condition)
        return f"{s.buffer.dtype} *{s.buffer.name} = {test} ? {s.first.name} : {s.second.name}"
    if isinstance(s, Call):
        lo, hi = expression_text(s.lo), expression_text(s.hi)
        return f"call {s.target.name}({lo}, {hi}, {s.scratch.name})"
    if isinstance(s, Fail):
        return f"fail({', '.join([str(s.code), *map(expression_text, s.details)])})"
    if isinstance(s, Barrier):
        return "barrier()"
    return repr(s)


def _element(buffer: Buffer, index: Expr, lanes: int, mask: Expr | None) -> str:
    where = expression_text(index)
    if index.lanes == 1 and lanes > 1:
        where += f":+{lanes}"
    if mask is not None:
        where += f" if {expression_text(mask)}"
    return f"{buffer.name}[{where}]"


def _expression(e: Expr) -> tuple[str, int]:
    """The text of ``e`` and how tightly its outermost operation binds."""
    if isinstance(e, Const):
        return _literal(e.value, e.dtype), _ATOM
    if isinstance(e, Var):
        return e.name, _ATOM
    if isinstance(e, Load):
        return _element(e.buffer, e.index, e.lanes, e.mask), _ATOM
    if not isinstance(e, Op):
        return repr(e), _ATOM
    if e.name in _INFIX and len(e.args) == 2:
        sign, level = _INFIX[e.name]
        # Chains of one operation group to the left, as they are evaluated.
        return f"{_within(e.args[0], level)} {sign} {_within(e.args[1], level + 1)}", level
    if e.name == "select":
        condition, a, b = (_within(x, _SELECT + 1) for x in e.args)
        return f"{condition} ? {a} : {b}", _SELECT
    if e.name in ("neg", "not"):
        sign = "-" if e.name == "neg" else "!" if e.dtype == "bool" else "~"
        return f"{sign}{_within(e.args[0], _PREFIX)}", _PREFIX
    if e.name in ("cast", "bitcast"):
        call = e.dtype if e.name == "cast" else f"bits_as_{e.dtype}"
        return f"{call}({expression_text(e.args[0])})", _ATOM
    if e.name == "broadcast":
        return f"all{e.lanes}({expression_text(e.args[0])})", _ATOM
    if e.name == "ramp":
        return f"ramp{e.lanes}({expression_text(e.args[0])})", _ATOM
    if e.name == "shuffle":
        return _shuffle(e), _ATOM
    extra = [str(list(e.attrs))] if e.name in ("extract", "philox") else []
    return f"{e.name}({', '.join([*map(expression_text, e.args), *extra])})", _ATOM


def _shuffle(e: Op) -> str:
    """The lanes picked, an even run of them by its first two and its last."""
    a, b = e.args
    one = a is b
    lanes = [i % a.lanes for i in e.attrs] if one else list(e.attrs)
    order = ", ".join(map(str, lanes))
    if len(lanes) > 4 and len({y - x for x, y in pairwise(lanes)}) == 1:
        order = f"{lanes[0]}, {lanes[1]}, ..., {lanes[-1]}"
    operands = [expression_text(a)] if one else [expression_text(a), expression_text(b)]
    return f"shuffle({', '.join(operands)}, [{order}])"


def _within(e: Expr, level: int) -> str:
    """``e`` as an operand of something that binds at ``level``."""
    shown, own = _expression(e)
    return shown if own >= level else f"({shown})"


def _literal(value: Any, dtype: str) -> str:
    if dtype == "bool":
        return "true" if value else "false"
    return f"{float(value):.9g}" if dtype in ("float32", "float16") else repr(value)
