"""Layout: what the inputs and outputs of a scan are, and where those of its steps belong.

Step s = 0, 1, ... works at the *time* t = s, or, if the scan runs ``backwards``, at
t = n_steps - 1 - s.  Times are the rows of all arrays that have one row a step.

The inputs of a scan are, in this order (K is the largest lag of a state):

- ``n_steps``, an int64 scalar;
- the sequences, of at least n_steps + (largest tap) rows: a step gets row t + tap for each tap;
- the states' initial rows, K each: what lies before the first step, in the order of time.  That
  is times -K ... -1, or n_steps ... n_steps + K - 1 if it runs backwards;
- the non-sequences, of which every step gets the whole.

Its outputs are

- the states.  With ``history`` all of it, n_steps + K rows in the order of time: the initial rows
  (the first ones, or the last ones if it runs backwards) and those that the steps computed.
  Without, its K rows that were computed last, initial ones where there were fewer steps;
- what is *collected*: n_steps rows, in the order of time, of what steps compute and do not read;
- with ``until``, how many steps there were (an int64 scalar): all outputs have as many rows
  less as there were steps less than ``n_steps``.

The inner graph, which is one step, has the inputs: for each sequence a row for each tap, for each
state a row for each lag, the non-sequences; and the outputs: the new row of each state, what is
collected, and with ``until`` a boolean scalar that ends the loop after this step if it is true.
"""

from __future__ import annotations

from typing import NamedTuple


class Sequence(NamedTuple):
    """An array that steps read by rows: at time t the rows t + tap (taps are >= 0)."""

    taps: tuple[int, ...] = (0,)


class State(NamedTuple):
    """A value that steps compute from its own past: from what it was so many (>= 1) steps ago.

    ``history``: whether all of its rows are wanted, or only the last ones.
    """

    lags: tuple[int, ...] = (1,)
    history: bool = True

    @property
    def depth(self) -> int:
        """The number of initial rows: the largest lag."""
        return max(self.lags)


class Source(NamedTuple):
    """Where an inner input comes from.

    ``kind``: ``"sequence"``, ``"state"`` or ``"non_sequence"``, of which it is number
    ``entry``; ``outer`` is the scan's input.  ``offset`` is the tap or the lag (else 0).
    """

    kind: str
    entry: int
    outer: int
    offset: int


class Target(NamedTuple):
    """Where an inner output goes.

    ``kind``: ``"state"``, ``"collected"`` or ``"until"``, of which it is number ``entry``;
    ``outer`` is the scan's output (for ``"until"`` the number of steps).
    """

    kind: str
    entry: int
    outer: int


class Layout(NamedTuple):
    """How many of what a scan has: see the module's text."""

    sequences: tuple[Sequence, ...] = ()
    states: tuple[State, ...] = ()
    collected: int = 0
    non_sequences: int = 0
    until: bool = False
    backwards: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where each inner input comes from."""
        found: list[Source] = []
        outer = 1
        for k, sequence in enumerate(self.sequences):
            found.extend(Source("sequence", k, outer, tap) for tap in sequence.taps)
            outer += 1
        for k, state in enumerate(self.states):
            found.extend(Source("state", k, outer, lag) for lag in state.lags)
            outer += 1
        found.extend(Source("non_sequence", k, outer + k, 0) for k in range(self.non_sequences))
        return tuple(found)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where each inner output goes."""
        states = len(self.states)
        found = [Target("state", k, k) for k in range(states)]
        found += [Target("collected", k, states + k) for k in range(self.collected)]
        if self.until:
            found.append(Target("until", 0, states + self.collected))
        return tuple(found)

    @property
    def n_inputs(self) -> int:
        """The number of the scan's inputs."""
        return 1 + len(self.sequences) + len(self.states) + self.non_sequences

    @property
    def n_outputs(self) -> int:
        """The number of the scan's outputs."""
        return len(self.states) + self.collected + self.until

    def sequence_input(self, k: int) -> int:
        """The number of the scan's input that is sequence ``k``."""
        return 1 + k

    def state_input(self, k: int) -> int:
        """The number of the scan's input that has the initial rows of state ``k``."""
        return 1 + len(self.sequences) + k

    def first_of_state(self, k: int) -> int:
        """The number of the first inner input that is a row of state ``k``."""
        sequences = sum(len(s.taps) for s in self.sequences)
        return sequences + sum(len(s.lags) for s in self.states[:k])

    def non_sequence_input(self, k: int) -> int:
        """The number of the scan's input that is non-sequence ``k``."""
        return 1 + len(self.sequences) + len(self.states) + k

    def check(self) -> None:
        """ValueError if it makes no sense."""
        for k, sequence in enumerate(self.sequences):
            if not sequence.taps or min(sequence.taps) < 0:
                raise ValueError(f"sequence {k}: taps are >= 0, got {sequence.taps}")
        for k, state in enumerate(self.states):
            if not state.lags or min(state.lags) < 1:
                raise ValueError(f"state {k}: lags are >= 1, got {state.lags}")
        if self.until and self.backwards:
            raise ValueError("a scan that may end early runs forwards")
