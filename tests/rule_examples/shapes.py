"""Sizes, views, repeated values."""

import numpy as np

import croton.tensor as T
from croton.gradient.markers import disconnected_grad
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import FUNCTIONS
from croton.tensor.indexing.basic import Slice
from croton.tensor.shapes import DimShuffle, Reshape, SpecifyShape, shape_i
from rule_examples import example, matrix, normal, size

# Sizes


@example("shape")
def _():
    x, given = matrix()
    return shape_i(T.dot(x, x.T), 1), given


@example("shape")
def _():
    x, given = matrix(5, 4)
    n = T.lscalar("n")
    return T.stack([shape_i(x[1:n:2], 0), shape_i(x[-3:, ::-1], 1)]), given | {n: np.int64(4)}


@example("shape", applies=False)
def _():
    x, given = matrix()
    return shape_i(x, 1), given


@example("element_of_made_vector")
def _():
    x, y = T.dscalars("x", "y")
    return T.Subtensor([1])(T.stack([x, y])), {x: np.array(1.0), y: np.array(2.0)}


@example("element_of_made_vector")
def _():
    x, y = T.dscalars("x", "y")
    v = T.Subtensor([Slice(None, None, -1)])(T.stack([x, y]))
    return v, {x: np.array(1.0), y: np.array(2.0)}


@example("reduced_made_vector")
def _():
    x, given = matrix()
    return x.shape.prod() + x.shape.sum(), given


@example("size_arithmetic")
def _():
    (n, a), (m, b) = size("n", 5), size("m", 3)
    return (n + m) * (n - m) - n * n + m * 7 + 2 - (m - n), a | b


@example("size_arithmetic")
def _():
    (n, a), (m, b) = size("n", 5), size("m", 3)
    return (n + m) - n, a | b


@example("size_arithmetic", applies=False)
def _():
    n = T.lscalar("n")
    return -(n * 2**40) * 2**30 + n, {n: np.int64(2**50 + 1)}


for _op in (T.lt, T.le, T.gt, T.ge, T.eq, T.ne):

    @example("size_comparison", needs="size_arithmetic")
    def _(op=_op):
        (n, a), (m, b) = size("n", 5), size("m", 0)
        sides = [(n + 1, n), (n, n + 1), (-n, 1), (n * m + 1, 0), (-1 - m, n)]
        if op not in (T.eq, T.ne):
            sides += [(n, 0), (0, n)]
        known = T.stack([T.cast(op(p, q), "int8") for p, q in sides])
        return known, a | b

    @example("size_comparison", applies=False)
    def _(op=_op):
        (n, a), (m, b) = size("n", 5), size("m", 0)
        return op(n, m), a | b

    @example("size_comparison", applies=False)
    def _(op=_op):
        k = T.lscalar("k")
        return op(k, -1 - k), {k: np.int64(-4)}


@example("size_extreme")
def _():
    (n, a), (m, b) = size("n", 5), size("m", 3)
    return T.maximum(T.minimum(n, n + m), -1), a | b


@example("size_extreme", applies=False)
def _():
    (n, a), (m, b) = size("n", 5), size("m", 3)
    return T.maximum(n, m), a | b


@example("size_quotient")
def _():
    (n, a), (m, b) = size("n", 5), size("m", 3)
    return (n * m * 6) // (m * 2), a | b


@example("size_quotient", applies=False)
def _():
    n, a = size("n", 5)
    return (n * 3) // 2, a


# Views


@example("marker")
def _():
    x, given = matrix()
    return disconnected_grad(x) * 2, given


@example("useless_dimshuffle")
def _():
    x, given = matrix()
    return DimShuffle((0, 1))(x), given


@example("dimshuffle_dimshuffle")
def _():
    x, given = matrix()
    return DimShuffle((2, "x", 0))(DimShuffle((1, "x", 0))(x)), given


@example("dimshuffle_dimshuffle")
def _():
    x, given = matrix(1, 4, shape=(1, None))
    return DimShuffle((1, 0))(DimShuffle((1, "x"))(x)), given


@example("useless_dimshuffle")
def _():
    x, given = matrix(1, 4, shape=(1, None))
    return DimShuffle(("x", 1))(x), given


@example("useless_dimshuffle", applies=False)
def _():
    x, given = matrix(1, 4, shape=(1, None))
    return DimShuffle((1, "x"))(x), given


@example("dimshuffle_of_function")
def _():
    v, w = T.dvectors("v", "w")
    e = T.clip(v.dimshuffle("x", 0), w.dimshuffle("x", 0), T.constant([[2.0]]))
    return DimShuffle((1,))(e), {v: normal(3), w: normal(3, seed=1)}


@example("dimshuffle_of_function", applies=False)
def _():
    v = T.dvector("v")
    x, given = matrix()
    return T.exp(v.dimshuffle("x", 0) + x).dimshuffle(1, 0), given | {v: normal(4)}


@example("function_of_scalars")
def _():
    x, given = matrix()
    s, t = T.dscalars("s", "t")
    return x + T.exp(s.dimshuffle("x", "x") / t.dimshuffle("x", "x")), given | {
        s: np.array(2.0),
        t: np.array(0.5),
    }


@example("function_of_scalars")
def _():
    s = T.dscalar("s")
    return 1 + s.dimshuffle("x"), {s: np.array(2.0)}


@example("reshape_reshape")
def _():
    x, given = matrix()
    return x.reshape((2, 6)).reshape((4, 3)), given


@example("reshape_same_sizes")
def _():
    x, given = matrix()
    return x.reshape((shape_i(x, 0), 1, shape_i(x, 1), 1)), given


@example("reshape_same_sizes")
def _():
    x, given = matrix(4, 1, shape=(None, 1))
    return x.reshape((1, shape_i(x, 0))), given


@example("reshape_same_sizes")
def _():
    x, given = matrix()
    return Reshape(2)(x, *(shape_i(x, d) for d in (0, 1))), given


@example("reshape_same_sizes", applies=False)
def _():
    x, given = matrix()
    return x.reshape((shape_i(x, 1), shape_i(x, 0))), given


@example("kept_promise")
def _():
    x, given = matrix(shape=(3, None))
    return SpecifyShape((3, None))(x), given


@example("promised_promise")
def _():
    x, given = matrix()
    return SpecifyShape((3, None))(SpecifyShape((None, 4))(x)), given


@example("cast")
def _():
    x = T.tensor("int8", (None,))
    return x.astype("int32").astype("float64"), {x: np.array([-128, 127], "int8")}


@example("cast", applies=False)
def _():
    x = T.dvector()
    return x.astype("int8").astype("float64"), {x: np.array([-1.5, 300.7])}


for _name in ("floor", "ceil", "trunc", "round_half_to_even", "round_half_away_from_zero"):

    @example(f"{_name}_of_integer")
    def _(name=_name):
        x = T.lvector()
        return FUNCTIONS[name].op(x), {x: np.array([-3, 0, 2**60 + 1])}


# Repetitions


@example("repetition_in_elementwise")
def _():
    x, given = matrix()
    return x.zeros_like() + x * x.ones_like(), given


@example("repetition_in_elementwise")
def _():
    x, given = matrix()
    return T.exp(x.zeros_like()), given


@example("repetition_in_elementwise")
def _():
    x, given = matrix()
    row = x.sum(axis=0, keepdims=True)
    return row + T.full_like(x, 2.0), given


@example("repetition_in_elementwise", applies=False)
def _():
    x, given = matrix()
    return x + T.zeros((3, 4)), given


@example("repetition_of_repetition")
def _():
    x, given = matrix(1, 1, shape=(1, 1))
    return Alloc()(Alloc()(x, 3, 1), 3, 5), given


@example("useless_repetition")
def _():
    x, given = matrix()
    return T.fill(x, x), given


@example("useless_repetition", applies=False)
def _():
    x, given = matrix()
    return T.alloc(x, 3, 4), given


@example("dimshuffle_of_repetition")
def _():
    x, given = matrix(1, 4, shape=(1, None))
    return T.alloc(x, 3, shape_i(x, 1)).dimshuffle(1, "x", 0), given


@example("reshape_of_repetition")
def _():
    return T.alloc(T.constant(2.0), 3, 4).reshape((2, 6)), {}


@example("reshape_of_repetition")
def _():
    x, given = matrix()
    return x.ones_like().reshape((shape_i(x, 1), shape_i(x, 0))), given


@example("reshape_of_repetition", applies=False)
def _():
    x, given = matrix()
    return x.ones_like().reshape((6, 2)), given
