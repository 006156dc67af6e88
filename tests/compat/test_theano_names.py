"""What Theano had and Croton keeps for its programs: clone, as_op, OrderedUpdates, ..."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.compat.theano import graph, nnet, sparse, testing
from croton.compat.theano import tensor as names
from croton.compat.theano.ops import as_op, get_default_mode
from croton.config import config
from croton.loop import updates


def test_clone():
    x, y = T.dvectors("x", "y")
    z = T.exp(x) + y
    assert graph.clone(z, {y: x * 2}).eval({x: [0.0, 1.0]}) == pytest.approx([1, np.e + 2])
    first, second = graph.clone([z, z * 2], replace=[(x, y)])
    assert first.eval({y: [0.0]}) == pytest.approx([1])
    assert second.eval({y: [0.0]}) == pytest.approx([2])
    with pytest.raises(TypeError):
        graph.clone(z, {x: T.dmatrix()})
    own = graph.clone(z, share_inputs=False)
    assert not {x, y} & set(graph.inputs([own]))
    assert graph.clone(z) is z


def test_a_shared_variable_can_be_cloned_away():
    w = croton.shared(np.array(3.0), name="w")
    x = T.dscalar("x")
    assert graph.clone(w * x, {w: x}).eval({x: 4.0}) == 16


def test_equal_computations():
    x, y = T.dvectors("x", "y")
    assert graph.equal_computations([x + y], [x + y])
    assert not graph.equal_computations([x + y], [y + x])
    assert not graph.equal_computations([x + y], [x - y])
    assert graph.equal_computations([x * 2], [y * 2], [x], [y])
    assert not graph.equal_computations([x * 2], [y * 2])
    assert not graph.equal_computations([x * 2], [x * 3])
    assert not graph.equal_computations([x], [x, x])
    assert graph.is_same_graph(T.exp(x) * y, T.exp(x) * y)
    assert graph.is_same_graph(T.exp(x), T.exp(y), givens={x: y})


def test_walking():
    x, y = T.dvectors("x", "y")
    z = T.exp(x) + y
    assert graph.inputs([z]) == [x, y]
    assert [node.outputs[0] for node in graph.io_toposort([x, y], [z])][-1] is z
    assert graph.variables([x, y], [z]) == {x, y, z, z.owner.inputs[0]}
    assert {node.op for node in graph.ops([x, y], [z])} == {z.owner.op, z.owner.inputs[0].owner.op}


def test_as_op():
    @as_op(itypes=[names.dvector, names.lscalar], otypes=[names.dvector])
    def shifted(x, n):
        return np.roll(x, n)

    x, n = T.dvector(), T.lscalar()
    f = croton.function([x, n], shifted(x * 2, n) + 1)
    np.testing.assert_array_equal(f([1.0, 2.0, 3.0], 1), [7, 3, 5])
    assert "shifted" in str(shifted)
    with pytest.raises(ValueError, match="takes 2 inputs, got 1"):
        shifted(x)
    with pytest.raises(TypeError, match=r"as_op takes types such as T\.dmatrix"):
        as_op(["x"], [names.dvector])


def test_as_op_with_two_outputs_and_a_shape():
    def shapes(node, given):
        return [given[0], ()]

    @as_op(names.dvector, [names.dvector, names.dscalar], shapes)
    def parts(x):
        return x - x.mean(), np.asarray(x.mean())

    x = T.dvector()
    rest, mean = parts(x)
    f = croton.function([x], [rest, mean, rest.shape[0] * 2])
    values = f([1.0, 2.0, 6.0])
    np.testing.assert_array_equal(values[0], [-2, -1, 3])
    assert values[1] == 3
    assert values[2] == 6


def test_types_are_types():
    assert names.dmatrix("x").type == T.dmatrix().type == names.dmatrix
    assert names.frow().type.broadcastable == (True, False)
    assert names.icol(name="c").name == "c"


def test_updates():
    a, b = croton.shared(1.0, name="a"), croton.shared(2.0, name="b")
    first, second = updates.OrderedUpdates({a: a + 1}), updates.OrderedUpdates()
    second[b] = b * 2
    both = first + second
    assert list(both) == [a, b]
    assert list(updates.OrderedUpdates.__radd__(first, [(b, b * 3)])) == [b, a]
    f = croton.function([], a + b, updates=both)
    assert f() == 3
    assert (a.get_value(), b.get_value()) == (2, 4)
    with pytest.raises(KeyError, match="updated twice"):
        first + {a: a * 2}
    with pytest.raises(TypeError, match="shared variable"):
        first["a"] = 1


def test_constants():
    assert names.get_scalar_constant_value(T.constant(3)) == 3
    with pytest.raises(names.NotScalarConstantError):
        names.get_scalar_constant_value(T.dscalar("x"))


def test_default_mode():
    with config.change_flags(mode="FAST_COMPILE"):
        assert repr(get_default_mode()) == "FAST_COMPILE"


def test_debug_values():
    x = T.dscalar()
    x.tag.test_value = 3.0
    assert list(graph.get_debug_values(x)) == []
    with config.change_flags(compute_test_value="raise"):
        assert list(graph.get_debug_values(x, 2, croton.shared(5.0))) == [(3.0, 2, 5.0)]
        assert list(graph.get_debug_values(x, T.dscalar())) == []
        with pytest.raises(AssertionError, match="wrong"):
            graph.debug_assert(False, "wrong")
    with (
        config.change_flags(compute_test_value="warn"),
        pytest.warns(UserWarning, match="wrong"),
    ):
        graph.debug_assert(False, "wrong")
    graph.debug_assert(False)


def test_help_for_tests():
    assert testing.fetch_seed() == 666
    assert testing.fetch_seed(3) == 3
    testing.seed_rng(5)
    assert np.random.rand() == np.random.RandomState(5).rand()
    testing.assert_allclose(np.float32(1), np.float32(1) + np.float32(5e-6))
    with pytest.raises(AssertionError):
        testing.assert_allclose(1.0, 1.00001)
    testing.verify_grad(T.sqr, [np.array([1.0, 2.0])])
    with pytest.raises(NotImplementedError, match="does not have sparse"):
        sparse.SparseType("csr", "float64")


def test_softmax_of_a_vector_is_a_row():
    v = T.dvector("v")
    data = np.array([1.0, 2.0, 4.0])
    want = np.exp(data) / np.exp(data).sum()
    row = nnet.softmax(v)
    assert row.broadcastable == (True, False)
    np.testing.assert_allclose(row[0].eval({v: data}), want)
    np.testing.assert_allclose(nnet.logsoftmax(v).eval({v: data}), np.log([want]))
    assert nnet.softmax(T.dmatrix("m")).broadcastable == (False, False)
