"""``scan``: a loop written as a function of one step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import next_serial
from croton.graph.shared import SharedVariable
from croton.graph.traversal import graph_inputs, replace
from croton.graph.variable import Constant, Variable
from croton.loop.closing import default_updates, outside
from croton.loop.fitting import fit
from croton.loop.given import GivenSequence, GivenState, as_list, sequence, state
from croton.loop.inner import Inner
from croton.loop.layout import Layout, Sequence, State
from croton.loop.op import Scan
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
    - ``outputs_info`` has for each output None, if steps do not read it, or its initial state;
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
    >>> sums, _ = croton.scan(lambda x_t, total: total + x_t, x, T.constant(0.0, dtype="float64"))
    >>> sums.eval({x: [1.0, 2.0, 3.0]})
    array([1., 3., 6.])
    """
    if not callable(fn):
        raise TypeError(f"the first argument of scan is a function of one step, got {fn!r}")
    n_steps, turned = _as_steps(n_steps)
    backwards = bool(go_backwards) != turned
    read = [sequence(x, k, backwards) for k, x in enumerate(as_list(sequences))]
    infos = as_list(outputs_info)
    fed = [state(given, k) for k, given in enumerate(infos)]
    whole = [as_tensor_variable(v) for v in as_list(non_sequences)]
    if n_steps is None:
        n_steps = _fewest(read)
    own = [row for s in read for row in s.rows]
    own += [row for s in fed if s is not None for row in s.rows]
    mark = next_serial()
    returned = take_apart(fn(*own, *whole))
    if infos and len(infos) != len(returned.outputs):
        raise ValueError(
            f"the step function returned {len(returned.outputs)} outputs, but outputs_info tells "
            f"of {len(infos)}: give None for each output that steps do not read"
        )
    body = _Body(returned, read, fed or [None] * len(returned.outputs), own, mark)
    if strict:
        body.check_given(whole)
    return body.scan(n_steps, truncate_gradient, name, return_list)


def _as_steps(given: Any) -> tuple[Any, bool]:
    """The number of steps, if it is given, and whether it says to go the other way round."""
    if given is None or (isinstance(given, float) and not math.isfinite(given)):
        return None, False
    if isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool):
        if given != int(given):
            raise TypeError(f"n_steps is an integer, got {given!r}")
        return as_tensor_variable(np.int64(abs(int(given)))), bool(given < 0)
    v = as_tensor_variable(given)
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


class _Body:
    """A step that was taken apart: its states, what it collects, and what it takes from outside."""

    def __init__(
        self,
        returned: Returned,
        read: list[GivenSequence],
        fed: list[GivenState | None],
        own: list[Any],
        mark: int,
    ) -> None:
        self.read = read
        self.fed = fed
        self.own = own
        self.outputs = [
            new if given is None else fit(new, given.rows[0].type, given.what)
            for new, given in zip(returned.outputs, fed, strict=True)
        ]
        self.condition = None if returned.condition is None else returned.condition.boolean
        self.updates = [(_target(s, returned), new) for s, new in returned.updates]
        wanted = [*self._results(), *(_as_new(s, new) for s, new in self.updates)]
        defaults = default_updates(wanted, own, mark, self.updates)
        #: Those whose draws were made by the step function, which nobody else can advance.
        self.streams = {s for s, new in defaults if new.owner and new.owner.serial > mark}
        self.updates = [
            (s, fit(_as_new(s, new), s.type, f"the shared variable {s}"))
            for s, new in (*self.updates, *defaults)
        ]
        wanted = [*self._results(), *(new for _, new in self.updates)]
        self.outside = outside(wanted, own, mark, [s for s, _ in self.updates])

    def _results(self) -> list[Any]:
        return self.outputs if self.condition is None else [*self.outputs, self.condition]

    def check_given(self, whole: list[Any]) -> None:
        """ValueError if the step uses a shared variable that is not among ``whole``."""
        for v in graph_inputs([u for u in self.outside if u not in whole], whole):
            if isinstance(v, SharedVariable) and v not in whole:
                raise ValueError(
                    f"the step function uses the shared variable {v}, which is not among "
                    "non_sequences, as strict=True demands" + trace.describe(v.made_at)
                )

    def scan(
        self, n_steps: Any, truncate_gradient: int, name: str | None, return_list: bool
    ) -> tuple[Any, OrderedUpdates]:
        """The loop, and what it gives."""
        states = [(k, given) for k, given in enumerate(self.fed) if given is not None]
        collected = [k for k, given in enumerate(self.fed) if given is None]
        layout = Layout(
            tuple(Sequence(s.taps) for s in self.read),
            (
                *(State(given.lags) for _, given in states),
                *(State(history=False) for _ in self.updates),
            ),
            len(collected),
            len(self.outside),
            self.condition is not None,
        )
        shared = [s.type(s.name) for s, _ in self.updates]
        taken = [v.type(v.name) for v in self.outside]
        results = [
            *(self.outputs[k] for k, _ in states),
            *(new for _, new in self.updates),
            *(self.outputs[k] for k in collected),
            *([] if self.condition is None else [self.condition]),
        ]
        swaps = zip([*(s for s, _ in self.updates), *self.outside], [*shared, *taken], strict=True)
        inner = Inner([*self.own, *shared, *taken], replace(results, list(swaps)))
        op = Scan(inner, layout, name, truncate_gradient)
        found = op.make_node(
            n_steps,
            *(s.whole for s in self.read),
            *(given.initial for _, given in states),
            *(s.dimshuffle("x", *range(s.type.ndim)) for s, _ in self.updates),
            *self.outside,
        ).outputs
        outputs: list[Any] = [None] * len(self.fed)
        for place, (k, given) in enumerate(states):
            outputs[k] = found[place][max(given.lags) :]  # type: ignore[index]
        first = len(states) + len(self.updates)
        for place, k in enumerate(collected):
            outputs[k] = found[first + place]
        updates = OrderedUpdates()
        for place, (s, _) in enumerate(self.updates):
            updates[s] = found[len(states) + place][0]  # type: ignore[index]
            if s in self.streams:
                s.default_update = updates[s]
        if return_list or len(outputs) > 1:
            return outputs, updates
        return outputs[0] if outputs else None, updates


def _target(s: Any, returned: Returned) -> Any:
    if not isinstance(s, SharedVariable):
        raise TypeError(f"a step updates shared variables, not {s!r}")
    if sum(t is s for t, _ in returned.updates) > 1:
        raise ValueError(f"the shared variable {s} is updated twice")
    return s


def _as_new(s: Any, new: Any) -> Any:
    return new if isinstance(new, Variable) else s.type.make_constant(new)
