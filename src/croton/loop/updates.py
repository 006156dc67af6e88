"""New values of shared variables, as a dictionary that adds up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from croton.graph.shared import SharedVariable


class OrderedUpdates(OrderedDict[SharedVariable, Any]):
    """Shared variables and their new values; ``+`` joins two without a common variable."""

    def __setitem__(self, key: SharedVariable, value: Any) -> None:
        if not isinstance(key, SharedVariable):
            raise TypeError(f"a key of OrderedUpdates is a shared variable, not {key!r}")
        super().__setitem__(key, value)

    def update(self, other: Any = None, **more: Any) -> None:
        """Add the items of ``other``; KeyError where a variable has another value already."""
        given: Iterable[tuple[Any, Any]] = ()
        if other is not None:
            given = other.items() if isinstance(other, Mapping) else other
        for key, value in given:
            if key in self and self[key] is not value:
                raise KeyError(f"{key} is updated twice")
            self[key] = value
        if more:
            raise TypeError(f"shared variables are no keywords: {', '.join(more)}")

    def __add__(self, other: Any) -> OrderedUpdates:
        result = OrderedUpdates()
        result.update(self)
        result.update(other)
        return result

    def __radd__(self, other: Any) -> OrderedUpdates:
        result = OrderedUpdates()
        result.update(other)
        result.update(self)
        return result
