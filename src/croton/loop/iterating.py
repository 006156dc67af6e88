"""Loops that only hand on a value: ``fori_loop`` and ``while_loop``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import next_serial
from croton.loop.body import Body
from croton.loop.given import sequence, state
from croton.loop.returned import Returned, until
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import arange
from croton.tensor.elementwise import invert, switch

#: More steps than anybody waits for.
_ENDLESS = np.int64(2**62)


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Repeat ``val = body_fun(i, val)`` for i from ``lower`` to ``upper`` - 1.

    It begins with ``init_val`` and gives the last value.
    ``val`` is a tensor, or tuples, lists and dicts of tensors; its parts keep their dtypes
    and shapes.  Gradients flow through it, which takes memory for what ``val`` was in each step.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> y = croton.fori_loop(1, 4, lambda i, v: v * x + i, x)
    >>> y.eval({x: 2.0}), croton.grad(y, x).eval({x: 2.0})
    (array(27.), array(38.))
    """
    bounds = [_integer(v, what) for v, what in ((lower, "lower"), (upper, "upper"))]
    steps = sequence(arange(*bounds), 0, False)
    parts, fed, own = _taken_apart(init_val)
    (i,) = steps.rows
    mark = next_serial()
    new, _ = _new_value(body_fun(i, _put_together(init_val, own)), init_val)
    body = Body(Returned(new, [], None), [steps], fed, [i, *own], mark)
    found, _ = body.loop(steps.steps, "fori_loop", history=False)
    return _put_together(init_val, [v[0] for v in found]) if parts else init_val


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    max_steps: Any = None,
) -> Any:
    """``val = body_fun(val)`` while ``cond_fun(val)`` holds, beginning with ``init_val``.

    ``val`` is a tensor, or tuples, lists and dicts of tensors; its parts keep their dtypes
    and shapes.  ``max_steps`` ends the loop whatever the condition says.  Gradients flow through
    it only if that is given, because going back takes memory for each step; forward mode
    (:func:`croton.Rop`) needs nothing.

    >>> import croton, croton.tensor as T
    >>> n = T.lscalar("n")
    >>> odd = lambda v: T.switch(v % 2 > 0, 3 * v + 1, v // 2)
    >>> value, steps = croton.while_loop(
    ...     lambda val: val[0] > 1,
    ...     lambda val: (odd(val[0]), val[1] + 1),
    ...     (n, T.constant(0, dtype="int64")),
    ... )
    >>> steps.eval({n: 27})
    array(111)
    """
    parts, fed, own = _taken_apart(init_val)
    if not parts:
        raise ValueError("while_loop needs a value to change")
    bound = _ENDLESS if max_steps is None else _integer(max_steps, "max_steps")
    begins = until(cond_fun(_put_together(init_val, parts))).boolean
    mark = next_serial()
    new, value = _new_value(body_fun(_put_together(init_val, own)), init_val)
    ends = until(invert(until(cond_fun(value)).boolean))
    body = Body(Returned(new, [], ends), [], fed, own, mark)
    steps = switch(begins, bound, np.int64(0))
    for_gradient = "none" if max_steps is None else "keep"
    found, _ = body.loop(steps, "while_loop", for_gradient=for_gradient, history=False)
    return _put_together(init_val, [v[0] for v in found])


def _integer(given: Any, what: str) -> Any:
    v = as_tensor_variable(given)
    if v.type.ndim or v.type.dtype not in dtypes.INTEGERS:
        raise TypeError(f"{what} is an integer scalar, got {v} of type {v.type}")
    return v.astype("int64")


def _taken_apart(value: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """The tensors in a value, what a loop knows of them, and a step's variables for them."""
    parts = [as_tensor_variable(v) for v in _leaves(value)]
    fed = [state(v, k) for k, v in enumerate(parts)]
    fed = [None if s is None else s._replace(what=s.what.replace("output", "part", 1)) for s in fed]
    return parts, fed, [s.rows[0] for s in fed if s is not None]


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in _leaves(value[key])]
    if isinstance(value, tuple | list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def _put_together(like: Any, leaves: list[Any]) -> Any:
    """A value of the structure of ``like`` with other leaves."""
    rest = iter(leaves)

    def fill(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: filled for key, filled in ((k, fill(part[k])) for k in sorted(part))}
        if isinstance(part, tuple | list):
            return type(part)(fill(p) for p in part)
        return next(rest)

    return fill(like)


def _structure(value: Any) -> Any:
    return _put_together(value, ["*"] * len(_leaves(value)))


def _new_value(new: Any, like: Any) -> tuple[list[Any], Any]:
    """The leaves of what a step returned, and the value made of them; TypeError if it is unlike."""
    if _structure(new) != _structure(like):
        raise TypeError(
            f"body_fun must return what it is given, {_structure(like)}, got {_structure(new)}"
            + "".join(trace.describe(v.made_at) for v in _leaves(new)[:1] if hasattr(v, "made_at"))
        )
    leaves = [as_tensor_variable(v) for v in _leaves(new)]
    return leaves, _put_together(new, leaves)
