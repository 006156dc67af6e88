"""Compiled expressions against each op's NumPy definition: what fusion must get right."""

from __future__ import annotations

import numpy as np
import pytest

import croton
import croton.tensor as T

RNG = np.random.default_rng(7)


def normal(*shape, dtype="float32"):
    return (RNG.standard_normal(shape) * 1.5).astype(dtype)


M, SQUARE, CUBE = normal(3, 4), normal(4, 4), normal(3, 4, 5)
ROW, COLUMN = normal(4), normal(3)

CASES = {
    "sum of two": (lambda x, y: x + y, M, M),
    "broadcast a row": (lambda x, b: T.exp(x) + b.dimshuffle("x", 0), M, ROW),
    "broadcast a column": (lambda x, b: T.exp(x) * b.dimshuffle(0, "x"), M, COLUMN),
    "costly row": (lambda x, b: x + T.exp(b).dimshuffle("x", 0), M, ROW),
    "with own transpose": (lambda x: x + x.T, SQUARE),
    "transpose": (lambda x: x.T * 2, M),
    "rotate dimensions": (lambda x: x.dimshuffle(2, 0, 1) + 1, CUBE),
    "softmax": (lambda x: T.nnet.softmax(x), M),
    "softmax over rows": (lambda x: T.nnet.softmax(x, axis=0), M),
    "logsoftmax in the middle": (lambda x: T.nnet.logsoftmax(x, axis=1), CUBE),
    "steps and reversal": (lambda x: x[1:, ::-2] * 2, M),
    "reduce a slice": (lambda x: x[::2].sum(0) + x[-1], M),
    "an element": (lambda x: x[1] + x[:, 2].sum(), M),
    "slice by own size": (lambda x: x[: x.shape[0] // 2 + 1], M),
    "join rows": (lambda x, y: T.concatenate([x, y * 2, x[:1]], axis=0), M, M),
    "join columns, reduce": (lambda x, y: T.exp(T.concatenate([x, y * 2], 1)).sum(1), M, M),
    "stack in the middle": (lambda x, y: T.stack([x, y], axis=1), M, M),
    "reshape a result": (lambda x: (x * 2).reshape((4, 3)) + 1, M),
    "reshape a transpose": (lambda x: x.T.reshape((6, 2)), M),
    "flatten and reduce": (lambda x: x.flatten(2).sum(1), CUBE),
    "set a region": (lambda x: T.set_subtensor(x[1:3, ::2], 0) * 2, M),
    "increase by own row": (lambda x: T.inc_subtensor(x[1], x[0]), M),
    "increase backwards": (lambda x: T.inc_subtensor(x[::-2, 1:], x[:2, 1:] * 3), M),
    "rows by number": (lambda x: x[np.array([2, 0, 0])] + 1, M),
    "an element of each row": (
        lambda x: T.nnet.logsoftmax(x)[T.arange(3), np.array([1, 0, 3])], M
    ),
    "increase rows twice": (lambda x: T.inc_subtensor(x[np.array([2, 0, 2])], 1.5), M),
    "set elements": (
        lambda x: T.set_subtensor(x[np.array([2, 0]), np.array([1, 1])], 9.0), M
    ),
    "range of own size": (lambda x: T.arange(x.shape[0]) * 2, M),
    "identity": (lambda x: T.eye(x.shape[0], x.shape[1]) + x, M),
    "integer product": (T.dot, RNG.integers(-5, 5, (3, 4)), RNG.integers(-5, 5, (4, 2))),
    "matrix times vector": (T.dot, M, ROW),
    "vector times matrix": (lambda x, y: T.dot(y, x), M, COLUMN),
    "inner product": (T.dot, ROW, ROW),
    "transpose times vector": (lambda x, y: T.dot(x.T, y), M, COLUMN),
    "outer product": (T.outer, COLUMN, ROW),
    "tile": (lambda x: T.tile(x, (2, 3)), M),
    "repeat": (lambda x: T.repeat(x, 3, axis=1), M),
    "products and truths": (lambda x: [x.prod(1), T.any(x > 1, axis=0), T.all(x > -10)], M),
    "powers": (lambda x: abs(x) ** 1.7 + x**3, M),
    "integer division": (
        lambda x: (x * 3).astype("int32") // 2 + (x * 3).astype("int32") % 3, M
    ),
    "float division with rest": (lambda x: x % 0.7 + x // 0.3, M),
    "guarded logarithm": (lambda x: T.switch(x > 0, T.log(x), T.sqrt(-x)), M),
    "many results": (lambda x: [x.sum(0), x.sum(1), x * 2, x.max()], M),
    "reductions of reductions": (
        lambda x: [T.exp(x).sum(1, keepdims=True) * x, (x - x.mean(0)).std(0)], M
    ),
    "results that are one": (lambda x: [x, x, x.T, x * 2, x.reshape((2, 6))], M),
    "layer normalisation": (
        lambda x: (x - x.mean(1, keepdims=True)) / T.sqrt(x.var(1, keepdims=True) + 1e-5), M
    ),
    "batch normalisation": (
        lambda x: (x - x.mean(0, keepdims=True)) / T.sqrt(x.var(0, keepdims=True) + 1e-5), M
    ),
    "a scalar of everything": (lambda x: x.sum() * 2 + x.mean() - x.shape[0], M),
    "log of a sum": (lambda x: T.logsumexp(x, axis=1), M),
    "all pairs": (lambda x: (x.dimshuffle(0, "x", 1) * x.dimshuffle("x", 0, 1)).sum(2), M),
    "triangles": (lambda x: T.tril(x) + T.triu(x, 1), SQUARE),
    "mixed floats": (lambda x: x.astype("float64").sum(0) + x.sum(0), M),
    "batched product": (T.matmul, normal(2, 3, 4), normal(2, 4, 5)),
    "product": (T.dot, normal(7, 9), normal(9, 5)),
    "product, bias, relu": (
        lambda x, y, b: T.nnet.relu(T.dot(x, y) + b.dimshuffle("x", 0)),
        normal(7, 9), normal(9, 5), normal(5),
    ),
    "product of transposes": (lambda x, y: T.dot(x.T, y.T) * 2, normal(9, 7), normal(5, 9)),
    "sum of products": (
        lambda x, y: T.dot(x, y) + T.dot(x * 2, y + 1), normal(7, 9), normal(9, 5)
    ),
    "gradient of cross-entropy": (
        lambda x: T.grad(
            T.nnet.categorical_crossentropy(T.nnet.softmax(x), np.array([0, 3, 1])).mean(), x
        ),
        M,
    ),
    "gradient of maxima": (
        lambda x: T.grad((x.max(1) ** 2).sum() + x.prod(0).sum() + x.std(), x), M
    ),
    "gradient of slices": (
        lambda x: T.grad((x[1:] * x[:-1]).sum() + (T.concatenate([x, x * 2], 1) ** 2).sum(), x), M
    ),
    "second gradient": (lambda x: T.grad(T.grad((T.tanh(x) ** 3).sum(), x).sum(), x), M),
    "gradient of a network": (
        lambda x, w: T.grad(T.nnet.softmax(T.tanh(T.dot(x, w))).max(1).sum(), [x, w]),
        normal(7, 9), normal(9, 5),
    ),
}  # fmt: skip

for axis in (0, 1, 2, (0, 1), (0, 2), (1, 2), None):
    CASES[f"sum over {axis}"] = (lambda x, axis=axis: (x * 2).sum(axis) + 1, CUBE)
    CASES[f"centred over {axis}"] = (lambda x, axis=axis: x - x.mean(axis, keepdims=True), CUBE)
    CASES[f"variance over {axis}"] = (lambda x, axis=axis: x.var(axis), CUBE)
    CASES[f"maximum over {axis}"] = (lambda x, axis=axis: T.nnet.softplus(x).max(axis), CUBE)
for axis in (0, 1, 2, None):
    CASES[f"argmax over {axis}"] = (lambda x, axis=axis: x.argmax(axis), CUBE)


def check(build, arrays, others=()):
    """Native code agrees with the reference on ``arrays`` and on each of ``others``."""
    inputs = [T.TensorType(a.dtype, (None,) * a.ndim)(f"x{k}") for k, a in enumerate(arrays)]
    outputs = build(*inputs)
    reference = croton.function(inputs, outputs, mode="reference")
    native = croton.function(inputs, outputs)
    for given in (arrays, *others):
        want, got = reference(*given), native(*given)
        if not isinstance(want, list):
            want, got = [want], [got]
        for w, g in zip(want, got, strict=True):
            assert (w.shape, w.dtype) == (g.shape, g.dtype)
            largest = (
                float(np.abs(w[np.isfinite(w)]).max(initial=1.0)) if w.dtype.kind == "f" else 1.0
            )
            np.testing.assert_allclose(g, w, rtol=2e-5, atol=1e-5 * largest)
    return native


@pytest.mark.parametrize("name", CASES)
def test_native_code_agrees_with_the_reference(name):
    build, *arrays = CASES[name]
    reversed_views = [a[..., ::-1].copy()[..., ::-1] for a in arrays]
    fortran = [np.asfortranarray(a) for a in arrays]
    check(build, arrays, [reversed_views, fortran])


LARGE = {
    "bias and softmax": (
        lambda x, b: T.nnet.softmax(x + b.dimshuffle("x", 0)), normal(300, 257), normal(257)
    ),
    "moments": (
        lambda x: [x.mean(0), x.var(0), x.mean(1), x.var(1), x.mean(), x.var()], normal(513, 130)
    ),
    "chain": (lambda x: T.tanh(x) * T.nnet.sigmoid(x) + T.log1p(T.exp(x)), normal(100_003)),
    "sum": (lambda x: [x.sum(), (x * x).sum(), x.max(), x.argmin()], normal(70_001)),
    "network": (
        lambda x, w: T.grad(T.sqr(T.nnet.relu(T.dot(x, w))).sum(), w),
        normal(130, 70), normal(70, 90),
    ),
    "picked": (
        lambda x: T.grad(-T.log(T.nnet.softmax(x))[T.arange(200), T.arange(200) % 37].sum(), x),
        normal(200, 37),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_arrays_agree_and_do_not_depend_on_threads(name):
    build, *arrays = LARGE[name]
    before = croton.config.threads
    results = []
    try:
        for count in (1, 2, 3):
            croton.config.threads = count
            native = check(build, arrays) if count == 1 else _native(build, arrays)
            got = native(*arrays)
            results.append(got if isinstance(got, list) else [got])
    finally:
        croton.config.threads = before
        _native(lambda x: x, [ROW])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.tobytes() == b.tobytes()


def _native(build, arrays):
    inputs = [T.TensorType(a.dtype, (None,) * a.ndim)() for a in arrays]
    return croton.function(inputs, build(*inputs))


def test_float32_sums_are_as_accurate_as_numpys():
    x = T.fvector("x")
    total = croton.function([x], x.sum())
    for n in (1000, 100_000, 3_000_001):
        for seed in range(3):
            data = np.random.default_rng(seed).random(n, dtype=np.float32)
            exact = float(np.sum(data, dtype=np.float64))
            ours, numpys = abs(float(total(data)) - exact), abs(float(data.sum()) - exact)
            assert ours <= max(numpys, np.spacing(np.float32(exact)))


@pytest.mark.parametrize("sizes", [(0, 4), (3, 0), (1, 1), (1, 4), (3, 1), (0, 0)])
def test_empty_and_single_sizes(sizes):
    x = T.fmatrix("x")
    outputs = [
        x + 1, x.sum(0), x.sum(1), x.sum(), x.T * 2, x[1:], x[::-1], x.prod(),
        T.concatenate([x, x], axis=1), T.dot(x, x.T), T.dot(x.T, x) + 1, x.reshape((-1,)),
        T.exp(x) - T.exp(x).sum(1, keepdims=True), (x - x.sum(0)).sum(0), T.any(x > 0),
    ]  # fmt: skip
    reference = croton.function([x], outputs, mode="reference")
    native = croton.function([x], outputs)
    data = normal(*sizes)
    for want, got in zip(reference(data), native(data), strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
