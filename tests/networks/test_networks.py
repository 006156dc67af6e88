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
    """A network, or a part of one, and what it is compared with: both give lists."""

    parameters: dict[str, Any]
    network: Callable[..., Any]
    expected: Callable[..., Any]
    image: tuple[int, ...]


def resnets(blocks, bottleneck):
    return Case(
        resnet.parameters(blocks, bottleneck, width=3, classes=5, dtype="float64"),
        lambda x, p, running: [resnet.network(x, p, running)],
        lambda x, n: plain.resnet(x, n, blocks, bottleneck),
        (3, 3, 35, 33),
    )


def googlenets(scale, names, network, expected, image):
    p = googlenet.parameters(scale, classes=5, size=80, dtype="float64")
    kept = {name: v for name, v in p.items() if name.startswith(names)}
    return Case(kept, lambda x, p, _: network(x, p), expected, image)


CASES = {
    "lenet": lambda: Case(
        lenet.parameters(classes=4, dtype="float64"),
        lambda x, p, _: [lenet.network(x, p)],
        plain.lenet,
        (3, 1, 32, 32),
    ),
    "vgg": lambda: Case(
        vgg.parameters(width=2, hidden=7, classes=5, size=32, dtype="float64"),
        lambda x, p, _: [vgg.network(x, p)],
        plain.vgg,
        (3, 3, 32, 32),
    ),
    "resnet": lambda: resnets((2, 1), False),
    "bottleneck": lambda: resnets((1, 2), True),
    "googlenet": lambda: googlenets(0.06, "", googlenet.heads, plain.googlenet, (2, 3, 80, 80)),
    "stem": lambda: googlenets(
        0.2,
        "conv",
        lambda x, p: [googlenet.stem(x, p)],
        lambda x, n: [plain.stem(x, n)],
        (1, 3, 47, 43),
    ),
    "inception": lambda: googlenets(
        0.1,
        "3b",
        lambda x, p: [googlenet.inception(x, p, "3b")],
        lambda x, n: [plain.inception(x, n, "3b")],
        (2, 25, 9, 7),
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
    return changed, rng.standard_normal(case.image)


def close(got, want):
    scale = abs(want).max()
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    case = CASES[name]()
    p, image = disturbed(case)
    x = T.dtensor4("x")
    f = croton.function([x], case.network(x, layers.shared(p), None))
    for a, b in zip(f(image), case.expected(image, plain.Network(p)), strict=True):
        close(a, b)


# Where windows of maxima overlap, equal ones lie side by side, and the gradient of the next
# maxima goes to all elements that are equal; so GoogLeNet has its gradient tested in parts.
@pytest.mark.parametrize("name", [name for name in CASES if name != "googlenet"])
def test_training(name):
    """The slope in a random direction is that of the plain network; statistics run along."""
    case = CASES[name]()
    p, image = disturbed(case)
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal(v.shape) for v in case.expected(image, plain.Network(p))]
    variables = layers.shared(p)
    trained = layers.trained(variables)
    x, running = T.dtensor4("x"), []
    outputs = case.network(x, variables, running)
    total = sum((w * v).sum() for w, v in zip(weights, outputs, strict=True))
    gradients = T.grad(total, [x, *trained.values()])
    f = croton.function([x], [total, *gradients], updates=running)

    ways = {k: rng.standard_normal(p[k].shape) * (abs(p[k]).mean() + 0.01) for k in trained}
    image_way = rng.standard_normal(image.shape)

    def plain_total(step):
        moved = {k: v + step * ways[k] if k in ways else v for k, v in p.items()}
        network = plain.Network(moved, training=True)
        found = case.expected(image + step * image_way, network)
        return sum((w * v).sum() for w, v in zip(weights, found, strict=True)), network.running

    got, *gradients = f(image)
    want, statistics = plain_total(0)
    np.testing.assert_allclose(got, want, rtol=1e-9)
    h = 1e-7
    slope = (plain_total(h)[0] - plain_total(-h)[0]) / (2 * h)
    parts = [(g * v).sum() for g, v in zip(gradients, [image_way, *ways.values()], strict=True)]
    np.testing.assert_allclose(sum(parts), slope, atol=1e-6 * max(map(abs, parts)))
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
