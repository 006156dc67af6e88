"""Costs and gradients of classifiers at logits where the naive expressions overflow."""

import numpy as np
import pytest

import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.gradient.reverse import grad
from croton.rewrite import rewrite

LOGITS = np.array(
    [
        [1000.0, -1000.0, 0.0],
        [-1000.0, 1000.0, 999.0],
        [0.1, -0.2, 0.3],
        [-800.0, -801.0, -900.0],
        [1e-3, 40.0, -40.0],
    ]
)
LABELS = np.array([1, 1, 2, 0, -2])


def log_softmax(z):
    top = z.max(axis=1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True))


ONE_HOT = np.eye(3)[LABELS]
COST = -(log_softmax(LOGITS) * ONE_HOT).sum(axis=1).mean()
GRADIENT = (np.exp(log_softmax(LOGITS)) - ONE_HOT) / len(LABELS)


def by_hand(z):
    e = T.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def by_careful_hand(z):
    e = T.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1).dimshuffle(0, "x")


SOFTMAX = {"softmax": T.nnet.softmax, "by_hand": by_hand, "by_careful_hand": by_careful_hand}


def picked_by_size_of_labels(p, y, t):
    return -T.mean(T.log(p)[T.arange(y.shape[0]), y])


def picked_by_size_of_logits(p, y, t):
    return -T.log(p[T.arange(p.shape[0]), y]).mean()


COSTS = {
    "labels": picked_by_size_of_labels,
    "logits": picked_by_size_of_logits,
    "crossentropy": lambda p, y, t: T.nnet.categorical_crossentropy(p, y).mean(),
    "one_hot": lambda p, y, t: -T.sum(t * T.log(p)) / t.shape[0],
    "one_hot_crossentropy": lambda p, y, t: T.nnet.categorical_crossentropy(p, t).mean(),
    "mean_of_rows": lambda p, y, t: T.mean(T.sum(-t * T.log(p), axis=1)),
}


@pytest.mark.parametrize("softmax", SOFTMAX.values(), ids=SOFTMAX)
@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_softmax(softmax, cost):
    z, y, t = T.dmatrix("z"), T.lvector("y"), T.dmatrix("t")
    c = cost(softmax(z), y, t)
    after, _ = rewrite([c, grad(c, z)])
    value, gradient = evaluate(after, {z: LOGITS, y: LABELS, t: ONE_HOT})
    np.testing.assert_allclose(value, COST, rtol=1e-13)
    np.testing.assert_allclose(gradient, GRADIENT, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("softmax", SOFTMAX.values(), ids=SOFTMAX)
def test_softmax_of_float32(softmax):
    z, y = T.fmatrix("z"), T.lvector("y")
    c = picked_by_size_of_labels(softmax(z), y, None)
    after, _ = rewrite([c, grad(c, z)])
    value, gradient = evaluate(after, {z: LOGITS.astype("float32"), y: LABELS})
    assert value.dtype == gradient.dtype == "float32"
    np.testing.assert_allclose(value, COST, rtol=1e-6)
    np.testing.assert_allclose(gradient, GRADIENT, rtol=1e-4, atol=1e-7)


def test_a_label_out_of_range_is_an_error_in_the_gradient_too():
    z, y = T.dmatrix("z"), T.lvector("y")
    c = picked_by_size_of_labels(T.nnet.softmax(z), y, None)
    after, _ = rewrite([grad(c, z)])
    with pytest.raises(IndexError):
        evaluate(after, {z: LOGITS, y: np.array([0, 1, 3, 0, 0])})


def test_fewer_labels_than_rows():
    z, y = T.dmatrix("z"), T.lvector("y")
    c = picked_by_size_of_labels(T.nnet.softmax(z), y, None)
    after, _ = rewrite([c, grad(c, z)])
    value, gradient = evaluate(after, {z: LOGITS, y: LABELS[:3]})
    hit = log_softmax(LOGITS)[np.arange(3), LABELS[:3]]
    np.testing.assert_allclose(value, -hit.mean(), rtol=1e-13)
    wanted = (np.exp(log_softmax(LOGITS)) - ONE_HOT) / 3
    wanted[3:] = 0
    np.testing.assert_allclose(gradient, wanted, rtol=1e-12, atol=1e-16)


X = np.array([-1000.0, -745.0, -40.0, -1.0, -1e-8, 0.0, 1e-8, 1.0, 40.0, 745.0, 1000.0])


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


SIGMOIDS = {
    "sigmoid": T.nnet.sigmoid,
    "by_hand": lambda x: 1 / (1 + T.exp(-x)),
    "by_other_hand": lambda x: T.exp(x) / (1 + T.exp(x)),
}


@pytest.mark.parametrize("function", SIGMOIDS.values(), ids=SIGMOIDS)
@pytest.mark.parametrize("target", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("how", ["function", "log", "mean_squares"])
def test_sigmoid(function, target, how):
    x, t = T.dvector("x"), T.dscalar("t")
    p = function(x)
    if how == "function":
        cost = T.nnet.binary_crossentropy(p, t)
    elif how == "log":
        cost = -t * T.log(p) - (1 - t) * T.log(1 - p)
    else:
        cost = (p - t) ** 2
    after, _ = rewrite([cost, grad(cost.sum(), x)])
    value, gradient = evaluate(after, {x: X, t: np.array(target)})
    s = sigmoid(X)
    if how == "mean_squares":
        expected = (s - target) ** 2, 2 * (s - target) * s * sigmoid(-X)
    else:
        expected = target * softplus(-X) + (1 - target) * softplus(X), s - target
    np.testing.assert_allclose(value, expected[0], rtol=1e-12, atol=1e-15)
    if function is not SIGMOIDS["by_other_hand"] or how == "mean_squares":
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-9, atol=1e-15)


FORMS = {
    "softplus": (lambda x: T.log(1 + T.exp(x)), softplus, sigmoid),
    "softplus_of_negative": (lambda x: T.log(T.exp(-x) + 1), lambda x: softplus(-x), None),
    "log_of_exp": (lambda x: T.log(T.exp(x)), lambda x: x, np.ones_like),
    "sqrt_of_square": (lambda x: T.sqrt(x**2), np.abs, None),
    "tanh_by_exp": (lambda x: T.exp(T.log(abs(x) + 1)), lambda x: np.abs(x) + 1, np.sign),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms(form):
    expression, value, derivative = form
    x = T.dvector("x")
    v = expression(x)
    after, _ = rewrite([v, grad(v.sum(), x)])
    got = evaluate(after, {x: X})
    np.testing.assert_allclose(got[0], value(X), rtol=1e-12)
    if derivative is not None:
        np.testing.assert_allclose(got[1], derivative(X), rtol=1e-12, atol=1e-300)


def test_log_sum_exp():
    x = T.dmatrix("x")
    v = T.log(T.sum(T.exp(x), axis=1))
    after, _ = rewrite([v, grad(v.sum(), x)])
    value, gradient = evaluate(after, {x: LOGITS})
    z = log_softmax(LOGITS)
    np.testing.assert_allclose(value, (LOGITS - z)[:, 0], rtol=1e-13)
    np.testing.assert_allclose(gradient, np.exp(z), rtol=1e-12, atol=1e-300)
