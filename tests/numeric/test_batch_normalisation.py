"""Batch normalisation, against NumPy in float64 and its own definition."""

import re

import numpy as np
import pytest
from helpers import compute, refuses

import croton
import croton.tensor as T
from croton.compat.theano import dnn
from croton.gradient import grad, verify_grad
from croton.tensor import nnet

AXES = [
    ((6, 3), "per-activation", (0,)),
    ((6, 3), "spatial", (0,)),
    ((4, 3, 5), "per-activation", (0,)),
    ((4, 3, 2, 5), "spatial", (0, 2, 3)),
    ((4, 3, 2, 5), (3, 0), (0, 3)),
    ((4, 3, 2, 5), 1, (1,)),
    ((4, 3, 2, 5), (0, 1, 2, 3), (0, 1, 2, 3)),
    ((2, 3, 2, 2, 3), "spatial", (0, 2, 3, 4)),
]


def values(shape, axes, whole, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(2, 3, shape).astype(dtype)
    own = [1 if d in axes else n for d, n in enumerate(shape)]
    if not whole:
        own = [n for d, n in enumerate(shape) if d not in axes]
    return x, [rng.uniform(0.5, 2, own).astype(dtype) for _ in range(4)]


def symbols(x, parameters, axes, whole):
    def like(v, name, ones=()):
        shape = [1 if d in ones else None for d in range(v.ndim)]
        return T.tensor(v.dtype.name, shape, name=name)

    names = ("gamma", "beta", "mean", "var")
    made = [like(p, n, axes if whole else ()) for p, n in zip(parameters, names, strict=True)]
    return like(x, "x"), made


def definition(x, gamma, beta, axes, epsilon):
    def spread(p):
        return p if p.ndim == x.ndim else np.expand_dims(p, axes)

    wide = x.astype(np.float64)
    mean, var = wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True)
    invstd = 1 / np.sqrt(var + epsilon)
    out = (wide - mean) * invstd * spread(gamma) + spread(beta)
    own = np.shape(gamma)
    return out, mean.reshape(own), invstd.reshape(own), var.reshape(own)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("shape, axes, numbers", AXES)
def test_training(shape, axes, numbers, whole):
    x_, given = values(shape, numbers, whole)
    x, (gamma, beta, mean, var) = symbols(x_, given, numbers, whole)
    found = nnet.batch_normalization_train(x, gamma, beta, axes, 1e-3, 0.3, mean, var)
    got = compute(list(found), dict(zip((x, gamma, beta, mean, var), (x_, *given), strict=True)))
    out, average, invstd, variance = definition(x_, given[0], given[1], numbers, 1e-3)
    m = np.prod([shape[a] for a in numbers])
    want = [
        out,
        average,
        invstd,
        given[2] * 0.7 + average * 0.3,
        given[3] * 0.7 + variance * m / (m - 1) * 0.3,
    ]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("shape, axes, numbers", AXES)
def test_use(shape, axes, numbers, whole):
    x_, given = values(shape, numbers, whole)
    x, (gamma, beta, mean, var) = symbols(x_, given, numbers, whole)
    out = nnet.batch_normalization_test(x, gamma, beta, mean, var, axes, 1e-3)
    got = compute(out, dict(zip((x, gamma, beta, mean, var), (x_, *given), strict=True)))
    g, b, mu, v = (p if whole else np.expand_dims(p, numbers) for p in given)
    np.testing.assert_allclose(got, (x_ - mu) * g / np.sqrt(v + 1e-3) + b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_narrow_dtypes_and_a_mean_far_from_zero(dtype):
    x_, (gamma_, beta_, _, _) = values((64, 2, 5, 7), (0, 2, 3), False, dtype)
    x_ = (x_.astype("float32") + 1000).astype(dtype)
    x, gamma, beta = T.tensor(dtype, (None,) * 4), T.vector(dtype=dtype), T.vector(dtype=dtype)
    out, mean, invstd = nnet.batch_normalization_train(x, gamma, beta, "spatial", 1e-5)
    assert out.type.dtype == dtype and mean.type.dtype == invstd.type.dtype == "float32"
    f = croton.function([x, gamma, beta], [out, mean, invstd])
    want = definition(x_, gamma_, beta_, (0, 2, 3), 1e-5)
    near = {"float16": 2e-3, "float32": 3e-4}[dtype]
    for g, w in zip(f(x_, gamma_, beta_), want, strict=False):
        np.testing.assert_allclose(g, w, rtol=near, atol=near)


def test_running_averages_are_updates():
    rng = np.random.default_rng(3)
    x = T.ftensor4("x")
    gamma, beta = croton.shared(np.ones(3, "f")), croton.shared(np.zeros(3, "f"))
    mean, var = croton.shared(np.zeros(3, "f")), croton.shared(np.ones(3, "f"))
    out, _, _, new_mean, new_var = nnet.batch_normalization_train(
        x, gamma, beta, "spatial", running_mean=mean, running_var=var
    )
    train = croton.function([x], out, updates=[(mean, new_mean), (var, new_var)])
    want_mean, want_var = np.zeros(3), np.ones(3)
    for _ in range(3):
        batch = rng.normal(1, 2, (5, 3, 4, 4)).astype("f")
        train(batch)
        want_mean = 0.9 * want_mean + 0.1 * batch.mean((0, 2, 3))
        want_var = 0.9 * want_var + 0.1 * batch.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(mean.get_value(), want_mean, rtol=1e-5)
    np.testing.assert_allclose(var.get_value(), want_var, rtol=1e-5)


def test_averages_keep_their_dtype():
    x, wide = T.fmatrix("x"), T.dvector("wide")
    found = nnet.batch_normalization_train(x, wide, wide, running_mean=wide, running_var=wide)
    assert [v.type.dtype for v in found] == ["float64", "float32", "float32", "float64", "float64"]


@pytest.mark.parametrize("shape, axes", [((5, 3), (0,)), ((3, 2, 2, 3), "spatial")])
def test_gradients(shape, axes):
    numbers = (0,) if axes == (0,) else (0, 2, 3)
    x, (gamma, beta, _, _) = values(shape, numbers, False, seed=1)
    weights = np.random.default_rng(5).normal(size=shape)

    def train(x, gamma, beta):
        out, mean, invstd = nnet.batch_normalization_train(x, gamma, beta, axes)
        return (T.sqr(out) * weights).sum() + T.sqr(mean).sum() + invstd.sum()

    def slope(x, gamma, beta):
        gx, gg, _ = grad(train(x, gamma, beta), [x, gamma, beta])
        return (T.sin(gx) * weights).sum() + T.sqr(gg).sum()

    verify_grad(train, [x, gamma, beta])
    verify_grad(slope, [x, gamma, beta])


def test_gradient_is_the_closed_form_in_float32():
    # Far from 0: what subtracts the means of products of x would have lost all digits.
    rng = np.random.default_rng(0)
    x_ = rng.normal(0, 1, (16, 4, 6, 6)) + np.arange(4)[:, None, None] * 1000
    x_ = x_.astype("float32")
    gamma_, g_ = rng.uniform(1, 2, 4).astype("f"), rng.normal(size=x_.shape).astype("f")
    x, gamma, g = T.ftensor4("x"), T.fvector("gamma"), T.ftensor4("g")
    out, _, _ = nnet.batch_normalization_train(x, gamma, T.zeros(4, "float32"), "spatial", 1e-3)
    got = croton.function([x, gamma, g], grad(None, [x, gamma], known_grads={out: g}))
    _, mean, invstd, _ = definition(x_, gamma_, gamma_ * 0, (0, 2, 3), 1e-3)
    axes = (0, 2, 3)
    s = invstd[:, None, None]
    hat = (x_.astype("d") - mean[:, None, None]) * s
    along = (g_ * hat).mean(axes, keepdims=True)
    want = gamma_[:, None, None] * s * (g_ - g_.mean(axes, dtype="d", keepdims=True) - hat * along)
    dx, dgamma = got(x_, gamma_, g_)
    np.testing.assert_allclose(dx, want, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(dgamma, (g_ * hat).sum(axes), rtol=1e-3, atol=1e-2)


def test_kernels():
    x, vectors = T.ftensor4("x"), T.fvectors("gamma", "beta", "mean", "var")
    gamma, beta, mean, var = vectors
    out = nnet.batch_normalization_test(x, gamma, beta, mean, var, "spatial")
    text = croton.function([x, *vectors], out).kernels()
    # One kernel for the scale and the shift of each channel, and one product and sum.
    assert text.count("kernel kernel") == 2
    assert re.search(r"\* b\d\[o1\] \+ b\d\[o1\];", text.split("kernel kernel")[2])
    known = np.ones(3, "float32")
    out = nnet.batch_normalization_test(x, known, known, known, known, "spatial")
    text = croton.function([x], out).kernels()
    assert text.count("kernel kernel") == 1 and "sqrt" not in text and "/" not in text


def test_one_element():
    x, v = T.dmatrix("x"), T.dvector("v")
    found = nnet.batch_normalization_train(x, v, v, running_mean=v, running_var=v)
    got = compute(list(found), {x: [[4.0, 5.0]], v: [1.0, 2.0]})
    want = [[[1, 2]], [4, 5], [100, 100], [1.3, 2.3], [0.9, 1.8]]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w)


def test_integers_are_taken_as_floats():
    x, v = T.wmatrix("x"), T.fvector("v")
    found = nnet.batch_normalization_train(x, v, v)
    assert found[0].type.dtype == "float32"
    got = compute(found[0], {x: [[1, 2], [3, 2]], v: [1, 2]})
    np.testing.assert_allclose(got, [[0, 2], [2, 2]], atol=1e-3)


@pytest.mark.parametrize("mode", ["low_mem", "high_mem"])
def test_given_statistics(mode):
    x_, given = values((4, 3, 2, 2), (0, 2, 3), True)
    x, parameters = symbols(x_, given, (0, 2, 3), True)
    gamma, beta, mean, std = parameters
    out = nnet.batch_normalization(x, gamma, beta, mean, std, mode=mode)
    got = compute(out, dict(zip((x, *parameters), (x_, *given), strict=True)))
    g, b, m, s = given
    np.testing.assert_allclose(got, (x_ - m) / s * g + b)
    verify_grad(nnet.batch_normalization, [x_, *given])
    with pytest.raises(ValueError, match="low_mem"):
        nnet.batch_normalization(x, gamma, beta, mean, std, mode="fast")


def test_names_of_cudnn():
    x_, given = values((4, 3, 2, 2), (0, 2, 3), True)
    x, (gamma, beta, mean, var) = symbols(x_, given, (0, 2, 3), True)
    where = dict(zip((x, gamma, beta, mean, var), (x_, *given), strict=True))
    out, *_ = dnn.dnn_batch_normalization_train(x, gamma, beta, "spatial", 1e-3)
    want, *_ = definition(x_, given[0], given[1], (0, 2, 3), 1e-3)
    np.testing.assert_allclose(compute(out, where), want)
    out = dnn.dnn_batch_normalization_test(x, gamma, beta, mean, var, mode="spatial")
    g, b, m, v = given
    np.testing.assert_allclose(compute(out, where), (x_ - m) * g / np.sqrt(v + 1e-4) + b)
    with pytest.raises(ValueError, match="rank 4 expected"):
        dnn.dnn_batch_normalization_train(x, T.dvector(), beta, "spatial")
    with pytest.raises(ValueError, match="'per-activation' or 'spatial'"):
        dnn.dnn_batch_normalization_test(x, gamma, beta, mean, var, mode=(0,))


def test_errors():
    x, v, w = T.dtensor4("x"), T.dvector("v"), T.dvector("w")
    train, use = nnet.batch_normalization_train, nnet.batch_normalization_test
    for axes, message in [
        ("channels", "'spatial'"),
        ((), "at least one"),
        ((4,), "out of range"),
        ((0, 0), "twice"),
    ]:
        with pytest.raises(ValueError, match=message):
            train(x, v, v, axes)
    with pytest.raises(ValueError, match="beta has 4 dimensions"):
        train(x, v, T.dmatrix("b"), "spatial")
    with pytest.raises(ValueError, match="gamma has 4 dimensions"):
        use(x, T.dscalar(), v, v, v, "spatial")
    with pytest.raises(ValueError, match="together"):
        train(x, v, v, "spatial", running_mean=v)
    with pytest.raises(ValueError, match="running_var"):
        train(x, v, v, "spatial", running_mean=v, running_var=T.dmatrix())
    with pytest.raises(ValueError, match="not negative"):
        train(x, v, v, "spatial", epsilon=-1e-4)
    with pytest.raises(ValueError, match="epsilon is a number"):
        train(x, v, v, "spatial", epsilon=v)
    with pytest.raises(ValueError, match="gamma: 3 values"):
        train(T.tensor("float64", (None, 3, None, None)), T.ones(4), v, "spatial")
    out, _, _ = train(x, v, w, "spatial")
    refuses(out, {x: np.ones((2, 3, 4, 4)), v: np.ones(3), w: np.ones(4)}, ValueError)
    big = T.dtensor4("big")
    out, _, _ = train(x, big, big, "spatial")
    refuses(out, {x: np.ones((2, 3, 4, 4)), big: np.ones((2, 3, 4, 4))}, ValueError)
