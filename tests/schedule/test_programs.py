"""What a Program looks like: how much is fused, what is written in place."""

from __future__ import annotations

import numpy as np

import croton
import croton.tensor as T
from croton.compile import kernels
from croton.runtime.program import Host, Launch


def launches(f):
    return [i for i in f.program.instructions if isinstance(i, Launch)]


def test_an_elementwise_chain_is_one_kernel():
    x, y, z = T.fvectors("xyz")
    out = T.tanh(x) * T.nnet.sigmoid(y) + T.log1p(T.exp(z)) - x * y / (1 + z * z)
    f = croton.function([x, y, z], out)
    assert len(launches(f)) == 1


def test_a_softmax_is_one_kernel():
    x = T.fmatrix("x")
    assert len(launches(croton.function([x], T.nnet.softmax(x)))) == 1


def test_an_update_is_written_in_place():
    w = croton.shared(np.ones(5, "float32"))
    f = croton.function([], updates=[(w, w * 2 + 1)])
    before = w.get_value(borrow=True).ctypes.data
    f()
    assert w.get_value(borrow=True).ctypes.data == before
    np.testing.assert_array_equal(w.get_value(), np.full(5, 3, "float32"))


def test_what_is_read_elsewhere_is_not_overwritten():
    x = np.random.default_rng(0).standard_normal((70, 70))
    for change, in_place in (
        (lambda v: v.T, False),
        (lambda v: v[::-1], False),
        (lambda v: v.T[:, ::-1] * 2, False),
        (lambda v: (v + 1).T, False),
        (lambda v: (v + 1)[::-1], False),
        (lambda v: (v + 1).reshape((140, 35)).T.reshape((70, 70)), False),
        (lambda v: v[::-1] + v, False),
        (lambda v: v * 2 + 1, True),
    ):
        w = croton.shared(x, shape=x.shape)
        # What both need may be computed for each, where it is used.
        for outputs in ([], [(w + 1).dimshuffle("x", 0, 1) * -1]):
            w.set_value(x)
            f = croton.function([], outputs, updates=[(w, change(w))])
            f()
            assert np.array_equal(w.get_value(), change(x))
            assert (f.program.updates[0].buffer == 0) == in_place


def test_updates_see_the_old_values():
    a, b = croton.shared(np.array([1.0, 2.0])), croton.shared(np.array([10.0, 20.0]))
    f = croton.function([], [a + b], updates=[(a, b), (b, a + b)])
    np.testing.assert_array_equal(f()[0], [11.0, 22.0])
    np.testing.assert_array_equal(a.get_value(), [10.0, 20.0])
    np.testing.assert_array_equal(b.get_value(), [11.0, 22.0])


def test_an_update_that_reads_itself_elsewhere_is_not_spoiled():
    w = croton.shared(np.arange(6.0).reshape(2, 3))
    f = croton.function([], updates=[(w, w[::-1] + w[:, ::-1])])
    start = w.get_value()
    f()
    np.testing.assert_array_equal(w.get_value(), start[::-1] + start[:, ::-1])
    square = croton.shared(np.arange(9.0).reshape(3, 3))
    croton.function([], updates=[(square, square.T + T.dot(square, square))])()
    start = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(square.get_value(), start.T + start @ start)


def test_a_gradient_step_of_a_product_runs_in_its_epilogue():
    x, y = T.fmatrix("x"), T.fmatrix("y")
    w = croton.shared(np.zeros((4, 3), "float32"))
    loss = T.sqr(T.dot(x, w) - y).sum()
    f = croton.function([x, y], loss, updates=[(w, w - np.float32(0.01) * T.grad(loss, w))])
    assert any(launch.calls for launch in launches(f))
    rng = np.random.default_rng(0)
    a, b = rng.random((5, 4), "float32"), rng.random((5, 3), "float32")
    f(a, b)
    np.testing.assert_allclose(w.get_value(), 0.02 * a.T @ b, rtol=1e-5)


def test_promises_of_sizes_copy_nothing():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 9, 8, 5)).astype("float32")
    filters = rng.standard_normal((4, 5, 3, 2)).astype("float32")
    x, w = T.ftensor4("x"), T.ftensor4("w")
    last = x.dimshuffle(0, 3, 1, 2)
    found = []
    for sizes in ((None, None), ((2, 5, None, 8), (4, None, 3, 2))):
        image = last if sizes[0] is None else T.specify_shape(x, (2, 9, 8, 5))
        image = last if sizes[0] is None else image.dimshuffle(0, 3, 1, 2)
        out = T.nnet.conv2d(image, w, *sizes, filter_flip=False).dimshuffle(0, 2, 3, 1)
        f = croton.function([x, w], out)
        names = [f.program.kernels[i.kernel] for i in launches(f)]
        assert all(n.startswith(("convolution", "product", "winograd")) for n in names)
        found.append(f(images, filters))
    np.testing.assert_array_equal(*found)
    want = sum(
        np.einsum("bijc,fc->bijf", images[:, i : i + 7, j : j + 7], filters[:, :, i, j])
        for i in range(3)
        for j in range(2)
    )
    np.testing.assert_allclose(found[0], want, rtol=1e-4, atol=1e-4)


def test_promises_of_a_factors_sizes_copy_nothing():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 30)), rng.standard_normal((20, 40))
    x, y = T.dmatrix("x"), T.dmatrix("y")
    left, right = T.specify_shape(x, (40, None)).T, T.specify_shape(y.T, (None, 20))
    f = croton.function([x, y], T.dot(left, right))
    assert all(f.program.kernels[i.kernel].startswith("product") for i in launches(f))
    np.testing.assert_allclose(f(a, b), a.T @ b.T, rtol=1e-12)
    s = croton.shared(np.eye(40) * 2)
    croton.function([], updates=[(s, s + T.dot(T.specify_shape(s, (40, 40)), s[::-1]))])()
    start = np.eye(40) * 2
    np.testing.assert_array_equal(s.get_value(), start + start @ start[::-1])


def test_factors_that_are_gone_through_backwards():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 30, 30))
    x, y = T.dmatrices("x", "y")
    outs = [T.dot(x, y[::-1]), T.dot(x[:, ::-1], y.T), T.dot(x[::-1], y[:, ::-1].T) + x]
    wants = [a @ b[::-1], a[:, ::-1] @ b.T, a[::-1] @ b[:, ::-1].T + a]
    for got, want in zip(croton.function([x, y], outs)(a, b), wants, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_only_a_users_own_op_runs_python():
    class Twice(croton.Op):
        __props__ = ()

        def make_node(self, x):
            x = croton.as_tensor_variable(x)
            return croton.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] * 2

    x = T.fvector("x")
    f = croton.function([x], T.exp(Twice()(x + 1)).sum())
    kinds = [type(i) for i in f.program.instructions]
    assert kinds.count(Host) == 1
    data = np.array([0.5, 1.5], "float32")
    np.testing.assert_allclose(f(data), np.exp((data + 1) * 2).sum(), rtol=1e-5)


def test_one_compilation_serves_every_size():
    x, w = T.fmatrix("x"), T.fmatrix("w")
    f = croton.function([x, w], [T.nnet.softmax(T.dot(x, w)), x.sum(0), x.var()])
    before = dict(kernels.counters)
    rng = np.random.default_rng(0)
    for n, k, m in [(1, 1, 1), (3, 5, 7), (64, 32, 16), (200, 33, 129), (0, 4, 4)]:
        a, b = rng.random((n, k), "float32"), rng.random((k, m), "float32")
        soft, total, _ = f(a, b)
        assert soft.shape == (n, m)
        np.testing.assert_allclose(total, a.sum(0), rtol=1e-5)
    assert kernels.counters == before


def test_temporaries_whose_lives_do_not_overlap_share_memory():
    x = T.fmatrix("x")
    v = x
    for _ in range(6):
        v = T.tanh(T.dot(v, x))
    f = croton.function([x], v)
    slots = {b.slot for b in f.program.buffers if b.kind == "temporary"}
    assert len(slots) <= 5
