"""Functions of neural networks, against SciPy."""

import numpy as np
import pytest
from helpers import compute, refuses
from scipy import special

import croton.tensor as T
from croton.tensor import nnet

VALUES = np.array([[1.0, 2, -3], [1000, 1000, 999], [-800, 0, 5], [0, 0, 0]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_softmax(dtype, axis):
    x = T.TensorType(dtype, (None, None))("x")
    value = VALUES.astype(dtype)
    soft, log = compute([nnet.softmax(x, axis), nnet.logsoftmax(x, axis)], {x: value})
    assert soft.dtype == log.dtype == dtype
    tolerance = {"float16": 2e-3, "float32": 1e-6, "float64": 1e-13}[dtype]
    wide = value.astype(np.float64)
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(soft, special.softmax(wide, axis), rtol=tolerance, atol=tiny)
    np.testing.assert_allclose(log, special.log_softmax(wide, axis), rtol=tolerance, atol=tolerance)


def test_softmax_of_other_ranks():
    x, y = T.dvector("x"), T.dtensor3("y")
    p, q = VALUES[0], np.stack([VALUES, VALUES + 1])
    np.testing.assert_allclose(compute(nnet.softmax(x), {x: p}), special.softmax(p))
    for axis in (0, 1, 2):
        got = compute(nnet.softmax(y, axis), {y: q})
        np.testing.assert_allclose(got, special.softmax(q, axis))
    z = T.imatrix("z")
    got = compute(nnet.softmax(z), {z: [[1, 2]]})
    assert got.dtype == np.float64
    with pytest.raises(ValueError, match="scalar"):
        nnet.softmax(T.dscalar())
    with pytest.raises(ValueError, match="out of range"):
        nnet.softmax(x, axis=1)


def test_softmax_at_infinity_and_of_nothing():
    x = T.dmatrix("x")
    value = np.array([[0, -np.inf], [np.nan, 1], [-np.inf, -np.inf]])
    want = [[1, 0], [np.nan, np.nan], [np.nan, np.nan]]
    np.testing.assert_array_equal(compute(nnet.softmax(x), {x: value}), want)
    assert compute(nnet.softmax(x), {x: np.zeros((0, 3))}).shape == (0, 3)
    assert compute(nnet.softmax(x), {x: np.zeros((3, 0))}).shape == (3, 0)


def test_softmax_with_bias():
    x, b = T.dmatrix("x"), T.dvector("b")
    bias = np.array([1.0, 0, -1])
    got = compute(nnet.softmax_with_bias(x, b), {x: VALUES, b: bias})
    np.testing.assert_allclose(got, special.softmax(VALUES + bias, axis=1))


def test_categorical_crossentropy():
    x, t, k = T.dmatrix("x"), T.dmatrix("t"), T.ivector("k")
    p = special.softmax(np.random.default_rng(1).standard_normal((5, 4)), axis=1)
    truth = special.softmax(np.random.default_rng(2).standard_normal((5, 4)), axis=1)
    classes = np.array([0, 3, 1, 1, 2], "int32")
    got = compute(
        [nnet.categorical_crossentropy(x, t), nnet.categorical_crossentropy(x, k)],
        {x: p, t: truth, k: classes},
    )
    np.testing.assert_allclose(got[0], -(truth * np.log(p)).sum(1))
    np.testing.assert_allclose(got[1], -np.log(p[np.arange(5), classes]))
    refuses(nnet.categorical_crossentropy(x, k), {x: p, k: [0, 4, 1, 1, 2]}, IndexError)
    with pytest.raises(TypeError, match="class numbers are integers"):
        nnet.categorical_crossentropy(x, T.dvector())
    with pytest.raises(TypeError, match="ranks"):
        nnet.categorical_crossentropy(x, T.dtensor3())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stable_crossentropy_of_softmax(dtype):
    # The compiled form must neither overflow nor lose what the written one would.
    x, k = T.TensorType(dtype, (None, None))("x"), T.lvector("k")
    value = np.array([[500.0, -500, 0], [-1000, 1000, 0], [1, 2, 3]], dtype)
    given = {x: value, k: [0, 0, 2]}
    want = -special.log_softmax(value.astype(np.float64), 1)[np.arange(3), [0, 0, 2]]
    import croton

    f = croton.function([x, k], nnet.categorical_crossentropy(nnet.softmax(x), k))
    np.testing.assert_allclose(f(*given.values()), want, rtol=1e-6)
    g = croton.function([x, k], (-T.log(nnet.softmax(x))[T.arange(3), k]).mean())
    np.testing.assert_allclose(g(*given.values()), want.mean(), rtol=1e-6)


def test_binary_crossentropy():
    p, t = T.dvectors("p", "t")
    a, b = np.array([0.1, 0.5, 0.9, 0.3]), np.array([0.0, 1, 0.5, 1])
    want = -(b * np.log(a) + (1 - b) * np.log(1 - a))
    np.testing.assert_allclose(compute(nnet.binary_crossentropy(p, t), {p: a, t: b}), want)
    z = special.logit(a)
    got = compute(nnet.sigmoid_binary_crossentropy(p, t), {p: z, t: b})
    np.testing.assert_allclose(got, want)
    far = compute(nnet.sigmoid_binary_crossentropy(p, t), {p: [1000.0, -1000], t: [0.0, 1]})
    assert far.tolist() == [1000, 1000]


def test_crossentropy_softmax_argmax():
    x, b, k = T.dmatrix("x"), T.dvector("b"), T.ivector("k")
    given = {x: VALUES[[0, 3]], b: np.array([0.0, 1, 2]), k: [0, 1]}
    loss, soft, where = compute(nnet.crossentropy_softmax_argmax_1hot_with_bias(x, b, k), given)
    want = special.softmax(given[x] + given[b], axis=1)
    np.testing.assert_allclose(soft, want)
    np.testing.assert_allclose(loss, -np.log(want[[0, 1], [0, 1]]))
    assert np.array_equal(where, want.argmax(1))


@pytest.mark.parametrize(
    "function, oracle",
    [
        (nnet.relu, lambda x: np.maximum(x, 0)),
        (lambda x: nnet.relu(x, 0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
        (nnet.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
        (lambda x: nnet.elu(x, 2), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0)))),
        (
            nnet.selu,
            lambda x: (
                1.0507009873554805
                * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
            ),
        ),
        (nnet.softsign, lambda x: x / (1 + np.abs(x))),
        (nnet.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        (nnet.ultra_fast_sigmoid, special.expit),
        (nnet.sigmoid, special.expit),
        (nnet.softplus, lambda x: np.logaddexp(0, x)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations(function, oracle, dtype, monkeypatch):
    from croton.config import config

    monkeypatch.setattr(config, "floatX", dtype)
    x = T.TensorType(dtype, (None,))("x")
    value = np.array([-1000, -20, -2.5, -0.3, -0.0, 0, 0.3, 2.5, 20, 1000], dtype)
    got = compute(function(x), {x: value})
    assert got.dtype == dtype
    tolerance = {"float32": 1e-6, "float64": 1e-14}[dtype]
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(got, oracle(value.astype(float)), rtol=tolerance, atol=tiny)
