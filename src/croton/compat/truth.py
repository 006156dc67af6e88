"""The truth of a symbolic variable, by Theano's rule.

Programs for Theano ask ``if not W:`` whether they were given a variable.  There a variable is
true; only the result of a comparison has no truth, because ``if x < y:`` is a mistake.
Croton's own rule is that no variable has any.
"""

from __future__ import annotations

from typing import Any

from croton.tensor.variable import TensorOperators

_COMPARISONS = frozenset({"lt", "le", "gt", "ge"})
_strict = TensorOperators.__bool__


def _truth(variable: Any) -> bool:
    op = getattr(variable.owner, "op", None)
    return _strict(variable) if getattr(op, "name", None) in _COMPARISONS else True


def install() -> None:
    """Follow Theano's rule in this process."""
    TensorOperators.__bool__ = _truth  # type: ignore[method-assign, assignment]


def uninstall() -> None:
    """Follow Croton's rule again."""
    TensorOperators.__bool__ = _strict  # type: ignore[method-assign]
