"""Recurrences that people write, each against an implementation in NumPy or a closed form."""

from itertools import pairwise

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient import grad
from croton.loop import fori_loop, scan, until, while_loop

rng = np.random.default_rng(21)


@pytest.fixture(autouse=True)
def _the_same_numbers():
    """Whatever test ran before."""
    rng.bit_generator.state = np.random.default_rng(21).bit_generator.state


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slopes(f, point, count=6):
    """Places of ``point``, and the derivatives of the scalar ``f`` by the elements there."""
    places = [tuple(int(rng.integers(n)) for n in point.shape) for _ in range(count)]
    found = []
    for place in places:
        ends = []
        for e in (1e-6, -1e-6):
            moved = point.copy()
            moved[place] += e
            ends.append(f(moved))
        found.append((ends[0] - ends[1]) / 2e-6)
    return tuple(np.transpose(places)), np.array(found)


def check(cost, given, reference):
    """The cost and its gradients by all inputs, against ``reference`` of the same values."""
    variables, values = list(given), list(given.values())
    f = croton.function(variables, [cost, *grad(cost, variables)])
    found, *gradients = f(*values)
    np.testing.assert_allclose(found, reference(*values), rtol=1e-10)
    for k, g in enumerate(gradients):
        places, want = slopes(lambda v, k=k: reference(*values[:k], v, *values[k + 1 :]), values[k])
        np.testing.assert_allclose(g[places], want, rtol=2e-5, atol=1e-7)


def test_lstm():
    x, w, u, b = T.dtensor3("x"), T.dmatrix("w"), T.dmatrix("u"), T.dvector("b")

    def cell(v, h, c):
        z = T.dot(v, w) + T.dot(h, u) + b
        i, f, g, o = (z[:, k * 5 : (k + 1) * 5] for k in range(4))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return T.nnet.sigmoid(o) * T.tanh(c), c

    start = T.zeros((x.shape[1], 5), "float64")
    (h, _), _ = scan(cell, x, [start, start])
    cost = (h[-1] ** 2).sum() + h.sum()

    def reference(x, w, u, b):
        h = c = np.zeros((x.shape[1], 5))
        total = 0.0
        for v in x:
            i, f, g, o = np.split(v @ w + h @ u + b, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            total += h.sum()
        return (h**2).sum() + total

    shapes = {x: (7, 3, 4), w: (4, 20), u: (5, 20), b: (20,)}
    check(cost, {v: rng.normal(size=s) / 2 for v, s in shapes.items()}, reference)


def test_lstm_by_einsum_in_another_order_of_gates():
    x, w, u, b = T.dtensor3("x"), T.dtensor3("w"), T.dtensor3("u"), T.dmatrix("b")

    def cell(v, h, c):
        z = [T.dot(v, w[k]) + T.dot(h, u[k]) + b[k] for k in range(4)]
        o, g, i, f = z
        c = c * T.nnet.sigmoid(f) + T.tanh(g) * T.nnet.sigmoid(i)
        return T.tanh(c) * T.nnet.sigmoid(o), c

    start = T.zeros((x.shape[1], 5), "float64")
    (h, c), _ = scan(cell, x, [start, start])
    cost = (h[-1] * c[-1]).sum()

    def reference(x, w, u, b):
        h = c = np.zeros((x.shape[1], 5))
        for v in x:
            o, g, i, f = (
                np.einsum("bi,kio->kbo", v, w) + np.einsum("bi,kio->kbo", h, u) + b[:, None]
            )
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return (h * c).sum()

    shapes = {x: (6, 3, 4), w: (4, 4, 5), u: (4, 5, 5), b: (4, 5)}
    check(cost, {v: rng.normal(size=s) / 2 for v, s in shapes.items()}, reference)


def _gru(x, h, w, u, lib, squash):
    z, r = (squash(lib.dot(x, w[k]) + lib.dot(h, u[k])) for k in range(2))
    return (1 - z) * h + z * lib.tanh(lib.dot(x, w[2]) + lib.dot(r * h, u[2]))


def test_gru_in_both_directions():
    x, w, u = T.dtensor3("x"), T.dtensor3("w"), T.dtensor3("u")
    start = T.zeros((x.shape[1], 4), "float64")
    cell = lambda v, h: _gru(v, h, w, u, T, T.nnet.sigmoid)
    forwards, _ = scan(cell, x, start)
    backwards, _ = scan(cell, x, start, go_backwards=True)
    cost = (T.concatenate([forwards, backwards[::-1]], axis=2) ** 2).sum()

    def reference(x, w, u):
        total = 0.0
        for order in (x, x[::-1]):
            h = np.zeros((x.shape[1], 4))
            for v in order:
                h = _gru(v, h, w, u, np, sigmoid)
                total += (h**2).sum()
        return total

    shapes = {x: (6, 2, 3), w: (3, 3, 4), u: (3, 4, 4)}
    check(cost, {v: rng.normal(size=s) for v, s in shapes.items()}, reference)


def test_attention_over_what_was_read():
    memory, w, start = T.dmatrix("memory"), T.dmatrix("w"), T.dvector("start")

    def step(h):
        weights = T.nnet.softmax(T.dot(memory, h))
        return T.tanh(T.dot(T.dot(weights, memory), w) + h), weights

    (h, weights), _ = scan(step, outputs_info=[start, None], n_steps=4)
    cost = (h[-1] ** 2).sum() + (weights**2).sum()

    def reference(memory, w, h):
        total = 0.0
        for _ in range(4):
            e = np.exp(memory @ h - (memory @ h).max())
            p = e / e.sum()
            h = np.tanh(p @ memory @ w + h)
            total += (p**2).sum()
        return (h**2).sum() + total

    shapes = {memory: (6, 3), w: (3, 3), start: (3,)}
    check(cost, {v: rng.normal(size=s) for v, s in shapes.items()}, reference)


def test_a_model_of_characters_learns_its_text():
    text = np.array([ord(c) - 97 for c in "abcabdabcabdabcabdabc"])
    size = 12
    parameters = [
        croton.shared(rng.normal(size=s) * 0.3, name)
        for name, s in (("e", (4, size)), ("u", (size, size)), ("v", (size, 4)))
    ]
    e, u, v = parameters
    letters = T.lvector("letters")
    h, _ = scan(lambda k, h: T.tanh(e[k] + T.dot(h, u)), letters[:-1], T.zeros((size,), "float64"))
    cost = T.nnet.categorical_crossentropy(T.nnet.softmax(T.dot(h, v)), letters[1:]).mean()
    updates = [(p, p - 0.3 * g) for p, g in zip(parameters, grad(cost, parameters), strict=True)]
    step = croton.function([letters], cost, updates=updates)

    def reference():
        a, b, c = (p.get_value() for p in parameters)
        h, total = np.zeros(size), 0.0
        for k, following in pairwise(text):
            h = np.tanh(a[k] + h @ b)
            z = h @ c
            total += np.log(np.exp(z).sum()) - z[following]
        return total / (len(text) - 1)

    before = reference()
    np.testing.assert_allclose(step(text), before, rtol=1e-10)
    for _ in range(150):
        last = step(text)
    assert last < 0.1 < before


def test_kalman_filter():
    a, c, q, r = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[1.0, 0.0]]), 0.01, 0.5
    z, noise = T.dvector("z"), T.dscalar("r")

    def step(seen, x, p, r):
        x, p = T.dot(a, x), T.dot(T.dot(a, p), a.T) + q * np.eye(2)
        s = T.dot(T.dot(c, p), c.T)[0, 0] + r
        gain = T.dot(p, c.T)[:, 0] / s
        wrong = seen - T.dot(c, x)[0]
        likelihood = -0.5 * (T.log(s) + wrong**2 / s)
        return x + gain * wrong, p - T.outer(gain, gain) * s, likelihood

    (x, _, likelihood), _ = scan(step, z, [np.zeros(2), np.eye(2), None], noise)
    f = croton.function([z, noise], [x, grad(likelihood.sum(), noise)])

    def reference(data, r):
        x, p, states, total = np.zeros(2), np.eye(2), [], 0.0
        for seen in data:
            x, p = a @ x, a @ p @ a.T + q * np.eye(2)
            s = c @ p @ c.T + r
            k = p @ c.T @ np.linalg.inv(s)
            wrong = seen - c @ x
            total += -0.5 * (np.log(s[0, 0]) + wrong[0] ** 2 / s[0, 0])
            x, p = x + k @ wrong, (np.eye(2) - k @ c) @ p
            states.append(x)
        return np.array(states), total

    data = np.cumsum(rng.normal(size=30))
    states, slope = f(data, r)
    np.testing.assert_allclose(states, reference(data, r)[0], rtol=1e-9)
    want = (reference(data, r + 1e-6)[1] - reference(data, r - 1e-6)[1]) / 2e-6
    np.testing.assert_allclose(slope, want, rtol=1e-6)


def test_a_long_integration():
    # A harmonic oscillator by Runge and Kutta's method, whose solution is known.
    w, y = T.dscalar("w"), T.dvector("y")
    n = 2000
    step = 2.0 / n

    def slope(y):
        return T.stack([y[1], -(w**2) * y[0]])

    def advance(_, y):
        k1 = slope(y)
        k2 = slope(y + step / 2 * k1)
        k3 = slope(y + step / 2 * k2)
        k4 = slope(y + step * k3)
        return y + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    end = fori_loop(0, n, advance, y)
    f = croton.function([w, y], [end, *grad(end[0], [w, y])])
    (place, _), by_w, by_y = f(1.5, np.array([1.0, 0.5]))
    np.testing.assert_allclose(place, np.cos(3) + 0.5 / 1.5 * np.sin(3), rtol=1e-10)
    by_frequency = -2 * np.sin(3) - 0.5 / 1.5**2 * np.sin(3) + 0.5 / 1.5 * 2 * np.cos(3)
    np.testing.assert_allclose(by_w, by_frequency, rtol=1e-9)
    np.testing.assert_allclose(by_y, [np.cos(3), np.sin(3) / 1.5], rtol=1e-10)


def test_means_of_clusters():
    points, means = T.dmatrix("points"), T.dmatrix("means")

    def move(old):
        far = ((points.dimshuffle(0, "x", 1) - old.dimshuffle("x", 0, 1)) ** 2).sum(axis=2)
        mine = T.eq(far.argmin(axis=1).dimshuffle(0, "x"), T.arange(3).dimshuffle("x", 0))
        mine = mine.astype("float64")
        return T.dot(mine.T, points) / mine.sum(axis=0).dimshuffle(0, "x")

    def step(old):
        new = move(old)
        return new, until(abs(new - old).max() < 1e-12)

    steps, _ = scan(step, outputs_info=means, n_steps=100)
    found, _ = while_loop(
        lambda v: abs(v[0] - v[1]).max() > 1e-12, lambda v: (move(v[0]), v[0]), (means, means + 1)
    )
    centres = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    data = np.concatenate([c + rng.normal(size=(20, 2)) for c in centres])
    start = data[[0, 20, 40]]
    history, last = croton.function([points, means], [steps, found])(data, start)
    want, count = start, 0
    while True:
        nearest = ((data[:, None] - want[None]) ** 2).sum(axis=2).argmin(axis=1)
        new = np.array([data[nearest == k].mean(axis=0) for k in range(3)])
        count, same, want = count + 1, np.abs(new - want).max() < 1e-12, new
        if same:
            break
    assert len(history) == count
    np.testing.assert_allclose(history[-1], want, rtol=1e-12)
    np.testing.assert_allclose(last, want, rtol=1e-12)
