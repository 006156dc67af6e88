"""Rule: one rewriting, as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from croton.graph import Apply, Variable
from croton.rewrite.pattern import Pattern

Replacement = Pattern | Callable[["Match"], Variable | Sequence[Variable | None] | None]


#: The group of rules that the others rely on: nothing switches them off.
ALWAYS = "always"


@dataclass(frozen=True)
class Rule:
    """Wherever ``pattern`` matches and ``when`` holds, ``replacement`` takes its place.

    The replacement is a pattern over the same variables, or a function of the
    :class:`Match` that gives a variable (for an op of several outputs a list), or None to
    decline.  ``note`` says what may change: rounding, or what happens to NaN, infinities and
    the sign of zero.
    """

    name: str
    pattern: Pattern
    replacement: Replacement
    group: str
    when: Callable[[Match], bool] | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"Rule({self.name})"


class Match:
    """Where a rule matched: the node, what the pattern's variables stand for, and the context.

    Variables of the pattern are attributes: ``m.x``.
    """

    __slots__ = ("bound", "context", "node")

    def __init__(self, node: Apply, bound: dict[str, Any], context: Any) -> None:
        self.node = node
        self.bound = bound
        self.context = context

    def __getattr__(self, name: str) -> Any:
        try:
            return self.bound[name]
        except KeyError:
            raise AttributeError(f"the pattern has no variable {name!r}") from None

    @property
    def out(self) -> Any:
        """The first output of the node."""
        return self.node.outputs[0]

    @property
    def op(self) -> Any:
        """The op of the node."""
        return self.node.op

    @property
    def inputs(self) -> Sequence[Any]:
        """The inputs of the node."""
        return self.node.inputs

    def sizes(self, v: Variable) -> tuple[Any, ...]:
        """The sizes of ``v`` as simplified int64 scalars; equal ones are the same variable."""
        return self.context.sizes(v)  # type: ignore[no-any-return]

    def simplified(self, v: Variable) -> Any:
        """An expression over variables of the graph, interned and simplified."""
        return self.context.simplified(v)

    def number(self, v: Variable) -> Any:
        """The number that every element of the constant ``v`` has, else None."""
        return self.context.number(v)

    def arguments(self, v: Variable, name: str) -> Sequence[Any] | None:
        """The arguments of the elementwise function ``name`` if that is what computes ``v``.

        Looks through a dimshuffle of it: the arguments are then rearranged.
        """
        return self.context.arguments(v, name)  # type: ignore[no-any-return]

    def function(self, v: Variable) -> tuple[str, Sequence[Any]]:
        """The elementwise function that computes ``v``, and its arguments; else ``""``.

        Looks through a dimshuffle, as :meth:`arguments`.
        """
        return self.context.function(v)  # type: ignore[no-any-return]
