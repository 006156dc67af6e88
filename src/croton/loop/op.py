"""Scan: the op that repeats a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.variable import Constant
from croton.loop.backward import pull_back
from croton.loop.connection import pattern
from croton.loop.forward import push_forward
from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.loop.reference import run
from croton.loop.sizes import sizes_outside
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import eq, switch
from croton.tensor.shapes import as_size, known_size
from croton.tensor.type import TensorType

#: So many applications in Python, of some microseconds each, are not felt when compiling.
_FEW = 256


class Scan(Op):
    """Repeats ``inner``, the graph of a step, n_steps times.

    ``layout`` says what the inputs and outputs of both are (:mod:`croton.loop.layout`).
    ``name`` is for messages; gradients flow back through ``truncate_gradient`` steps (-1: all).
    ``for_gradient``: what is expensive in a step is collected for its gradient (``"keep"``), is
    computed again (``"recompute"``), or there is none (``"none"``: nobody knows beforehand how many
    steps there may be).  Of a ``lazy`` scan nothing is computed before it is known that there is
    a step.

    >>> import croton.tensor as T
    >>> from croton.loop.layout import State
    >>> x, total = T.dscalars("x total")
    >>> op = Scan(Inner([total, x], [total + x]), Layout(states=(State(),), non_sequences=1))
    >>> op(3, T.constant([10.0]), x).eval({x: 2.0})
    array([10., 12., 14., 16.])
    """

    __props__ = ("inner", "layout")
    loop = "scan"

    def __init__(
        self,
        inner: Inner,
        layout: Layout,
        name: str | None = None,
        truncate_gradient: int = -1,
        for_gradient: str = "keep",
        lazy: bool = False,
    ) -> None:
        layout.check()
        if not isinstance(truncate_gradient, int | np.integer) or truncate_gradient < -1:
            raise ValueError(
                f"truncate_gradient is a number of steps, or -1 for all, got {truncate_gradient!r}"
            )
        if len(inner.inputs) != len(layout.sources) or len(inner.outputs) != len(layout.targets):
            raise ValueError(
                f"a step with {len(inner.inputs)} inputs and {len(inner.outputs)} outputs does not "
                f"fit a layout with {len(layout.sources)} and {len(layout.targets)}"
            )
        _check_types(inner, layout)
        self.inner = inner
        self.layout = layout
        self.name = name
        self.truncate_gradient = truncate_gradient
        self.for_gradient = for_gradient
        self.lazy = lazy

    @property
    def inputs(self) -> list[Any]:
        """The step's inputs (Theano's name for them)."""
        return list(self.inner.inputs)

    @property
    def outputs(self) -> list[Any]:
        """The step's outputs (Theano's name for them)."""
        return list(self.inner.outputs)

    def make_node(self, *inputs: Any) -> Apply:
        """Inputs whose rows have the types of the step's inputs."""
        if len(inputs) != self.layout.n_inputs:
            raise ValueError(f"{self} takes {self.layout.n_inputs} inputs, got {len(inputs)}")
        given = [as_size(inputs[0]), *map(as_tensor_variable, inputs[1:])]
        for source, v in zip(self.layout.sources, self.inner.inputs, strict=True):
            outer = given[source.outer].type
            row = outer if source.kind == "non_sequence" else _row(outer)
            if row is None or not v.type.is_super(row):
                raise TypeError(
                    f"{self}: {source.kind.replace('_', '-')} {source.entry} is "
                    f"{given[source.outer]} of type {outer}, its step takes {v.type}"
                )
        return Apply(self, given, [t() for t in self._output_types(given)])

    def _output_types(self, given: Sequence[Any]) -> list[TensorType]:
        n = None if self.layout.until else known_size(given[0])
        types = []
        for target, v in zip(self.layout.targets, self.inner.outputs, strict=True):
            if target.kind == "until":
                types.append(TensorType("int64", ()))
                continue
            rows = n
            if target.kind == "state":
                # The initial rows are among those handed out, and say less of their sizes.
                v = self.inner.inputs[self.layout.first_of_state(target.entry)]
                state = self.layout.states[target.entry]
                rows = state.depth if not state.history else None if n is None else n + state.depth
            kind: Any = v.type
            types.append(TensorType(kind.dtype, (rows, *kind.shape)))
        return types

    def do_constant_folding(self, node: Apply) -> bool:
        """Whether it may be computed when compiling: a loop of a few steps, and none within."""
        steps = node.inputs[0]
        if self.layout.until or not isinstance(steps, Constant):
            return False
        short = int(steps.data) * len(self.inner.nodes) <= _FEW
        return short and not any(isinstance(n.op, Scan) for n in self.inner.nodes)

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """One step after the other."""
        results = run(self.layout, self.inner, inputs, str(self))
        for cell, result in zip(outputs, results, strict=True):
            cell[0] = result

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One row a step, and what was before the first one; a row's sizes are the step's."""
        steps: Any = node.outputs[-1] if self.layout.until else node.inputs[0]
        found: list[Any] = []
        for target, v in zip(self.layout.targets, self.inner.outputs, strict=True):
            if target.kind == "until":
                found.append(())
            elif target.kind == "collected":
                found.append((steps, *self._row_sizes(node, shapes, v)))
            else:
                state = self.layout.states[target.entry]
                rows = steps + state.depth if state.history else state.depth
                before = shapes[self.layout.state_input(target.entry)]
                found.append((rows, *before[1:]))
        return found

    def scalars(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The integers whose values a program must know before: how many steps there are."""
        return [node.inputs[0]]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[tuple[str, Any, Any, str]]:
        """What must hold of the sizes: sequences and initial rows are long enough."""
        n: Any = node.inputs[0]
        found: list[tuple[str, Any, Any, str]] = [("size", n, None, f"{self}: the number of steps")]
        for k, sequence in enumerate(self.layout.sequences):
            have = shapes[self.layout.sequence_input(k)][0]
            need = n + max(sequence.taps)
            need = need if max(sequence.taps) == 0 else switch(eq(n, 0), 0, need)
            found.append(("le", need, have, f"rows of sequence {k} that are needed and there"))
        for k, state in enumerate(self.layout.states):
            have = shapes[self.layout.state_input(k)][0]
            found.append(("eq", have, as_size(state.depth), f"rows that state {k} starts from"))
        return found

    def _row_sizes(self, node: Apply, shapes: Sequence[Any], v: Any) -> list[Any]:
        sizes, values = {}, {}
        for source, u in zip(self.layout.sources, self.inner.inputs, strict=True):
            whole = source.kind == "non_sequence"
            sizes[u] = shapes[source.outer] if whole else shapes[source.outer][1:]
            if whole:
                values[u] = node.inputs[source.outer]
        return sizes_outside(self.inner, v, sizes, values)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """As steps connect their inputs and outputs, through any number of them."""
        return pattern(self.inner, self.layout)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """A scan the other way round."""
        if self.for_gradient == "none":
            raise NotImplementedError(
                "going back through a loop takes memory for all of its steps, and this one may "
                "have any number: give while_loop max_steps, or differentiate forwards with Rop"
            )
        return pull_back(self, inputs, outputs, gradients)

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """A scan that carries changes beside the values."""
        return push_forward(self, inputs, directions)

    def pretty(self, node: Apply, args: list[str]) -> str:
        """For :func:`croton.pp`: the inputs, without the step."""
        return f"scan{str(self)[4:]}({', '.join(args)})"

    def __str__(self) -> str:
        return "Scan" if self.name is None else f"Scan{{{self.name}}}"


def _row(kind: Any) -> TensorType | None:
    if not isinstance(kind, TensorType) or not kind.ndim:
        return None
    return TensorType(kind.dtype, kind.shape[1:])


def _check_types(inner: Inner, layout: Layout) -> None:
    """TypeError if a state's new row cannot be the next step's old one."""
    for k in range(len(layout.states)):
        new: Any = inner.outputs[k]
        for source, v in zip(layout.sources, inner.inputs, strict=True):
            if source.kind == "state" and source.entry == k and not v.type.is_super(new.type):
                raise TypeError(
                    f"state {k}: a step takes {v.type} and gives {new.type}"
                    + trace.describe(new.made_at)
                )
    if layout.until and inner.outputs[-1].type != TensorType("bool", ()):
        raise TypeError(f"a step ends a scan by a boolean scalar, not {inner.outputs[-1].type}")
