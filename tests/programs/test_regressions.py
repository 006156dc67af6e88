"""Programs that once went wrong: most were found, and made small, by ``test_random_graphs``."""

from __future__ import annotations

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.rewrite.driver import Knowledge
from croton.rewrite.intern import Table


def agree(inputs, outputs, *arguments, rtol=1e-6):
    """Native code agrees with the reference; the outputs' values."""
    want = croton.function(inputs, outputs, mode="reference")(*arguments)
    got = croton.function(inputs, outputs)(*arguments)
    for w, g in zip(want, got, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol)
    return got


def test_sizes_are_outputs_and_updates():
    x = T.fmatrix("x")
    n = T.lscalar("n")
    total = croton.shared(10)
    f = croton.function(
        [x, n],
        [x.shape[0], x.shape[0], x.size, n, T.exp(x).shape[1], x[1:].shape[0] // 2],
        updates=[(total, total + x.shape[0])],
    )
    assert [int(v) for v in f(np.zeros((3, 4), "float32"), 7)] == [3, 3, 12, 7, 4, 1]
    assert total.get_value() == 13
    count = croton.shared(np.int64(0))
    croton.function([x], updates=[(count, x.shape[1])])(np.zeros((3, 4), "float32"))
    assert count.get_value() == 4


def test_a_size_is_given_to_a_python_op():
    class Square(croton.Op):
        __props__ = ()

        def make_node(self, n):
            return croton.Apply(self, [n], [T.lscalar()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] ** 2

    x = T.fvector("x")
    assert croton.function([x], Square()(x.shape[0]))(np.zeros(5, "float32")) == 25


EMPTY = [(0, 3), (3, 0), (0, 0), (2, 2)]


@pytest.mark.parametrize("shape", EMPTY)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_softmax_and_sums_of_nothing(shape, dtype):
    x = T.tensor(dtype, (None, None), "x")
    outputs = [
        T.nnet.softmax(x, axis=0), T.nnet.logsoftmax(x, axis=0), T.log(T.exp(x).sum(0)),
        T.logsumexp(x, 0), T.exp(x) / T.exp(x).sum((0, 1), keepdims=True),
    ]  # fmt: skip
    data = np.ones(shape, dtype)
    agree([x], outputs, data, rtol=1e-3)
    # The sum of nothing is 0, not -0.
    assert np.all(croton.function([x], 1 / x.sum(0))(data) > 0)
    assert croton.function([x], 1 / x.sum())(data) > 0
    assert np.all(croton.function([x], 1 / T.dot(x, x.T))(data) > 0)


@pytest.mark.parametrize("mode", ["reference", "FAST_RUN"])
def test_batches_of_other_sizes_do_not_fit(mode):
    a, b = T.tensor("float32", (1, None, None)), T.ftensor3()
    f = croton.function([a, b], T.batched_dot(a, b), mode=mode)
    with pytest.raises(ValueError, match=r"1 and 3|batch"):
        f(np.ones((1, 2, 2), "float32"), np.ones((3, 2, 2), "float32"))


def test_an_element_of_a_row_that_is_kept():
    x = T.fvector("x")
    rows = T.alloc(x, x.shape[0], x.shape[0])
    rows = T.inc_subtensor(rows[3::-2, 1 : rows.shape[1] // 2 : -1], 1)
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(rows), np.array([1, 0]))
    agree([x], [loss], np.array([0.3, 1.0], "float32"))
    m = T.fmatrix("m")
    centred = T.exp(T.tanh(m)) - T.exp(T.tanh(m)).mean(1, keepdims=True)
    picked = centred[T.arange(m.shape[0]), np.array([4, -1, 0])]
    agree([m], [picked], np.random.default_rng(0).random((3, 5), "float32"))


def test_an_index_that_is_computed():
    x, v = T.fmatrix("x"), T.fvector("v")
    a = np.random.default_rng(1).normal(size=(17, 5)).astype("float32")
    sums = T.logsumexp(x, axis=1)
    best = sums.argmax(0)
    agree([x], [sums[best]], a)
    agree([x], [sums[best % sums.shape[0]], sums, best], a)
    agree([v], [v[v.argmax()] * 2 + v.argmax(), T.zeros((v.argmax() + 1,)) + v[0]], a[0])


def test_groups_that_are_left_out_still_order_others():
    x, y = T.fvector("x"), T.imatrix("y")
    column = y[:, np.array([1], "int32")]
    power = T.pow(x, column)
    data = np.arange(12, dtype="int32").reshape(4, 3) % 3
    agree([x, y], [power[2, 1:], column], np.full(3, 2, "float32"), data)


def test_a_gather_below_two_reductions():
    x = T.ftensor4("x")
    picked = x[:, np.array([[0, -1], [-1, -1]]), :, np.array([[14, -12], [-18, 12]], "int8")]
    spread = T.std(T.sum(picked, axis=0, keepdims=True), axis=-1)
    agree([x], [spread], np.random.default_rng(0).normal(size=(3, 2, 4, 20)).astype("float32"))


def test_the_variance_of_a_softmax():
    x = T.dtensor3("x")
    s = T.nnet.softmax(x)
    outputs = [s * s.var(), s.var(), s.var((0, 1)), (s.mean(2) - s.mean(2).mean()).var()]
    agree([x], outputs, np.random.default_rng(0).normal(size=(4, 3, 5)))


def test_integer_powers_compile_in_time():
    n, k = T.wscalar("n"), T.tensor("int64", (3,), name="k")
    (found,) = agree([n, k], [T.pow(n, k)], np.int16(3), [1, 2, 39])
    assert found.tolist() == [3, 9, 3**39]


@pytest.mark.parametrize("mode", ["reference", "FAST_RUN"])
def test_what_is_left_of_an_empty_batch_is_known(mode):
    x = T.ftensor3("x")
    flat = croton.function([x], x.reshape((x.shape[0], -1)) * 2, mode=mode)
    assert flat(np.zeros((0, 3, 4), "float32")).shape == (0, 12)
    assert flat(np.zeros((2, 3, 4), "float32")).shape == (2, 12)
    assert flat(np.zeros((2, 0, 4), "float32")).shape == (2, 0)


def test_numbers_are_not_taken_for_those_of_objects_that_are_gone():
    x = T.tensor("float32", (None, None, 1), name="x")
    data = np.ones((70, 70, 1), "float32")
    for last in range(-11, -3):
        part = x[:70, :last:2, :]
        picked = part[part.shape[0] - 1 :, np.array([[6, -15], [8, 6]], "int32")]
        assert croton.function([x], picked)(data).shape == (1, 2, 2, 1)
        knowledge = Knowledge(Table())
        for k in range(100):
            assert knowledge.number(T.constant(k, ndim=1)) == k


class Doubled(croton.Op):
    """A user's own op, which does not tell its shape."""

    __props__ = ()

    def make_node(self, x):
        return croton.Apply(self, [x], [T.TensorType(x.dtype, (None,) * x.ndim)()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(inputs[0] + inputs[0])


def test_sizes_that_only_a_python_op_tells():
    x, y = T.fvectors("xy")
    a, b = Doubled()(x), Doubled()(y)
    data = np.arange(3, dtype="float32")
    agree([x, y], [x + a, a > x, T.exp(x), a + b, b * y], data, data)
    with pytest.raises(ValueError, match="shapes"):
        croton.function([x, y], a + b)(data, data[:2])
    agree([], [Doubled()(T.constant([1.5])) * 2])


def test_stabilising_ends():
    x = T.tensor("float32", (None, 17), name="x")
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(x), np.array([13, 1, 3]))
    outputs = [T.logsumexp(loss), T.log(T.exp(-loss).sum()), T.log(T.exp(1 - loss - loss).sum())]
    agree([x], outputs, np.random.default_rng(0).normal(size=(3, 17)).astype("float32"))


def test_values_of_square_domains_are_read_elsewhere_than_they_are_made():
    x, z = T.fmatrix("x"), T.fvector("z")
    data = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    product, rows = T.dot(x, x), T.exp(x).sum(1)
    outputs = [
        T.dot(x.T, x.T), product, product[::-1], product.T, T.tanh(product).T,
        T.inc_subtensor(product[::-1], product), T.concatenate([product, x[:0]]),
        T.inc_subtensor(x[::-1], product), rows, rows[::-1], T.set_subtensor(z[::-1], rows),
        T.inc_subtensor(x[:, ::-1], T.exp(x) / rows.dimshuffle(0, "x")),
        T.concatenate([rows[::-1], z]), T.concatenate([rows, rows[:0]]),
    ]  # fmt: skip
    for output in outputs:
        agree([x, z], [output, z, x], data, data[0], rtol=1e-4)
    agree([x, z], outputs, data, data[0], rtol=1e-4)


def test_two_equal_sums_have_names_of_their_own():
    x = T.fmatrix("x")
    column = T.any(x, axis=0)
    stacked = T.stack([column, column, column], axis=1)
    centred = stacked - stacked.mean(1, keepdims=True)
    normal = centred / T.sqrt(stacked.var(1, keepdims=True) + 0.1)
    agree([x], [normal], np.eye(4, 3, dtype="float32"))


def test_a_folded_constant_has_a_size():
    rows = Doubled()(T.concatenate([T.zeros((1, 1))] * 2, axis=0))
    agree([], [T.repeat(rows, 2, axis=0)])


def test_what_an_update_overwrites_is_read_before():
    data = np.arange(1, 6) * 0.5
    s, other = croton.shared(data, "s"), croton.shared(data[::-1].copy(), "other")
    shares = T.log(T.nnet.softmax(s, axis=0))
    kept = croton.function([], T.switch(T.le(shares, 0.3), s, shares), updates=[(s, shares)])
    np.testing.assert_array_equal(kept(), data)
    s.set_value(data)
    share = T.log(T.nnet.softmax(s, axis=0))
    updates = [(other, share), (s, share * other + s)]
    croton.function([], [], updates=updates)()
    expected = data - np.log(np.exp(data).sum())
    np.testing.assert_allclose(other.get_value(), expected)
    np.testing.assert_allclose(s.get_value(), expected * data[::-1] + data)


def test_what_an_update_overwrites_is_read_before_it_after_a_product():
    s = croton.shared(np.eye(5) + 1, "s")
    x = T.dmatrix("x")
    data = np.random.default_rng(0).normal(size=(5, 5))
    twice, old = T.dot(x, x) * 2, s.get_value()
    f = croton.function([x], [T.switch(T.lt(twice, 9), s, twice)], updates=[(s, twice)])
    expected = 2 * (data @ data)
    np.testing.assert_allclose(f(data)[0], np.where(expected < 9, old, expected))
    np.testing.assert_allclose(s.get_value(), expected)


@pytest.mark.parametrize("mode", ["reference", "FAST_RUN"])
def test_index_arrays_broadcast_where_their_types_say_so_only(mode):
    x, rows, columns = T.fmatrix("x"), T.lvector("rows"), T.lvector("columns")
    data, one, two = np.ones((3, 3), "float32"), [1], [0, 2]
    for part in (x[rows, columns], T.set_subtensor(x[rows, columns], 0)):
        f = croton.function([x, rows, columns], part, mode=mode)
        f(data, two, two)
        with pytest.raises(ValueError, match="shapes do not fit"):
            f(data, one, two)
    row = T.tensor("int64", (1,), "row")
    f = croton.function([x, row, columns], x[row, columns], mode=mode)
    assert f(data, one, two).shape == (2,)


@pytest.mark.parametrize(
    "shapes", [[(2, 3), (3, 4)], [(1, 3, 1), (1, 1, 1)], [(2, 3, 4), (2, 4, 2)]]
)
def test_products_with_constants_of_one_number(shapes):
    left, right = (np.random.default_rng(0).normal(size=s) for s in shapes)
    a, b = (T.tensor("float64", (None,) * len(s)) for s in shapes)
    ones, twos = T.ones(shapes[0]), T.constant(np.full(shapes[1], 2.0))
    outputs = [T.matmul(a, twos), T.tanh(T.matmul(ones, b)), T.matmul(ones, twos) + a.sum()]
    agree([a, b], outputs, left, right)


def test_a_constant_of_one_number_is_reshaped():
    x = T.fmatrix("x")
    twos = T.constant(np.full((2, 3), 2, "float32"))
    turned = twos.reshape((x.shape[1], x.shape[0]))
    outputs = [turned, turned.sum(0), T.dot(turned, x), turned + x[0, 0]]
    agree([x], outputs, np.arange(6, dtype="float32").reshape(2, 3))


def test_a_sum_of_what_is_shown_with_other_dimensions():
    x = T.tensor("float32", (None, 1, None, None))
    turned = x.dimshuffle("x", 0, 2, 3)
    outputs = [turned, T.neg(turned).sum(), T.argmax(turned, axis=0)]
    agree([x], outputs, np.random.default_rng(0).normal(size=(2, 1, 2, 2)).astype("float32"))


def test_a_sum_of_rows_of_which_an_element_is_used():
    x = T.fmatrix("x")
    data = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    for part in (x[:, 2:3], x[:, :1], x[:, -1:]):
        agree([x], [part * 2, x.sum(1), x.sum(), x.max(1) * part[:, 0]], data)
