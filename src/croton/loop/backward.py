"""The gradient of a scan: another scan, which runs the other way round.

At its time t stands what the step at time t had and gave.  Of each state that can be
differentiated it carries, for each lag, what its use that many steps later adds to its
gradient; of non-sequences the sum so far.  What a step gives to the gradient of a sequence is
collected.  Nothing is reversed: both loops read and write the same rows.

What is expensive to compute again of a step is collected on the way forwards, by a scan that
gives more than the first one and takes its place (:mod:`croton.loop.stash`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from croton.gradient.reverse import grad
from croton.graph import trace
from croton.graph.disconnected import NullType, disconnected, is_disconnected
from croton.graph.traversal import replace
from croton.graph.variable import Variable
from croton.loop.building import Builder
from croton.loop.cases import in_their_cases
from croton.loop.connection import live_targets, reached
from croton.loop.ends import split
from croton.loop.fitting import fit, promise
from croton.loop.inner import Inner
from croton.loop.layout import State
from croton.loop.stash import choose, needed
from croton.tensor import dtypes
from croton.tensor.creation import zeros_like
from croton.tensor.elementwise import minimum
from croton.tensor.indexing import inc_subtensor
from croton.tensor.shapes import Shape_i, known_size


def pull_back(
    op: Any, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]
) -> list[Any]:
    """The gradients by the inputs of a scan from those by its outputs."""
    return _Backward(op, inputs, outputs, gradients).results()


def _is_float(v: Any) -> bool:
    return v.type.dtype in dtypes.FLOATS


class _Backward:
    def __init__(
        self, op: Any, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]
    ) -> None:
        self.op, self.layout, self.inner = op, op.layout, op.inner
        self.inputs, self.outputs = inputs, outputs
        self.gradients = {
            k: g
            for k, (v, g) in enumerate(zip(outputs, gradients, strict=True))
            if _is_float(v) and not is_disconnected(g)
        }
        #: What comes in by the last rows of states: it comes as what is carried does.
        self.last: dict[int, Any] = {}
        for k, state in enumerate(self.layout.states):
            if k in self.gradients:
                self._split(k, state)
        steps = outputs[-1] if self.layout.until else inputs[0]
        #: How many of the first steps gradients do not flow back to (None: there are none).
        self.skipped: Any = None
        if op.truncate_gradient >= 0:
            self.skipped = steps - minimum(steps, op.truncate_gradient)
            steps = steps - self.skipped
        self.steps = steps
        self.builder = Builder(steps, not self.layout.backwards)
        #: What a step gets of the gradients, and of these what it carries, by inner input.
        self.coming: list[Any] = []
        self.carried: dict[int, Any] = {}
        self._cut: dict[Variable, Any] = {}

    def _split(self, k: int, state: State) -> None:
        """Take what the gradient by state ``k`` says of last rows from what it says of all."""
        before = self.inputs[self.layout.state_input(k)]
        if not state.history:
            self.last[k] = self.gradients.pop(k)
        elif not self.layout.backwards:
            whole, last = split(self.gradients.pop(k))
            if whole is not None:
                self.gradients[k] = whole
            if last is not None:
                # It came at the last step, the last of those that are carried into it.
                self.last[k] = (
                    last.dimshuffle("x", *range(last.type.ndim))
                    if state.depth == 1
                    else inc_subtensor(zeros_like(before)[-1], last)
                )

    def results(self) -> list[Any]:
        """For each of the scan's inputs the gradient, or a marker."""
        terms = self._terms()
        null = next((t for t in terms if t is not None and isinstance(t.type, NullType)), None)
        if null is not None:
            return [null if _is_float(v) else disconnected() for v in self.inputs]
        sums, rows, states = [], [], []
        for i, row in self.carried.items():
            term = zeros_like(row) if terms[i] is None else terms[i]
            states.append(fit(term, row.type, "the gradient by a state"))
        for i, (source, term) in enumerate(zip(self.layout.sources, terms, strict=True)):
            if term is not None and source.kind == "non_sequence":
                sums.append(i)
                states.append(self._sum(i, term))
            elif term is not None and source.kind == "sequence":
                rows.append(i)
        results = self._on_what_is_there([*states, *(terms[i] for i in rows)])
        name = f"gradient of {self.op.name}" if self.op.name else "gradient"
        step = self.builder.step(results[: len(states)], results[len(states) :])
        found = type(self.op)(step.inner, step.layout, name).make_node(*step.inputs).outputs
        given = dict(zip([*self.carried, *sums, *rows], found, strict=True))
        return [disconnected(), *(self._by_input(k, given) for k in range(1, len(self.inputs)))]

    # The step.

    def _terms(self) -> list[Any]:
        """For each inner input what a step adds to its gradient, or None."""
        inside = reached(self.inner)
        live = sorted(live_targets(self.inner, self.layout, {*self.gradients, *self.last}))
        useful = {i for j in live for i in inside[j]}
        known: dict[Variable, Any] = {}
        for j in live:
            parts = self._into(j, useful)
            self.coming += parts
            total = parts[0]
            for p in parts[1:]:
                total = total + p
            # A copy: what flows into the output from what is computed of it counts as well.
            known[self.inner.outputs[j].copy()] = total
        wanted = [v for v in self.inner.inputs if _is_float(v)]
        found: list[Any] = []
        if known:
            found = grad(
                None,
                wanted,
                known_grads=known,
                disconnected_inputs="ignore",
                return_disconnected="None",
                null_gradients="return",
            )
        by_variable = dict(zip(wanted, found, strict=bool(known)))
        return [by_variable.get(v) for v in self.inner.inputs]

    def _into(self, j: int, useful: Collection[int]) -> list[Any]:
        """What flows into inner output ``j``: from the scan's output, and from later steps."""
        v = self.inner.outputs[j]
        if j >= len(self.layout.states):
            return [promise(self._row(self.gradients[j], 0), v.type)]
        parts = []
        state = self.layout.states[j]
        if j in self.gradients:
            row = self._row(self.gradients[j], self._own_row(j))
            parts.append(promise(row, v.type))
        first = self.layout.first_of_state(j)
        for i, lag in enumerate(state.lags, first):
            from_outside = j in self.last and lag == state.depth
            if i in useful or from_outside:
                before = self.inputs[self.layout.state_input(j)][:lag]
                initial = self.last[j] if from_outside else zeros_like(before)
                (self.carried[i],) = self.builder.state(initial, (lag,), False)
                parts.append(promise(self.carried[i], v.type))
        return parts

    def _sum(self, i: int, term: Any) -> Any:
        """The sum of what steps have added to the gradient of a non-sequence."""
        whole = self.inputs[self.layout.sources[i].outer]
        initial = zeros_like(whole).dimshuffle("x", *range(whole.type.ndim))
        (row,) = self.builder.state(initial, (1,), False)
        self.coming.append(row)
        # Where sizes do not fit, the line that reads the non-sequence is to blame, not the loop's.
        with trace.made_by(term.made_at):
            return fit(row + term, row.type, f"the gradient by {whole}")

    # What is there of the way forwards.

    def _own_row(self, k: int) -> int:
        """The tap by which a step finds what it gave itself in the history of state ``k``."""
        return 0 if self.layout.backwards else self.layout.states[k].depth

    def _row(self, array: Any, tap: int) -> Any:
        """The step's variable for a row of ``array``, of the steps that gradients flow back to."""
        if self.skipped is not None:
            array = self._cut.setdefault(array, array[self.skipped :])
        return self.builder.row(array, tap)

    def _on_what_is_there(self, results: list[Any]) -> list[Any]:
        """``results`` as expressions of what the scan was given and what it has collected."""
        sources, inner, count = self.layout.sources, self.inner, len(self.layout.states)
        varying = [
            v
            for source, v in zip(sources, inner.inputs, strict=True)
            if source.kind != "non_sequence"
        ]
        again = self.op.for_gradient == "recompute"
        kept = [] if again else choose(results, varying, self.coming)
        used = needed(results, kept, inner.inputs)
        read = {
            source.entry
            for source, v in zip(sources, inner.inputs, strict=True)
            if source.kind == "state" and v in used
        }
        ready = {v: j for j, v in reversed(list(enumerate(inner.outputs)))}
        read |= {ready[v] for v in kept if ready.get(v, count) < count}
        extra = [v for v in kept if v not in ready]
        outputs = self._extended(read, extra)
        collected = count + self.layout.collected
        places = ready | {v: collected + k for k, v in enumerate(extra)}
        swaps: dict[Variable, Any] = {}
        for v in kept:
            j = places[v]
            row = self._row(outputs[j], self._own_row(j) if j < count else 0)
            swaps[v] = promise(row, v.type)
        for source, v in zip(sources, inner.inputs, strict=True):
            if v not in used:
                continue
            whole = self.inputs[source.outer]
            if source.kind == "non_sequence":
                given = self.builder.whole(whole)
            elif source.kind == "sequence":
                given = self._row(whole, source.offset)
            else:
                own = self._own_row(source.entry)
                tap = own + source.offset if self.layout.backwards else own - source.offset
                given = self._row(outputs[source.entry], tap)
            swaps[v] = promise(given, v.type)
        return replace(results, swaps)

    def _extended(self, read: Collection[int], extra: Sequence[Variable]) -> Sequence[Any]:
        """The outputs of the scan, with the history of the states ``read``, then ``extra``."""
        states = tuple(
            s._replace(history=s.history or k in read) for k, s in enumerate(self.layout.states)
        )
        if not extra and states == self.layout.states:
            return self.outputs
        outputs = list(self.inner.outputs)
        at = len(states) + self.layout.collected
        outputs[at:at] = in_their_cases(extra, self.inner.outputs)
        layout = self.layout._replace(states=states, collected=self.layout.collected + len(extra))
        op = type(self.op)(Inner(self.inner.inputs, outputs), layout, self.op.name)
        return op.make_node(*self.inputs).outputs  # type: ignore[no-any-return]

    # The results, as the scan's inputs are.

    def _by_input(self, outer: int, given: dict[int, Any]) -> Any:
        """The gradient by the scan's input ``outer``; ``given`` by inner input."""
        whole = self.inputs[outer]
        mine = [
            (source, given[i])
            for i, source in enumerate(self.layout.sources)
            if source.outer == outer and i in given
        ]
        kind = next(s.kind for s in self.layout.sources if s.outer == outer)
        if kind == "non_sequence":
            return mine[0][1][0] if mine else disconnected()
        if kind == "sequence":
            return self._by_sequence(whole, mine) if mine else disconnected()
        return self._by_initial(outer, whole, mine)

    def _by_sequence(self, x: Any, mine: list[Any]) -> Any:
        """What steps gave to the rows of ``x`` that they read, where these stand."""
        if len(mine) == 1 and mine[0][0].offset == 0 and self._has_a_row_a_step(x):
            return mine[0][1]
        total = zeros_like(x)
        for source, rows in mine:
            first = source.offset if self.skipped is None else self.skipped + source.offset
            total = inc_subtensor(total[first : first + self.steps], rows)
        return total

    def _has_a_row_a_step(self, x: Any) -> bool:
        if self.skipped is not None or self.layout.until:
            return False
        n = self.inputs[0]
        if isinstance(n.owner and n.owner.op, Shape_i):
            return n.owner.op.i == 0 and n.owner.inputs[0] is x
        return known_size(n) is not None and known_size(n) == x.type.shape[0]

    def _by_initial(self, outer: int, whole: Any, mine: list[Any]) -> Any:
        """What the first steps gave to the initial rows, and what came for these directly."""
        k = outer - self.layout.state_input(0)
        depth = self.layout.states[k].depth
        direct = self.gradients.get(k)
        if direct is None and not mine:
            return disconnected()
        if direct is None:
            total = zeros_like(whole)
        else:
            total = direct[self.inputs[0] :] if self.layout.backwards else direct[:depth]
        for source, rows in mine:
            lag = source.offset
            if self.skipped is not None:
                missing = minimum(self.skipped, lag)
                total = inc_subtensor(total[depth - lag + missing :], rows[: lag - missing])
            elif lag == depth:
                total = total + rows
            elif self.layout.backwards:
                total = inc_subtensor(total[:lag], rows)
            else:
                total = inc_subtensor(total[depth - lag :], rows)
        return total
