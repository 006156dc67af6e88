"""The layers and networks of ``examples/networks`` once more, in plain NumPy."""

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def convolution(x, w, stride=1, pad=0):
    """A sum over the filter's elements of products with the image under each."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True))
    out = np.zeros((len(x), len(w), rows, columns), x.dtype)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            under = x[:, :, i:, j:][:, :, ::stride, ::stride][:, :, :rows, :columns]
            out += np.einsum("bcrs,mc->bmrs", under, w[:, :, i, j], optimize=True)
    return out


def windows(x, window, stride, pad, whole, outside):
    """The elements of each window along a new first axis."""
    extra = 0 if whole else stride - 1
    x = np.pad(x, ((0, 0), (0, 0), *[(pad, pad + extra)] * 2), constant_values=outside)
    rows, columns = ((n - window) // stride + 1 for n in x.shape[2:])
    parts = [
        x[:, :, i:, j:][:, :, ::stride, ::stride][:, :, :rows, :columns]
        for i in range(window)
        for j in range(window)
    ]
    return np.stack(parts)


def maxima(x, window, stride, pad=0, whole=True):
    return windows(x, window, stride, pad, whole, -np.inf).max(0)


def averages(x, window, stride):
    return windows(x, window, stride, 0, True, 0).mean(0)


def channelwise(v):
    return v[:, None, None]


def cross_entropy(scores, labels):
    scores = scores - scores.max(1, keepdims=True)
    normal = np.log(np.exp(scores).sum(1))
    return float((normal - scores[np.arange(len(labels)), labels]).mean())


class Network:
    """Layers by the names of their parameters."""

    def __init__(self, p, training=False):
        self.p = p
        self.training = training
        self.running = {}

    def conv(self, x, name, stride=1, pad=None):
        w = self.p[name + ".weight"]
        out = convolution(x, w, stride, w.shape[2] // 2 if pad is None else pad)
        bias = self.p.get(name + ".bias")
        return out if bias is None else out + channelwise(bias)

    def dense(self, x, name):
        return x @ self.p[name + ".weight"].T + self.p[name + ".bias"]

    def norm(self, x, name):
        weight, bias, mean, variance = (
            self.p[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        if self.training:
            count = x.size // x.shape[1]
            old = mean, variance
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
            unbiased = variance * count / (count - 1)
            self.running[f"{name}.running_mean"] = 0.9 * old[0] + 0.1 * mean
            self.running[f"{name}.running_var"] = 0.9 * old[1] + 0.1 * unbiased
        x = (x - channelwise(mean)) / np.sqrt(channelwise(variance) + 1e-5)
        return x * channelwise(weight) + channelwise(bias)


def lenet(x, n):
    def squashed(x):
        return 1.7159 * np.tanh(2 / 3 * x)

    for conv, pool in ("c1", "s2"), ("c3", "s4"):
        x = averages(squashed(n.conv(x, conv, pad=0)), 2, 2)
        x = squashed(x * channelwise(n.p[pool + ".weight"]) + channelwise(n.p[pool + ".bias"]))
    x = squashed(n.conv(x, "c5", pad=0)).reshape(len(x), -1)
    return [n.dense(squashed(n.dense(x, "f6")), "output")]


def vgg(x, n):
    number = 0
    for count in 2, 2, 3, 3, 3:
        for _ in range(count):
            x = relu(n.conv(x, f"features.{number}"))
            number += 2
        x = maxima(x, 2, 2)
        number += 1
    x = x.reshape(len(x), -1)
    x = relu(n.dense(x, "classifier.0"))
    x = relu(n.dense(x, "classifier.3"))
    return [n.dense(x, "classifier.6")]


def resnet(x, n, blocks, bottleneck):
    x = maxima(relu(n.norm(n.conv(x, "conv1", 2), "bn1")), 3, 2, 1)
    for stage, count in enumerate(blocks):
        for block in range(count):
            at = f"layer{stage + 1}.{block}."
            stride = 2 if stage > 0 and block == 0 else 1
            strides = (1, stride, 1) if bottleneck else (stride, 1)
            short = x
            if block == 0 and (stage > 0 or bottleneck):
                short = n.norm(n.conv(x, at + "downsample.0", stride), at + "downsample.1")
            for k, s in enumerate(strides, 1):
                x = n.norm(n.conv(x, f"{at}conv{k}", s), f"{at}bn{k}")
                x = relu(x + short) if k == len(strides) else relu(x)
    return [n.dense(x.mean((2, 3)), "fc")]


def response(x):
    """Over five channels, those beyond the ends being zero."""
    total = np.zeros_like(x)
    for c in range(x.shape[1]):
        total[:, c] = (x[:, max(0, c - 2) : c + 3] ** 2).sum(1)
    return x / (1 + 1e-4 / 5 * total) ** 0.75


def stem(x, n):
    x = maxima(relu(n.conv(x, "conv1", 2)), 3, 2, whole=False)
    x = relu(n.conv(response(x), "conv2_reduce"))
    return maxima(response(relu(n.conv(x, "conv2"))), 3, 2, whole=False)


def inception(x, n, at):
    one = n.conv(x, at + ".one")
    three = n.conv(relu(n.conv(x, at + ".three_reduce")), at + ".three")
    five = n.conv(relu(n.conv(x, at + ".five_reduce")), at + ".five")
    pooled = n.conv(maxima(x, 3, 1, 1), at + ".pooled")
    return relu(np.concatenate([one, three, five, pooled], 1))


def googlenet(x, n):
    x, further = stem(x, n), []
    for at in "3a 3b 4a 4b 4c 4d 4e 5a 5b".split():
        x = inception(x, n, at)
        if at in ("4a", "4d"):
            name = "auxiliary1" if at == "4a" else "auxiliary2"
            seen = relu(n.conv(averages(x, 5, 3), name + ".conv")).reshape(len(x), -1)
            further.append(n.dense(relu(n.dense(seen, name + ".hidden")), name + ".output"))
        if at in ("3b", "4e"):
            x = maxima(x, 3, 2, whole=False)
    return [n.dense(x.mean((2, 3)), "output"), *further]
