"""Croton's side of the benchmarks: one function a workload, written as a user would write it.

Each takes the workload's data and returns ``step()``, one whole call.
"""

import os
from collections.abc import Callable
from typing import Any

FLAGS = ["threads=2", "floatX=float32"]
if "CACHE_DIR" in os.environ:
    FLAGS.append("cache_dir=" + os.environ["CACHE_DIR"])
os.environ["CROTON_FLAGS"] = ",".join(FLAGS)

import numpy as np  # noqa: E402

import croton  # noqa: E402
import croton.tensor as T  # noqa: E402
from croton.tensor.random import RandomStreams  # noqa: E402

Data = dict[str, Any]
Step = Callable[[], Any]
VERSION = croton.__version__


def scalar_multiply(d: Data) -> Step:
    a, b = T.dscalars("a", "b")
    f = croton.function([a, b], a * b)
    return lambda: f(d["a"], d["b"])


def linreg_sgd(d: Data) -> Step:
    x, y = T.fscalars("x", "y")
    w = croton.shared(np.float32(0))
    error = (x * w - y) ** 2
    f = croton.function([x, y], error, updates=[(w, w - d["lr"] * T.grad(error, w))])
    xs, ys = list(d["x"]), list(d["y"])

    def step() -> float:
        w.set_value(np.float32(0))
        for _ in range(d["epochs"]):
            for x, y in zip(xs, ys, strict=True):
                f(x, y)
        return float(w.get_value())

    return step


def exp_230400(d: Data) -> Step:
    x = T.fvector("x")
    f = croton.function([x], T.exp(x))
    return lambda: f(d["x"])


def exp_230400_nocopy(d: Data) -> Step:
    x = T.fvector("x")
    f = croton.function([croton.In(x, borrow=True)], croton.Out(T.exp(x), borrow=True))
    return lambda: f(d["x"])


def elementwise_chain(d: Data) -> Step:
    x, y, z = T.fvectors("x", "y", "z")
    out = T.tanh(x) * T.nnet.sigmoid(y) + T.log1p(T.exp(z)) - x * y / (1 + z * z)
    f = croton.function([x, y, z], out)
    return lambda: f(d["x"], d["y"], d["z"])


def softmax_xent_grad(d: Data) -> Step:
    x, y = T.fmatrix("x"), T.ivector("y")
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(x), y).mean()
    f = croton.function([x, y], [loss, T.grad(loss, x)])
    return lambda: f(d["x"], d["y"])


def reductions(d: Data) -> Step:
    x = T.fmatrix("x")
    f = croton.function([x], [x.mean(0), x.var(0), x.mean(1), x.var(1), x.mean(), x.var()])
    return lambda: f(d["x"])


def _loss(scores: Any, y: Any) -> Any:
    return T.nnet.categorical_crossentropy(T.nnet.softmax(scores), y).mean()


def logreg_step(d: Data) -> Step:
    x, y = T.fmatrices("x", "y")
    weights, bias = croton.shared(d["W"]), croton.shared(d["b"])
    loss = _loss(T.dot(x, weights) + bias, y)
    updates = [(p, p - d["lr"] * T.grad(loss, p)) for p in (weights, bias)]
    f = croton.function([x, y], loss, updates=updates)
    return lambda: float(f(d["x"], d["y"]))


def _rmsprop(loss: Any, parameters: list[Any], rate: float) -> list[tuple[Any, Any]]:
    updates: list[tuple[Any, Any]] = []
    for p, g in zip(parameters, T.grad(loss, parameters), strict=True):
        mean = croton.shared(np.zeros_like(p.get_value()))
        new_mean = 0.9 * mean + 0.1 * g**2
        updates += [(mean, new_mean), (p, p - rate * g / T.sqrt(new_mean + 1e-6))]
    return updates


def mlp_step(d: Data) -> Step:
    x, y = T.fmatrices("x", "y")
    first, second, last = parameters = [croton.shared(p) for p in d["P"]]
    streams = RandomStreams(1)

    def drop(v: Any, p: float) -> Any:
        return v * streams.binomial(v.shape, p=1 - p, dtype="float32") / (1 - p)

    hidden = T.nnet.relu(T.dot(drop(x, 0.2), first))
    hidden = T.nnet.relu(T.dot(drop(hidden, 0.5), second))
    loss = _loss(T.dot(drop(hidden, 0.5), last), y)
    f = croton.function([x, y], loss, updates=_rmsprop(loss, parameters, d["lr"]))
    return lambda: float(f(d["x"], d["y"]))


def _product(d: Data) -> Step:
    a, b = T.fmatrices("a", "b")
    f = croton.function([a, b], T.dot(a, b))
    return lambda: f(d["a"], d["b"])


matmul_1024 = matmul_256 = matmul_mlp = _product
NAMES: tuple[str, ...] = "matmul_1024", "matmul_256", "matmul_mlp"


def _pooled(v: Any) -> Any:
    return T.signal.pool.pool_2d(v, (2, 2), ignore_border=True)


def convnet_step(d: Data) -> Step:
    x, y = T.ftensor4("x"), T.fmatrix("y")
    w1, w2, w3, w4, w5 = parameters = [croton.shared(p) for p in d["P"]]
    v = _pooled(T.nnet.relu(T.nnet.conv2d(x, w1, border_mode="full", filter_flip=False)))
    v = _pooled(T.nnet.relu(T.nnet.conv2d(v, w2, filter_flip=False)))
    v = _pooled(T.nnet.relu(T.nnet.conv2d(v, w3, filter_flip=False)))
    loss = _loss(T.dot(T.nnet.relu(T.dot(v.flatten(2), w4)), w5), y)
    f = croton.function([x, y], loss, updates=_rmsprop(loss, parameters, d["lr"]))
    return lambda: float(f(d["x"], d["y"]))


def _resnet18(d: Data) -> Step:
    """ResNet-18's answer: the weights are constants, batch norm a scale and a shift."""
    known: dict[str, Any] = {name: T.constant(value) for name, value in d["P"].items()}

    def normalised(name: str, v: Any, stride: int = 1) -> Any:
        w = known["w" + name]
        v = T.nnet.conv2d(v, w, border_mode="half", subsample=(stride, stride), filter_flip=False)
        scale, shift = (known[k + name].dimshuffle("x", 0, "x", "x") for k in "sh")
        return v * scale + shift

    x = T.ftensor4("x")
    v = T.nnet.relu(normalised("stem", x, 2))
    v = T.signal.pool.pool_2d(v, (3, 3), ignore_border=True, stride=(2, 2), pad=(1, 1))
    for stage in range(4):
        for block in range(2):
            name = f"{stage}{block}"
            stride = 2 if "w" + name + "d" in known else 1
            kept = normalised(name + "d", v, stride) if stride == 2 else v
            v = T.nnet.relu(normalised(name + "a", v, stride))
            v = T.nnet.relu(normalised(name + "b", v) + kept)
    f = croton.function([x], T.dot(v.mean((2, 3)), known["fc"]))
    return lambda: f(d["x"])


resnet18_b1 = resnet18_b8 = _resnet18
NAMES += "resnet18_b1", "resnet18_b8"


def rnn_scan_step(d: Data) -> Step:
    """A training step of an LSTM of 128 over 100 steps; the input's gates are one product."""
    x, target = T.ftensor3("x"), T.fmatrix("t")
    of_input, of_state, bias = parameters = [croton.shared(p) for p in d["P"]]
    steps, batch, _ = d["x"].shape
    width = d["P"][1].shape[0]

    def cell(gates: Any, h: Any, c: Any, w: Any) -> Any:
        gates = gates + T.dot(h, w)
        i, f, g, o = (gates[:, k * width : (k + 1) * width] for k in range(4))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return T.nnet.sigmoid(o) * T.tanh(c), c

    gates = (T.dot(x.reshape((steps * batch, -1)), of_input) + bias).reshape((steps, batch, -1))
    start = T.zeros((batch, width), dtype="float32")
    (hs, _), _ = croton.scan(cell, [gates], [start, start], [of_state])
    loss = ((hs[-1] - target) ** 2).mean()
    updates = [(p, p - d["lr"] * T.grad(loss, p)) for p in parameters]
    f = croton.function([x, target], loss, updates=updates)
    return lambda: float(f(d["x"], d["t"]))


NAMES += ("rnn_scan_step",)
