"""PyTorch's side of ``networks.py``: scores and gradients of a network with given weights.

    PYTHON benchmarks/networks_torch.py NETWORK DTYPE GIVEN.npz FOUND.npz

GIVEN has the parameters by name, ``image`` and ``labels``; FOUND gets ``scores0``, ... and
the gradient by each parameter that is trained.  It needs PyTorch and NumPy, nothing else.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

WEIGHTS = (1.0, 0.3, 0.3)


class Network:
    """Layers by the names of their parameters."""

    def __init__(self, torch: Any, p: dict[str, Any]) -> None:
        self.torch = torch
        self.functional = torch.nn.functional
        self.p = p

    def conv(self, x: Any, name: str, stride: int = 1, pad: int | None = None) -> Any:
        w = self.p[f"{name}.weight"]
        pad = w.shape[2] // 2 if pad is None else pad
        return self.functional.conv2d(x, w, self.p.get(f"{name}.bias"), stride, pad)

    def dense(self, x: Any, name: str) -> Any:
        return self.functional.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, x: Any, name: str) -> Any:
        names = ("running_mean", "running_var", "weight", "bias")
        parts = (self.p[f"{name}.{part}"] for part in names)
        return self.functional.batch_norm(x, *parts, training=True, momentum=0.1, eps=1e-5)

    def maxima(self, x: Any, window: int, stride: int, pad: int = 0, whole: bool = True) -> Any:
        """Maxima whose gradient goes to all elements that are equal to them, as in Theano."""
        torch = self.torch
        extra = 0 if whole else stride - 1
        pads = [pad, pad + extra] * 2
        padded = self.functional.pad(x, pads, value=-torch.inf)
        shape = [(n - window) // stride + 1 for n in padded.shape[2:]]
        parts = padded.unfold(2, window, stride).unfold(3, window, stride).flatten(4)
        top = parts.detach().amax(4)
        held = torch.where(parts == top[..., None], parts, 0).sum(4)
        assert list(top.shape[2:]) == shape
        return top + (held - held.detach())

    def relu(self, x: Any) -> Any:
        return self.functional.relu(x)


def lenet(n: Network, x: Any) -> list[Any]:
    def squashed(x: Any) -> Any:
        return 1.7159 * n.torch.tanh(2 / 3 * x)

    for conv, pool in ("c1", "s2"), ("c3", "s4"):
        x = n.functional.avg_pool2d(squashed(n.conv(x, conv, pad=0)), 2)
        weight, bias = (n.p[f"{pool}.{part}"][:, None, None] for part in ("weight", "bias"))
        x = squashed(x * weight + bias)
    x = squashed(n.conv(x, "c5", pad=0)).flatten(1)
    return [n.dense(squashed(n.dense(x, "f6")), "output")]


def vgg16(n: Network, x: Any) -> list[Any]:
    number = 0
    for count in 2, 2, 3, 3, 3:
        for _ in range(count):
            x = n.relu(n.conv(x, f"features.{number}"))
            number += 2
        x = n.maxima(x, 2, 2)
        number += 1
    x = n.relu(n.dense(x.flatten(1), "classifier.0"))
    return [n.dense(n.relu(n.dense(x, "classifier.3")), "classifier.6")]


def _resnet(n: Network, x: Any, blocks: tuple[int, ...], convolutions: int) -> list[Any]:
    x = n.maxima(n.relu(n.norm(n.conv(x, "conv1", 2), "bn1")), 3, 2, 1)
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            at = f"layer{stage}.{block}."
            halving = 2 if stage > 1 and block == 0 else 1
            kept = x
            if f"{at}downsample.0.weight" in n.p:
                kept = n.norm(n.conv(x, f"{at}downsample.0", halving), f"{at}downsample.1")
            for k in range(1, convolutions + 1):
                stride = halving if k == convolutions - 1 else 1
                x = n.norm(n.conv(x, f"{at}conv{k}", stride), f"{at}bn{k}")
                x = n.relu(x + kept if k == convolutions else x)
    return [n.dense(x.mean((2, 3)), "fc")]


def resnet18(n: Network, x: Any) -> list[Any]:
    return _resnet(n, x, (2, 2, 2, 2), 2)


def resnet50(n: Network, x: Any) -> list[Any]:
    return _resnet(n, x, (3, 4, 6, 3), 3)


def googlenet(n: Network, x: Any) -> list[Any]:
    def response(x: Any) -> Any:
        return n.functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1)

    def layer(x: Any, name: str, stride: int = 1) -> Any:
        return n.relu(n.conv(x, name, stride))

    x = layer(response(n.maxima(layer(x, "conv1", 2), 3, 2, whole=False)), "conv2_reduce")
    x = n.maxima(response(layer(x, "conv2")), 3, 2, whole=False)
    further = []
    for at in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        ways = [
            layer(x, f"{at}.one"),
            layer(layer(x, f"{at}.three_reduce"), f"{at}.three"),
            layer(layer(x, f"{at}.five_reduce"), f"{at}.five"),
            layer(n.maxima(x, 3, 1, 1), f"{at}.pooled"),
        ]
        x = n.torch.cat(ways, 1)
        if at in ("4a", "4d"):
            name = f"auxiliary{1 + (at == '4d')}"
            seen = layer(n.functional.avg_pool2d(x, 5, 3), f"{name}.conv").flatten(1)
            further.append(n.dense(n.relu(n.dense(seen, f"{name}.hidden")), f"{name}.output"))
        if at in ("3b", "4e"):
            x = n.maxima(x, 3, 2, whole=False)
    return [n.dense(x.mean((2, 3)), "output"), *further]


BUILDERS = {f.__name__: f for f in (lenet, vgg16, resnet18, resnet50, googlenet)}


def main(name: str, dtype: str, given: str, found: str) -> None:
    """Compute and write."""
    torch: Any = importlib.import_module("torch")
    with np.load(given) as arrays:
        values = dict(arrays)
    labels = torch.from_numpy(values.pop("labels"))
    tensors = {k: torch.from_numpy(v).to(getattr(torch, dtype)) for k, v in values.items()}
    image = tensors.pop("image")
    trained = {k: v.requires_grad_() for k, v in tensors.items() if ".running_" not in k}
    scores = BUILDERS[name](Network(torch, tensors), image)
    pairs = zip(WEIGHTS, scores, strict=False)
    loss = sum(w * torch.nn.functional.cross_entropy(v, labels) for w, v in pairs)
    gradients = torch.autograd.grad(loss, list(trained.values()))
    out = {f"scores{k}": v for k, v in enumerate(scores)}
    out |= dict(zip(trained, gradients, strict=True))
    np.savez(found, **{k: v.detach().numpy() for k, v in out.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
