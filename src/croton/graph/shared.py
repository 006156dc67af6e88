"""SharedVariable: a variable whose value lives between calls."""

from __future__ import annotations

import copy
from typing import Any

from croton.graph.type import Type
from croton.graph.variable import Variable


class Container:
    """Holds a value.  A runtime may put its own container like this one in its place.

    ``exposed``: others may have the value and change it; so it is once it was asked for.
    """

    __slots__ = ("_value", "exposed")

    def __init__(self, value: Any) -> None:
        self._value = value
        self.exposed = False

    @property
    def value(self) -> Any:
        """The value itself."""
        self.exposed = True
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value, if it has one."""
        return tuple(getattr(self._value, "shape", ()))

    def copy(self) -> Any:
        """A copy of the value."""
        return copy.deepcopy(self._value)


class SharedVariable(Variable):
    """A variable with a value that functions read and may update.

    ``container.value`` is the value.  ``default_update``, if set, is the
    expression that every function using the variable applies after a call.

    >>> import croton
    >>> w = croton.shared([1.0, 2.0])
    >>> f = croton.function([], updates={w: w * 2})
    >>> f()
    >>> w.get_value()
    array([2., 4.])
    """

    __slots__ = ("container", "default_update")

    def __init__(self, type: Type, value: Any, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self.container: Any = Container(value)
        self.default_update: Variable | None = None

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """The value: a copy, or with ``borrow`` the very storage, which later calls may change."""
        return self.container.value if borrow else self.container.copy()

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Set the value; without ``borrow`` it is copied.  TypeError if it is of another type."""
        value = self.type.filter(new_value)
        if not borrow and value is new_value:
            value = copy.deepcopy(value)
        self.container.value = value
        # What was handed out before is no longer ours.
        self.container.exposed = borrow

    def clone(self) -> SharedVariable:
        """Another variable on the same container."""
        other = type(self)(self.type, None, name=self.name)
        other.container = self.container
        other.default_update = self.default_update
        return other
