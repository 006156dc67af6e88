"""Parts of tensors, and picking one element a row."""

import numpy as np

import croton.tensor as T
from croton.tensor.indexing import AdvancedIncSubtensor, IncSubtensor
from croton.tensor.shapes import shape_i
from rule_examples import example, matrix, normal

# Indexing


@example("plain_subtensor", needs="size_extreme")
def _():
    x, given = matrix()
    return x[0 : shape_i(x, 0)][1:, 0:9], given


@example("plain_subtensor")
def _():
    x, given = matrix(shape=(3, 4))
    return x[0:3, 1:9], given


@example("plain_subtensor", applies=False)
def _():
    x, given = matrix()
    return x[:-1, 1:], given


@example("plain_inc_subtensor")
def _():
    x, given = matrix()
    return T.inc_subtensor(x[0 : shape_i(x, 0)], T.exp(x)), given


@example("plain_inc_subtensor", applies=False)
def _():
    x, given = matrix()
    y, more = matrix(name="y", seed=1)
    return IncSubtensor((), True)(x, y), given | more


@example("plain_inc_subtensor")
def _():
    x, given = matrix()
    return IncSubtensor((), True)(x, T.sqr(x)), given


@example("part_of_repetition")
def _():
    x, given = matrix(1, 4, shape=(1, None))
    return T.alloc(x, 3, shape_i(x, 1))[1:, ::2], given


@example("part_of_repetition")
def _():
    x, given = matrix(1, 4, shape=(1, None))
    return T.alloc(x, 3, shape_i(x, 1))[-1], given


@example("part_of_repetition", applies=False)
def _():
    x, given = matrix()
    return x.ones_like()[1], given


@example("part_of_join", needs="size_arithmetic+size_extreme+size_comparison+switch_known")
def _():
    x, given = matrix(3, 4)
    y, more = matrix(2, 4, "y", seed=1)
    n, m = shape_i(x, 0), shape_i(y, 0)
    return T.concatenate([x, y], axis=0)[n : n + m] * 2, given | more


@example("part_of_join")
def _():
    x, given = matrix(3, 4)
    return T.stack([x, T.exp(x)], axis=1)[:, -1], given


@example("part_of_put")
def _():
    x, given = matrix(shape=(3, 4))
    return T.set_subtensor(x[1], T.exp(x[2]))[1], given


@example("part_of_put")
def _():
    x, given = matrix(shape=(3, 4))
    return T.inc_subtensor(x[:, 1:3], T.exp(x[:, :2]))[:, 1:3], given


@example("part_of_put", applies=False)
def _():
    x, given = matrix()
    return T.set_subtensor(x[1], 0.0)[1], given


def _put(puts, set_=False, base=T.zeros):
    """Values put into a matrix of 4 rows, at slices of the rows."""
    x, given = matrix(shape=(3, None))
    whole = base((4, x.shape[1]), dtype=x.dtype)
    for start, stop, value in puts:
        put = T.set_subtensor if set_ else T.inc_subtensor
        whole = put(whole[start:stop], value(x))
    return whole, given


_ROWS = [(2, None, lambda x: T.exp(x[:2])), (0, 1, lambda x: x[1:2]), (1, 2, lambda x: -x[:1])]


@example("put_everywhere")
def _():
    return _put(_ROWS)


@example("put_everywhere")
def _():
    return _put([(-2, 4, lambda x: x[:2]), (0, 2, lambda x: T.sqr(x[:2]))], set_=True)


@example("put_everywhere", applies=False)
def _():
    """A row is left."""
    return _put([_ROWS[0], _ROWS[1]])


@example("put_everywhere", applies=False)
def _():
    """One is put twice."""
    return _put([_ROWS[1], (0, 2, lambda x: x[:2]), _ROWS[0]])


@example("put_everywhere", applies=False)
def _():
    return _put(_ROWS, base=T.ones)


@example("put_everywhere", applies=False)
def _():
    """A row is put everywhere."""
    return _put([(0, 2, lambda x: x[:2]), (2, 4, lambda x: x.sum(axis=0, keepdims=True))])


@example("sum_with_put")
def _():
    x, given = matrix()
    return T.inc_subtensor(x.zeros_like()[1:, 0], x[:-1, 1]) + T.exp(x), given


@example("part_of_function")
def _():
    x, given = matrix()
    return T.exp(x)[1], given


@example("part_of_function")
def _():
    x, given = matrix()
    n = T.lscalar("n")
    e = T.clip(x, x.sum(axis=0, keepdims=True), 2)
    return e[n, ::-2], given | {n: np.array(-1)}


@example("part_of_function", applies=False)
def _():
    x, given = matrix()
    v = T.dvector("v")
    return (x + v)[1, ::-2], given | {v: normal(4, seed=1)}


@example("part_of_function")
def _():
    x, given = matrix()
    v = T.dvector("v")
    return (x + v)[1], given | {v: normal(4, seed=1)}


@example("part_of_function")
def _():
    x, given = matrix()
    v = T.dvector("v")
    return (x * v.dimshuffle(0, "x"))[:, 1:2], given | {v: normal(3, seed=1)}


@example("part_of_function")
def _():
    v, w = T.dvector("v"), T.tensor("float64", (1, None), name="w")
    return (v.dimshuffle(0, "x") + w)[2], {v: normal(3), w: normal(1, 4, seed=1)}


@example("part_of_function")
def _():
    w = T.tensor("float64", (1, None), name="w")
    return T.exp(w)[1:, 0], {w: normal(1, 4)}


@example("part_of_function", applies=False)
def _():
    x, given = matrix()
    e = T.exp(x)
    return e[1] + e[2], given


@example("part_of_reduction")
def _():
    x = T.dtensor3("x")
    return x.max(axis=1)[1, 1:], {x: normal(3, 4, 5)}


@example("part_of_reduction")
def _():
    x = T.dtensor3("x")
    n = T.lscalar("n")
    return x.sum(axis=(0, 2))[n], {x: normal(3, 4, 5), n: np.int64(3)}


@example("part_of_dimshuffle")
def _():
    x, given = matrix()
    return T.exp(x).T[1:, 0], given


@example("part_of_dimshuffle")
def _():
    x, given = matrix()
    return x.sum(axis=1, keepdims=True)[-1], given


# Picking one element a row


def _scatter(labels, rows=None, classes=4, value=None):
    def make():
        x, given = matrix(5, classes)
        y = T.lvector("y")
        n = shape_i(x, 0) if rows is None else shape_i(y, 0)
        g = T.dvector("g") if value is None else T.constant([value])
        out = AdvancedIncSubtensor(0)(x.zeros_like(), g, T.arange(n), y)
        given = given | {y: np.array(labels)}
        return out, given | ({g: normal(len(labels), seed=3)} if value is None else {})

    return make


example("one_hot")(_scatter([0, 3, -1, -4, 2]))
example("one_hot")(_scatter([0, 3, -1, -4, 2], value=2.0))
example("one_hot")(_scatter([0, 3, -1], rows="labels"))
example("one_hot")(_scatter([0, 3, -1], rows="labels", value=2.0))


@example("one_hot", applies=False)
def _():
    x, given = matrix()
    y = T.lvector("y")
    out = AdvancedIncSubtensor(0)(x, 1.0, T.arange(shape_i(x, 0)), y)
    return out, given | {y: np.array([1, 1, 3])}


example("sum_of_one_hot", needs="one_hot")(lambda: _summed(_scatter([0, 3, -1, -4, 2])))
example("sum_of_one_hot", needs="one_hot")(lambda: _summed(_scatter([0, 3, -1], rows="labels")))


def _summed(make):
    out, given = make()
    return out.sum(axis=1), given


@example("sum_of_one_hot", applies=False)
def _():
    x, given = matrix()
    y = T.lvector("y")
    hit = T.eq(y.dimshuffle(0, "x"), T.arange(shape_i(x, 1)).dimshuffle("x", 0))
    g = T.dvector("g")
    out = T.switch(hit, g.dimshuffle(0, "x"), 0.0).sum(axis=1)
    return out, given | {y: np.array([1, 9, 3]), g: normal(3)}
