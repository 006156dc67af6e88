"""Models with loops as programs for Theano write them, against plain loops in NumPy."""

from collections import OrderedDict
from itertools import product

import numpy as np
import pytest

import croton as theano
import croton.tensor as T
from croton.tensor.shared_randomstreams import RandomStreams

floatX = theano.config.floatX


@pytest.fixture
def rng():
    return np.random.default_rng(14)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_stencil_by_taps_on_both_sides(rng):
    x, k = T.vector("x"), T.vector("k")
    result, _ = theano.scan(
        fn=lambda before, here, after, k: k[0] * before + k[1] * here + k[2] * after,
        sequences=dict(input=x, taps=[-1, 0, 1]),
        non_sequences=k,
    )
    f = theano.function([x, k], [result, T.grad((result**2).sum(), k)])
    data, weights = rng.normal(size=9), rng.normal(size=3)
    out, slope = f(data, weights)
    np.testing.assert_allclose(out, np.convolve(data, weights[::-1], "valid"), rtol=1e-12)
    windows = np.lib.stride_tricks.sliding_window_view(data, 3)
    np.testing.assert_allclose(slope, 2 * windows.T @ out, rtol=1e-11)


def test_an_echo_of_two_steps_ago_and_what_is_read_of_it(rng):
    # The step's outputs come in the order of outputs_info, its arguments with taps in theirs.
    u, y0 = T.matrix("u"), T.vector("y0")
    w_in, w_out = theano.shared(rng.normal(size=(2, 3))), theano.shared(rng.normal(size=3))

    def one_step(u_tm4, u_t, y_tm3, y_tm1):
        x_t = T.tanh(T.dot(u_t, w_in) - T.dot(u_tm4, w_in) + y_tm3)
        return [x_t, T.dot(x_t, w_out) + y_tm1 / 2]

    [x_vals, y_vals], updates = theano.scan(
        fn=one_step,
        sequences=dict(input=u, taps=[-4, -0]),
        outputs_info=[None, dict(initial=y0, taps=[-3, -1])],
    )
    f = theano.function([u, y0], [x_vals, y_vals], updates=updates)
    data, start = rng.normal(size=(10, 2)), rng.normal(size=3)
    w, v = w_in.get_value(), w_out.get_value()
    xs, ys = [], list(start)
    for t in range(4, 10):
        xs.append(np.tanh((data[t] - data[t - 4]) @ w + ys[-3]))
        ys.append(xs[-1] @ v + ys[-1] / 2)
    found = f(data, start)
    np.testing.assert_allclose(found[0], xs, rtol=1e-12)
    np.testing.assert_allclose(found[1], ys[3:], rtol=1e-12)


def test_a_bidirectional_network_by_go_backwards(rng):
    x = T.matrix("x")
    w, u = theano.shared(rng.normal(size=(2, 3))), theano.shared(rng.normal(size=(3, 3)))
    recurrence = lambda x_t, h_tm1: T.nnet.sigmoid(T.dot(x_t, w) + T.dot(h_tm1, u))
    h0 = T.alloc(np.asarray(0.0, floatX), 3)
    h_f, _ = theano.scan(recurrence, sequences=x, outputs_info=[h0], n_steps=x.shape[0])
    h_b, _ = theano.scan(recurrence, sequences=x, outputs_info=[h0], go_backwards=True)
    h = T.concatenate([h_f, h_b[::-1]], axis=1)
    data = rng.normal(size=(6, 2))
    rows = []
    for order in (range(6), reversed(range(6))):
        state, side = np.zeros(3), {}
        for t in order:
            state = side[t] = sigmoid(data[t] @ w.get_value() + state @ u.get_value())
        rows.append([side[t] for t in range(6)])
    found = theano.function([x], h)(data)
    np.testing.assert_allclose(found, np.concatenate(rows, axis=1), rtol=1e-12)


def test_derivatives_row_by_row_over_arange(rng):
    x, w = T.vector("x"), theano.shared(rng.normal(size=(4, 3)))
    y = T.tanh(T.dot(w, x))
    jacobian, updates = theano.scan(
        lambda i, y, x: T.grad(y[i], x), sequences=T.arange(y.shape[0]), non_sequences=[y, x]
    )
    cost = (y**3).sum()
    slope = T.grad(cost, x)
    hessian, _ = theano.scan(
        lambda i, gy, x: T.grad(gy[i], x), sequences=T.arange(slope.shape[0]),
        non_sequences=[slope, x],
    )  # fmt: skip
    point = rng.normal(size=3)
    f = theano.function([x], [jacobian, hessian], updates=updates)
    found, curved = f(point)
    a = w.get_value()
    t = np.tanh(a @ point)
    d = 1 - t**2
    np.testing.assert_allclose(found, d[:, None] * a, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        curved, a.T @ np.diag(6 * t * d**2 - 6 * t**3 * d) @ a, rtol=1e-11, atol=1e-13
    )


def test_map_and_fold_with_non_sequences(rng):
    data, centres, width = T.matrix("data"), T.matrix("centres"), T.scalar("width")
    nearness, _ = theano.map(
        fn=lambda row, c, s: T.exp(-T.sqr(row.dimshuffle("x", 0) - c).sum(axis=1) / s),
        sequences=[data],
        non_sequences=[centres, width],
        name="nearness",
    )
    best, _ = theano.foldl(
        lambda row, top, where, k: [
            T.maximum(top, row.max()),
            T.switch(T.gt(row.max(), top), k, where),
            k + 1,
        ],
        sequences=nearness,
        outputs_info=[
            T.constant(np.asarray(-1.0, floatX)), T.constant(np.int64(-1)), T.constant(np.int64(0)),
        ],
    )  # fmt: skip
    f = theano.function([data, centres, width], [nearness, best[1]])
    points, middles = rng.normal(size=(6, 2)), rng.normal(size=(3, 2))
    want = np.exp(-((points[:, None] - middles) ** 2).sum(axis=2) / 0.7)
    found, where = f(points, middles, 0.7)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    assert where == want.max(axis=1).argmax()


def test_updates_join_those_of_the_optimiser(rng):
    trng, w = RandomStreams(7), theano.shared(rng.normal(size=3), name="w")
    steps = theano.shared(np.asarray(0, "int64"), name="steps")
    v = T.vector("v")

    def noisy(h):
        keep = trng.binomial(size=h.shape, n=1, p=0.5, dtype=floatX)
        return h * keep + w, OrderedDict([(steps, steps + 1)])

    h, updates = theano.scan(noisy, outputs_info=v, n_steps=4)
    cost = (h[-1] ** 2).sum()
    updates = updates + OrderedDict([(w, w - 0.1 * T.grad(cost, w))])
    assert len(updates) == 3 and {steps, w} < set(updates)
    train = theano.function([v], [cost, h], updates=list(updates.items()))
    before = w.get_value()
    _, first = train(np.ones(3))
    # What was kept shows in the values, and so does the gradient: it is 1 + k + k k + ...
    kept = np.array([(first[t] - before) != 0 for t in range(1, 4)]).astype(float)
    along = 1 + kept[2] * (1 + kept[1] * (1 + kept[0]))
    np.testing.assert_allclose(w.get_value(), before - 0.2 * first[-1] * along, rtol=1e-12)
    assert steps.get_value() == 4
    assert (train(np.ones(3))[1] != first).any() and steps.get_value() == 8


def test_a_while_loop_with_outputs_and_updates():
    limit, calls = T.scalar("limit"), theano.shared(np.asarray(0, "int64"))

    def step(value, limit):
        new = value * 3
        return [new, new - value], {calls: calls + 1}, theano.loop.until(new > limit)

    (values, _), updates = theano.scan(
        step, outputs_info=[T.constant(np.asarray(1.0, floatX)), None], non_sequences=limit,
        n_steps=1024,
    )  # fmt: skip
    f = theano.function([limit], [values[-1], values.shape[0]], updates=updates)
    assert [float(v) for v in f(100.0)] == [243, 5] and calls.get_value() == 5
    assert [float(v) for v in f(1.0)] == [3, 1] and calls.get_value() == 6


def test_loops_in_loops_over_a_grid(rng):
    # The forward variables of a two-dimensional recurrence: each cell reads the one to its left
    # and the one above.
    grid, a = T.matrix("grid"), T.scalar("a")

    def row(x_row, above):
        def cell(x, up, left):
            return T.tanh(x + a * up + left / 2)

        out, _ = theano.scan(cell, [x_row, above], T.zeros((), floatX))
        return out

    cells, _ = theano.scan(row, grid, T.zeros_like(grid[0]))
    f = theano.function([grid, a], [cells, T.grad(cells.sum(), a)])
    data = rng.normal(size=(4, 5))

    def reference(a):
        out = np.zeros((5, 6))
        for i, j in product(range(4), range(5)):
            out[i + 1, j + 1] = np.tanh(data[i, j] + a * out[i, j + 1] + out[i + 1, j] / 2)
        return out[1:, 1:]

    found, slope = f(data, 0.7)
    np.testing.assert_allclose(found, reference(0.7), rtol=1e-12)
    change = (reference(0.7 + 1e-6).sum() - reference(0.7 - 1e-6).sum()) / 2e-6
    np.testing.assert_allclose(slope, change, rtol=1e-8)


def test_the_likeliest_path_forwards_and_back(rng):
    scores, moves = T.matrix("scores"), T.matrix("moves")

    def forward(s, best):
        through = best.dimshuffle(0, "x") + moves
        return T.max(through, axis=0) + s, T.argmax(through, axis=0)

    (best, came), _ = theano.scan(
        forward, sequences=scores[1:], outputs_info=[scores[0], None], name="viterbi"
    )
    last = T.argmax(best[-1])
    path, _ = theano.scan(
        lambda pointers, here: pointers[here], sequences=came, outputs_info=last, go_backwards=True
    )
    whole = T.concatenate([path[::-1], last.dimshuffle("x")])
    f = theano.function([scores, moves], [whole, best[-1].max()])
    for _ in range(3):
        s, m = rng.normal(size=(5, 3)), rng.normal(size=(3, 3))
        value = lambda p, s=s, m=m: s[range(5), p].sum() + m[p[:-1], p[1:]].sum()
        best_path = max((np.array(p) for p in product(range(3), repeat=5)), key=value)
        found, top = f(s, m)
        np.testing.assert_array_equal(found, best_path)
        np.testing.assert_allclose(top, value(best_path), rtol=1e-12)


def _chain(trng, v, w, bv, bh, k):
    """The end of a chain of ``k`` Gibbs steps from ``v``, its updates and the free energy."""

    def gibbs_step(v):
        mean_h = T.nnet.sigmoid(T.dot(v, w) + bh)
        h = trng.binomial(size=mean_h.shape, n=1, p=mean_h, dtype=floatX)
        mean_v = T.nnet.sigmoid(T.dot(h, w.T) + bv)
        return trng.binomial(size=mean_v.shape, n=1, p=mean_v, dtype=floatX)

    chain, updates = theano.scan(gibbs_step, outputs_info=[v], n_steps=k)
    energy = lambda v: -(v * bv).sum() - T.log(1 + T.exp(T.dot(v, w) + bh)).sum()
    return chain[-1], updates, energy


def test_a_boltzmann_machine_whose_biases_are_a_network(rng):
    visible, hidden, size = 4, 3, 2
    shapes = {"w": (visible, hidden), "wuv": (size, visible), "wuh": (size, hidden),
              "wvu": (visible, size), "wuu": (size, size)}  # fmt: skip
    p = {name: theano.shared(0.5 * rng.normal(size=s), name) for name, s in shapes.items()}
    trng = RandomStreams(123)
    v = T.matrix("v")
    biases = lambda u: (T.dot(u, p["wuv"]), T.dot(u, p["wuh"]))

    def recurrence(v_t, u_tm1):
        bv_t, bh_t = biases(u_tm1)
        return [T.tanh(T.dot(v_t, p["wvu"]) + T.dot(u_tm1, p["wuu"])), bv_t, bh_t]

    u0 = T.zeros((size,), floatX)
    (_, bv, bh), updates_train = theano.scan(recurrence, v, [u0, None, None])
    sample, updates, energy = _chain(trng, v, p["w"], bv[:], bh[:], 5)
    updates_train.update(updates)
    cost = (energy(v) - energy(sample)) / v.shape[0]
    params = list(p.values())
    gradient = T.grad(cost, params, consider_constant=[sample])
    updates_train.update((q, q - 0.1 * g) for q, g in zip(params, gradient, strict=True))
    train = theano.function([v], [cost, sample, *gradient], updates=updates_train)

    def generating(u_tm1):
        bv_t, bh_t = biases(u_tm1)
        v_t, updates, _ = _chain(trng, T.zeros((visible,), floatX), p["w"], bv_t, bh_t, 25)
        return [v_t, T.tanh(T.dot(v_t, p["wvu"]) + T.dot(u_tm1, p["wuu"]))], updates

    (notes, _), drawing = theano.scan(generating, outputs_info=[None, u0], n_steps=40)
    generate = theano.function([], notes, updates=drawing)

    data = rng.integers(0, 2, (6, visible)).astype(float)
    values = {name: q.get_value() for name, q in p.items()}
    found, drawn, *slopes = train(data)

    def reference(values):
        u, total = np.zeros(size), 0.0
        for row, end in zip(data, drawn, strict=True):
            bv, bh = u @ values["wuv"], u @ values["wuh"]
            for x, sign in ((row, 1), (end, -1)):
                total += sign * (-x @ bv - np.log1p(np.exp(x @ values["w"] + bh)).sum())
            u = np.tanh(row @ values["wvu"] + u @ values["wuu"])
        return total / len(data)

    assert drawn.shape == data.shape and set(np.unique(drawn)) <= {0.0, 1.0}
    np.testing.assert_allclose(found, reference(values), rtol=1e-10)
    for name, slope in zip(values, slopes, strict=True):
        place = tuple(int(rng.integers(n)) for n in slope.shape)
        shift = np.zeros(slope.shape)
        shift[place] = 1e-6
        ends = [reference(values | {name: values[name] + s}) for s in (shift, -shift)]
        np.testing.assert_allclose(slope[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(p[name].get_value(), values[name] - 0.1 * slope, rtol=1e-12)
    first, second = generate(), generate()
    assert first.shape == (40, visible) and (first != second).any()
    # Each note is drawn anew: nothing repeats from step to step or call to call.
    assert len(np.unique(np.concatenate([first, second]), axis=0)) > 4
