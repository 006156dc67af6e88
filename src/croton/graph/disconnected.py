"""Markers for gradients that are not numbers: disconnected, or undefined for a reason."""

from __future__ import annotations

from typing import Any

from croton.graph.type import Type
from croton.graph.variable import Variable


class DisconnectedType(Type):
    """The gradient with respect to what the cost does not depend on."""

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """Nothing is a value of this type."""
        raise TypeError("a disconnected gradient has no value")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(DisconnectedType)

    def __str__(self) -> str:
        return "DisconnectedType"


class NullType(Type):
    """A gradient that does not exist; ``why`` says why."""

    def __init__(self, why: str) -> None:
        self.why = why

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """Nothing is a value of this type."""
        raise TypeError(f"this gradient does not exist: {self.why}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NullType) and self.why == other.why

    def __hash__(self) -> int:
        return hash((NullType, self.why))

    def __str__(self) -> str:
        return f"NullType({self.why})"


def disconnected() -> Variable:
    """A new marker that says: the output does not depend on this input differentiably."""
    return DisconnectedType()()  # type: ignore[no-any-return]


def is_disconnected(v: Variable) -> bool:
    """Whether ``v`` is such a marker."""
    return isinstance(v.type, DisconnectedType)
