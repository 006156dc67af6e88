"""Type: what values a variable may hold."""

from __future__ import annotations

from typing import Any

from croton.graph.variable import Constant, Variable


class Type:
    """The set of values that a variable may take; subclasses are compared by value."""

    variable_class: type[Variable] = Variable
    constant_class: type[Constant] = Constant

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """``value`` as this type holds it.

        With ``strict`` nothing is converted.  ``allow_downcast`` permits a loss
        of precision; None permits it only for Python floats to ``floatX``.
        Raises TypeError if the value does not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define filter()")

    def is_valid_value(self, value: Any) -> bool:
        """Whether :meth:`filter` accepts ``value`` as it stands."""
        try:
            self.filter(value, strict=True)
        except (TypeError, ValueError):
            return False
        return True

    def is_super(self, other: Type) -> bool:
        """Whether every value of ``other`` is one of this type."""
        return self == other

    def filter_variable(self, other: Variable) -> Variable:
        """``other`` as a variable of this type; TypeError if it cannot be one."""
        if not self.is_super(other.type):
            raise TypeError(f"expected a variable of type {self}, got {other} of type {other.type}")
        return other

    def make_variable(self, name: str | None = None) -> Variable:
        """A new variable of this type that nothing computes."""
        return self.variable_class(self, name=name)

    def make_constant(self, value: Any, name: str | None = None) -> Constant:
        """A constant of this type."""
        return self.constant_class(self, self.filter(value), name=name)

    def __call__(self, name: str | None = None) -> Any:
        """A new variable of this type."""
        return self.make_variable(name)

    def values_eq(self, a: Any, b: Any) -> bool:
        """Whether two values are the same."""
        return bool(a == b)

    def values_eq_approx(self, a: Any, b: Any) -> bool:
        """Whether two values are the same up to rounding."""
        return self.values_eq(a, b)
