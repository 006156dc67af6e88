"""The examples made of loops, against the same in NumPy or SciPy."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2
from scipy.integrate import solve_ivp

import croton
import croton.tensor as T

EXAMPLES = Path(__file__).parents[2] / "examples"


def program(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def check_slopes(rng, reference, point, slope, count=4):
    """At some places of ``point`` the derivatives of the scalar ``reference`` are ``slope``."""
    for _ in range(count):
        place = tuple(rng.integers(n) for n in point.shape)
        ends = []
        for e in (1e-6, -1e-6):
            moved = point.copy()
            moved[place] += e
            ends.append(reference(moved))
        np.testing.assert_allclose(slope[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-8)


def gru_step(x, h, of_x, of_h, bias):
    n = h.shape[1]
    keep = sigmoid(x @ of_x[:, :n] + h @ of_h[:, :n] + bias[:n])
    reset = sigmoid(x @ of_x[:, n : 2 * n] + h @ of_h[:, n : 2 * n] + bias[n : 2 * n])
    new = np.tanh(x @ of_x[:, 2 * n :] + (reset * h) @ of_h[:, 2 * n :] + bias[2 * n :])
    return [keep * h + (1 - keep) * new]


def lstm_step(x, h, c, of_x, of_h, bias):
    i, f, o, g = np.split(x @ of_x + h @ of_h + bias, 4, axis=1)
    c = c * sigmoid(f + 1) + np.tanh(g) * sigmoid(i)
    return [np.tanh(c) * sigmoid(o), c]


@pytest.mark.parametrize(("kind", "step"), [("gru", gru_step), ("lstm", lstm_step)])
@pytest.mark.parametrize("backwards", [False, True])
def test_recurrent_layers(kind, step, backwards):
    code, rng, size = program("recurrent"), np.random.default_rng(8), 3
    _, states, gates = code["CELLS"][kind]
    x, of_x, of_h, bias = T.dtensor3("x"), T.dmatrix("of_x"), T.dmatrix("of_h"), T.dvector("bias")
    given = [x, of_x, of_h, bias]
    found = code["layer"](kind, x, [of_x, of_h, bias], size, backwards)
    shapes = [(6, 2, 2), (2, gates * size), (size, gates * size), (gates * size,)]
    values = [rng.normal(size=s) for s in shapes]
    weight = rng.normal(size=(6, 2, size))

    def reference(x, *weights):
        state, rows = [np.zeros((2, size))] * states, []
        for row in x[::-1] if backwards else x:
            state = step(row, *state, *weights)
            rows.append(state[0])
        return np.array(rows[::-1] if backwards else rows)

    f = croton.function(given, [found, *T.grad((found * weight).sum(), given)])
    out, *slopes = f(*values)
    np.testing.assert_allclose(out, reference(*values), rtol=1e-12)
    for k, slope in enumerate(slopes):
        cost = lambda v, k=k: (reference(*values[:k], v, *values[k + 1 :]) * weight).sum()
        check_slopes(rng, cost, values[k], slope)


def test_a_network_that_reads_both_ways_knows_what_comes():
    main = program("recurrent")["main"]
    one, both = main("gru", False, steps=120, size=8), main("gru", True, steps=120, size=8)
    assert one < 0.8 and both > 0.95


def _write_reference(words, told, w, count):
    """Scores and looks of the network that writes words backwards, by loops over times."""
    size = len(w["score"])
    batch = words.shape[1]
    none = np.zeros(3 * size)

    def gru(told, h, of_h):
        return gru_step(told, h, np.eye(3 * size), of_h, none)[0]

    sides = {}
    for side in ("forwards", "backwards"):
        h, rows = np.zeros((batch, size)), [None] * len(words)
        for t in range(len(words)) if side == "forwards" else reversed(range(len(words))):
            rows[t] = h = gru(w[f"{side} x"][words[t]], h, w[f"{side} h"])
        sides[side] = np.array(rows)
    memory = np.concatenate(list(sides.values()), axis=2)
    h, scores, looks = np.zeros((batch, size)), [], []
    for row in told:
        energy = np.array([np.tanh(m @ w["keys"] + h @ w["query"]) @ w["score"] for m in memory])
        p = np.exp(energy - energy.max(axis=0))
        p = p / p.sum(axis=0)
        seen = sum(p[t][:, None] * memory[t] for t in range(len(words)))
        h = gru(w["y"][row] + seen @ w["seen"], h, w["h"])
        scores.append(h @ w["out"])
        looks.append(p.T)
    return np.array(scores), np.array(looks)


def test_attention_and_its_gradient():
    code, rng, size = program("attention"), np.random.default_rng(9), 3
    count, begin = code["COUNT"], code["BEGIN"]
    w = code["weights"](rng, size)
    words, told = T.lmatrices("words", "told")
    start = T.zeros((words.shape[1], size))
    memory = code["read"](words, start, w)
    keys = T.dot(memory, w["keys"])
    (scores, _, looks), _ = croton.scan(
        lambda k, h: code["write_one"](k, h, memory, keys, w), told, [None, start, None]
    )
    data = rng.integers(count, size=(5, 2))
    before = np.concatenate([np.full((1, 2), begin), data[:3]])
    weight = rng.normal(size=(4, 2, count))
    parameters = list(w.values())
    slopes = T.grad((scores * weight).sum(), parameters)
    found, looked, *slopes = croton.function([words, told], [scores, looks, *slopes])(data, before)
    values = {name: p.get_value() for name, p in w.items()}
    want, seen = _write_reference(data, before, values, count)
    np.testing.assert_allclose(found, want, rtol=1e-11)
    np.testing.assert_allclose(looked, seen, rtol=1e-11)
    for name, slope in zip(values, slopes, strict=True):

        def cost(v, name=name):
            return (_write_reference(data, before, values | {name: v}, count)[0] * weight).sum()

        check_slopes(rng, cost, values[name], slope, count=2)


def test_attention_learns_where_to_look():
    length = 5
    part, looks = program("attention")["main"](steps=160, size=24, length=length)
    assert part > 0.9 and looks.shape == (length, length)
    away = np.abs(np.arange(length)[:, None] + np.arange(length) - (length - 1))
    assert (looks * (away <= 1)).sum() > 0.8 * length


def test_clusters_are_those_of_scipy():
    code = program("clusters")
    data, begin, found = code["main"](count=5, size=40)
    want, _ = kmeans2(data, begin, iter=100, minit="matrix")
    np.testing.assert_allclose(found, want, rtol=1e-12)


def test_a_middle_without_points_stays():
    code, points, start = program("clusters"), T.dmatrix("points"), T.dmatrix("start")
    f = croton.function([points, start], code["lloyd"](points, start))
    middles, spread = f([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0]], [[1.0, 5.0], [9, 0], [99, 99]])
    np.testing.assert_array_equal(middles, [[[1, 0], [10, 0], [99, 99]]] * 2)
    np.testing.assert_allclose(spread, [53 / 3, 2 / 3])


def test_hares_and_lynxes_by_another_solver():
    code = program("lotka_volterra")
    rates, start = code["RATES"], code["START"]
    variable = T.dvector("rates")
    numbers = code["trajectory"](start, variable, 0.25, 8, 60)
    f = croton.function([variable], [numbers, croton.gradient.jacobian(numbers[-1], variable)])

    def with_sensitivities(_, state):
        # Hares and lynxes, and the derivatives of both by each rate.
        (x, y), s = state[:2], state[2:].reshape(2, 4)
        a, b, c, d = rates
        by_state = np.array([[a - b * y, -b * x], [d * y, d * x - c]])
        by_rates = np.array([[x, -x * y, 0, 0], [0, 0, -y, x * y]])
        change = [a * x - b * x * y, d * x * y - c * y]
        return np.concatenate([change, (by_state @ s + by_rates).ravel()])

    times = 0.25 * np.arange(1, 9)
    want = solve_ivp(
        with_sensitivities, (0, 2), np.concatenate([start, np.zeros(8)]), "DOP853", times,
        rtol=1e-11, atol=1e-12,
    ).y.T  # fmt: skip
    found, slopes = f(rates)
    np.testing.assert_allclose(found, want[:, :2], rtol=1e-8)
    np.testing.assert_allclose(slopes, want[-1, 2:].reshape(2, 4), rtol=1e-7)


def test_the_rates_are_found():
    code = program("lotka_volterra")
    found = code["main"](sights=25, steps=20)
    np.testing.assert_allclose(found, code["RATES"], rtol=0.05)
