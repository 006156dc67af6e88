"""What tells kernels apart, whatever they are called."""

from __future__ import annotations

from typing import Any

from croton.kernel.nodes import Const, Expr, Function, Load, Op, Stmt, Var


def structure(function: Function) -> str:
    """A text that two functions share if they are the same but for their names.

    It has the expressions one by one, each by the numbers of its operands, so it does not matter
    which of them are one object; and then the statements, by the numbers of theirs.
    """
    found = _Structure()
    body = [found.part(s) for s in function.body]
    return repr((function.buffers, [*map(found.part, function.sizes)], function.contract,
                 [*found.numbers], body))  # fmt: skip


class _Structure:
    def __init__(self) -> None:
        #: The number of each expression, by what it is.
        self.numbers: dict[tuple[Any, ...], int] = {}
        self._known: dict[int, int] = {}

    def part(self, value: Any) -> Any:
        """A statement, or what it holds."""
        if isinstance(value, Expr):
            return self._known.get(id(value)) or self.expression(value)
        if isinstance(value, Stmt):
            fields: tuple[str, ...] = type(value).__slots__
            return type(value).__name__, [self.part(getattr(value, f)) for f in fields]
        if type(value) is tuple:
            return [self.part(v) for v in value]
        return value

    def expression(self, root: Expr) -> int:
        """The number of an expression; its operands have theirs before."""
        known = self._known
        stack = [root]
        while stack:
            e = stack[-1]
            below: tuple[Expr, ...] = ()
            if isinstance(e, Op):
                below = e.args
            elif isinstance(e, Load):
                below = (e.index,) if e.mask is None else (e.index, e.mask)
            found = [known.get(id(a)) for a in below]
            if None in found:
                stack.extend([a for a, n in zip(below, found, strict=True) if n is None])
                continue
            stack.pop()
            key = (*_itself(e), *found)
            known[id(e)] = self.numbers.setdefault(key, len(self.numbers))
        return known[id(root)]


def _itself(e: Expr) -> tuple[Any, ...]:
    """What an expression is, but for its operands."""
    if isinstance(e, Op):
        return e.name, e.dtype, e.lanes, repr(e.attrs) if e.attrs else ""
    if isinstance(e, Load):
        return "", e.buffer, e.lanes
    if isinstance(e, Var):
        return e.name, e.dtype, e.lanes
    if isinstance(e, Const):
        # As text: true, 1 and 1.0 are equal in Python, and NaN is not equal to itself.
        return repr(e.value), e.dtype, e.lanes, None
    raise TypeError(f"{e!r} is no expression of the kernel language")
