"""What a vector loop does, lane by lane: the analysis behind the vectoriser.

In the lanes of one iteration an expression is *uniform* if it is the same in
all of them, else it *varies*.  An int64 that varies may still be *affine* in
the loop's variable: uniform plus a uniform multiple of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from croton.kernel import build
from croton.kernel.nodes import (
    Advance,
    Aligned,
    Allocate,
    Assign,
    Barrier,
    Best,
    Body,
    Call,
    Choose,
    Const,
    Cursor,
    Expr,
    Fail,
    For,
    If,
    Let,
    Load,
    Local,
    Op,
    Part,
    Prefetch,
    Reload,
    Stmt,
    Store,
    Var,
    While,
    walk_statements,
)

#: Which operations accumulate, and as what: the operand that holds the variable so far.
_ACCUMULATE: dict[str, tuple[str, tuple[int, ...]]] = {
    "add": ("add", (0, 1)),
    "sub": ("add", (0,)),
    "fma": ("add", (2,)),
    "mul": ("mul", (0, 1)),
    "maximum": ("maximum", (0, 1)),
    "minimum": ("minimum", (0, 1)),
    "and": ("and", (0, 1)),
    "or": ("or", (0, 1)),
    "xor": ("xor", (0, 1)),
}


class Unsupported(Exception):
    """Why a loop cannot run in lanes; the text is for a report."""


def operands(e: Expr) -> tuple[Expr, ...]:
    """The expressions that ``e`` is made of."""
    if isinstance(e, Op):
        return e.args
    if isinstance(e, Load):
        return (e.index,) if e.mask is None else (e.index, e.mask)
    return ()


def post_order(root: Expr, done: dict[int, Any]) -> Iterator[Expr]:
    """The nodes below and including ``root`` whose id is not in ``done``, operands first.

    Each is entered into ``done`` as it is given out; the caller may put its own value there.
    """
    stack = [root]
    while stack:
        node = stack[-1]
        if id(node) in done:
            stack.pop()
            continue
        pending = [a for a in operands(node) if id(a) not in done]
        if pending:
            stack.extend(reversed(pending))
            continue
        stack.pop()
        done[id(node)] = None
        yield node


def statement_expressions(s: Stmt) -> tuple[Expr, ...]:
    """The expressions that ``s`` itself evaluates, not those of statements within it."""
    if isinstance(s, Let | Local | Assign):
        return (s.value,)
    if isinstance(s, Store):
        return (s.index, s.value) if s.mask is None else (s.index, s.value, s.mask)
    if isinstance(s, For):
        return (s.start, s.stop, s.step)
    if isinstance(s, While | If | Choose):
        return (s.condition,)
    if isinstance(s, Part | Advance):
        return (s.offset,)
    if isinstance(s, Best):
        return (s.value, s.index)
    if isinstance(s, Prefetch):
        return (s.index,)
    if isinstance(s, Fail):
        return s.details
    return ()


#: What runs once, not for each lane.
_APART = While | Allocate | Cursor | Advance | Reload | Aligned | Call | Barrier


class Facts:
    """What varies in a vector loop, what it accumulates and what it writes to."""

    def __init__(self, loop: For) -> None:
        self.loop = loop
        self.stored: set[str] = set()
        self.bound: set[str] = {loop.var.name}
        #: Names that are bound in more than one place of the body.
        self.repeated: set[str] = set()
        self.outer_assigned: set[str] = set()
        self.families: dict[str, str] = {}
        self.best: dict[str, Best] = {}
        #: Affine int64 names of the body, with their multiple of the loop's variable.
        self.slopes: dict[str, Expr] = {loop.var.name: build.index(1)}
        self._varies: dict[int, bool] = {}
        self._collect()
        self.varying = self._fixpoint()
        self._accumulators()

    # -- names -------------------------------------------------------------------------

    def _collect(self) -> None:
        assigned: set[str] = set()
        for s in walk_statements(self.loop.body):
            if isinstance(s, Store):
                self.stored.add(s.buffer.name)
            elif isinstance(s, Let | Local | For):
                if s.var.name in self.bound:
                    self.repeated.add(s.var.name)
                self.bound.add(s.var.name)
            elif isinstance(s, Assign):
                assigned.add(s.var.name)
            elif isinstance(s, Best):
                assigned.update((s.var.name, s.where.name))
            elif isinstance(s, _APART):
                raise Unsupported(f"a {type(s).__name__} cannot run in lanes")
        self.outer_assigned = assigned - self.bound

    def _fixpoint(self) -> set[str]:
        """The names whose values differ between lanes."""
        varying = {self.loop.var.name, *self.outer_assigned}

        def visit(body: Body, split: bool) -> None:
            for s in body:
                if isinstance(s, Let | Local | Assign):
                    if (split and isinstance(s, Assign)) or self._mentions(s.value, varying):
                        varying.add(s.var.name)
                elif isinstance(s, Best):
                    varying.update((s.var.name, s.where.name))
                elif isinstance(s, If):
                    inner = split or self._mentions(s.condition, varying)
                    visit(s.body, inner)
                    visit(s.orelse, inner)
                elif isinstance(s, For):
                    visit(s.body, split)

        before = -1
        while len(varying) != before:
            before = len(varying)
            self._varies = {}
            visit(self.loop.body, False)
        self._varies = {}
        return varying

    def _mentions(self, e: Expr, names: set[str]) -> bool:
        known = self._varies
        for node in post_order(e, known):
            if isinstance(node, Var):
                known[id(node)] = node.name in names
            else:
                known[id(node)] = any(known[id(a)] for a in operands(node))
        return known[id(e)]

    def varies(self, e: Expr) -> bool:
        """Whether ``e`` may differ between lanes."""
        known = self._varies.get(id(e))
        return self._mentions(e, self.varying) if known is None else known

    # -- accumulators ------------------------------------------------------------------

    def _accumulators(self) -> None:
        outer = self.outer_assigned
        for s in walk_statements(self.loop.body):
            read = {
                node.name
                for e in statement_expressions(s)
                for node in post_order(e, {})
                if isinstance(node, Var) and node.name in outer
            }
            if isinstance(s, Assign) and s.var.name in outer:
                name = s.var.name
                family = _family(s.value, name)
                if family is None or self.families.setdefault(name, family) != family:
                    raise Unsupported(f"{name!r} depends on earlier iterations")
                read.discard(name)
            elif isinstance(s, Best) and {s.var.name, s.where.name} & outer:
                if not {s.var.name, s.where.name} <= outer:
                    raise Unsupported("a Best with a variable of the body and one from outside")
                for name in (s.var.name, s.where.name):
                    if name in self.best:
                        raise Unsupported(f"{name!r} is assigned in several ways")
                    self.best[name] = s
            if read:
                raise Unsupported(f"{min(read)!r} is read before the loop is over")
        if self.best.keys() & self.families.keys():
            raise Unsupported("a variable is assigned in several ways")

    # -- indices -----------------------------------------------------------------------

    def bind(self, s: Let) -> None:
        """Note how the name of ``s`` grows with the loop's variable, from here on."""
        self.slopes.pop(s.var.name, None)
        if s.var.dtype == "int64":
            slope = self.slope(s.value)
            if slope is not None:
                self.slopes[s.var.name] = slope

    def slope(self, e: Expr) -> Expr | None:
        """The multiple of the loop's variable that ``e`` grows by, or None if it is not affine."""
        if not self.varies(e):
            return build.index(0)
        if isinstance(e, Var):
            return self.slopes.get(e.name)
        if not isinstance(e, Op) or e.dtype != "int64" or e.name not in ("add", "sub", "mul"):
            return None
        a, b = e.args
        if e.name == "mul":
            if self.varies(a):
                a, b = b, a
            inner = None if self.varies(a) else self.slope(b)
            return None if inner is None else build.mul(inner, a)
        left, right = self.slope(a), self.slope(b)
        if left is None or right is None:
            return None
        return build.op(e.name, left, right)


def _family(value: Expr, name: str) -> str | None:
    """How ``value`` accumulates onto the variable ``name``; None if it does not."""
    family: str | None = None
    while not _is(value, name):
        if not isinstance(value, Op):
            return None
        if value.name == "select":
            # Where nothing is added the variable stays as it is.
            inner = [a for a in value.args[1:] if not _is(a, name)]
            if len(inner) != 1 or _contains(value.args[0], name):
                return None
            value = inner[0]
            continue
        if value.name not in _ACCUMULATE:
            return None
        kind, places = _ACCUMULATE[value.name]
        found = [p for p, a in enumerate(value.args) if _contains(a, name)]
        if family not in (None, kind) or len(found) != 1 or found[0] not in places:
            return None
        family = kind
        value = value.args[found[0]]
    return family


def _is(e: Expr, name: str) -> bool:
    return isinstance(e, Var) and e.name == name


def _contains(e: Expr, name: str) -> bool:
    return any(_is(node, name) for node in post_order(e, {}))


def constant(e: Expr) -> int | None:
    """The number that a literal index is."""
    return int(e.value) if isinstance(e, Const) else None
