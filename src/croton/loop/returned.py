"""What a step function returns: outputs, updates of shared variables, a condition to end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from croton.graph import trace
from croton.graph.shared import SharedVariable
from croton.graph.variable import Variable
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import ne


class until:
    """Returned by a step function beside its outputs: the loop ends where ``condition`` holds.

    The step that finds it true is the last one, and counts.

    >>> import croton, croton.tensor as T
    >>> powers, _ = croton.scan(
    ...     lambda x: (2 * x, croton.loop.until(2 * x > 50)), outputs_info=T.constant(1), n_steps=99
    ... )
    >>> powers.eval()
    array([ 2,  4,  8, 16, 32, 64], dtype=int8)
    """

    def __init__(self, condition: Any) -> None:
        if isinstance(condition, str):
            raise TypeError(f"until takes a boolean scalar, got {condition!r}")
        self.condition = as_tensor_variable(condition)

    @property
    def boolean(self) -> Any:
        """The condition as a boolean scalar; TypeError if it is none."""
        return boolean(self.condition, "until takes")


def boolean(v: Any, says: str) -> Any:
    """``v`` as a boolean scalar; TypeError if it is none, which ``says`` who needs it."""
    if v.type.ndim or v.type.dtype not in dtypes.DISCRETE:
        raise TypeError(
            f"{says} a boolean scalar, got {v} of type {v.type}" + trace.describe(v.made_at)
        )
    return v if v.type.dtype == "bool" else ne(v, 0)


class Returned(NamedTuple):
    """A step's result, taken apart; ``place`` is where the step function is, for messages."""

    outputs: list[Any]
    updates: list[tuple[Any, Any]]
    condition: until | None
    place: str = ""


_FORMS = (
    "a step function returns its outputs (a variable or a list of them), updates (a dict or pairs "
    "of shared variables and expressions), and until(condition): any of them, in this order"
)


def take_apart(result: Any, place: str = "") -> Returned:
    """What a step function, which is at ``place``, returned; TypeError if that makes no sense."""
    parts = [result]
    if isinstance(result, tuple | list) and not _is_updates(result):
        if any(isinstance(p, until | Mapping | tuple | list) for p in result):
            parts = list(result)
    outputs: list[Any] | None = None
    updates: list[tuple[Any, Any]] | None = None
    condition: until | None = None
    for part in parts:
        if isinstance(part, until):
            if condition is not None:
                raise TypeError(f"until was returned twice; {_FORMS}{place}")
            condition = part
        elif _is_updates(part):
            if updates is not None:
                raise TypeError(f"updates were returned twice; {_FORMS}{place}")
            updates = list(part.items() if isinstance(part, Mapping) else part)
        elif isinstance(part, tuple | list) and not part and outputs is not None:
            continue  # no updates
        elif outputs is None:
            several = part if isinstance(part, tuple | list) else [part]
            outputs = [_output(v, place) for v in several]
        elif isinstance(part, tuple | list) and isinstance(part[0], SharedVariable):
            raise TypeError(
                "put a shared variable and its new value in a list, "
                f"[({part[0]}, ...)], or a dict; {_FORMS}{place}"
            )
        else:
            raise TypeError(f"outputs were returned twice; {_FORMS}{place}")
    return Returned(outputs or [], updates or [], condition, place)


def _is_updates(part: Any) -> bool:
    if isinstance(part, Mapping):
        return True
    return (
        isinstance(part, tuple | list)
        and len(part) > 0
        and all(isinstance(p, tuple | list) and len(p) == 2 for p in part)
        and any(isinstance(p[0], SharedVariable) for p in part)
    )


def _output(v: Any, place: str) -> Any:
    if not isinstance(v, Variable | int | float | np.ndarray | np.generic):
        raise TypeError(f"{v!r} cannot be an output of a step; {_FORMS}{place}")
    return as_tensor_variable(v)
