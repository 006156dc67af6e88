"""``scan``: a loop written as a function of one step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from croton.graph.apply import next_serial
from croton.graph.variable import Constant
from croton.loop.body import Body
from croton.loop.calling import call, place, settled
from croton.loop.given import GivenSequence, GivenState, as_list, sequence, state, tensor
from croton.loop.returned import Returned, take_apart
from croton.loop.updates import OrderedUpdates
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import minimum


def scan(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: bool | None = None,
    strict: bool = False,
    return_list: bool = False,
) -> tuple[Any, OrderedUpdates]:
    """Call ``fn`` for one step and repeat what it does; ``(outputs, updates)``.

    ``fn`` gets a row of each of ``sequences``, what outputs were in earlier steps, and
    ``non_sequences``; it returns its outputs and, if it likes, updates of shared variables and
    :class:`until`.  An output of the scan has what that of the step was in each of them, stacked.

    - A sequence is a tensor, or ``dict(input=x, taps=[-1, 0])``: step s gets ``x[s - 1]`` and
      ``x[s]`` (counted so that the first step has all of its taps).
    - ``outputs_info`` has for each output None, if steps do not read it, or its initial state
      (a Python number takes the dtype that steps make of it, for which ``fn`` may be called again);
      ``dict(initial=h, taps=[-3, -1])`` gives steps what it was 3 steps and 1 step ago, and
      ``h`` has a row for each of the 3 steps before the first.  Without ``outputs_info`` no
      output is read.
    - ``n_steps`` is a number or an integer scalar; without it there are as many steps as the
      shortest sequence has rows for.  A negative number is a loop backwards.
    - ``go_backwards``: sequences are read from their ends.
    - ``truncate_gradient``: how many steps gradients flow back through (-1: all of them).
    - ``strict``: all shared variables that ``fn`` uses must be among ``non_sequences``;
      otherwise what it uses is found.

    ``updates`` has the final values of shared variables that steps update, random states among
    them: give them to :func:`croton.function`.  With ``return_list`` the outputs are a list
    even if there is one; without outputs they are None.
    ``mode``, ``profile`` and ``allow_gc`` are Theano's and mean nothing here: a loop is compiled
    with the function that it is a part of.

    TypeError and ValueError where the arguments or what ``fn`` returns make no sense, with the
    line inside ``fn``.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> sums, _ = croton.scan(lambda x_t, total: total + x_t, x, 0)
    >>> sums.eval({x: [1.0, 2.0, 3.0]})
    array([1., 3., 6.])
    """
    return repeat(
        fn, sequences, outputs_info, non_sequences, n_steps, truncate_gradient, go_backwards,
        name, strict, return_list, "keep",
    )  # fmt: skip


def repeat(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any,
    n_steps: Any,
    truncate_gradient: int,
    go_backwards: bool,
    name: str | None,
    strict: bool,
    return_list: bool,
    for_gradient: str,
) -> tuple[Any, OrderedUpdates]:
    """:func:`scan`; ``for_gradient`` is the op's argument of this name."""
    if not callable(fn):
        raise TypeError(f"the first argument of scan is a function of one step, got {fn!r}")
    n_steps, turned = as_steps(n_steps)
    backwards = bool(go_backwards) != turned
    read = [sequence(x, k, backwards) for k, x in enumerate(as_list(sequences))]
    begins = [state(given, k) for k, given in enumerate(as_list(outputs_info))]
    whole = [tensor(v, f"non-sequence {k}") for k, v in enumerate(as_list(non_sequences))]
    if n_steps is None:
        n_steps = _fewest(read)
    step = _Step(fn, read, whole)
    fed = settled(begins, step)
    body = Body(
        step.returned, read, fed or [None] * len(step.returned.outputs), step.own, step.mark
    )
    if strict:
        body.check_given(whole)
    found, updates = body.loop(n_steps, name, truncate_gradient, for_gradient)
    outputs = [
        v if given is None else v[max(given.lags) :]
        for v, given in zip(found, body.fed, strict=True)
    ]
    if return_list or len(outputs) > 1:
        return outputs, updates
    return outputs[0] if outputs else None, updates


class _Step:
    """A step function, called with variables for what a step gets: the call that was the last."""

    returned: Returned
    own: list[Any]
    mark: int

    def __init__(self, fn: Callable[..., Any], read: list[GivenSequence], whole: list[Any]) -> None:
        self.fn = fn
        self.read = read
        self.whole = whole

    def __call__(self, fed: list[GivenState | None]) -> list[Any]:
        """The outputs of a step, as many as there are in ``fed`` (if there are any)."""
        self.own = [row for s in self.read for row in s.rows]
        self.own += [row for s in fed if s is not None for row in s.rows]
        self.mark = next_serial()
        result = call(self.fn, [*self.own, *self.whole], lambda: self._gets(fed))
        self.returned = take_apart(result, place(self.fn))
        outputs = self.returned.outputs
        if fed and len(fed) != len(outputs):
            raise ValueError(
                f"the step function returned {len(outputs)} outputs, but outputs_info tells "
                f"of {len(fed)}: give None for each output that steps do not read" + place(self.fn)
            )
        return outputs if fed else []

    def _gets(self, fed: list[GivenState | None]) -> str:
        states = [s for s in fed if s is not None]
        parts = [(v, f"of sequence {k}") for k, s in enumerate(self.read) for v in s.rows]
        parts += [(v, f"what {s.what} was before") for s in states for v in s.rows]
        parts += [(v, f"non-sequence {k}") for k, v in enumerate(self.whole)]
        told = ", ".join(f"{text}" if v.name is None else f"{v} ({text})" for v, text in parts)
        return (
            f"a step gets {told or 'nothing'} (in this order: rows of sequences, what outputs with "
            "an initial state in outputs_info were before, non-sequences)"
        )


def begun(fn: Any, sequences: list[Any], infos: list[Any], non_sequences: Any) -> list[Any]:
    """``infos``, initial states, with tensors of the right dtype in the place of numbers."""
    if not any(type(_initial(info)) in (int, float) for info in infos):
        return infos
    read = [sequence(x, k, False) for k, x in enumerate(sequences)]
    step = _Step(fn, read, [as_tensor_variable(v) for v in as_list(non_sequences)])
    fed = settled([state(info, k) for k, info in enumerate(infos)], step)
    return [
        info if s is None or s.number is None else s.initial[0]
        for info, s in zip(infos, fed, strict=True)
    ]


def _initial(info: Any) -> Any:
    return info.get("initial") if isinstance(info, Mapping) else info


def as_steps(given: Any) -> tuple[Any, bool]:
    """The number of steps, if it is given, and whether it says to go the other way round."""
    if given is None or (isinstance(given, float) and not math.isfinite(given)):
        return None, False
    if isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool):
        if given != int(given):
            raise TypeError(f"n_steps is an integer, got {given!r}")
        return as_tensor_variable(np.int64(abs(int(given)))), bool(given < 0)
    if isinstance(given, str):
        raise TypeError(f"n_steps is an integer, got {given!r}")
    v = tensor(given, "n_steps")
    if v.type.ndim or v.type.dtype not in dtypes.INTEGERS:
        raise TypeError(f"n_steps is an integer scalar, got {v} of type {v.type}")
    if isinstance(v, Constant):
        return as_tensor_variable(np.int64(abs(int(v.data)))), int(v.data) < 0
    return v.astype("int64"), False


def _fewest(read: list[GivenSequence]) -> Any:
    """As many steps as all sequences are long enough for."""
    if not read:
        raise ValueError("scan needs n_steps, or a sequence to go through")
    steps = read[0].steps
    for s in read[1:]:
        if s.steps is not steps:
            steps = minimum(steps, s.steps)
    return steps
