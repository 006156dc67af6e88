"""Scans put together anew: from some of the parts of one, or from those of several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from croton.graph import Apply, Variable
from croton.graph.traversal import replace
from croton.loop.building import Builder
from croton.loop.fitting import promise
from croton.loop.op import Scan
from croton.rewrite.intern import Table
from croton.tensor.indexing.columns import Columns


class Key(NamedTuple):
    """What makes a state: where it starts, and how far a step looks back."""

    initial: Variable
    lags: tuple[int, ...]
    kind: Any


class StatePart(NamedTuple):
    """State ``k`` of the scan ``node``."""

    node: Apply
    k: int

    @property
    def key(self) -> Key:
        """What states that may be one have in common."""
        layout = self._op.layout
        row = self._op.inner.inputs[layout.first_of_state(self.k)]
        state = layout.states[self.k]
        return Key(self.node.inputs[layout.state_input(self.k)], state.lags, row.type)

    @property
    def _op(self) -> Any:
        return self.node.op

    @property
    def rows(self) -> Sequence[Variable]:
        """The step's inputs that are rows of it."""
        inputs: Sequence[Variable] = self._op.inner.inputs
        first = self._op.layout.first_of_state(self.k)
        return inputs[first : first + len(self._op.layout.states[self.k].lags)]

    @property
    def new(self) -> Variable:
        """What a step makes of it."""
        return self._op.inner.outputs[self.k]  # type: ignore[no-any-return]

    @property
    def result(self) -> Variable:
        """The scan's output."""
        return self.node.outputs[self.k]


class Assembled:
    """A scan of states and collected values that other scans have, each once.

    ``states`` go by classes: those of one class are the same.  ``wanted`` are the results (of
    states and collected) that are handed out.  Only inputs of steps that are ``used`` are bound,
    if that is given.  Of the states ``only_last`` the last rows are handed out, of others what
    was.  A step reads rows of the sequences ``instead`` of computing these variables, and those
    that are ``fixed``, the same in every step, it takes from outside.  What of its sequences are
    ``columns`` it reads with the rows of these.
    """

    def __init__(
        self,
        nodes: Sequence[Apply],
        classes: Sequence[Sequence[StatePart]],
        wanted: Iterable[Variable],
        used: Collection[Variable] | None = None,
        only_last: Collection[StatePart] = (),
        instead: Mapping[Variable, Variable] | None = None,
        fixed: Mapping[Variable, Variable] | None = None,
        columns: Mapping[Variable, Columns] | None = None,
    ) -> None:
        self.nodes = nodes
        self.steps = _apart(nodes)
        self.classes = classes
        self.wanted = set(wanted)
        self.used = used
        self.only_last = only_last
        self.instead = instead or {}
        self.fixed = fixed or {}
        self.columns = columns or {}
        first: Any = nodes[0]
        self.layout = first.op.layout
        self.builder = Builder(first.inputs[0], self.layout.backwards)
        self.rows: list[list[Any]] = []
        self.mapping: dict[Variable, Variable] = {}
        self.table = Table()
        self._inside: dict[Variable, Variable] = {}
        self._bind()
        self.news = [
            [self.inside(self.steps[part.node].outputs[part.k]) for part in parts]
            for parts in classes
        ]

    def _bind(self) -> None:
        for parts in self.classes:
            history = any(self.has_history(part) for part in parts)
            key = parts[0].key
            rows = self.builder.state(key.initial, key.lags, history)
            self.rows.append(rows)
            for part in parts:
                op: Any = part.node.op
                first = op.layout.first_of_state(part.k)
                own = self.steps[part.node].inputs[first : first + len(rows)]
                self.mapping.update(zip(own, rows, strict=True))
        for node in self.nodes:
            op = node.op
            for source, v in zip(op.layout.sources, self.steps[node].inputs, strict=True):
                outer = node.inputs[source.outer]
                if v in self.columns:
                    of = self.columns[v]
                    row = self.builder.row(of.array, source.offset)
                    self.mapping[v] = row[:, of.start : of.stop]
                    continue
                if self.used is not None and v not in self.used:
                    continue
                if source.kind == "sequence":
                    self.mapping[v] = self.builder.row(outer, source.offset)
                elif source.kind == "non_sequence":
                    self.mapping[v] = self.builder.whole(outer)

        for v, outer in self.fixed.items():
            self.mapping[v] = self.builder.whole(outer)
        for v, sequence in self.instead.items():
            self.mapping[v] = self.builder.row(sequence, 0)

    def has_history(self, part: StatePart) -> bool:
        """Whether all rows of a state are wanted."""
        op: Any = part.node.op
        if part in self.only_last:
            return False
        return op.layout.states[part.k].history and part.result in self.wanted

    def inside(self, v: Variable) -> Variable:
        """The value of a step of one of the scans, in the new step; equal ones are the same."""
        if v not in self._inside:
            results = [r for step in self.steps.values() for r in step.outputs]
            results = [r for r in dict.fromkeys((v, *results)) if r not in self._inside]
            moved = replace(results, self.mapping)
            self._inside.update(zip(results, map(self.table.adopt, moved), strict=True))
        return self._inside[v]

    def condition(self, node: Apply) -> Variable:
        """What ends the scan ``node``, in the new step."""
        return self.inside(self.steps[node].outputs[-1])

    def make(self, extra: Sequence[Variable] = ()) -> dict[Variable, Variable]:
        """The new scan; for each of the old results that are wanted, what it is now.

        Variables of steps that are ``extra`` are collected as well.
        """
        collected: dict[Variable, list[Variable]] = {}
        for v in extra:
            collected.setdefault(self.inside(v), []).append(v)
        for node in self.nodes:
            op: Any = node.op
            for target, v in zip(op.layout.targets, self.steps[node].outputs, strict=True):
                result = node.outputs[target.outer]
                if target.kind == "collected" and result in self.wanted:
                    collected.setdefault(self.inside(v), []).append(result)
        until = self.condition(self.nodes[0]) if self.layout.until else None
        news = [
            promise(new[0], rows[0].type) for new, rows in zip(self.news, self.rows, strict=True)
        ]
        step = self.builder.step(news, list(collected), until)
        name = next((n.op.name for n in self.nodes if n.op.name), None)  # type: ignore[attr-defined]
        made = Scan(step.inner, step.layout, name).make_node(*step.inputs).outputs
        found: dict[Variable, Variable] = {}
        for k, parts in enumerate(self.classes):
            for part in parts:
                if part.result in self.wanted:
                    found[part.result] = self._rows(made[k], step.layout.states[k], part)
        for k, results in enumerate(collected.values(), len(self.classes)):
            found.update((result, made[k]) for result in results)
        if self.layout.until:
            counts = [node.outputs[-1] for node in self.nodes if node.outputs[-1] in self.wanted]
            found.update((count, made[-1]) for count in counts)
        return found

    def _rows(self, made: Any, state: Any, part: StatePart) -> Any:
        """What a scan had of a state, from what the new one has."""
        if state.history == self.has_history(part):
            return made
        return made[: state.depth] if self.layout.backwards else made[-state.depth :]


class _Step(NamedTuple):
    """The inputs and outputs of a step."""

    inputs: Sequence[Variable]
    outputs: Sequence[Variable]


def _apart(nodes: Sequence[Apply]) -> dict[Apply, _Step]:
    """The steps of scans, each with variables of its own: equal ones may be the same graph."""
    seen: set[Variable] = set()
    found: dict[Apply, _Step] = {}
    for node in nodes:
        inner: Any = node.op.inner  # type: ignore[attr-defined]
        inputs, outputs = inner.inputs, inner.outputs
        if not seen.isdisjoint(inputs):
            inputs = [v.type(v.name) for v in inner.inputs]
            outputs = inner.on(inputs)
        seen.update(inputs)
        found[node] = _Step(inputs, outputs)
    return found


def states_of(nodes: Iterable[Apply]) -> list[StatePart]:
    """All states of scans."""
    return [StatePart(node, k) for node in nodes for k in range(len(node.op.layout.states))]  # type: ignore[attr-defined]
