"""Channels last."""

import croton.tensor as T
from croton.tensor.nnet.conv.ops import Convolution, ConvolutionFilters, ConvolutionInputs
from croton.tensor.signal.pool import pool_2d
from rule_examples import example, normal


def image(*shape):
    x = T.dtensor4("x")
    return x, {x: normal(*shape)}


def view(*shape):
    """What has its channels first, as a view of what has them last."""
    x, given = image(*shape)
    return x.dimshuffle(0, 3, 1, 2), given


PLAIN = ((1, 2), ((0, 1), (1, 1)), (1, 1), 1)


@example("convolution_with_channels_last", rtol=1e-12)
def _():
    x, given = image(2, 3, 6, 7)
    w = T.dtensor4("w")
    return Convolution(*PLAIN)(x, w), given | {w: normal(4, 3, 2, 3)}


@example("convolution_with_channels_last", rtol=1e-12)
def _():
    y, given = image(2, 4, 6, 4)
    w = T.dtensor4("w")
    return ConvolutionInputs(*PLAIN)(y, w, 6, 7), given | {w: normal(4, 3, 2, 3)}


@example("convolution_with_channels_last", rtol=1e-12)
def _():
    x, given = image(2, 3, 6, 7)
    y = T.dtensor4("y")
    return ConvolutionFilters(*PLAIN)(x, y, 2, 3), given | {y: normal(2, 4, 6, 4)}


@example("convolution_with_channels_last", applies=False)
def _():
    x, given = image(2, 6, 7, 3)
    w = T.dtensor4("w")
    return Convolution(*PLAIN, True)(x, w), given | {w: normal(2, 3, 3, 4)}


@example("function_with_channels_last")
def _():
    x, given = view(2, 3, 4, 5)
    b, y = T.dvector("b"), T.dtensor4("y")
    return x * b.dimshuffle("x", 0, "x", "x") + T.exp(y), given | {
        b: normal(5),
        y: normal(2, 5, 3, 4),
    }


@example("function_with_channels_last", applies=False)
def _():
    x, given = image(2, 3, 4, 5)
    return x.dimshuffle(0, 2, 3, 1) * 2, given


@example("view_of_function")
def _():
    x, given = image(2, 3, 4, 5)
    b = T.dvector("b")
    return (T.exp(x) + b.dimshuffle("x", 0, "x", "x")).dimshuffle(0, 2, 3, 1), given | {
        b: normal(3)
    }


@example("view_of_function", applies=False)
def _():
    x, given = image(2, 3, 4, 5)
    y = T.exp(x)
    return y.dimshuffle(0, 2, 3, 1).sum() + y.sum(), given


@example("pooling_with_channels_last")
def _():
    x, given = view(2, 5, 6, 3)
    return pool_2d(x, (2, 3), ignore_border=True, stride=(2, 1)), given


@example("pooling_with_channels_last", rtol=1e-12)
def _():
    x, given = view(2, 5, 6, 3)
    y = pool_2d(x, (2, 2), ignore_border=False, mode="sum")
    return T.grad((y**2).sum(), x), given


@example("pooling_with_channels_last", rtol=1e-12)
def _():
    x, given = view(2, 5, 6, 3)
    y = pool_2d(x, (3, 2), ignore_border=True, pad=(1, 0))
    return T.grad((y**2).sum(), x), given


@example("pooling_with_channels_last", applies=False)
def _():
    x, given = image(2, 3, 5, 6)
    return pool_2d(x, (2, 2), ignore_border=True), given


@example("reduction_with_channels_last", rtol=1e-12)
def _():
    x, given = view(2, 3, 4, 5)
    return x.sum((0, 2, 3)) + x.max((0, 3, 2)), given


@example("reduction_with_channels_last", rtol=1e-12)
def _():
    x, given = view(2, 3, 4, 5)
    return x.sum(0), given


@example("reduction_with_channels_last", needs="function_with_channels_last", rtol=1e-12)
def _():
    x, given = view(2, 3, 4, 5)
    return T.sqr(x).sum(3), given


@example("join_with_channels_last")
def _():
    x, given = view(2, 3, 4, 5)
    y = T.dtensor4("y")
    both = T.concatenate([x, y.dimshuffle(0, 3, 1, 2)], axis=1)
    return both, given | {y: normal(2, 3, 4, 2)}


@example("join_with_channels_last", applies=False)
def _():
    x, given = view(2, 3, 4, 5)
    y = T.dtensor4("y")
    return T.concatenate([x, y], axis=0), given | {y: normal(1, 5, 3, 4)}


@example("part_with_channels_last")
def _():
    x, given = view(2, 3, 4, 5)
    return x[:, 1:4, ::-1, :-1], given


@example("part_with_channels_last", applies=False)
def _():
    x, given = view(2, 3, 4, 5)
    return x[:, 1], given


@example("promise_with_channels_last")
def _():
    x, given = view(2, 3, 4, 5)
    return T.specify_shape(x, (None, 5, None, 4)), given
