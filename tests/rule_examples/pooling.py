"""Maxima of windows."""

import numpy as np

import croton.tensor as T
from croton.tensor.signal.pool import pool_2d
from rule_examples import example, normal


def images(dtype="float64"):
    x = T.tensor4("x", dtype=dtype)
    return x, {x: normal(2, 3, 7, 9).astype(dtype)}


def pooled(x, **how):
    return pool_2d(x, **{"ws": (3, 2), "stride": (2, 2), "ignore_border": True} | how)


INCREASING = {
    "tanh": T.tanh,
    "sigmoid": T.nnet.sigmoid,
    "relu": T.nnet.relu,
    "minimum": lambda x: T.minimum(0.5, x),
    "less": lambda x: x - 0.3,
    "scaled": lambda x: 2.5 * x,
    "divided": lambda x: x / 3.0,
}
for _function in INCREASING.values():

    @example("maxima_first")
    def _(f=_function):
        x, given = images()
        return pooled(f(x)), given


@example("maxima_first")
def _():
    # Padding is no maximum: the function's own values are less than nothing here.
    x, given = images()
    return pooled(T.tanh(x) - 5.0, pad=(1, 1)), given


@example("maxima_first")
def _():
    x, given = images()
    b = T.dvector("b")
    shifted = T.nnet.relu(x + b.dimshuffle("x", 0, "x", "x"))
    return pooled(shifted, ignore_border=False), given | {b: normal(3, seed=1)}


@example("maxima_first", needs="pooling_with_channels_last")
def _():
    # Channels last: the window has one place along them.
    x, given = images()
    b = T.dvector("b")
    shifted = (x.dimshuffle(0, 2, 3, 1) + b).dimshuffle(0, 3, 1, 2)
    return pooled(shifted), given | {b: normal(3, seed=1)}


@example("maxima_first")
def _():
    x = T.dtensor4("x")
    value = normal(2, 3, 7, 9)
    value[0, 0, 2, 3], value[1, 1, 4, 4], value[0, 2, 0, 0] = np.nan, np.inf, -np.inf
    return pooled(T.nnet.relu(x + 1.0)), {x: value}


FALLING = {
    "negative": lambda x: -x,
    "from": lambda x: 0.3 - x,
    "scaled": lambda x: x * -2.5,
    "divisor": lambda x: 3.0 / x,
    "of_positive_only": T.sqrt,
    "both": lambda x: x + T.tanh(x[:, :, ::-1]),
    "square": T.sqr,
    "integers": lambda x: x.astype("int8") + np.int8(1),
}
for _function in FALLING.values():

    @example("maxima_first", applies=False)
    def _(f=_function):
        x, given = images()
        return pooled(f(x)), given


@example("maxima_first", applies=False)
def _():
    # What somebody else reads is computed anyhow.
    x, given = images()
    y = T.tanh(x)
    return pooled(y).sum() + y.sum(), given


@example("maxima_first", applies=False)
def _():
    x, given = images()
    c = T.dmatrix("c")
    return pooled(x + c.dimshuffle("x", "x", 0, 1)), given | {c: normal(7, 9, seed=1)}


@example("maxima_first", applies=False)
def _():
    x, given = images()
    scale = T.dvector("scale")
    return pooled(x * scale.dimshuffle("x", 0, "x", "x")), given | {scale: normal(3, seed=1)}


@example("maxima_first", applies=False)
def _():
    x, given = images()
    return pooled(T.tanh(x), mode="sum"), given
