"""Loops of special forms: map, reduce, folds, checkpoints, fori_loop, while_loop, Jacobians."""

from functools import partial
from typing import Any, NamedTuple

import helpers
import numpy as np
import pytest
from helpers import refuses

import croton
import croton.tensor as T
from croton.gradient import Rop, grad, hessian, jacobian, verify_grad
from croton.loop import Scan, fori_loop, scan, scan_checkpoints, until, while_loop
from croton.tensor.shared_randomstreams import RandomStreams

#: Products and sums of many steps are taken in another order.
compute = partial(helpers.compute, ulp=1000)
rng = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def _the_same_numbers():
    """Whatever test ran before."""
    rng.bit_generator.state = np.random.default_rng(2).bit_generator.state


zero = T.constant(0.0, dtype="float64")


def test_map():
    x, y, w = T.dmatrix("x"), T.dmatrix("y"), T.dvector("w")
    (a, b), updates = croton.map(lambda u, v, w: [(u * v).sum(), u * w], [x, y], w)
    given = {x: rng.normal(size=(3, 2)), y: rng.normal(size=(3, 2)), w: rng.normal(size=2)}
    found = compute([a, b], given)
    assert not updates
    np.testing.assert_allclose(found[0], (given[x] * given[y]).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(found[1], given[x] * given[w], rtol=1e-13)
    backwards, _ = croton.map(lambda v: v, w, go_backwards=True)
    np.testing.assert_array_equal(compute(backwards, given), given[w][::-1])


def test_reduce_and_folds():
    x = T.dvector("x")
    step = lambda v, total: total / 2 + v
    data = rng.normal(size=6)
    forwards = backwards = 0.0
    for k in range(6):
        forwards = forwards / 2 + data[k]
        backwards = backwards / 2 + data[5 - k]
    for fold, want in (
        (croton.reduce(step, x, zero), forwards),
        (croton.reduce(step, x, zero, go_backwards=True), backwards),
        (croton.foldl(step, x, zero), forwards),
        (croton.foldr(step, x, zero), backwards),
    ):
        np.testing.assert_allclose(compute(fold[0], {x: data}), want, rtol=1e-13)
    (total, product), _ = croton.foldl(lambda v, s, p: [s + v, p * v], x, [zero, zero + 1])
    found = compute([total, product], {x: data})
    np.testing.assert_allclose(found, [data.sum(), data.prod()], rtol=1e-12)


def test_checkpoints_change_nothing_but_memory():
    x, h, w = T.dmatrix("x"), T.dvector("h"), T.dmatrix("w")
    step = lambda v, h, w: [T.tanh(v + T.dot(h, w)), (v * h).sum()]
    given = {x: rng.normal(size=(11, 3)), h: rng.normal(size=3), w: rng.normal(size=(3, 3))}

    def values(out):
        return compute([out[0][-1:], *grad((out[0][-1] ** 2).sum() + out[1][-1], [x, h, w])], given)

    want = values(scan(step, x, [h, None], w)[0])
    for every in (1, 3, 4, 50):
        sparse, _ = scan_checkpoints(step, x, [h, None], w, save_every_N=every)
        assert len(sparse) == 2
        found = values(sparse)
        assert found[0].shape == (1, 3)
        for a, b in zip(found, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_checkpoints_keep_states_only():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    last, _ = scan_checkpoints(
        lambda v, h: h * T.nnet.sigmoid(v + T.dot(h, w)), x, T.ones_like(x[0]), save_every_N=4
    )
    cost = last.sum()
    outer = cost.owner.inputs[0].owner.inputs[0].owner.inputs[0].owner
    while not isinstance(outer.op, Scan):
        outer = outer.inputs[0].owner
    before = outer.op
    gradient = grad(cost, w)
    seen, stack, scans = set(), [gradient.owner], []
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack.extend(v.owner for v in node.inputs)
            scans += [node.op] if isinstance(node.op, Scan) else []
    # One way there and one back: nothing was added to the first.
    assert len(scans) == 2 and before in scans


def test_checkpoints_of_random_steps_and_of_a_given_number_of_them():
    streams = RandomStreams(3)
    n = T.lscalar("n")
    total, updates = scan_checkpoints(
        lambda s: s + streams.uniform(()), None, zero, n_steps=n, save_every_N=4
    )
    f = croton.function([n], total, updates=updates)
    again = RandomStreams(3)
    g = croton.function([], again.uniform(()))
    np.testing.assert_allclose(f(10), [sum(g() for _ in range(10))], rtol=1e-12)
    np.testing.assert_allclose(f(3), [sum(g() for _ in range(3))], rtol=1e-12)
    with pytest.raises(ValueError, match="save_every_N"):
        scan_checkpoints(lambda s: s, None, zero, n_steps=n, save_every_N=0)
    with pytest.raises(ValueError, match="needs n_steps"):
        scan_checkpoints(lambda s: s, None, zero)


def test_a_loop_over_numbers():
    x, low, high = T.dvector("x"), T.lscalar("low"), T.lscalar("high")
    value = fori_loop(low, high, lambda i, v: {"a": v["a"] * x + i, "b": [v["b"][0] + i]},
                      {"a": x, "b": [T.constant(np.int64(0))]})  # fmt: skip
    assert set(value) == {"a", "b"} and isinstance(value["b"], list)
    for bounds in ((0, 0), (2, 5), (3, 1)):
        data = rng.normal(size=2)
        a, b = data, 0
        for i in range(*bounds):
            a, b = a * data + i, b + i
        given = {x: data, low: bounds[0], high: bounds[1]}
        found = compute([value["a"], value["b"][0]], given)
        np.testing.assert_allclose(found[0], a, rtol=1e-13)
        assert found[1] == b
    verify_grad(
        lambda x, w: fori_loop(0, 4, lambda i, v: (T.sin(v[0] * w) + v[1], v[0]), (x, w))[0],
        [rng.normal(size=3), rng.normal(size=3)],
    )


def test_a_loop_with_a_condition():
    # Euclid's algorithm, which need not run at all.
    a, b = T.lscalar("a"), T.lscalar("b")
    found, rest = while_loop(lambda v: T.gt(v[1], 0), lambda v: (v[1], v[0] % v[1]), (a, b))
    for x, y in ((12, 18), (7, 0), (1071, 462)):
        assert compute([found, rest], {a: x, b: y}) == [np.gcd(x, y), 0]


def test_derivatives_of_a_loop_with_a_condition():
    x = T.dscalar("x")
    root = while_loop(
        lambda v: abs(v[0] - v[1]) > 1e-12, lambda v: ((v[0] + x / v[0]) / 2, v[0]), (x, zero)
    )[0]
    np.testing.assert_allclose(compute(root, {x: 7.0}), 7**0.5, rtol=1e-14)
    along = Rop(root, x, T.ones_like(x))
    np.testing.assert_allclose(compute(along, {x: 7.0}), 0.5 * 7**-0.5, rtol=1e-10)
    with pytest.raises(NotImplementedError, match="give while_loop max_steps"):
        grad(root, x)
    bounded = while_loop(
        lambda v: abs(v[0] - v[1]) > 1e-12, lambda v: ((v[0] + x / v[0]) / 2, v[0]), (x, zero), 40
    )[0]
    np.testing.assert_allclose(compute(grad(bounded, x), {x: 7.0}), 0.5 * 7**-0.5, rtol=1e-10)
    few = while_loop(lambda v: v > 0, lambda v: v * x, x, max_steps=3)
    np.testing.assert_allclose(compute([few, grad(few, x)], {x: 2.0}), [16, 32])
    np.testing.assert_allclose(compute([few, grad(few, x)], {x: -2.0}), [-2, 1])


def test_errors_of_loops_that_hand_on_a_value():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="body_fun must return what it is given"):
        fori_loop(0, 3, lambda i, v: (v, v), x)
    with pytest.raises(TypeError, match="upper is an integer scalar"):
        fori_loop(0, 1.5, lambda i, v: v, x)
    with pytest.raises(TypeError, match=r"part 0 \(x\) changes its dtype"):
        fori_loop(0, 3, lambda i, v: v.astype("float32"), x)
    with pytest.raises(TypeError, match="while_loop is a boolean scalar"):
        while_loop(lambda v: v > 0, lambda v: v, x)
    with pytest.raises(ValueError, match="needs a value"):
        while_loop(lambda v: True, lambda v: v, ())
    n = T.lscalar("n")
    grow = fori_loop(0, n, lambda i, v: T.concatenate([v, v]), x)
    refuses(grow, {x: np.ones(2), n: 2}, ValueError, "changes its shape")


def test_jacobians():
    x, y, w = T.dvector("x"), T.dscalar("y"), T.dmatrix("w")
    out = T.tanh(T.dot(w, x)) * y
    by_x, by_y = jacobian(out, [x, y])
    given = {x: rng.normal(size=3), y: 0.7, w: rng.normal(size=(2, 3))}
    slope = 1 - np.tanh(given[w] @ given[x]) ** 2
    found = compute([by_x, by_y], given)
    np.testing.assert_allclose(found[0], slope[:, None] * given[w] * 0.7, rtol=1e-12)
    np.testing.assert_allclose(found[1], np.tanh(given[w] @ given[x]), rtol=1e-12)
    whole = jacobian(w * x, w)
    assert whole.type.ndim == 4
    expected = np.einsum("ik,jl,l->ijkl", np.eye(2), np.eye(3), given[x])
    np.testing.assert_allclose(compute(whole, given), expected, rtol=1e-13)
    assert isinstance(jacobian(out.sum(), (x,)), tuple)
    np.testing.assert_allclose(
        compute(jacobian(out.sum(), x), given), (slope @ given[w]) * 0.7, rtol=1e-12
    )
    unused = jacobian(out, T.dvector("unused"), disconnected_inputs="ignore")
    assert unused.type.ndim == 2


def test_hessians():
    x, y = T.dvectors("x", "y")
    cost = (x**3).sum() * (y**2).sum() + T.exp(x[0] * x[1])
    by_x, by_y = hessian(cost, [x, y])
    given = {x: rng.normal(size=3), y: rng.normal(size=2)}
    a, b = given[x], given[y]
    want = np.diag(6 * a) * (b**2).sum()
    e = np.exp(a[0] * a[1])
    want[:2, :2] += e * np.array([[a[1] ** 2, 1 + a[0] * a[1]], [1 + a[0] * a[1], a[0] ** 2]])
    found = compute([by_x, by_y], given)
    np.testing.assert_allclose(found[0], want, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found[1], 2 * np.eye(2) * (a**3).sum(), rtol=1e-12)
    linear = hessian(x.sum(), x)
    assert not compute(linear, {x: np.ones(3)}).any()
    with pytest.raises(TypeError, match="hessian is by vectors"):
        hessian(cost, T.dmatrix("m"))
    assert T.jacobian is jacobian and croton.gradient.hessian is hessian


@pytest.mark.parametrize("every", [1, 3, 4, 20])
def test_checkpoints_of_a_loop_that_ends_early(every):
    x, w, limit = T.dvector("x"), T.dscalar("w"), T.dscalar("limit")
    step = lambda v, total: (total * w + v, until(total * w + v > limit))
    last, _ = scan_checkpoints(step, x, 0, save_every_N=every)
    plain, _ = scan(step, x, 0)
    for bound in (0.5, 4.0, 1e9):
        given = {x: 0.1 + rng.uniform(size=11), w: 1.1, limit: bound}
        found = compute([last[-1], *grad(last[-1], [x, w])], given)
        want = compute([plain[-1], *grad(plain[-1], [x, w])], given)
        for a, b in zip(found, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
        assert np.count_nonzero(want[1]) in ((1, 2) if bound == 0.5 else range(3, 12))


def test_numbers_are_parts_of_values():
    x = T.dvector("x")
    total = fori_loop(0, x.shape[0], lambda i, v: v + x[i], 0)
    assert compute(total, {x: [1.5, 2.0]}) == 3.5
    squares, count = while_loop(lambda v: v[0] < 1000, lambda v: (v[0] * 2, v[1] + 1), (1, 0))
    assert compute([squares, count]) == [1024, 10]
    assert compute(while_loop(lambda k: k < 300, lambda k: k + 1, 0)) == 300
    assert fori_loop(0, 2, lambda i, v: v, (1.0, [2])) is not None


class Pair(NamedTuple):
    a: Any
    b: Any


def test_values_with_names():
    n = T.lscalar("n")
    found = fori_loop(0, n, lambda i, v: Pair(v.b, v.a + v.b), Pair(0, 1))
    assert isinstance(found, Pair) and compute(found.a, {n: 30}) == 832040
