"""Variable and Constant: the edges of the graph."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from croton.graph import trace

if TYPE_CHECKING:
    from croton.graph.apply import Apply
    from croton.graph.type import Type


class Variable:
    """A value in an expression: an input, or output ``index`` of the application ``owner``.

    ``made_at`` holds the places in the user's code that made it, innermost first.

    >>> import croton.tensor as T
    >>> x = T.dscalar("x")
    >>> y = -x
    >>> x.owner is None, y.owner.inputs, y.index
    (True, [x], 0)
    """

    __slots__ = ("__weakref__", "_tag", "index", "made_at", "name", "owner", "type")

    def __init__(
        self,
        type: Type,
        owner: Apply | None = None,
        index: int | None = None,
        name: str | None = None,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a variable is a string, got {name!r}")
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name
        self._tag: SimpleNamespace | None = None
        self.made_at = trace.user_frames() if owner is None else owner.made_at

    @property
    def tag(self) -> SimpleNamespace:
        """Room for notes of one's own; the compiler ignores it."""
        if self._tag is None:
            self._tag = SimpleNamespace()
        return self._tag

    def get_parents(self) -> list[Any]:
        """The application that computes this variable, in a list, or nothing."""
        return [] if self.owner is None else [self.owner]

    def clone(self) -> Variable:
        """A new variable of the same type and name that nothing computes."""
        return type(self)(self.type, name=self.name)

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if self.owner is not None:
            if len(self.owner.outputs) == 1:
                return f"{self.owner.op}.0"
            return f"{self.owner.op}.{self.index}"
        return f"<{self.type}>"

    def __repr__(self) -> str:
        return str(self)


class Constant(Variable):
    """A variable whose value ``data`` is known and never changes.

    >>> import croton.tensor as T
    >>> c = T.constant([1, 2])
    >>> c.data
    array([1, 2])
    """

    __slots__ = ("_signature", "data")

    def __init__(self, type: Type, data: Any, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self.data = data
        self._signature: Any = None

    @property
    def value(self) -> Any:
        """The value; do not write to it."""
        return self.data

    def signature(self) -> Any:
        """A hashable key: equal for constants of the same type and bits."""
        if self._signature is None:
            self._signature = (self.type, repr(self.data))
        return self._signature

    def clone(self) -> Constant:
        """A constant of the same value."""
        return type(self)(self.type, self.data, name=self.name)

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        text = str(self.data)
        if len(text) > 20:
            text = text[:8].split("\n")[0] + " ... " + text[-8:].split("\n")[-1]
        return f"{type(self).__name__}{{{text}}}"
