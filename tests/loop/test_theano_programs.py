"""Loops as Theano's tutorials write them."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.config import config
from croton.gradient import grad
from croton.tensor.shared_randomstreams import RandomStreams

rng = np.random.default_rng(4)


def test_powers():
    k, a = T.iscalar("k"), T.vector("A")
    result, updates = croton.scan(
        fn=lambda prior_result, a: prior_result * a,
        outputs_info=T.ones_like(a), non_sequences=a, n_steps=k,
    )  # fmt: skip
    power = croton.function(inputs=[a, k], outputs=result[-1], updates=updates)
    np.testing.assert_array_equal(power(range(10), 4), np.arange(10.0) ** 4)


def test_polynomial():
    coefficients, x = T.vector("coefficients"), T.scalar("x")
    components, updates = croton.scan(
        fn=lambda coefficient, power, free: coefficient * (free**power),
        outputs_info=None,
        sequences=[coefficients, T.arange(10000)],
        non_sequences=x,
    )
    f = croton.function([coefficients, x], components.sum())
    assert not updates and f([1, 0, 2], 3) == 19


def test_running_total_of_a_sequence():
    up_to = T.iscalar("up_to")
    seq = T.arange(up_to)
    outputs_info = T.as_tensor_variable(np.asarray(0, seq.dtype))
    result, _ = croton.scan(
        fn=lambda arange_val, sum_to_date: sum_to_date + arange_val,
        outputs_info=outputs_info,
        sequences=seq,
    )
    f = croton.function(inputs=[up_to], outputs=result)
    np.testing.assert_array_equal(f(6), np.cumsum(np.arange(6)))


def test_positions_and_values():
    location, values, model = T.imatrix("location"), T.vector("values"), T.matrix("model")

    def set_value_at_position(a_location, a_value, output_model):
        zeros = T.zeros_like(output_model)
        return T.set_subtensor(zeros[a_location[0], a_location[1]], a_value)

    result, _ = croton.scan(
        fn=set_value_at_position, outputs_info=None, sequences=[location, values],
        non_sequences=model,
    )  # fmt: skip
    assign = croton.function(inputs=[location, values, model], outputs=result)
    found = assign(np.asarray([[1, 1], [2, 3]], np.int32), [42, 50], np.zeros((5, 5)))
    assert found.shape == (2, 5, 5) and found.sum() == 92
    assert found[0, 1, 1] == 42 and found[1, 2, 3] == 50


def test_gibbs_sampling():
    w = croton.shared(rng.normal(size=(4, 3)), "W")
    trng = RandomStreams(1234)
    seen = []

    def one_step(vsample):
        hmean = T.nnet.sigmoid(T.dot(vsample, w))
        hsample = trng.binomial(size=hmean.shape, n=1, p=hmean)
        vmean = T.nnet.sigmoid(T.dot(hsample, w.T))
        seen.append(vmean)
        return trng.binomial(size=vsample.shape, n=1, p=vmean, dtype=config.floatX)

    sample = T.vector()
    values, updates = croton.scan(one_step, outputs_info=sample, n_steps=10)
    gibbs = croton.function([sample], values, updates=updates)
    first, second = gibbs(np.ones(4)), gibbs(np.ones(4))
    assert len(updates) == 2 and len(seen) == 1
    assert first.shape == (10, 4) and set(np.unique([first, second])) == {0.0, 1.0}
    assert (first != second).any()


def test_contrastive_divergence():
    streams = RandomStreams(3)
    w = croton.shared(rng.normal(size=(4, 3)) * 0.1, "W")
    v = T.matrix("v")

    def gibbs_hvh(h):
        pre_v = T.dot(h, w.T)
        v_sample = streams.binomial(size=pre_v.shape, p=T.nnet.sigmoid(pre_v), dtype=config.floatX)
        pre_h = T.dot(v_sample, w)
        h_sample = streams.binomial(size=pre_h.shape, p=T.nnet.sigmoid(pre_h), dtype=config.floatX)
        return [pre_v, v_sample, pre_h, h_sample]

    def free_energy(v):
        return -T.sum(T.log(1 + T.exp(T.dot(v, w))), axis=1)

    (_, v_samples, _, _), updates = croton.scan(
        gibbs_hvh, outputs_info=[None, None, None, T.nnet.sigmoid(T.dot(v, w))], n_steps=3,
        name="gibbs_hvh",
    )  # fmt: skip
    chain_end = v_samples[-1]
    cost = T.mean(free_energy(v)) - T.mean(free_energy(chain_end))
    g = grad(cost, w, consider_constant=[chain_end])
    updates[w] = w - 0.1 * g
    train = croton.function([v], [cost, g, chain_end], updates=updates)
    data, before = rng.integers(0, 2, (5, 4)).astype(float), w.get_value()
    _, slope, end = train(data)
    want = sum(s * x.T @ (1 / (1 + np.exp(-x @ before))) / 5 for x, s in ((data, -1), (end, 1)))
    np.testing.assert_allclose(slope, want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(w.get_value(), before - 0.1 * slope, rtol=1e-12)


@pytest.mark.parametrize("steps", [3, 6])
def test_a_masked_network_over_sentences(steps):
    mask, x, u = T.matrix("mask"), T.tensor3("x"), T.matrix("U")

    def step(m_, x_, h_):
        h = T.tanh(x_ + T.dot(h_, u))
        return m_[:, None] * h + (1.0 - m_)[:, None] * h_

    rval, _ = croton.scan(
        step,
        sequences=[mask, x],
        outputs_info=[T.alloc(np.asarray(0.0, config.floatX), x.shape[1], 3)],
        name="lstm_layers",
        n_steps=x.shape[0],
        truncate_gradient=-1,
        strict=False,
        profile=False,
    )
    proj = (rval * mask[:, :, None]).sum(axis=0) / mask.sum(axis=0)[:, None]
    f = croton.function([mask, x, u], [proj, grad(proj.sum(), u)])
    data, weights = rng.normal(size=(steps, 2, 3)), rng.normal(size=(3, 3))
    there = (np.arange(steps)[:, None] < [steps, steps - 1]).astype(float)

    def reference(weights):
        h, total = np.zeros((2, 3)), 0.0
        for m, v in zip(there, data, strict=True):
            h = m[:, None] * np.tanh(v + h @ weights) + (1 - m)[:, None] * h
            total = total + m[:, None] * h
        return total / there.sum(axis=0)[:, None]

    found, slope = f(there, data, weights)
    np.testing.assert_allclose(found, reference(weights), rtol=1e-10)
    shift = np.zeros((3, 3))
    shift[1, 2] = 1e-6
    want = (reference(weights + shift).sum() - reference(weights - shift).sum()) / 2e-6
    np.testing.assert_allclose(slope[1, 2], want, rtol=1e-6)
