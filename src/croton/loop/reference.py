"""The NumPy definition of a scan: a Python loop over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.variable import Variable
from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.loop.sizes import sizes_inside


def run(layout: Layout, inner: Inner, values: Sequence[Any], about: str) -> list[Any]:
    """The outputs of a scan; ``values`` are those of its inputs.

    ``about`` says in messages which scan it is.  ValueError for sequences that are too short,
    initial rows of another number than the lags need, and rows that change their shape.
    """
    return _Run(layout, inner, values, about).outputs()


class _Run:
    def __init__(self, layout: Layout, inner: Inner, values: Sequence[Any], about: str) -> None:
        self.layout = layout
        self.inner = inner
        self.values = values
        self.about = about
        self.wanted = int(values[0])
        self._check()
        count = len(layout.states)
        # What the steps have computed, the last step's last; states begin with what was before.
        self.states = [self._before(k) for k in range(count)]
        self.shapes = [rows[0].shape for rows in self.states]
        self.collected: list[list[Any]] = [[] for _ in range(layout.collected)]

    def _check(self) -> None:
        if self.wanted < 0:
            raise ValueError(f"{self.about}: {self.wanted} steps are less than none")
        for k, sequence in enumerate(self.layout.sequences):
            have = self.values[self.layout.sequence_input(k)].shape[0]
            need = self.wanted + max(sequence.taps)
            if self.wanted and have < need:
                raise ValueError(
                    f"{self.about}: sequence {k} has {have} rows, {self.wanted} steps need {need}"
                )
        for k, state in enumerate(self.layout.states):
            have = self.values[self.layout.state_input(k)].shape[0]
            if have != state.depth:
                raise ValueError(
                    f"{self.about}: state {k} starts from {have} rows, its lags "
                    f"{state.lags} need {state.depth}"
                )

    def _before(self, k: int) -> list[Any]:
        rows = [np.array(r) for r in self.values[self.layout.state_input(k)]]
        return rows[::-1] if self.layout.backwards else rows

    def _arguments(self, step: int) -> list[Any]:
        time = self.wanted - 1 - step if self.layout.backwards else step
        found = []
        for source in self.layout.sources:
            if source.kind == "sequence":
                found.append(self.values[source.outer][time + source.offset, ...])
            elif source.kind == "state":
                found.append(self.states[source.entry][-source.offset])
            else:
                found.append(self.values[source.outer])
        return found

    def _step(self, step: int) -> bool:
        """Whether it was the last one."""
        try:
            results = self.inner.run(self._arguments(step))
        except Exception as error:
            error.add_note(f"in step {step} of {self.about}")
            raise
        for target, result, v in zip(self.layout.targets, results, self.inner.outputs, strict=True):
            if target.kind == "until":
                return bool(result)
            if target.kind == "state":
                self._same(result, self.shapes[target.entry], f"state {target.entry}", step, v)
                self.states[target.entry].append(np.array(result))
            else:
                rows = self.collected[target.entry]
                if rows:
                    self._same(result, rows[0].shape, f"output {target.outer}", step, v)
                rows.append(np.array(result))
        return False

    def _same(self, result: Any, shape: tuple[int, ...], what: str, step: int, v: Variable) -> None:
        if result.shape != shape:
            raise ValueError(
                f"{self.about}: {what} changes its shape: expected {shape}, step {step} gave "
                f"{result.shape}" + trace.describe(v.made_at)
            )

    def outputs(self) -> list[Any]:
        """What the scan gives."""
        steps = 0
        for step in range(self.wanted):
            steps = step + 1
            if self._step(step):
                break
        found: list[Any] = []
        for k, state in enumerate(self.layout.states):
            rows = self.states[k] if state.history else self.states[k][-state.depth :]
            found.append(self._stack(rows, self.shapes[k], self.inner.outputs[k]))
        for k, rows in enumerate(self.collected):
            v = self.inner.outputs[len(self.states) + k]
            shape = rows[0].shape if rows else self._shape_without_steps(v)
            found.append(self._stack(rows, shape, v))
        if self.layout.until:
            found.append(np.array(steps, np.int64))
        return found

    def _stack(self, rows: list[Any], shape: tuple[int, ...], v: Any) -> Any:
        result = np.empty((len(rows), *shape), v.type.dtype)
        for k, row in enumerate(reversed(rows) if self.layout.backwards else rows):
            result[k] = row
        return result

    def _shape_without_steps(self, v: Variable) -> tuple[int, ...]:
        """The shape that a row would have, from those of the inputs."""
        arguments = []
        for source in self.layout.sources:
            value = self.values[source.outer]
            if source.kind == "sequence":
                arguments.append(np.zeros(value.shape[1:], value.dtype))
            else:
                arguments.append(value[0, ...] if source.kind == "state" else value)
        sizes = Inner(self.inner.inputs, sizes_inside(self.inner, v)).run(arguments)
        return tuple(map(int, sizes))
