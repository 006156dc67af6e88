"""Layer, group and instance normalisation, and that of local responses, against NumPy."""

import numpy as np
import pytest
from helpers import compute, refuses

import croton
import croton.tensor as T
from croton.gradient import grad, verify_grad
from croton.tensor import nnet


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(1, 2, shape)


def standardised(x, axes, epsilon):
    x = np.asarray(x, np.float64)
    deviation = x - x.mean(axes, keepdims=True)
    return deviation / np.sqrt(x.var(axes, keepdims=True) + epsilon)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axis", [-1, 0, (1, 2), (0, 2), (0, 1, 2)])
def test_layer_norm(axis, dtype):
    x_ = normal(4, 3, 6).astype(dtype)
    axes = (axis,) if isinstance(axis, int) else axis
    own = [x_.shape[a] for a in axes]
    gamma_, beta_ = normal(*own, seed=1).astype(dtype), normal(*own, seed=2).astype(dtype)
    x = T.tensor(dtype, (None,) * 3)
    gamma, beta = T.tensor(dtype, (None,) * len(own)), T.tensor(dtype, (None,) * len(own))
    out = nnet.layer_norm(x, gamma, beta, axis, epsilon=0.01)
    assert out.type.dtype == dtype
    got = compute(out, {x: x_, gamma: gamma_, beta: beta_}, ulp=16)
    places = np.array(axes) % 3

    def spread(p):
        return p.reshape([x_.shape[d] if d in places else 1 for d in range(3)])

    want = standardised(x_, axis, 0.01) * spread(gamma_) + spread(beta_)
    near = {"float16": 4e-3, "float32": 3e-6, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(got, want, rtol=near, atol=3 * near)


def test_layer_norm_without_parameters():
    x = T.fmatrix("x")
    value = normal(3, 70).astype("f") + 1000
    got = croton.function([x], nnet.layer_norm(x))(value)
    np.testing.assert_allclose(got, standardised(value, -1, 1e-5), atol=2e-4)
    i = T.lmatrix("i")
    got = compute(nnet.layer_norm(i, epsilon=0), {i: [[1, 3]]})
    np.testing.assert_array_equal(got, [[-1, 1]])


def test_layer_norm_is_one_kernel():
    x, gamma, beta = T.fmatrix("x"), T.fvector("gamma"), T.fvector("beta")
    f = croton.function([x, gamma, beta], nnet.layer_norm(x, gamma, beta))
    assert f.kernels().count("kernel kernel") == 1


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize(
    "shape, axis", [((3, 6), 1), ((3, 6, 5), 1), ((2, 6, 3, 4), 1), ((2, 3, 4, 6), -1)]
)
def test_group_norm(groups, shape, axis):
    x_, gamma_, beta_ = normal(*shape), normal(6, seed=1), normal(6, seed=2)
    x, gamma, beta = T.tensor("float64", (None,) * len(shape)), T.dvector(), T.dvector()
    out = nnet.group_norm(x, groups, gamma, beta, axis, epsilon=0.01)
    got = compute(out, {x: x_, gamma: gamma_, beta: beta_}, ulp=16)
    want = np.empty(shape)
    front, back = np.moveaxis(x_, axis, 1), np.moveaxis(want, axis, 1)
    for example in range(shape[0]):
        for first in range(0, 6, 6 // groups):
            part = (example, slice(first, first + 6 // groups))
            back[part] = standardised(front[part], None, 0.01)
            tail = (1,) * (len(shape) - 2)
            back[part] *= gamma_[part[1]].reshape(-1, *tail)
            back[part] += beta_[part[1]].reshape(-1, *tail)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_instance_norm():
    x_, gamma_, beta_ = normal(2, 3, 4, 5), normal(3, seed=1), normal(3, seed=2)
    x, gamma, beta = T.dtensor4("x"), T.dvector("gamma"), T.dvector("beta")
    given = {x: x_, gamma: gamma_, beta: beta_}
    got = compute(nnet.instance_norm(x, gamma, beta, epsilon=0.01), given, ulp=16)
    want = standardised(x_, (2, 3), 0.01) * gamma_[:, None, None] + beta_[:, None, None]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    last = nnet.instance_norm(x.transpose(0, 2, 3, 1), gamma, beta, axis=-1, epsilon=0.01)
    np.testing.assert_allclose(compute(last, given, ulp=16), want.transpose(0, 2, 3, 1), atol=1e-12)
    f = croton.function([x, gamma, beta], nnet.instance_norm(x, gamma, beta))
    assert f.kernels().count("kernel kernel") == 1


@pytest.mark.parametrize(
    "function, shape, size",
    [
        (lambda x, g, b: nnet.layer_norm(x, g, b), (3, 4), 4),
        (lambda x, g, b: nnet.layer_norm(x, g, b, axis=0), (4, 3), 4),
        (lambda x, g, b: nnet.group_norm(x, 2, g, b), (2, 4, 3), 4),
        (lambda x, g, b: nnet.group_norm(x, 2, g, b, axis=2), (2, 3, 4), 4),
        (lambda x, g, b: nnet.instance_norm(x, g, b), (2, 3, 2, 2), 3),
    ],
)
def test_gradients(function, shape, size):
    given = [normal(*shape), normal(size, seed=1), normal(size, seed=2)]
    weights = normal(*shape, seed=3)

    def slope(x, g, b):
        gx, gg = grad((T.sqr(function(x, g, b)) * weights).sum(), [x, g])
        return (T.sin(gx) * weights).sum() + T.sqr(gg).sum()

    verify_grad(function, given)
    verify_grad(slope, given)


def test_errors_of_normalisation():
    x, v = T.dtensor4("x"), T.dvector("v")
    with pytest.raises(ValueError, match="gamma: rank 2 expected"):
        nnet.layer_norm(x, v, axis=(2, 3))
    with pytest.raises(ValueError, match="out of range"):
        nnet.layer_norm(x, axis=4)
    with pytest.raises(ValueError, match="at least one axis"):
        nnet.layer_norm(x, axis=())
    with pytest.raises(ValueError, match="not negative"):
        nnet.layer_norm(x, epsilon=-1.0)
    with pytest.raises(ValueError, match="beta: 3 values along axis 1"):
        nnet.group_norm(T.tensor("float64", (None, 3, None)), 1, None, T.ones(2))
    with pytest.raises(ValueError, match=r"3 channels .* 2 groups"):
        nnet.group_norm(T.tensor("float64", (None, 3, None)), 2)
    with pytest.raises(ValueError, match="positive int"):
        nnet.group_norm(x, 0)
    with pytest.raises(ValueError, match="axis 0 is the batch"):
        nnet.group_norm(x, 2, axis=0)
    with pytest.raises(ValueError, match=r"got .* of rank 1"):
        nnet.group_norm(v, 2)
    with pytest.raises(ValueError, match="besides batch and channels"):
        nnet.instance_norm(T.dmatrix())
    with pytest.raises(TypeError, match="complex"):
        nnet.layer_norm(T.tensor("complex128", (None, None)))
    refuses(nnet.group_norm(x, 2), {x: normal(2, 3, 2, 2)}, ValueError)
    refuses(nnet.layer_norm(x, v), {x: normal(2, 3, 2, 2), v: normal(3)}, ValueError)


# Local responses


def responses(x, alpha, k, beta, n):
    out = np.empty(x.shape)
    for c in range(x.shape[1]):
        near = x[:, max(c - n // 2, 0) : c + n // 2 + 1]
        out[:, c] = x[:, c] / (k + alpha * (near**2).sum(1)) ** beta
    return out


@pytest.mark.parametrize("n", [1, 3, 5, 9])
@pytest.mark.parametrize("shape", [(2, 4), (2, 7, 3), (2, 5, 3, 4)])
def test_local_responses(shape, n):
    x_, x = normal(*shape), T.tensor("float64", (None,) * len(shape))
    out = nnet.local_response_normalization(x, alpha=0.1, k=1.5, beta=0.6, n=n)
    np.testing.assert_allclose(compute(out, {x: x_}), responses(x_, 0.1, 1.5, 0.6, n), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_local_responses_keep_the_dtype(dtype):
    x_, x = (100 * normal(2, 6, 3)).astype(dtype), T.tensor(dtype, (None,) * 3)
    out = nnet.local_response_normalization(x)
    assert out.type.dtype == dtype
    want = responses(x_.astype("d"), 1e-4, 2, 0.75, 5)
    got = croton.function([x], out)(x_)
    np.testing.assert_allclose(got, want, rtol={"float16": 2e-3, "float32": 1e-6}[dtype])


def test_local_responses_gradient_and_errors():
    def function(x):
        return nnet.local_response_normalization(x, 0.5, 1.0, 0.75, 3)

    def slope(x):
        return T.sin(grad(T.sqr(function(x)).sum(), x))

    verify_grad(function, [normal(2, 4, 2)])
    verify_grad(slope, [normal(2, 4, 2)])
    for n in (4, 0, -1, 2.5, True):
        with pytest.raises(ValueError, match="odd and positive"):
            nnet.local_response_normalization(T.dtensor4(), n=n)
    with pytest.raises(ValueError, match="rank 1"):
        nnet.local_response_normalization(T.dvector())
    with pytest.raises(ValueError, match="alpha is a number"):
        nnet.local_response_normalization(T.dtensor4(), alpha=T.dvector())
