"""Loops that only hand on a value: ``fori_loop`` and ``while_loop``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.graph.apply import next_serial
from croton.loop.body import Body
from croton.loop.calling import call, place, result, settled
from croton.loop.given import GivenSequence, GivenState, sequence, state, tensor
from croton.loop.returned import Returned, boolean, until
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
    and shapes (a Python number takes the dtype that steps make of it).  Gradients flow through
    it, which takes memory for what ``val`` was in each step.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> y = croton.fori_loop(1, 4, lambda i, v: v * x + i, x)
    >>> y.eval({x: 2.0}), croton.grad(y, x).eval({x: 2.0})
    (array(27.), array(38.))
    """
    bounds = [_integer(v, what) for v, what in ((lower, "lower"), (upper, "upper"))]
    steps = sequence(arange(*bounds), 0, False)
    (i,) = steps.rows
    turn = _Turn(body_fun, init_val, [i], "i, val")
    if not turn.fed:
        return init_val
    found = turn.loop([steps], None, steps.steps, "fori_loop")
    return _put_together(init_val, found)


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    max_steps: Any = None,
) -> Any:
    """``val = body_fun(val)`` while ``cond_fun(val)`` holds, beginning with ``init_val``.

    ``val`` is a tensor, or tuples, lists and dicts of tensors; its parts keep their dtypes
    and shapes (a Python number takes the dtype that steps make of it).  ``max_steps`` ends the
    loop whatever the condition says.  Gradients flow through it only if that is given, because
    going back takes memory for each step; forward mode (:func:`croton.Rop`) needs nothing.

    >>> import croton, croton.tensor as T
    >>> n = T.lscalar("n")
    >>> odd = lambda v: T.switch(v % 2 > 0, 3 * v + 1, v // 2)
    >>> value, steps = croton.while_loop(
    ...     lambda val: val[0] > 1,
    ...     lambda val: (odd(val[0]), val[1] + 1),
    ...     (n, 0),
    ... )
    >>> steps.eval({n: 27})
    array(111)
    """
    bound = _ENDLESS if max_steps is None else _integer(max_steps, "max_steps")
    turn = _Turn(body_fun, init_val, [], "val")
    if not turn.fed:
        raise ValueError("while_loop needs a value to change")

    def holds(val: Any) -> Any:
        found = call(cond_fun, [val], lambda: "the cond_fun gets val")
        condition = result(found, "the condition of while_loop", cond_fun)
        return boolean(condition, "the condition of while_loop is")

    begins = holds(_put_together(init_val, turn.begins))
    ends = until(invert(holds(_put_together(init_val, turn.new))))
    steps = switch(begins, bound, np.int64(0))
    for_gradient = "none" if max_steps is None else "keep"
    found = turn.loop([], ends, steps, "while_loop", for_gradient)
    return _put_together(init_val, found)


class _Turn:
    """A body function and what it returned for a step's variables (beside ``more`` of them)."""

    def __init__(self, body_fun: Any, init_val: Any, more: list[Any], takes: str) -> None:
        self.body_fun = body_fun
        self.init_val = init_val
        self.more = more
        self.takes = takes
        self.own = list(more)
        self.mark = next_serial()
        self.new: list[Any] = []
        self.fed = settled([_part(v, k) for k, v in enumerate(_leaves(init_val))], self._step)

    @property
    def begins(self) -> list[Any]:
        """The parts of the value before the first step."""
        return [
            as_tensor_variable(v) if s is None or s.number is None else s.initial[0]
            for v, s in zip(_leaves(self.init_val), self.fed, strict=True)
        ]

    def _step(self, fed: list[GivenState | None]) -> list[Any]:
        rows = [row for s in fed if s is not None for row in s.rows]
        self.own = [*self.more, *rows]
        self.mark = next_serial()
        if rows:
            arguments = [*self.more, _put_together(self.init_val, rows)]
            found = call(self.body_fun, arguments, lambda: f"the body_fun gets {self.takes}")
            self.new = self._parts(found)
        return self.new

    def _parts(self, found: Any) -> list[Any]:
        if _structure(found) != _structure(self.init_val):
            raise TypeError(
                "body_fun must return what it is given (each * is a tensor), "
                f"{_told(self.init_val)}, got {_told(found)}" + place(self.body_fun)
            )
        parts = enumerate(_leaves(found))
        return [result(v, f"part {k} of what body_fun returns", self.body_fun) for k, v in parts]

    def loop(
        self,
        read: list[GivenSequence],
        ends: until | None,
        steps: Any,
        name: str,
        for_gradient: str = "keep",
    ) -> list[Any]:
        """The parts of the value after the last step."""
        body = Body(Returned(self.new, [], ends), read, self.fed, self.own, self.mark)
        found, _ = body.loop(steps, name, for_gradient=for_gradient, history=False)
        return [v[0] for v in found]


def _part(v: Any, number: int) -> GivenState | None:
    begun = state(tensor(v, f"part {number}") if v is None else v, number)
    if begun is None:
        return None
    return begun._replace(what=begun.what.replace("output", "part", 1))


def _integer(given: Any, what: str) -> Any:
    if isinstance(given, str):
        raise TypeError(f"{what} is an integer scalar, got {given!r}")
    v = as_tensor_variable(given)
    if v.type.ndim or v.type.dtype not in dtypes.INTEGERS:
        raise TypeError(f"{what} is an integer scalar, got {v} of type {v.type}")
    return v.astype("int64")


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
            filled = [fill(p) for p in part]
            return type(part)(*filled) if hasattr(part, "_fields") else type(part)(filled)
        return next(rest)

    return fill(like)


def _structure(value: Any) -> Any:
    return _put_together(value, ["*"] * len(_leaves(value)))


def _told(value: Any) -> str:
    return str(_structure(value)).replace("'*'", "*")
