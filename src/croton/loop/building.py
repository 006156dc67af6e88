"""Building scans piece by piece: what a step needs is asked for, and found again."""

from __future__ import annotations

from collections.abc import Sequence as Several
from typing import Any, NamedTuple

from croton.graph.variable import Variable
from croton.loop.inner import Inner
from croton.loop.layout import Layout, Sequence, State
from croton.tensor.type import TensorType


class Step(NamedTuple):
    """What makes a scan: the op's two arguments, and its inputs."""

    inner: Inner
    layout: Layout
    inputs: list[Any]


class Builder:
    """Collects what the step of a scan reads, then makes the scan of what it computes."""

    def __init__(self, n_steps: Any, backwards: bool = False) -> None:
        self.n_steps = n_steps
        self.backwards = backwards
        self._rows: dict[Variable, dict[int, Variable]] = {}
        self._states: list[tuple[Any, tuple[int, ...], bool, list[Variable]]] = []
        self._whole: dict[Variable, Variable] = {}

    def row(self, array: Any, tap: int) -> Any:
        """The step's variable for the row t + tap of ``array``."""
        taps = self._rows.setdefault(array, {})
        if tap not in taps:
            taps[tap] = _row_type(array)()
        return taps[tap]

    def state(self, initial: Any, lags: Several[int], history: bool) -> list[Any]:
        """The step's variables for what a state was so many steps ago."""
        rows: list[Any] = [_row_type(initial)() for _ in lags]
        self._states.append((initial, tuple(lags), history, rows))
        return rows

    def whole(self, v: Any) -> Any:
        """The step's variable for all of ``v``."""
        if v not in self._whole:
            self._whole[v] = v.type(v.name)
        return self._whole[v]

    def step(
        self,
        states: Several[Variable],
        collected: Several[Variable],
        until: Variable | None = None,
    ) -> Step:
        """The scan whose step makes these values of states, and collects these others."""
        rows = [r for taps in self._rows.values() for r in taps.values()]
        rows += [r for _, _, _, lagging in self._states for r in lagging]
        ends = [] if until is None else [until]
        inner = Inner([*rows, *self._whole.values()], [*states, *collected, *ends])
        layout = Layout(
            tuple(Sequence(tuple(taps)) for taps in self._rows.values()),
            tuple(State(lags, history) for _, lags, history, _ in self._states),
            len(collected),
            len(self._whole),
            until is not None,
            self.backwards,
        )
        starts = [initial for initial, _, _, _ in self._states]
        return Step(inner, layout, [self.n_steps, *self._rows, *starts, *self._whole])


def _row_type(array: Any) -> TensorType:
    return TensorType(array.type.dtype, array.type.shape[1:])
