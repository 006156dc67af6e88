"""Kernel expressions that are written as formulas.

A :class:`Term` wraps an expression so that Python's operators build kernel
operations; numbers become literals of the other side's dtype.  Products and
sums are marked ``exact``: the formulas here depend on where every rounding
falls, so a renderer must neither fuse nor reorder them.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel import build
from croton.kernel.nodes import Expr, Op
from croton.kernel.ops import RARE

EXACT = ("exact",)


class Format(NamedTuple):
    """The layout of a float dtype."""

    dtype: str
    integer: str  # the integer dtype of the same size
    mantissa: int  # stored bits
    bias: int

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def shifter(self) -> float:
        """Adding it rounds a small number to an integer, held in the low bits of the sum."""
        return 1.5 * 2.0**self.mantissa


FORMATS = {
    "float32": Format("float32", "int32", 23, 127),
    "float64": Format("float64", "int64", 52, 1023),
}


class Term:
    """An expression with operators; ``expr`` is what it stands for."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    @property
    def dtype(self) -> str:
        """The dtype of the expression."""
        return self.expr.dtype

    @property
    def format(self) -> Format:
        """The float layout of the expression's dtype."""
        return FORMATS[self.expr.dtype]

    def _other(self, value: Operand) -> Expr:
        if isinstance(value, Term):
            return value.expr
        return build.const(value, self.expr.dtype, self.expr.lanes)

    def _binary(self, name: str, other: Operand) -> Term:
        return Term(build.op(name, self.expr, self._other(other)))

    def _arithmetic(self, name: str, a: Expr, b: Expr) -> Term:
        result = build.op(name, a, b)
        if isinstance(result, Op) and result.dtype.startswith("float"):
            result.attrs = EXACT
        return Term(result)

    def __add__(self, other: Operand) -> Term:
        return self._arithmetic("add", self.expr, self._other(other))

    def __radd__(self, other: Operand) -> Term:
        return self._arithmetic("add", self._other(other), self.expr)

    def __sub__(self, other: Operand) -> Term:
        return self._arithmetic("sub", self.expr, self._other(other))

    def __rsub__(self, other: Operand) -> Term:
        return self._arithmetic("sub", self._other(other), self.expr)

    def __mul__(self, other: Operand) -> Term:
        return self._arithmetic("mul", self.expr, self._other(other))

    def __rmul__(self, other: Operand) -> Term:
        return self._arithmetic("mul", self._other(other), self.expr)

    def __truediv__(self, other: Operand) -> Term:
        return self._binary("div", other)

    def __rtruediv__(self, other: Operand) -> Term:
        return Term(build.op("div", self._other(other), self.expr))

    def __neg__(self) -> Term:
        return Term(build.op("neg", self.expr))

    def __abs__(self) -> Term:
        return Term(build.op("abs", self.expr))

    def __and__(self, other: Operand) -> Term:
        return self._binary("and", other)

    def __or__(self, other: Operand) -> Term:
        return self._binary("or", other)

    def __xor__(self, other: Operand) -> Term:
        return self._binary("xor", other)

    def __invert__(self) -> Term:
        return Term(build.op("not", self.expr))

    def __lshift__(self, other: int) -> Term:
        return self._binary("shl", other)

    def __rshift__(self, other: int) -> Term:
        return self._binary("shr", other)

    def __lt__(self, other: Operand) -> Term:
        return self._binary("lt", other)

    def __le__(self, other: Operand) -> Term:
        return self._binary("le", other)

    def __gt__(self, other: Operand) -> Term:
        return self._binary("gt", other)

    def __ge__(self, other: Operand) -> Term:
        return self._binary("ge", other)

    def equals(self, other: Operand) -> Term:
        """Lanes where both are the same number."""
        return self._binary("eq", other)

    def differs(self, other: Operand) -> Term:
        """Lanes where they are not the same number (NaN differs from everything)."""
        return self._binary("ne", other)

    def like(self, value: float) -> Term:
        """A literal of this term's dtype and lanes."""
        return Term(self._other(value))

    def cast(self, dtype: str) -> Term:
        """The value, converted."""
        return Term(build.cast(self.expr, dtype))

    def bits(self) -> Term:
        """The bits of a float, as a signed integer."""
        return Term(build.bitcast(self.expr, self.format.integer))

    def floats(self) -> Term:
        """The float whose bits this integer holds."""
        return Term(build.bitcast(self.expr, "float32" if self.dtype == "int32" else "float64"))


Operand = Term | float | int


def apply(name: str, *args: Term) -> Term:
    """Any operation of the table."""
    return Term(build.op(name, *(a.expr for a in args)))


def fma(a: Operand, b: Operand, c: Operand) -> Term:
    """``a * b + c``, rounded once."""
    first = next(x for x in (a, b, c) if isinstance(x, Term))
    return Term(build.op("fma", first._other(a), first._other(b), first._other(c)))


def select(condition: Term, a: Operand, b: Operand) -> Term:
    """``a`` where ``condition`` holds, else ``b``; at least one of them is a term."""
    first = a if isinstance(a, Term) else b
    assert isinstance(first, Term)
    return Term(build.select(condition.expr, first._other(a), first._other(b)))


def at_most(x: Term, limit: float) -> Term:
    """The smaller one; NaN stays NaN."""
    return select(x.like(limit) < x, limit, x)


def at_least(x: Term, limit: float) -> Term:
    """The larger one; NaN stays NaN."""
    return select(x.like(limit) > x, limit, x)


def copysign(magnitude: Term, sign: Term) -> Term:
    """``magnitude`` with the sign of ``sign``."""
    return apply("copysign", magnitude, sign)


def polynomial(x: Term, coefficients: tuple[float, ...], tail: Term | None = None) -> Term:
    """``c[0] + c[1] x + ...`` by Horner; ``tail`` continues it as a last coefficient."""
    rest = coefficients
    if tail is None:
        tail, rest = x.like(coefficients[-1]), coefficients[:-1]
    for c in reversed(rest):
        tail = fma(tail, x, c)
    return tail


def series(x: Term, square: Term, coefficients: tuple[float, ...]) -> Term:
    """:func:`polynomial`; a long one in two parts that do not wait for each other.

    The upper part is multiplied by ``x**8``, for which ``square = x * x`` is there.
    """
    if len(coefficients) < 14:
        return polynomial(x, coefficients)
    fourth = square * square
    upper = polynomial(x, coefficients[8:])
    return fma(upper, fourth * fourth, polynomial(x, coefficients[:8]))


def rare(condition: Term, slow: Term, fast: Term) -> Term:
    """``slow`` where ``condition`` holds, else ``fast``.

    It seldom holds in any lane: code for a CPU may test that, and jump over the
    evaluation of ``slow``.
    """
    arguments = (condition.expr, slow.expr, fast.expr)
    return Term(Op("select", arguments, fast.dtype, fast.expr.lanes, RARE))


def two_sum(a: Term, b: Term) -> tuple[Term, Term]:
    """``a + b`` rounded, and what rounding lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fast_two_sum(a: Term, b: Term) -> tuple[Term, Term]:
    """:func:`two_sum` of an ``a`` that is not smaller than ``b``."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Term, b: Operand) -> tuple[Term, Term]:
    """``a * b`` rounded, and what rounding lost."""
    product = a * b
    return product, fma(a, b, -product)
