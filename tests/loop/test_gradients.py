"""Derivatives of loops, against finite differences, closed forms, and loops written out."""

from functools import partial

import helpers
import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient import DisconnectedInputError, Lop, NullTypeGradError, Rop, grad, verify_grad
from croton.gradient.numeric import evaluate
from croton.graph.traversal import replace
from croton.loop import Scan, scan, until
from croton.loop.layout import State
from croton.tensor.shared_randomstreams import RandomStreams

#: Products and sums of many steps are taken in another order.
compute = partial(helpers.compute, ulp=1000)
rng = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def _the_same_numbers():
    """Whatever test ran before."""
    rng.bit_generator.state = np.random.default_rng(11).bit_generator.state


def _normal(*shape):
    return rng.normal(size=shape)


def test_a_recurrent_network():
    def cost(x, w, u, b, h):
        h, _ = scan(lambda v, h: T.tanh(T.dot(v, w) + T.dot(h, u) + b), x, h)
        return h

    points = [_normal(4, 2, 3), _normal(3, 5), _normal(5, 5) / 2, _normal(5), _normal(2, 5)]
    verify_grad(cost, points, n_tests=1)
    verify_grad(lambda *a: cost(*a)[-1], points, n_tests=1)
    verify_grad(lambda *a: cost(*a)[1:3], points, n_tests=1)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("taps", [[-1], [-3], [-2, -1], [-1, -4, -2]])
def test_taps(taps, backwards):
    def cost(x, h, w):
        def step(*rows):
            (after, before, *past) = rows
            return T.tanh(
                after * w - before**2 + sum(k * p for k, p in zip(taps, past, strict=True))
            )

        h, _ = scan(
            step,
            dict(input=x, taps=[1, -1]),
            dict(initial=h, taps=taps),
            go_backwards=backwards,
        )
        return h

    # Fewer and more steps than the longest tap.
    for steps in (1, 6):
        h = _normal(3) if taps == [-1] else _normal(-min(taps) + 1, 3)
        verify_grad(cost, [_normal(steps + 2, 3), h, _normal(3)], n_tests=1)


def test_several_outputs_some_of_which_are_not_fed_back():
    def both(x, h, w):
        (h, y), _ = scan(lambda v, h: [T.tanh(v + h * w), T.exp(h) * v], x, [h, None])
        return T.concatenate([h, y])

    verify_grad(both, [_normal(4, 3), _normal(3), _normal(3)])


def test_states_that_use_each_other():
    def cost(a, b):
        (a, b), _ = scan(lambda a, b: [T.sin(a * b), a - b], outputs_info=[a, b], n_steps=4)
        return a + 2 * b

    verify_grad(cost, [_normal(2), _normal(2)])


def test_an_output_of_which_others_are_computed():
    def cost(x):
        def step(v):
            y = T.exp(v)
            return y, y * v

        (a, b), _ = scan(step, x)
        return a * b

    verify_grad(cost, [_normal(3)])


def test_a_state_returned_twice_and_one_handed_on():
    def cost(h, g):
        def step(h, g):
            new = T.sin(h)
            return new, new, h

        (a, b, c), _ = scan(step, outputs_info=[h, None, g], n_steps=3)
        return a + b * c

    verify_grad(cost, [_normal(2), _normal(2)])


def test_nested_loops():
    def cost(a, w):
        def row(v, h):
            inner, _ = scan(lambda x, s: T.tanh(x * w + s), v, h.sum())
            return h + inner[-1] * w

        h, _ = scan(row, a, T.zeros_like(a[0, 0]))
        return h

    verify_grad(cost, [_normal(3, 4), np.array(0.7)])


@pytest.mark.parametrize("limit", [0.0, 3.0, 100.0])
def test_until(limit):
    x, h = T.dvector("x"), T.dscalar("h")
    total, _ = scan(lambda v, h: (h + v**2, until(h + v**2 > limit)), x, h)
    data = np.arange(1.0, 5.0)
    sums = 0.5 + np.cumsum(data**2)
    steps = min(int(np.sum(sums <= limit)) + 1, 4)
    by_x, by_h = compute(grad((total * total).sum(), [x, h]), {x: data, h: 0.5})
    weights = 2 * sums[:steps]
    expected = np.zeros(4)
    expected[:steps] = 2 * data[:steps] * np.cumsum(weights[::-1])[::-1]
    np.testing.assert_allclose(by_x, expected, rtol=1e-12)
    np.testing.assert_allclose(by_h, weights.sum(), rtol=1e-12)
    last = compute(grad(total[-1], x), {x: data, h: 0.5})
    np.testing.assert_allclose(last, np.where(np.arange(4) < steps, 2 * data, 0), rtol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 9])
def test_truncated_gradients(steps):
    x, h, w = T.dvector("x"), T.dvector("h"), T.dscalar("w")
    out, _ = scan(
        lambda v, h2, h1: T.tanh(v + w * h1 - h2),
        x,
        dict(initial=h, taps=[-2, -1]),
        truncate_gradient=steps,
    )
    n = 5
    data, start, weight = _normal(n), _normal(2), 0.7
    found = compute(grad(out[-1], [x, h, w]), {x: data, h: start, w: weight})
    # The last steps written out; what they start from is a variable of its own.
    many = min(steps, n)
    before = [start[0], start[1]]
    for v in data[: n - many]:
        before.append(np.tanh(v + weight * before[-1] - before[-2]))
    past = [T.constant(before[-2]), T.constant(before[-1])]
    rest = T.dvector("rest")
    starts = list(past)
    for k in range(many):
        past.append(T.tanh(rest[k] + w * past[-1] - past[-2]))
    expected = np.zeros(n)
    by_start = np.zeros(2)
    by_w = 0.0
    if many:
        by_rest, by_w, *by_starts = evaluate(
            grad(past[-1], [rest, w, *starts], disconnected_inputs="ignore"),
            {rest: data[n - many :], w: np.array(weight)},
        )
        expected[n - many :] = by_rest
        # They reach the initial rows where these are what the last steps start from.
        for row, g in zip((n - many, n - many + 1), by_starts, strict=True):
            if row < 2:
                by_start[row] = g
    np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found[1], by_start, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found[2], by_w, rtol=1e-12, atol=1e-15)


def test_no_steps():
    x, h, w = T.dmatrix("x"), T.dvector("h"), T.dmatrix("w")
    out, _ = scan(lambda v, h: T.tanh(v + T.dot(h, w)), x, h)
    given = {x: np.zeros((0, 2)), h: np.ones(2), w: np.ones((2, 2))}
    found = compute(grad(out.sum(), [x, h, w]), given)
    assert [g.shape for g in found] == [(0, 2), (2,), (2, 2)]
    assert not any(g.any() for g in found)


def test_fewer_steps_than_rows():
    x, n = T.dvector("x"), T.lscalar("n")
    out, _ = scan(lambda v, h: h * v, x, T.ones((), "float64"), n_steps=n)
    data = _normal(5)
    found = compute(grad(out[-1], x), {x: data, n: 3})
    np.testing.assert_allclose(found, [*(np.prod(data[:3]) / data[:3]), 0, 0], rtol=1e-12)


def test_integers_and_positions_have_no_gradient():
    w, start = T.dmatrix("w"), T.dvector("start")
    words = T.lvector("words")

    def step(word, h, count):
        return h * w[word] + count, count + 1

    (h, _), _ = scan(step, words, [start, T.constant(np.int64(0))])
    cost = (h[-1] ** 2).sum()
    by_w, by_start = grad(cost, [w, start])
    given = {words: [2, 0, 2], w: _normal(3, 2), start: _normal(2)}

    def value(weights, first):
        h = first
        for k, word in enumerate(given[words]):
            h = h * weights[word] + k
        return (h**2).sum()

    found = compute([by_w, by_start], given)
    for place in np.ndindex(3, 2):
        shift = np.zeros((3, 2))
        shift[place] = 1e-6
        want = (
            value(given[w] + shift, given[start]) - value(given[w] - shift, given[start])
        ) / 2e-6
        np.testing.assert_allclose(found[0][place], want, rtol=1e-6, atol=1e-6)
    with pytest.raises(DisconnectedInputError):
        grad(cost, T.dscalar("other"))
    only_count, _ = scan(lambda v, c: [v * 2, c + 1], w, [None, T.constant(np.int64(0))])
    with pytest.raises(DisconnectedInputError):
        grad(only_count[1].sum().astype("float64"), w)


def test_disconnected_and_undefined_gradients():
    x = T.dvector("x")
    out, _ = scan(lambda v: croton.gradient.disconnected_grad(v) * 2, x)
    with pytest.raises(DisconnectedInputError):
        grad(out.sum(), x)

    class NoGradient(croton.Op):
        __props__ = ()

        def make_node(self, v):
            return croton.Apply(self, [v], [v.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] * 2

        def L_op(self, inputs, outputs, gradients):
            return [croton.gradient.grad_undefined(self, 0, inputs[0])]

    out, _ = scan(lambda v, h: NoGradient()(v) + h, x, T.zeros((), "float64"))
    with pytest.raises(NullTypeGradError, match="no defined gradient"):
        grad(out.sum(), x)


def test_updates_from_inside_are_differentiated_through():
    s, x = croton.shared(1.5, name="s"), T.dvector("x")
    out, updates = scan(lambda v: (s * v, {s: s * T.sin(v)}), x)
    data = _normal(4)
    cost = out.sum() + updates[s] ** 2
    by_s, by_x = compute(grad(cost, [s, x]), {x: data})

    def value(start, data):
        total = 0
        for v in data:
            total, start = total + start * v, start * np.sin(v)
        return total + start**2

    e = 1e-6
    np.testing.assert_allclose(by_s, (value(1.5 + e, data) - value(1.5 - e, data)) / 2 / e, 1e-6)
    for k in range(4):
        shift = e * (np.arange(4) == k)
        want = (value(1.5, data + shift) - value(1.5, data - shift)) / 2 / e
        np.testing.assert_allclose(by_x[k], want, rtol=1e-6, atol=1e-8)


def test_the_mask_of_a_step_is_that_of_its_gradient():
    streams, x = RandomStreams(4), T.dmatrix("x")
    out, updates = scan(lambda v, h: h + v * streams.binomial((3,), p=0.5), x, T.zeros((3,)))
    f = croton.function([x], [out[-1], grad(out[-1].sum(), x)], updates=updates)
    for _ in range(2):
        data = _normal(6, 3)
        value, mask = f(data)
        assert set(np.unique(mask)) == {0.0, 1.0}
        np.testing.assert_allclose(value, (data * mask).sum(axis=0), rtol=1e-12)


def test_gradients_of_gradients():
    def first(x, w, h):
        out, _ = scan(lambda v, h: T.tanh(v * w + h), x, h)
        return T.concatenate([grad((out**2).sum(), v).flatten() for v in (x, w, h)])

    verify_grad(first, [_normal(3, 2), _normal(2), _normal(2)], n_tests=1)

    def second(x, h):
        out, _ = scan(lambda v, a, b: T.sin(a * v) - b, x, dict(initial=h, taps=[-2, -1]))
        g = grad(out[-1], x)
        return grad((g**2).sum(), x)

    verify_grad(second, [_normal(3), _normal(2)], n_tests=1)


def test_along_a_direction():
    x, w, h = T.dmatrix("x"), T.dvector("w"), T.dmatrix("h")
    (out, more), _ = scan(
        lambda v, a, b: [T.tanh(v * w + a - 0.5 * b), T.exp(a) * v],
        x,
        [dict(initial=h, taps=[-3, -1]), None],
    )
    given = {x: _normal(4, 2), w: _normal(2), h: _normal(3, 2)}
    points = {v: _normal(*value.shape) for v, value in given.items()}
    f = croton.function([x, w, h], [out, more])
    for moved in ([x], [w], [h], [x, w, h]):
        found = compute(Rop([out, more], moved, [T.constant(points[v]) for v in moved]), given)
        high = f(*(given[v] + 1e-6 * points[v] * (v in moved) for v in (x, w, h)))
        low = f(*(given[v] - 1e-6 * points[v] * (v in moved) for v in (x, w, h)))
        for got, a, b in zip(found, high, low, strict=True):
            np.testing.assert_allclose(got, (a - b) / 2e-6, rtol=1e-5, atol=1e-7)


def test_directions_of_early_ends_and_of_what_does_not_move():
    x, h = T.dvector("x"), T.dscalar("h")
    (total, count), _ = scan(
        lambda v, h, c: ([h + v**2, c + 1], until(h + v**2 > 5)), x, [h, T.constant(np.int64(0))]
    )
    found = compute(
        [Rop(total, x, T.ones_like(x)), Rop(total, h, 2.0)], {x: np.arange(1.0, 5.0), h: 0.5}
    )
    np.testing.assert_allclose(found[0], [2, 6], rtol=1e-12)
    np.testing.assert_allclose(found[1], [2, 2], rtol=1e-12)
    with pytest.raises(DisconnectedInputError):
        Rop(count.astype("float64"), x, T.ones_like(x))


def test_both_modes_agree():
    x, w, v, u = T.dmatrix("x"), T.dmatrix("w"), T.dmatrix("v"), T.dmatrix("u")
    out, _ = scan(lambda a, h: T.tanh(a + T.dot(h, w)), x, T.zeros_like(x[0]))
    forwards = (Rop(out, w, v) * u).sum()
    backwards = (Lop(out, w, u) * v).sum()
    given = {x: _normal(4, 3), w: _normal(3, 3), v: _normal(3, 3), u: _normal(4, 3)}
    found = compute([forwards, backwards], given)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def _scans(v):
    found, seen, stack = [], set(), [v]
    while stack:
        node = stack.pop().owner
        if node is not None and node not in seen:
            seen.add(node)
            stack.extend(node.inputs)
            if isinstance(node.op, Scan):
                found.append(node)
    return found


def test_what_is_expensive_is_kept_for_the_way_back():
    x, w = T.fmatrix("x"), T.fmatrix("w")
    out, _ = scan(lambda v, h: T.tanh(v + T.dot(h, w)), x, T.zeros_like(x[0]))
    backward, forward = _scans(grad(out[-1].sum(), w))
    # The state is the hyperbolic tangent, and the only thing that is needed.
    assert forward is out.owner.inputs[0].owner
    names = [getattr(node.op, "name", "") for node in backward.op.inner.nodes]
    assert "tanh" not in names and len(backward.op.layout.sequences) == 1
    # Weights gather in states of which no history is kept.
    assert all(not s.history for s in backward.op.layout.states)

    gate, _ = scan(lambda v, h: h * T.nnet.sigmoid(v + T.dot(h, w)), x, T.ones_like(x[0]))
    backward, *others = _scans(grad(gate[-1].sum(), w))
    layout = gate.owner.inputs[0].owner.op.layout
    assert layout._replace(collected=1) in [node.op.layout for node in others]
    names = [getattr(node.op, "name", "") for node in backward.op.inner.nodes]
    assert "sigmoid" not in names


def test_what_comes_by_the_last_row_alone_is_no_history():
    x, h, g = T.dmatrix("x"), T.dmatrix("h"), T.dvector("g")
    out, _ = scan(lambda v, a, b: T.tanh(v + a) - b, x, dict(initial=h, taps=[-2, -1]))
    for cost, histories in (
        ((out[-1] * g).sum(), 0),
        ((out[-1] * g).sum() + (out[-1] ** 2).sum(), 0),
        ((out[-1] * g).sum() + (out**2).sum(), 1),
        ((out[-2] * g).sum(), 1),
    ):
        backward = _scans(grad(cost, x))[0]
        # What the hyperbolic tangent was, and the gradient by the whole history.
        assert len(backward.op.layout.sequences) == 1 + histories
        verify_grad(
            lambda x, h, g, cost=cost, names=(x, h, g): _on(cost, names, (x, h, g)),
            [_normal(4, 2), _normal(2, 2), _normal(2)],
            n_tests=1,
        )


def _on(v, old, new):
    (found,) = replace([v], list(zip(old, new, strict=True)))
    return found


def test_only_what_is_asked_for_is_carried():
    x, h = T.dvector("x"), T.dscalar("h")
    (total, other), _ = scan(
        lambda v, a, b: [a + v, T.exp(b) * v], x, [h, T.constant(0.0, dtype="float64")]
    )
    (backward,) = _scans(grad(total[-1], x))[:1]
    assert backward.op.layout.states == (State((1,), False),)
    assert other is not None
