"""Programs that once went wrong: most were found, and made small, by ``test_random_graphs``."""

from __future__ import annotations

import numpy as np

import croton
import croton.tensor as T


def agree(inputs, outputs, *arguments, rtol=1e-6):
    """Native code agrees with the reference; the outputs' values."""
    want = croton.function(inputs, outputs, mode="reference")(*arguments)
    got = croton.function(inputs, outputs)(*arguments)
    for w, g in zip(want, got, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol)
    return got


def test_sizes_are_outputs_and_updates():
    x = T.fmatrix("x")
    n = T.lscalar("n")
    total = croton.shared(10)
    f = croton.function(
        [x, n],
        [x.shape[0], x.shape[0], x.size, n, T.exp(x).shape[1], x[1:].shape[0] // 2],
        updates=[(total, total + x.shape[0])],
    )
    assert [int(v) for v in f(np.zeros((3, 4), "float32"), 7)] == [3, 3, 12, 7, 4, 1]
    assert total.get_value() == 13
    count = croton.shared(np.int64(0))
    croton.function([x], updates=[(count, x.shape[1])])(np.zeros((3, 4), "float32"))
    assert count.get_value() == 4


def test_a_size_is_given_to_a_python_op():
    class Square(croton.Op):
        __props__ = ()

        def make_node(self, n):
            return croton.Apply(self, [n], [T.lscalar()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] ** 2

    x = T.fvector("x")
    assert croton.function([x], Square()(x.shape[0]))(np.zeros(5, "float32")) == 25
