"""Rewriting random expressions keeps their values."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.gradient.reverse import grad
from croton.graph.traversal import toposort
from croton.rewrite import FAST_COMPILE, FAST_RUN, ShapeMap, rewrite

N, M = 3, 4
# Functions that neither leave the numbers of moderate size nor are badly conditioned there.
UNARY = [
    T.tanh,
    T.nnet.sigmoid,
    lambda v: T.exp(T.tanh(v)),
    lambda v: T.log(1 + T.exp(T.tanh(v))),
    lambda v: T.log(T.sqr(v) + 1.5),
    lambda v: T.sqrt(abs(v) + 0.25),
    lambda v: -v,
    abs,
    T.sqr,
    lambda v: v**3,
    lambda v: v * 1,
    lambda v: 0 + v,
    lambda v: v - 0.5,
    lambda v: 2 - v,
    lambda v: v / 4,
    lambda v: v * -1.0,
    lambda v: 1 / (1 + T.exp(-v)),
    lambda v: T.maximum(v, 0.123),
    lambda v: T.clip(v, -0.75, 0.625),
    lambda v: T.switch(v > 0.123, v, v.zeros_like()),
    lambda v: v * v.ones_like() + v.zeros_like(),
    lambda v: v.astype("float32").astype("float64"),
    lambda v: v.copy(),
    lambda v: v.size * 0.01 * v,
]
BINARY = [
    lambda v, w: v + w,
    lambda v, w: v - w,
    lambda v, w: v * w,
    lambda v, w: v / (T.sqr(w) + 1),
    lambda v, w: (v / T.exp(T.tanh(w))) * T.exp(T.tanh(w)),
    lambda v, w: T.exp(T.tanh(w)) * (v / T.exp(T.tanh(w)) - 1),
    lambda v, w: T.switch(v > 0.321, w, v),
    lambda v, w: T.maximum(v, w + 0.0123),
    lambda v, w: T.fill(v, 2.0) * w if v.ndim >= w.ndim else v * w,
]
MATRIX = [
    lambda m: m.T.T,
    lambda m: T.nnet.softmax(m),
    lambda m: T.log(T.nnet.softmax(m, axis=0)),
    lambda m: m - T.log(T.exp(m).sum(axis=1, keepdims=True)),
    lambda m: m.reshape((m.shape[0] * m.shape[1],)).reshape(m.shape),
    lambda m: m[::-1][::-1],
    lambda m: m[:, : m.shape[1]],
    lambda m: T.set_subtensor(m[:, 1], m[:, 0]),
    lambda m: T.concatenate([m[:1], m[1:]], axis=0),
    lambda m: T.concatenate([m, m], axis=1)[:, m.shape[1] :],
    lambda m: T.dot(m, T.dot(m.T, m)) / 8,
    lambda m: m.dimshuffle(1, "x", 0).sum(axis=1).T,
    lambda m: m * m.mean(axis=0),
    lambda m: m + m.sum(axis=1).dimshuffle(0, "x"),
    lambda m: m / (1 + T.sqr(m).sum(axis=1, keepdims=True)),
    lambda m: T.exp(m) / T.exp(m).sum(axis=1, keepdims=True),
    lambda m: m[T.arange(m.shape[0]), T.constant([0, -1, 2])].dimshuffle(0, "x") * m,
]
REDUCTIONS = [
    lambda m: m.sum(),
    lambda m: m.mean(),
    lambda m: T.log(T.sum(T.exp(T.tanh(m)))),
    lambda m: (-m).sum(axis=0).sum(),
    lambda m: (m * 0.3).sum(axis=1).prod(),
    lambda m: T.sqr(m.T).sum(axis=0).mean(),
    lambda m: (m.ones_like() * 2).sum() * m.mean(),
    lambda m: -T.log(T.nnet.softmax(m))[T.arange(m.shape[0]), T.constant([1, 0, -2])].mean(),
]


@st.composite
def programs(draw):
    """A few matrices over three inputs, a scalar of the last one, and its gradients."""
    x, v, s = T.dmatrix("x"), T.dvector("v"), T.dscalar("s")
    rows = T.tensor("float64", (None, 1), name="c")
    inputs = [x, v, s, rows]
    pool = [x, v, s, rows, x + v]
    pick = lambda: pool[draw(st.integers(0, len(pool) - 1))]
    whole = [x, pool[-1]]
    for _ in range(draw(st.integers(2, 9))):
        kind = draw(st.sampled_from(["unary", "binary", "binary", "matrix"]))
        if kind == "unary":
            new = draw(st.sampled_from(UNARY))(pick())
        elif kind == "binary":
            new = draw(st.sampled_from(BINARY))(pick(), pick())
        else:
            new = draw(st.sampled_from(MATRIX))(whole[draw(st.integers(0, len(whole) - 1))])
        new = T.tanh(new) if draw(st.booleans()) else T.clip(new, -8.0, 8.0)
        pool.append(new)
        if new.ndim == 2 and not any(new.broadcastable):
            whole.append(new)
    cost = draw(st.sampled_from(REDUCTIONS))(whole[-1]) + pool[-1].sum()
    gradients = grad(cost, inputs, disconnected_inputs="ignore")
    return inputs, [pool[-1], whole[-1], cost, *gradients]


def values():
    rng = np.random.default_rng(7)
    return rng.normal(size=(N, M)), rng.normal(size=M), np.array(0.7), rng.normal(size=(N, 1))


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(programs())
def test_random_programs(program):
    inputs, outputs = program
    known = dict(zip(inputs, values(), strict=True))
    expected = evaluate(outputs, known)
    for phases in (FAST_RUN, FAST_COMPILE):
        after, report = rewrite(outputs, phases)
        assert not any(n.op.__class__.__name__ == "Softmax" for n in toposort(after))
        for a, b, v in zip(expected, evaluate(after, known), outputs, strict=True):
            assert b.dtype == v.type.dtype and b.shape == a.shape
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-7, err_msg=str(report))
        shape_of = ShapeMap(after)
        sizes = [shape_of(v) for v in after]
        for v, given_sizes in zip(evaluate(after, known), sizes, strict=True):
            assert v.shape == tuple(int(n) for n in evaluate(list(given_sizes), known))
