"""RandomBits: uint32 tensors that are a function of a key, a step and the position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.graph.variable import Constant
from croton.kernel import build, philox
from croton.kernel.nodes import Expr
from croton.tensor.convert import as_tensor_variable
from croton.tensor.shapes import as_size, known_size
from croton.tensor.type import TensorType

#: The state of a stream: a key, and the number of draws so far.
STATE = TensorType("uint64", (2,))

#: Which word of its counter an element takes, in the terms of the kernel's ``philox``.  An even
#: word and the odd one behind it are a pair: a radius and an angle for both of their elements.
WORDS = {"own": (3, 0, 0), "radius": (2, 0, 0), "angle": (2, 1, 1)}


class RandomBits(Op):
    """Random uint32 of the given sizes from a state (see :mod:`croton.kernel.philox`).

    The rows of the matrix are all dimensions but the last.  ``stream`` (below 256)
    makes several independent tensors of one state.  ``word`` says which of its
    counter's words an element gets: its ``"own"``, or of the pair that it belongs
    to the ``"radius"`` or the ``"angle"`` (a quarter turn apart for the two).
    """

    __props__ = ("ndim", "stream", "word")
    loop = "map"

    def __init__(self, ndim: int, stream: int = 0, word: str = "own") -> None:
        if word not in WORDS:
            raise ValueError(f"word is one of {', '.join(map(repr, WORDS))}, got {word!r}")
        if not 0 <= stream < 256:
            raise ValueError(f"the stream is a number below 256, got {stream}")
        self.ndim = ndim
        self.stream = stream
        self.word = word

    def make_node(self, state: Any, *sizes: Any) -> Apply:
        """The state (two uint64) and ``ndim`` sizes."""
        state = as_tensor_variable(state)
        if not STATE.is_super(state.type):
            raise TypeError(f"the state of a random stream is two uint64, got {state.type}")
        if len(sizes) != self.ndim:
            raise ValueError(f"expected {self.ndim} sizes, got {len(sizes)}")
        given = [as_size(s) for s in sizes]
        shape = [known_size(s) for s in given]
        if any(n is not None and n < 0 for n in shape):
            raise ValueError(f"a size cannot be negative: {shape}")
        return Apply(self, [state, *given], [TensorType("uint32", shape)()])

    @property
    def _offset(self) -> int:
        # The streams of a state are far apart in its steps.
        return self.stream << 56

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Every counter once."""
        key, step = (int(v) for v in inputs[0])
        sizes = tuple(int(s) for s in inputs[1:])
        if any(n < 0 for n in sizes):
            raise ValueError(f"a size cannot be negative: {sizes}")
        columns = sizes[-1] if sizes else 1
        rows = int(np.prod(sizes[:-1], dtype=np.int64))
        step = (step + self._offset) % 2**64
        bits = philox.matrix(rows, columns, step, key, *WORDS[self.word])
        outputs[0][0] = bits.reshape(sizes)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes given."""
        return [tuple(node.inputs[1:])]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """No size is negative."""
        sizes = node.inputs[1:]
        return [("size", size, None, "a size") for size in sizes if not isinstance(size, Constant)]

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any) -> Expr:
        """The element at ``index``."""
        key, step = (build.bitcast(inputs[0](build.index(k)), "int64") for k in (0, 1))
        if self.stream:
            # As a signed number of the same bits.
            offset = (self._offset + 2**63) % 2**64 - 2**63
            step = build.add(step, build.index(offset))
        row: Expr = build.index(0)
        column: Expr = build.index(0)
        if index:
            *leading, column = index
            for k, i in enumerate(leading):
                row = i if k == 0 else build.add(build.mul(row, ctx.scalar(node.inputs[1 + k])), i)
        return build.philox(column, row, step, key, *WORDS[self.word])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Random numbers do not vary with the state or the sizes."""
        return [[False]] * len(node.inputs)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """No gradient."""
        return [disconnected() for _ in inputs]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Nothing changes."""
        return [None]

    def __str__(self) -> str:
        word = "" if self.word == "own" else f",{self.word}"
        return f"RandomBits{{{self.stream}{word}}}"
