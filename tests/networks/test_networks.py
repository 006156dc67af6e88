"""The example networks, narrow ones, against plain NumPy: scores, gradients, statistics."""

import importlib.util
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from networks import googlenet, layers, lenet, resnet, vgg

import croton
import croton.tensor as T


def load_plain():
    path = pathlib.Path(__file__).with_name("plain.py")
    spec = importlib.util.spec_from_file_location("plain_networks", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plain = load_plain()


@dataclass
class Case:
    """A network and what it is compared with."""

    parameters: dict[str, Any]
    network: Callable[..., Any]
    expected: Callable[..., Any]
    image: tuple[int, ...]
    normalised: bool = False


def resnets(blocks, bottleneck):
    return Case(
        resnet.parameters(blocks, bottleneck, width=3, classes=5, dtype="float64"),
        resnet.network,
        lambda x, n: plain.resnet(x, n, blocks, bottleneck),
        (3, 3, 35, 33),
        normalised=True,
    )


CASES = {
    "lenet": lambda: Case(
        lenet.parameters(classes=4, dtype="float64"), lenet.network, plain.lenet, (3, 1, 32, 32)
    ),
    "vgg": lambda: Case(
        vgg.parameters(width=2, hidden=7, classes=5, size=32, dtype="float64"),
        vgg.network,
        plain.vgg,
        (3, 3, 32, 32),
    ),
    "resnet": lambda: resnets((2, 1), False),
    "bottleneck": lambda: resnets((1, 2), True),
    "googlenet": lambda: Case(
        googlenet.parameters(0.06, classes=5, size=80, dtype="float64"),
        googlenet.heads,
        lambda x, n: plain.googlenet(x, n, heads=True),
        (2, 3, 80, 80),
    ),
}


def disturbed(case):
    """Parameters as training might leave them: no zeros, no ones, variances positive."""
    rng = np.random.default_rng(3)
    changed = {}
    for name, value in case.parameters.items():
        noise = rng.normal(0, 0.1, value.shape)
        changed[name] = value + (abs(noise) if name.endswith("running_var") else noise)
        assert changed[name].dtype == value.dtype == np.float64
    return changed, rng.standard_normal(case.image), rng.integers(0, 4, case.image[0])


def close(got, want):
    scale = abs(want).max()
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("name", CASES)
def test_scores(name):
    case = CASES[name]()
    p, image, _ = disturbed(case)
    x = T.dtensor4("x")
    f = croton.function([x], case.network(x, layers.shared(p)))
    got, want = f(image), case.expected(image, plain.Network(p))
    for a, b in zip(got if len(want) > 1 else [got], want, strict=True):
        close(a, b)


@pytest.mark.parametrize("name", CASES)
def test_training(name):
    """The slope in a random direction is that of the plain network; statistics run along."""
    case = CASES[name]()
    p, image, labels = disturbed(case)
    variables = layers.shared(p)
    trained = layers.trained(variables)
    x, y, running = T.dtensor4("x"), T.lvector("y"), []
    out = case.network(x, variables, *([running] if case.normalised else []))
    weights = [1, 0.3, 0.3]
    heads = out if isinstance(out, list) else [out]
    loss = sum(w * layers.cross_entropy(v, y) for w, v in zip(weights, heads, strict=False))
    gradients = T.grad(loss, list(trained.values()))
    f = croton.function([x, y], [loss, *gradients], updates=running)

    rng = np.random.default_rng(4)
    ways = {k: rng.standard_normal(p[k].shape) * (abs(p[k]).mean() + 0.01) for k in trained}

    def plain_loss(network):
        pairs = zip(weights, case.expected(image, network), strict=False)
        return sum(w * plain.cross_entropy(v, labels) for w, v in pairs)

    def moved(step):
        changed = {k: v + step * ways[k] if k in ways else v for k, v in p.items()}
        return plain_loss(plain.Network(changed, training=True, near=network))

    network = plain.Network(p, training=True)
    want, statistics = plain_loss(network), network.running
    got, *gradients = f(image, labels)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    h = 1e-7
    slope = (moved(h) - moved(-h)) / (2 * h)
    total = sum((g * way).sum() for g, way in zip(gradients, ways.values(), strict=True))
    np.testing.assert_allclose(total, slope, rtol=1e-5, atol=1e-7)
    assert len(statistics) == len(running)
    for name, value in statistics.items():
        close(variables[name].get_value(), value)


def test_known_sizes():
    """The numbers of weights that torchvision's models have, VGG's without its dense layers."""

    def count(p):
        return sum(v.size for v in layers.trained(p).values())

    assert count(resnet.parameters(resnet.RESNET_18)) == 11_689_512
    assert count(resnet.parameters(resnet.RESNET_50, bottleneck=True)) == 25_557_032
    dense = 25_089 * 2 + 3 * 2 + 3 * 2
    assert count(vgg.parameters(hidden=2, classes=2)) == 14_714_688 + dense
    alone = {k: v for k, v in googlenet.parameters().items() if "auxiliary" not in k}
    assert count(alone) == 6_998_552


def test_momentum_moves_as_written():
    p = {"w.weight": np.full((2, 2), 3.0), "w.bias": np.full(2, 3.0)}
    variables = layers.shared(p)
    loss = (variables["w.weight"] ** 2).sum() + (variables["w.bias"] ** 2).sum()
    f = croton.function([], loss, updates=layers.momentum(loss, variables, 0.01, 0.9, 0.5))
    f(), f()
    for name, decay in ("w.weight", 0.5), ("w.bias", 0.0):
        w, speed = 3.0, 0.0
        for _ in range(2):
            speed = 0.9 * speed - 0.01 * (2 * w + decay * w)
            w += speed
        close(variables[name].get_value(), np.full_like(p[name], w))
