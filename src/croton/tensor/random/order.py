"""Random orders: permutations, and choices that take nothing twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.kernel import philox
from croton.tensor.convert import as_tensor_variable
from croton.tensor.random.bits import STATE
from croton.tensor.shapes import as_size, known_size
from croton.tensor.type import TensorType

#: How far apart in steps two tensors of bits of one state are.
_STREAM = 1 << 56


class RandomOrder(Op):
    """Positions in random order, in rows of the given sizes.

    Each position waits a random time, and the shortest come first.  The times are
    exponential with the rates ``weights``: what weighs more tends to come earlier,
    as in drawing one after the other without putting back.
    """

    __props__ = ("ndim",)

    def __init__(self, ndim: int) -> None:
        self.ndim = ndim

    def make_node(self, state: Any, weights: Any, *sizes: Any) -> Apply:
        """The state, the weights (the positions are those of their last dimension), the sizes."""
        state, weights = as_tensor_variable(state), as_tensor_variable(weights)
        if not STATE.is_super(state.type):
            raise TypeError(f"the state of a random stream is two uint64, got {state.type}")
        if not 1 <= weights.type.ndim <= self.ndim + 1:
            raise ValueError(f"weights of rank {weights.type.ndim} for {self.ndim} sizes")
        given = [as_size(s) for s in sizes]
        shape = [*map(known_size, given), weights.type.shape[-1]]
        return Apply(self, [state, weights, *given], [TensorType("int64", shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Sort the waiting times; of equal ones the first position comes first."""
        (key, step), weights, sizes = inputs[0], np.asarray(inputs[1]), inputs[2:]
        shape = (*(int(s) for s in sizes), weights.shape[-1])
        rows = int(np.prod(shape[:-1], dtype=np.int64))
        high, low = (
            philox.matrix(rows, shape[-1], (int(step) + k * _STREAM) % 2**64, int(key))
            for k in (0, 1)
        )
        u = (high * 2.0**32 + low + 0.5) * 2.0**-64
        with np.errstate(divide="ignore", invalid="ignore"):
            waited = -np.log(u).reshape(shape) / weights.astype(np.float64)
        outputs[0][0] = np.argsort(waited, axis=-1, kind="stable").astype(np.int64)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The sizes, and the number of positions."""
        return [(*node.inputs[2:], shapes[1][-1])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """An order does not vary with anything."""
        return [[False]] * len(node.inputs)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """No gradient."""
        return [disconnected() for _ in inputs]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Nothing changes."""
        return [None]


class PoissonCount(Op):
    """For each uniform number the Poisson count that belongs to it, for a mean of ``rate``."""

    __props__ = ()

    def make_node(self, u: Any, rate: Any) -> Apply:
        """Two float64 tensors, of which the second may broadcast."""
        u, rate = as_tensor_variable(u), as_tensor_variable(rate).astype("float64")
        rate = as_tensor_variable(rate, ndim=u.type.ndim)
        return Apply(self, [u, rate], [TensorType("int64", u.type.shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Take the probabilities of the counts off, from the likeliest on to both sides."""
        u = np.array(inputs[0], np.float64)
        rate = np.broadcast_to(inputs[1], u.shape)
        if not np.all(rate >= 0) or not np.all(np.isfinite(rate)):
            raise ValueError("the mean of a Poisson distribution is a number >= 0")
        outputs[0][0] = _search(u.ravel(), rate.ravel()).reshape(u.shape)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The shape of the uniform numbers."""
        return [shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """A count jumps."""
        return [[False], [False]]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """No gradient."""
        return [disconnected(), disconnected()]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """Nothing changes."""
        return [None]


_log_factorial = np.vectorize(lambda k: math.lgamma(k + 1), otypes=[np.float64])


def _search(u: Any, rate: Any) -> Any:
    mode = np.floor(rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(rate > 0, mode * np.log(rate), 0.0) - rate - _log_factorial(mode)
    peak = np.exp(log)
    result = mode.astype(np.int64)
    left = u - peak
    open_ = np.flatnonzero(left >= 0)
    above = below = mode
    up = down = peak
    above, below, up, down = (np.array(v[open_]) for v in (above, below, up, down))
    left, rate = left[open_], rate[open_]
    while len(open_):
        above += 1
        up *= rate / above
        left -= up
        found = left < 0
        result[open_[found]] = above[found].astype(np.int64)
        down *= np.where(rate > 0, below / np.maximum(rate, 1e-300), 0.0)
        below -= 1
        waiting = ~found
        left -= np.where(waiting, down, 0.0)
        hit = waiting & (left < 0) & (below >= 0)
        result[open_[hit]] = below[hit].astype(np.int64)
        # Beyond the last digit of u nothing is left to take off.
        ended = waiting & ~hit & (up < 1e-300) & (down < 1e-300)
        result[open_[ended]] = above[ended].astype(np.int64)
        rest = waiting & ~hit & ~ended
        open_, left, rate = open_[rest], left[rest], rate[rest]
        above, below, up, down = above[rest], below[rest], up[rest], down[rest]
    return result
