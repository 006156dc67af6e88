"""What index expressions are known to be multiples of."""

from __future__ import annotations

import math

from croton.kernel.nodes import (
    Assign,
    Best,
    Const,
    Expr,
    For,
    Function,
    Let,
    Local,
    Op,
    Var,
    walk_statements,
)


class Multiples:
    """For each name of a function a number that divides its every value (0: it is 0)."""

    def __init__(self, function: Function) -> None:
        self._names: dict[str, int] = {}
        changing: set[str] = set()
        for s in walk_statements(function.body):
            if isinstance(s, Local | Assign):
                changing.add(s.var.name)
            elif isinstance(s, Best):
                changing.update((s.var.name, s.where.name))
        for s in walk_statements(function.body):
            if isinstance(s, Let) and s.var.dtype == "int64":
                self._bind(s.var.name, self.of(s.value))
            elif isinstance(s, For):
                # A parallel loop starts wherever its share of the work does.
                steps = 1 if s.kind == "parallel" else math.gcd(self.of(s.start), self.of(s.step))
                self._bind(s.var.name, steps)
        self._names.update(dict.fromkeys(changing, 1))

    def _bind(self, name: str, factor: int) -> None:
        known = self._names.get(name)
        self._names[name] = factor if known is None else math.gcd(known, factor)

    def assume(self, name: str, factor: int) -> None:
        """From here on ``name`` is a multiple of ``factor``."""
        self._names[name] = factor

    def of(self, e: Expr) -> int:
        """A number that divides ``e`` whatever happens; 0 if ``e`` is 0."""
        if isinstance(e, Const):
            return abs(int(e.value))
        if isinstance(e, Var):
            return self._names.get(e.name, 1)
        if isinstance(e, Op) and e.name in ("add", "sub", "minimum", "maximum"):
            return math.gcd(*(self.of(a) for a in e.args))
        if isinstance(e, Op) and e.name == "mul":
            return math.prod(self.of(a) for a in e.args)
        return 1
