"""Calling the function of a step, and saying where it is and what it should have taken."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.variable import Constant
from croton.loop.given import GivenState, state, tensor
from croton.tensor import dtypes
from croton.tensor.convert import constant


def place(fn: Any) -> str:
    """Where a function is written, as lines for an error message; nothing if nobody knows."""
    while isinstance(fn, partial) or hasattr(fn, "__wrapped__"):
        fn = fn.func if isinstance(fn, partial) else fn.__wrapped__
    fn = getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None) or getattr(type(fn).__call__, "__code__", None)
    if code is None:
        return ""
    return f"\nThe function of the step is here:\n  {trace.Frame(code, code.co_firstlineno)}"


def call(fn: Callable[..., Any], arguments: Sequence[Any], gets: Callable[[], str]) -> Any:
    """What ``fn`` returns; TypeError if it does not take ``arguments``, of which ``gets`` tells."""
    try:
        return fn(*arguments)
    except TypeError as error:
        wrong = _misfit(fn, arguments)
        if wrong is None:
            raise
        raise TypeError(f"{gets()}; the function takes {wrong}{place(fn)}") from error


def result(v: Any, what: str, fn: Any) -> Any:
    """``v``, which ``fn`` returned, as a tensor variable; TypeError if it is none."""
    try:
        return tensor(v, what)
    except TypeError as error:
        raise TypeError(f"{error}{place(fn)}") from None


def _misfit(fn: Any, arguments: Sequence[Any]) -> str | None:
    """What ``fn`` takes, and why that is not ``arguments``; None if it is."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return f"{signature}: {error}"
    return None


def settled(
    fed: list[GivenState | None], step: Callable[[list[GivenState | None]], list[Any]]
) -> list[GivenState | None]:
    """``fed``, numbers among it brought to the dtypes that ``step`` makes of them.

    ``step`` builds a step for states and gives its outputs.  A step that no dtypes fit is left
    to those who look at its outputs.
    """
    for _ in range(len(fed) + 1):
        new = step(fed)
        retyped = [_retyped(given, v, k) for k, (given, v) in enumerate(zip(fed, new, strict=True))]
        if all(a is b for a, b in zip(fed, retyped, strict=True)):
            break
        fed = retyped
    return fed


def _retyped(given: GivenState | None, new: Any, number: int) -> GivenState | None:
    if given is None or given.number is None or isinstance(new, Constant):
        return given
    dtype = new.type.dtype
    if dtype == given.rows[0].type.dtype:
        return given
    if dtype not in dtypes.FLOATS and np.array(given.number).astype(dtype) != given.number:
        return given
    begun = state(constant(given.number, dtype=dtype), number)
    return None if begun is None else begun._replace(number=given.number, what=given.what)
