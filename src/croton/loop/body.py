"""Body: a step that was taken apart, and the loop that is made of it."""

from __future__ import annotations

from typing import Any

from croton.graph import trace
from croton.graph.shared import SharedVariable
from croton.graph.traversal import graph_inputs, replace
from croton.graph.variable import Constant, Variable
from croton.loop.closing import default_updates, outside
from croton.loop.fitting import fit
from croton.loop.given import GivenSequence, GivenState, tensor
from croton.loop.inner import Inner
from croton.loop.layout import Layout, Sequence, State
from croton.loop.op import Scan
from croton.loop.returned import Returned
from croton.loop.updates import OrderedUpdates
from croton.tensor.type import TensorType


class Body:
    """What a step function returned for its inputs ``own``, and what it takes from outside.

    ``read`` are the sequences, ``fed`` says of each output whether and how it is fed back;
    the function was called when applications had serial numbers above ``mark``.
    """

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

    def loop(
        self,
        n_steps: Any,
        name: str | None,
        truncate_gradient: int = -1,
        for_gradient: str = "keep",
        history: bool = True,
    ) -> tuple[list[Any], OrderedUpdates]:
        """What the scan gives for each output, with initial rows, and for shared variables.

        Without ``history`` it is the last rows of outputs that are fed back.
        """
        states = [(k, given) for k, given in enumerate(self.fed) if given is not None]
        collected = [k for k, given in enumerate(self.fed) if given is None]
        layout = Layout(
            tuple(Sequence(s.taps) for s in self.read),
            (
                *(State(given.lags, history) for _, given in states),
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
        op = Scan(inner, layout, name, truncate_gradient, for_gradient)
        found: Any = op.make_node(
            n_steps,
            *(s.whole for s in self.read),
            *(given.initial for _, given in states),
            *(s.dimshuffle("x", *range(s.type.ndim)) for s, _ in self.updates),
            *self.outside,
        ).outputs
        outputs: list[Any] = [None] * len(self.fed)
        first = len(states) + len(self.updates)
        for place, k in enumerate([*(k for k, _ in states), *collected]):
            outputs[k] = found[place if place < len(states) else first + place - len(states)]
        updates = OrderedUpdates()
        for (s, _), final in zip(self.updates, found[len(states) : first], strict=True):
            updates[s] = final[0]
            if s in self.streams:
                s.default_update = updates[s]
        return outputs, updates


def _target(s: Any, returned: Returned) -> Any:
    if not isinstance(s, SharedVariable):
        raise TypeError(f"a step updates shared variables, not {s!r}" + returned.place)
    if sum(t is s for t, _ in returned.updates) > 1:
        raise ValueError(f"the shared variable {s} is updated twice" + returned.place)
    return s


def _as_new(s: Any, new: Any) -> Any:
    if isinstance(new, Variable):
        return new
    if isinstance(s.type, TensorType):
        v = tensor(new, f"the new value of the shared variable {s}")
        if not isinstance(v, Constant):
            return v
    # A number takes the dtype of the variable.
    return s.type.make_constant(new)
