"""Long expressions: neither Python's recursion limit nor a kernel's size may stop them."""

import numpy as np
import pytest

import croton
import croton.tensor as T


def test_a_chain_of_5000_elementwise_operations():
    v = T.dvector("v")
    value = np.array([0.5, -1.0, 2.0])
    y, expected = v, value
    for k in range(2500):
        y = T.tanh(y) * 1.01 + 0.01 * (k % 3)
        expected = np.tanh(expected) * 1.01 + 0.01 * (k % 3)
    np.testing.assert_allclose(croton.function([v], y)(value), expected, rtol=1e-12)


def test_the_gradient_of_a_chain_of_500():
    v = T.dvector("v")
    y = v
    for _ in range(500):
        y = T.sqrt(y * y + 0.25) - 0.1
    value, slope = np.array([0.5, -1.0]), np.ones(2)
    f = croton.function([v], T.grad(y.sum(), v))
    here = value
    for _ in range(500):
        root = np.sqrt(here * here + 0.25)
        slope = slope * here / root
        here = root - 0.1
    np.testing.assert_allclose(f(value), slope, rtol=1e-9)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_sum_of_400_terms(rank):
    x = T.TensorType("float64", (None,) * rank)("x")
    value = np.arange(2.0**rank).reshape((2,) * rank) + 1
    f = croton.function([x], sum(T.exp(-x * k) / (k + 1) for k in range(400)))
    expected = sum(np.exp(-value * k) / (k + 1) for k in range(400))
    np.testing.assert_allclose(f(value), expected, rtol=1e-9)


def test_a_chain_of_views():
    x = T.dmatrix("x")
    y = x
    for _ in range(300):
        y = y.T[:, ::-1]
    value = np.arange(6.0).reshape(2, 3)
    expected = value
    for _ in range(300):
        expected = expected.T[:, ::-1]
    np.testing.assert_array_equal(croton.function([x], y)(value), expected)


def test_a_chain_of_row_reductions():
    x = T.dmatrix("x")
    y, value = x, np.random.default_rng(0).normal(size=(3, 4))
    expected = value
    for _ in range(150):
        y = y - y.mean(axis=1, keepdims=True) + T.exp(-y)
        expected = expected - expected.mean(axis=1, keepdims=True) + np.exp(-expected)
    np.testing.assert_allclose(croton.function([x], y)(value), expected, rtol=1e-6)


def test_a_long_computation_of_a_size():
    k = T.lscalar("k")
    n, expected = k, 3
    for j in range(1000):
        n = n + (j % 2) * k - (j % 3)
        expected = expected + (j % 2) * 3 - (j % 3)
    f = croton.function([k], [n, T.zeros((n,)).shape[0]])
    assert [int(r) for r in f(3)] == [expected, expected]


def test_a_size_in_which_every_step_uses_the_last_twice():
    k = T.lscalar("k")
    n, expected = k, 3
    for j in range(60):
        n = (n + j) * (n - j) % 1000
        expected = (expected + j) * (expected - j) % 1000
    f = croton.function([k], [n, T.ones((n,)).sum()])
    assert [int(r) for r in f(3)] == [expected, expected]
