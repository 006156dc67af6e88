"""Constants and dtypes, products and quotients, softmax."""

import numpy as np

import croton.tensor as T
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import FUNCTIONS
from croton.tensor.indexing import AdvancedIncSubtensor
from croton.tensor.shapes import shape_i
from rule_examples import example, matrix, normal

# Constants and dtypes


@example("fold_constants")
def _():
    return FUNCTIONS["add"].op(T.constant([1.0, 2.0]), T.constant([0.5, -0.0])), {}


@example("fold_constants")
def _():
    return FUNCTIONS["int_div"].op(T.constant([1, -7]), T.constant([0, 2])), {}


@example("fold_constants", applies=False)
def _():
    return Alloc()(T.constant(1.0), 3, 2), {}


@example("one_dtype")
def _():
    x = T.tensor("int32", (None,))
    return x * T.constant(0.5) - T.constant(True), {x: np.array([1, -5, 2**31 - 1], "int32")}


@example("one_dtype")
def _():
    c, x = T.tensor("int8", (None,)), T.tensor("float32", (None,))
    return T.switch(c, x, 1), {c: np.array([0, 1, -2], "int8"), x: np.float32([1, 2, np.nan])}


@example("one_dtype")
def _():
    x = T.tensor("uint64", (None,))
    return x > T.constant(-1), {x: np.array([0, 2**63], "uint64")}


@example("one_dtype")
def _():
    x, y = T.tensor("int64", (None,)), T.tensor("int8", (None,))
    return x // y, {x: np.array([7, -7, 2**60 + 1, 0, 3]), y: np.array([2, 2, 3, 0, 0], "int8")}


# Factors


@example("cancel_in_product")
def _():
    a, b, c = T.dvectors("a", "b", "c")
    values = normal(3, 5)
    return a / b / c * b * T.exp(a), dict(zip((a, b, c), values, strict=True))


@example("cancel_in_product")
def _():
    x, given = matrix()
    y, more = matrix(1, 4, "y", (1, None), seed=1)
    return y / T.exp(x) * T.exp(x), given | more


@example("cancel_in_quotient")
def _():
    a, b, c = T.dvectors("a", "b", "c")
    values = normal(3, 5)
    return (-(a * b) * c) / (c * T.sqr(a)), dict(zip((a, b, c), values, strict=True))


@example("normalised_in_quotient")
def _():
    x, given = matrix()
    e = T.exp(x)
    return e / e.sum(axis=1, keepdims=True), given


@example("normalised_in_quotient")
def _():
    x, given = matrix()
    e = T.exp(x)
    return e / e.sum(axis=(0, 1), keepdims=True), given


@example("normalised_in_product")
def _():
    x, given = matrix()
    g, more = matrix(name="g", seed=1)
    e = T.exp(x - x.max(axis=0, keepdims=True))
    return g / e.sum(axis=0, keepdims=True) * e, given | more


@example("product_of_sum_with_quotient")
def _():
    a, b, c = T.dvectors("a", "b", "c")
    return b * (a / b - c), dict(zip((a, b, c), normal(3, 5), strict=True))


@example("product_of_sum_with_quotient")
def _():
    a, b = T.dvectors("a", "b")
    return (1 / a + b) * a, dict(zip((a, b), normal(2, 5), strict=True))


@example("product_with_put")
def _():
    x, given = matrix()
    y, g = T.lvector("y"), T.dvector("g")
    put = AdvancedIncSubtensor(0)(x.zeros_like(), g, T.arange(shape_i(x, 0)), y)
    return put * T.exp(x), given | {y: np.array([0, 3, -1]), g: normal(3)}


@example("product_with_put")
def _():
    x, given = matrix()
    y, g = T.lvector("y"), T.dmatrix("g")
    put = AdvancedIncSubtensor(0)(x.zeros_like(), g, y)
    return T.exp(x) * put, given | {y: np.array([0, 2, 0, -1]), g: normal(4, 4)}


@example("over_smaller")
def _():
    x, given = matrix()
    y, more = matrix(3, 1, "y", (None, 1), seed=1)
    return x / y, given | more


@example("over_smaller", applies=False)
def _():
    x, given = matrix()
    return x / T.exp(x), given


@example("small_factors_together")
def _():
    x, given = matrix()
    y, more = matrix(3, 1, "y", (None, 1), seed=1)
    z = T.dscalar("z")
    return x * y * z, given | more | {z: 1.5}


# Softmax


def _log_of_picked(pick):
    def make():
        x, given = matrix()
        return T.log(pick(T.nnet.softmax(x))), given

    return make


for _pick in (
    lambda s: s,
    lambda s: s.T,
    lambda s: s[1:, 0],
    lambda s: s[T.arange(3), T.constant([0, 3, -1])],
    lambda s: s.dimshuffle(0, "x", 1)[0].flatten(),
):
    example("log_softmax")(_log_of_picked(_pick))


@example("log_softmax", applies=False)
def _():
    x, given = matrix()
    return T.log(1.0 + T.nnet.softmax(x)), given


@example("exp_log_softmax")
def _():
    x, given = matrix()
    return T.exp(T.nnet.logsoftmax(x, axis=0)), given


@example("log_sum_exp")
def _():
    x, given = matrix()
    return T.log(T.exp(x).sum(axis=0)), given


@example("log_sum_exp")
def _():
    x = T.dmatrix()
    rows = np.array([[-np.inf, -np.inf], [np.inf, 1.0], [np.nan, 1.0], [-np.inf, 3.0]])
    return T.log(T.exp(x).sum(axis=1)), {x: rows}


@example("log_sum_exp", applies=False)
def _():
    x, given = matrix()
    return T.logsumexp(x, axis=0), given


@example("argmax_of_increasing")
def _():
    x, given = matrix()
    return T.argmax(T.exp(x), axis=1) + T.argmin(T.tanh(x), axis=1), given


@example("argmax_of_softmax")
def _():
    x, given = matrix()
    s = T.nnet.softmax(x)
    return T.argmax(s, axis=1) + T.argmin(T.nnet.logsoftmax(x), axis=1), given


@example("argmax_of_softmax", applies=False)
def _():
    x, given = matrix()
    s = T.nnet.softmax(x)
    return T.argmax(s, axis=0) + T.argmax(s), given
