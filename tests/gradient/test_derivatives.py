"""Reverse, forward and second derivatives of every op, against finite differences."""

import numpy as np
import pytest
from helpers import compute

import croton.tensor as T
from croton.gradient import Lop, Rop, grad, verify_grad
from croton.gradient.numeric import evaluate
from croton.tensor import nnet

RNG = np.random.default_rng(11)


def away(*shape, low=0.2, high=2.0):
    """Numbers whose sizes lie in a range, of both signs."""
    return RNG.uniform(low, high, shape) * RNG.choice([-1, 1], shape)


def positive(*shape):
    return RNG.uniform(0.3, 2, shape)


def inside(*shape):
    return RNG.uniform(-0.8, 0.8, shape)


def spread(*shape):
    """Numbers of which no two are close."""
    count = int(np.prod(shape))
    return (RNG.permutation(count).reshape(shape) - count / 2) * 0.37 + 0.1


INDEX = np.array([0, 2, 2, 1])

CASES = {
    # elementwise
    "add": (lambda x, y: x + y, [away(2, 3), away(2, 3)]),
    "add broadcast": (lambda x, y: x + y, [away(2, 3), away(3)]),
    "sub broadcast": (lambda x, y: x - y, [away(2, 1), away(1, 3)]),
    "mul": (lambda x, y: x * y, [away(2, 3), away(2, 3)]),
    "mul broadcast": (lambda x, y: x * y, [away(2, 1, 3), away(4, 1)]),
    "mul scalar": (lambda x, y: x * y, [away(), away(3)]),
    "true_div": (lambda x, y: x / y, [away(2, 3), away(3)]),
    "pow": (lambda x, y: x**y, [positive(4), away(4)]),
    "pow constant": (lambda x: x**3 + x**2 + x**1, [away(4)]),
    "pow negative": (lambda x: x**-2, [away(4)]),
    "pow half": (lambda x: x**0.5, [positive(4)]),
    "power of a number": (lambda x: 2.5**x, [away(4)]),
    "mod": (lambda x, y: x % y, [np.array([5.3, -5.3, 7.1]), np.array([2.0, 1.7, -3.0])]),
    "neg": (lambda x: -x, [away(3)]),
    "abs": (lambda x: abs(x), [away(5)]),
    "maximum": (T.maximum, [away(2, 3), away(2, 3)]),
    "minimum": (T.minimum, [away(2, 3), away(3)]),
    "switch": (lambda x, y: T.switch(x > 0, x, y), [away(2, 3), away(3)]),
    "clip": (lambda x: T.clip(x, -0.7, 0.9), [away(8)]),
    "clip to variables": (T.clip, [spread(8), np.array(-0.75), np.array(0.85)]),
    "sqr": (T.sqr, [away(4)]),
    "sqrt": (T.sqrt, [positive(4)]),
    "reciprocal": (T.inv, [away(4)]),
    "exp": (T.exp, [away(4)]),
    "exp2": (T.exp2, [away(4)]),
    "expm1": (T.expm1, [away(4)]),
    "log": (T.log, [positive(4)]),
    "log2": (T.log2, [positive(4)]),
    "log10": (T.log10, [positive(4)]),
    "log1p": (T.log1p, [positive(4) - 0.2]),
    "sin": (T.sin, [away(4)]),
    "cos": (T.cos, [away(4)]),
    "tan": (T.tan, [inside(4)]),
    "arcsin": (T.arcsin, [inside(4)]),
    "arccos": (T.arccos, [inside(4)]),
    "arctan": (T.arctan, [away(4)]),
    "arctan2": (T.arctan2, [away(5), away(5)]),
    "sinh": (T.sinh, [away(4)]),
    "cosh": (T.cosh, [away(4)]),
    "tanh": (T.tanh, [away(4)]),
    "arcsinh": (T.arcsinh, [away(4)]),
    "arccosh": (T.arccosh, [positive(4) + 1]),
    "arctanh": (T.arctanh, [inside(4)]),
    "deg2rad": (T.deg2rad, [away(4)]),
    "rad2deg": (T.rad2deg, [inside(4)]),
    "erf": (T.erf, [away(4)]),
    "erfc": (T.erfc, [away(4)]),
    "sigmoid": (T.nnet.sigmoid, [away(4)]),
    "softplus": (T.nnet.softplus, [away(4)]),
    "floor": (T.floor, [away(4)]),
    "identity": (lambda x: x.copy(), [away(4)]),
    # shapes
    "transpose": (lambda x: x.T, [away(2, 3)]),
    "dimshuffle": (lambda x: x.dimshuffle(1, "x", 0), [away(2, 3)]),
    "dimshuffle drop": (lambda x: x.dimshuffle(1), [away(1, 3)]),
    "reshape": (lambda x: x.reshape((3, -1)), [away(2, 3)]),
    "flatten": (lambda x: x.flatten(2), [away(2, 3, 2)]),
    "specify_shape": (lambda x: T.specify_shape(x, (2, None)), [away(2, 3)]),
    "alloc": (lambda x: T.alloc(x, 4, 3), [away(3) * 1.0]),
    "alloc number": (lambda x: T.alloc(x, 4, 3), [away()]),
    "fill": (lambda x, y: T.fill(x, y), [away(2, 3), away()]),
    "join": (lambda x, y: T.join(1, x, y), [away(2, 3), away(2, 2)]),
    "join twice": (lambda x: T.join(0, x, x * 2), [away(2, 3)]),
    "stack": (lambda x, y: T.stack([x, y], axis=1), [away(3), away(3)]),
    "stack of numbers": (lambda x, y: T.stack([x, y, x]), [away(), away()]),
    "split": (lambda x: T.split(x, [1, 2], 2)[1], [away(3, 2)]),
    "tile": (lambda x: T.tile(x, (2, 3)), [away(2, 2)]),
    "repeat": (lambda x: T.repeat(x, 3, axis=1), [away(2, 2)]),
    "triangle": (lambda x: T.tril(x) + 2 * T.triu(x, 1), [away(3, 4)]),
    "diagonal by eye": (lambda x: (x * T.eye(3)).sum(0), [away(3, 3)]),
    "arange": (lambda x, y: T.arange(x, x + 2.5 * y, y, dtype="float64"), [away(), np.array(0.7)]),
    # indexing
    "item": (lambda x: x[1, -1], [away(2, 3)]),
    "row": (lambda x: x[-1], [away(2, 3)]),
    "slice": (lambda x: x[1:, ::-1], [away(3, 4)]),
    "slice step": (lambda x: x[::2, 1:3], [away(3, 4)]),
    "new axis": (lambda x: x[:, None, 1:], [away(3, 4)]),
    "rows": (lambda x: x[INDEX], [away(3, 4)]),
    "elements": (lambda x: x[INDEX, INDEX[::-1].copy()], [away(3, 4)]),
    "columns": (lambda x: x[:, INDEX], [away(3, 4)]),
    "separated": (lambda x: x[INDEX, :, INDEX], [away(3, 2, 3)]),
    "set part": (lambda x, y: T.set_subtensor(x[1:], y), [away(3, 2), away(2, 2)]),
    "set broadcast": (lambda x, y: T.set_subtensor(x[1:], y), [away(3, 2), away(2)]),
    "set number": (lambda x, y: T.set_subtensor(x[0], y), [away(3, 2), away()]),
    "inc part": (lambda x, y: T.inc_subtensor(x[:, ::2], y), [away(3, 3), away(3, 2)]),
    "inc column": (lambda x, y: T.inc_subtensor(x[1:], y), [away(3, 2), away(2, 1)]),
    "set rows": (lambda x, y: T.set_subtensor(x[INDEX[::2]], y), [away(3, 2), away(2, 2)]),
    "inc rows": (lambda x, y: T.inc_subtensor(x[INDEX], y), [away(3, 2), away(4, 2)]),
    "inc rows broadcast": (lambda x, y: T.inc_subtensor(x[INDEX], y), [away(3, 2), away(2)]),
    "take": (lambda x: T.take(x, INDEX, axis=1), [away(2, 3)]),
    # reductions
    "sum": (lambda x: x.sum(), [away(2, 3)]),
    "sum axis": (lambda x: x.sum(axis=1), [away(2, 3)]),
    "sum keepdims": (lambda x: x.sum(axis=(0, 2), keepdims=True) * x, [away(2, 3, 2)]),
    "mean": (lambda x: x.mean(axis=0), [away(2, 3)]),
    "prod": (lambda x: x.prod(axis=1), [away(2, 3)]),
    "prod with a zero": (lambda x: x.prod(axis=1), [np.array([[1.5, 0, 2], [0.5, 2, 3]])]),
    "prod with zeros": (lambda x: x.prod(axis=1), [np.array([[1.5, 0, 0], [0.5, 2, 3]])]),
    "max": (lambda x: x.max(axis=1), [spread(2, 4)]),
    "min": (lambda x: x.min(axis=0), [spread(3, 4)]),
    "max of all": (lambda x: x.max(), [spread(3, 4)]),
    "var": (lambda x: x.var(axis=1), [away(2, 4)]),
    "std": (lambda x: x.std(axis=0, ddof=1), [away(4, 2)]),
    "norm": (lambda x: x.norm(2, axis=1), [away(2, 4)]),
    "norm 3": (lambda x: x.norm(3), [away(2, 4)]),
    "ptp": (lambda x: T.ptp(x, axis=1), [spread(2, 4)]),
    "logsumexp": (lambda x: T.logsumexp(x, axis=1), [away(2, 4)]),
    "logsumexp keepdims": (lambda x: T.logsumexp(x, keepdims=True), [away(2, 4)]),
    # products
    "dot": (T.dot, [away(2, 3), away(3, 4)]),
    "dot vectors": (T.dot, [away(3), away(3)]),
    "dot matrix vector": (T.dot, [away(2, 3), away(3)]),
    "dot vector matrix": (T.dot, [away(3), away(3, 2)]),
    "dot itself": (lambda x: T.dot(x, x.T), [away(2, 3)]),
    "dot of more": (T.dot, [away(2, 2, 3), away(3, 2)]),
    "matmul": (T.matmul, [away(2, 2, 3), away(2, 3, 2)]),
    "matmul broadcast": (T.matmul, [away(2, 2, 3), away(3, 2)]),
    "batched_dot": (T.batched_dot, [away(2, 2, 3), away(2, 3, 2)]),
    "tensordot": (lambda x, y: T.tensordot(x, y, [[0, 1], [1, 0]]), [away(2, 3, 2), away(3, 2)]),
    "outer": (T.outer, [away(2), away(3)]),
    # networks
    "softmax": (nnet.softmax, [away(2, 4)]),
    "softmax columns": (lambda x: nnet.softmax(x, axis=0), [away(2, 4)]),
    "logsoftmax": (nnet.logsoftmax, [away(2, 4)]),
    "relu": (nnet.relu, [away(6)]),
    "leaky relu": (lambda x: nnet.relu(x, 0.1), [away(6)]),
    "elu": (nnet.elu, [away(6)]),
    "selu": (nnet.selu, [away(6)]),
    "softsign": (nnet.softsign, [away(6)]),
    "hard_sigmoid": (nnet.hard_sigmoid, [away(6)]),
    "crossentropy": (
        lambda x: nnet.categorical_crossentropy(nnet.softmax(x), np.array([1, 0])),
        [away(2, 3)],
    ),
    "crossentropy of probabilities": (
        lambda x, y: nnet.categorical_crossentropy(nnet.softmax(x), nnet.softmax(y)),
        [away(2, 3), away(2, 3)],
    ),
    "binary crossentropy": (
        lambda x, y: nnet.binary_crossentropy(nnet.sigmoid(x), nnet.sigmoid(y)),
        [away(4), away(4)],
    ),
    "binary crossentropy of logits": (
        lambda x, y: nnet.sigmoid_binary_crossentropy(x, nnet.sigmoid(y)),
        [away(4), away(4)],
    ),
}


def made(name):
    """The expression of a case on its own inputs, and their values."""
    function, points = CASES[name]
    inputs = [
        T.TensorType("float64", [1 if n == 1 else None for n in p.shape])(f"x{k}")
        for k, p in enumerate(points)
    ]
    return T.as_tensor_variable(function(*inputs)), inputs, dict(zip(inputs, points, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_reverse(name):
    verify_grad(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_compiled(name):
    y, inputs, given = made(name)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, np.shape(evaluate([y], given)[0]))
    gradients = grad((y * weights).sum(), inputs, disconnected_inputs="ignore")
    for g, v in zip(gradients, inputs, strict=True):
        assert g.type.dtype == v.type.dtype and g.type.ndim == v.type.ndim
        assert g.type.broadcastable == v.type.broadcastable
    compute(gradients, given, ulp=200)


def directional(y, inputs, given, directions):
    """How y changes along the directions, by differences of high order."""

    def at(step):
        moved = {v: given[v] + step * d for v, d in zip(inputs, directions, strict=True)}
        return evaluate([y], moved)[0]

    h = 1e-3
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


@pytest.mark.parametrize("name", CASES)
def test_forward(name):
    y, inputs, given = made(name)
    rng = np.random.default_rng(2)
    directions = [0.1 * rng.standard_normal(given[v].shape) for v in inputs]
    moving = [v.type(f"d{k}") for k, v in enumerate(inputs)]
    tangent = Rop(y, inputs, moving)
    assert tangent.type.dtype == y.type.dtype and tangent.type.ndim == y.type.ndim
    everything = {**given, **dict(zip(moving, directions, strict=True))}
    (got,) = evaluate([tangent], everything)
    want = directional(y, inputs, given, directions)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [n for n in CASES if len(CASES[n][1]) > 1])
def test_forward_along_one_input(name):
    y, inputs, given = made(name)
    rng = np.random.default_rng(3)
    for k, v in enumerate(inputs):
        d = 0.1 * rng.standard_normal(given[v].shape)
        directions = [d if j == k else np.zeros(given[u].shape) for j, u in enumerate(inputs)]
        tangent = Rop(y, v, T.constant(d), disconnected_outputs="zero")
        (got,) = evaluate([tangent], given)
        want = directional(y, inputs, given, directions)
        assert got.shape == want.shape and tangent.type.dtype == y.type.dtype
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


#: The gradient of a product divides by its factors, and takes zeros out before that.
SECOND = [n for n in CASES if not n.startswith("prod with")]


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives(name):
    function, points = CASES[name]

    def gradients(*inputs):
        y = T.as_tensor_variable(function(*inputs))
        first = grad((T.sin(y)).sum(), list(inputs), disconnected_inputs="ignore")
        return sum((g * (k + 1)).sum() for k, g in enumerate(first))

    verify_grad(gradients, points, n_tests=1)


@pytest.mark.parametrize("name", ["tanh", "dot", "softmax", "prod", "rows", "max", "pow"])
def test_reverse_and_forward_are_adjoint(name):
    y, inputs, given = made(name)
    rng = np.random.default_rng(4)
    (value,) = evaluate([y], given)
    left = rng.standard_normal(value.shape)
    right = [rng.standard_normal(given[v].shape) for v in inputs]
    back = evaluate(Lop(y, inputs, T.constant(left)), given)
    (forth,) = evaluate([Rop(y, inputs, [T.constant(r) for r in right])], given)
    total = sum(np.sum(b * r) for b, r in zip(back, right, strict=True))
    np.testing.assert_allclose(np.sum(left * forth), total)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("name", ["mul broadcast", "exp", "dot", "softmax", "sum axis", "rows"])
def test_narrow_dtypes(name, dtype):
    function, points = CASES[name]
    inputs = [T.TensorType(dtype, [1 if n == 1 else None for n in p.shape])() for p in points]
    gradients = grad(function(*inputs).sum(), inputs)
    given = {v: p.astype(dtype) for v, p in zip(inputs, points, strict=True)}
    y, wide, wide_given = made(name)
    wanted = evaluate(grad(y.sum(), wide), wide_given)
    for got, want, v in zip(evaluate(gradients, given), wanted, gradients, strict=True):
        assert v.type.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=3e-2, atol=3e-2 if dtype == "float16" else 1e-5)
