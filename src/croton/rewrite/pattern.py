"""The language that both sides of a rule are written in.

Patterns look like the expressions that they match: ``log(1 + x)`` with ``x = var("x")``.
A variable stands for anything, the same name for the same variable; a number for any
constant all of whose elements have that value, broadcast or not.  The commutative functions
match in either order.  An elementwise function also matches when it stands inside a
dimshuffle (which is how a tensor of lower rank enters an expression); its arguments are
then the rearranged ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Head = str | type

COMMUTATIVE = frozenset(("add", "mul", "maximum", "minimum", "and", "or", "xor", "eq", "ne"))


class Pattern:
    """What a rule looks for, or what it puts in its place."""

    __slots__ = ()

    def __add__(self, other: Any) -> Pattern:
        return App("add", (self, other))

    def __radd__(self, other: Any) -> Pattern:
        return App("add", (other, self))

    def __sub__(self, other: Any) -> Pattern:
        return App("sub", (self, other))

    def __rsub__(self, other: Any) -> Pattern:
        return App("sub", (other, self))

    def __mul__(self, other: Any) -> Pattern:
        return App("mul", (self, other))

    def __rmul__(self, other: Any) -> Pattern:
        return App("mul", (other, self))

    def __truediv__(self, other: Any) -> Pattern:
        return App("true_div", (self, other))

    def __rtruediv__(self, other: Any) -> Pattern:
        return App("true_div", (other, self))

    def __pow__(self, other: Any) -> Pattern:
        return App("pow", (self, other))

    def __neg__(self) -> Pattern:
        return App("neg", (self,))


class Var(Pattern):
    """Anything; with ``constant``, only a constant all of whose elements are equal."""

    __slots__ = ("constant", "name")

    def __init__(self, name: str, constant: bool = False) -> None:
        self.name = name
        self.constant = constant

    def __repr__(self) -> str:
        return self.name


class Number(Pattern):
    """A constant all of whose elements are ``value``."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{self.value:g}"


class App(Pattern):
    """An application: of the elementwise function or reduction ``head``, or an op of that class.

    ``args`` None: whatever the inputs.  ``rest``: more inputs may follow.  ``bind`` is the
    name under which the op itself is kept.
    """

    __slots__ = ("args", "bind", "head", "rest")

    def __init__(
        self,
        head: Head,
        args: Sequence[Any] | None = None,
        bind: str | None = None,
        rest: bool = False,
    ) -> None:
        self.head = head
        self.args = None if args is None else tuple(as_pattern(a) for a in args)
        self.bind = bind
        self.rest = rest or args is None

    def __repr__(self) -> str:
        head = self.head if isinstance(self.head, str) else self.head.__name__
        inner = ", ".join(map(repr, self.args or ())) + (", ..." if self.rest else "")
        return f"{head}({inner})"


class AnyOf(Pattern):
    """Any of several patterns, tried in order."""

    __slots__ = ("choices",)

    def __init__(self, *choices: Any) -> None:
        self.choices = tuple(as_pattern(c) for c in choices)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.choices))


class AllConstant(Pattern):
    """Any op whose inputs are constants."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "anything of constants"


def as_pattern(x: Any) -> Pattern:
    """Patterns and numbers as patterns."""
    if isinstance(x, Pattern):
        return x
    if isinstance(x, bool | int | float):
        return Number(x)
    raise TypeError(f"a pattern is made of variables, functions and numbers, got {x!r}")


def var(names: str) -> Any:
    """Variables that match anything: ``x, y = var("x y")``."""
    made = [Var(n) for n in names.split()]
    return made[0] if len(made) == 1 else made


def const(names: str) -> Any:
    """Variables that match constants all of whose elements are equal."""
    made = [Var(n, constant=True) for n in names.split()]
    return made[0] if len(made) == 1 else made


def op(head: Head, *args: Any, bind: str | None = None, rest: bool = False) -> App:
    """An application of an op of class ``head``; without arguments, whatever the inputs."""
    return App(head, args or None, bind, rest)


def _function(name: str) -> Callable[..., App]:
    def apply(*args: Any) -> App:
        return App(name, args)

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"A pattern of the elementwise function ``{name}``."
    return apply


abs_ = _function("abs")
clip = _function("clip")
eq = _function("eq")
erf = _function("erf")
erfc = _function("erfc")
exp = _function("exp")
expm1 = _function("expm1")
ge = _function("ge")
gt = _function("gt")
identity = _function("identity")
le = _function("le")
log = _function("log")
log1p = _function("log1p")
lt = _function("lt")
maximum = _function("maximum")
minimum = _function("minimum")
ne = _function("ne")
neg = _function("neg")
not_ = _function("invert")
reciprocal = _function("reciprocal")
sgn = _function("sgn")
sigmoid = _function("sigmoid")
softplus = _function("softplus")
sqr = _function("sqr")
sqrt = _function("sqrt")
switch = _function("switch")
tanh = _function("tanh")
and_ = _function("and")
or_ = _function("or")
xor = _function("xor")
int_div = _function("int_div")
mod = _function("mod")


def reduction(kind: str, x: Any, bind: str = "r") -> App:
    """A reduction of that kind (``"sum"``, ``"max"`` ...); its op is kept under ``bind``."""
    return App("reduce " + kind, (x,), bind)


def same(a: Pattern, b: Pattern) -> bool:
    """Whether two patterns are written alike."""
    return repr(a) == repr(b)


def variants(p: Pattern) -> Iterator[Pattern]:
    """The pattern with every order of commutative arguments and every choice spelled out."""
    if isinstance(p, AnyOf):
        for choice in p.choices:
            yield from variants(choice)
        return
    if not isinstance(p, App) or not p.args:
        yield p
        return
    for args in itertools.product(*map(variants, p.args)):
        yield App(p.head, args, p.bind, p.rest)
        if p.head in COMMUTATIVE and not same(*args):
            yield App(p.head, args[::-1], p.bind, p.rest)


Matcher = Callable[[Any, dict[str, Any], Any], bool]


def matcher(p: Pattern) -> Matcher:
    """A function ``(variable, bindings, context) -> bool`` for a pattern without choices."""
    if isinstance(p, Var):
        return _match_variable(p)
    if isinstance(p, Number):
        value = p.value

        def match_number(v: Any, bound: dict[str, Any], context: Any) -> bool:
            return bool(context.number(v) == value)

        return match_number
    if isinstance(p, App):
        return _match_application(p)
    raise TypeError(f"{p!r} cannot stand inside a pattern")


def _match_variable(p: Var) -> Matcher:
    name, constant = p.name, p.constant

    def match(v: Any, bound: dict[str, Any], context: Any) -> bool:
        if constant and context.number(v) is None:
            return False
        return bound.setdefault(name, v) is v

    return match


def _match_application(p: App) -> Matcher:
    head, bind, rest = p.head, p.bind, p.rest
    inner = None if p.args is None else [matcher(a) for a in p.args]
    arity = len(inner or ())

    def match(v: Any, bound: dict[str, Any], context: Any) -> bool:
        args = context.arguments(v, head)
        if args is None:
            return False
        if bind is not None and bound.setdefault(bind, v.owner.op) is not v.owner.op:
            return False
        if inner is None:
            return True
        if len(args) != arity and not (rest and len(args) > arity):
            return False
        return all(m(a, bound, context) for m, a in zip(inner, args, strict=False))

    return match
