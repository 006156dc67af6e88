"""Values written over others that nobody reads any more."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.runtime.program import Launch

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 40))


def overwrites(f):
    """Whether a loop writes where it reads."""
    return any(
        isinstance(i, Launch)
        and f.program.kernels[i.kernel].startswith("kernel")
        and len(set(i.buffers)) < len(i.buffers)
        for i in f.program.instructions
    )


def check(outputs, inputs, values):
    f = croton.function(inputs, outputs)
    want = evaluate(outputs, dict(zip(inputs, values, strict=True)))
    for _ in range(2):
        for a, b in zip(f(*values), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    return f


def test_an_elementwise_function_of_a_product():
    x = T.dmatrix("x")
    first = T.dot(x, x)
    # The tanh needs the sum of all, so it is computed by another kernel than the product.
    second = T.tanh(first / first.sum())
    assert overwrites(check([T.dot(second, second)], [x], [X]))
    # Where the first is read once more the second needs memory of its own.
    assert not overwrites(check([T.dot(second, second), T.dot(first, second)], [x], [X]))


@pytest.mark.parametrize(
    "read",
    [
        lambda y: y + y.T,
        lambda y: y + y[::-1],
        lambda y: y - y[:, ::-1],
        lambda y: y + y[0],
        lambda y: y + y[:, :1].sum(1).dimshuffle(0, "x"),
        lambda y: y * y.sum(),
        lambda y: y - y.max(axis=0),
        lambda y: y / y.sum(axis=1, keepdims=True),
        lambda y: (y - y.mean(0)) ** 2 + y.var(0),
        lambda y: T.signal.pool.pool_2d(y, (2, 2), True, stride=(1, 1), pad=(1, 1))[1:, 1:] + y,
        lambda y: T.concatenate([y[1:], y[:1]], axis=0) + y,
        lambda y: T.set_subtensor(y[3], y[4]) * y,
        lambda y: y.reshape((20, 80)).reshape((40, 40)) + y.reshape((40, 40)),
    ],
)
def test_what_is_read_elsewhere_is_not_overwritten_before(read):
    x = T.dmatrix("x")
    y = T.dot(x, x)
    z = read(y)
    check([T.dot(z, z), z.sum(0)], [x], [X])


def test_results_are_left_alone():
    x = T.dmatrix("x")
    y = T.dot(x, x)
    z = T.exp(-(y**2))
    check([y, T.dot(z, z), z.reshape((-1,)), y[::2]], [x], [X])


def test_a_chain_of_layers_and_its_gradient():
    rng = np.random.default_rng(1)
    x = T.dtensor4("x")
    ws = [croton.shared(rng.standard_normal((6, 6, 3, 3)) / 6) for _ in range(3)]
    y = x
    for w in ws:
        y = T.signal.pool.pool_2d(
            T.nnet.relu(T.nnet.conv2d(y, w, border_mode="half")), (2, 2), True
        )
    loss = (y**2).sum()
    value = rng.standard_normal((3, 6, 16, 16))
    outputs = [loss, T.grad(loss, x), *T.grad(loss, ws)]
    check(outputs, [x], [value])
    new = [w - 0.1 * T.grad(loss, w) for w in ws]
    want = evaluate(new, {x: value})
    f = croton.function([x], loss, updates=list(zip(ws, new, strict=True)))
    f(value)
    for w, b in zip(ws, want, strict=True):
        np.testing.assert_allclose(w.get_value(), b, rtol=1e-9, atol=1e-10)
