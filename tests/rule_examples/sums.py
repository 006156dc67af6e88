"""Reductions, matrix products, ops said in simpler ones."""

import croton.tensor as T
from croton.tensor.deviations import SquaredDeviations
from croton.tensor.shapes import shape_i
from rule_examples import example, matrix, normal

# Reductions


for _kind in ("sum", "prod", "max", "min", "all", "any"):

    @example("reduce_ones")
    def _(kind=_kind):
        x, given = matrix(1, 4, shape=(1, None))
        return getattr(T, kind)(x, axis=(0, 1)), given

    @example("reduce_ones")
    def _(kind=_kind):
        x, given = matrix(1, 4, shape=(1, None))
        return getattr(T, kind)(x, axis=0), given

    @example("reduce_dimshuffle")
    def _(kind=_kind):
        x, given = matrix()
        return getattr(T, kind)(x.dimshuffle(1, "x", 0), axis=(0, 1)), given

    @example("reduce_dimshuffle")
    def _(kind=_kind):
        x = T.dtensor3()
        return getattr(T, kind)(x.transpose(2, 0, 1), axis=(2,)), {x: normal(2, 3, 4)}

    @example("reduce_reduction")
    def _(kind=_kind):
        x = T.dtensor3()
        f = getattr(T, kind)
        return f(f(x, axis=1), axis=1), {x: normal(2, 3, 4)}

    if _kind != "prod":

        @example("reduce_repetition")
        def _(kind=_kind):
            x, given = matrix(1, 4, shape=(1, None))
            return getattr(T, kind)(T.alloc(x, 3, shape_i(x, 1)), axis=0), given


@example("reduce_reduction", applies=False)
def _():
    x, given = matrix()
    return x.sum(axis=0).max(axis=0), given


@example("reduce_reduction", applies=False)
def _():
    x = T.tensor("float32", (None, None))
    return x.sum(axis=0).sum(dtype="float64"), {x: normal(2, 3).astype("float32")}


@example("reduce_repetition")
def _():
    x, given = matrix(0, 4)
    return T.full_like(x, 2.0).sum(axis=0), given


@example("reduce_repetition")
def _():
    x, given = matrix()
    return T.full_like(x, 2.0).sum(), given


@example("reduce_repetition", applies=False)
def _():
    x, given = matrix()
    return T.full_like(x, 2.0).max(axis=0), given


@example("sum_negative")
def _():
    x, given = matrix()
    return (-x).sum(axis=1), given


@example("sum_product")
def _():
    x, given = matrix()
    return (x * T.constant(2.5)).sum(axis=0), given


@example("sum_product")
def _():
    x, given = matrix()
    y, more = matrix(3, 1, "y", (None, 1), seed=1)
    return (y * x).sum(axis=1) + (x / y).sum(axis=1), given | more


@example("sum_product", applies=False)
def _():
    x, given = matrix()
    y, more = matrix(3, 1, "y", (None, 1), seed=1)
    return (y * x).sum(axis=0)[:3] + (y / x).sum(axis=1), given | more


@example("squared_deviations")
def _():
    x, given = matrix()
    return T.sqr(x - x.mean(axis=0, keepdims=True)).sum(axis=0), given


for _axes in ((0, 2, 3), (1, 3), (1, 2, 3)):

    @example("reduce_rows_first", applies=_axes != (1, 2, 3))
    def _(axes=_axes):
        x = T.dtensor4()
        return x.sum(axis=axes), {x: normal(2, 3, 4, 5)}


@example("reduce_rows_first", applies=False)
def _():
    x = T.tensor("float64", (None, None, 2))
    return x.max(axis=(0, 2)), {x: normal(3, 4, 2)}


@example("reduce_rows_first", applies=False)
def _():
    x = T.tensor("float64", (1, None, None, 1))
    return x.prod(axis=(1, 3)), {x: normal(1, 4, 5, 1)}


for _axes in ((1,), (1, 2), (0, 2), (1, 3), (0, 1, 3)):

    @example("expand")
    def _(axes=_axes):
        x = T.dtensor4()
        return SquaredDeviations(axes)(x), {x: normal(2, 3, 4, 5) + 10}


@example("expand", applies=False)
def _():
    x = T.dtensor3()
    return SquaredDeviations((0, 1))(x), {x: normal(2, 3, 4)}


# Matrices


@example("dot_of_zeros", needs="dimshuffle_of_repetition")
def _():
    x, given = matrix()
    return T.dot(x, x.zeros_like().T), given


@example("dot_of_transposes")
def _():
    x, given = matrix()
    y, more = matrix(2, 3, "y", seed=1)
    return T.dot(x.T, y.T), given | more


@example("dot_of_transposes")
def _():
    x, y = T.dtensor3s("x", "y")
    out = T.batched_dot(x.transpose(0, 2, 1), y.transpose(0, 2, 1))
    return out, {x: normal(2, 3, 4), y: normal(2, 5, 3)}


@example("transpose_of_dot")
def _():
    x, given = matrix()
    y, more = matrix(3, 2, "y", seed=1)
    return T.dot(x.T, y).T, given | more


@example("transpose_of_dot")
def _():
    x, y = T.dtensor3s("x", "y")
    out = T.batched_dot(x, y.transpose(0, 2, 1)).transpose(0, 2, 1)
    return out, {x: normal(2, 3, 4), y: normal(2, 5, 4)}


@example("dot_of_negative")
def _():
    x, given = matrix()
    return T.dot(-x, (-x).T), given


@example("dot_of_scaled")
def _():
    x, given = matrix()
    s = T.dscalar("s")
    return T.dot(x * s, x.T) + T.dot(x, x.T / 3.0), given | {s: 1.25}


@example("dot_of_scaled", applies=False)
def _():
    x, given = matrix()
    return T.dot(x * x.sum(axis=1, keepdims=True), x.T), given


@example("dot_of_single_inner")
def _():
    x, given = matrix(3, 1, shape=(None, 1))
    y, more = matrix(1, 4, "y", (1, None), seed=1)
    return T.dot(x, y), given | more


@example("dot_of_single_inner")
def _():
    x, given = matrix(3, 1)
    y, more = matrix(1, 4, "y", (1, None), seed=1)
    return T.dot(x, y), given | more


for _matrix in (lambda x: x, lambda x: x.T):

    @example("dot_with_vector")
    def _(f=_matrix):
        x, given = matrix(4, 4)
        v = T.dvector("v")
        return T.dot(f(x), v) + T.dot(v, f(x)), given | {v: normal(4, seed=2)}


# Expansion


@example("expand")
def _():
    x, given = matrix()
    return T.nnet.softmax(x, axis=0) + T.nnet.logsoftmax(x), given


@example("expand")
def _():
    x, given = matrix()
    return T.argmax(x, axis=1) + T.argmin(x, axis=1), given
