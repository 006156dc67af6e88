"""GoogLeNet (Szegedy and others, 2014), with local response normalisation as in the paper.

Nine inception modules, each four ways side by side: 1 x 1; 1 x 1 then 3 x 3; 1 x 1 then
5 x 5; maxima of 3 x 3 then 1 x 1.  In training, two further classifiers look at what the
modules 4a and 4d give, and their losses count 0.3 each.
"""

from __future__ import annotations

from typing import Any

import croton.tensor as T
from croton.tensor.signal.pool import pool_2d

from . import layers

#: Filters of each module: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, after pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
#: After these, the maxima of 3 x 3 windows, every other one.
POOLED = ("3b", "4e")
CLASSIFIERS = {"4a": "auxiliary1", "4d": "auxiliary2"}
WAYS = ("one", "three_reduce", "three", "five_reduce", "five", "pooled")


def parameters(
    scale: float = 1.0,
    classes: int = 1000,
    size: int = 224,
    channels: int = 3,
    seed: int = 0,
    dtype: str = "float32",
) -> layers.Arrays:
    """``.weight`` and ``.bias`` of each layer, in the order in which they are used.

    ``conv1``, ``conv2_reduce``, ``conv2``; for each module, ``3a`` say, ``3a.one``,
    ``3a.three_reduce``, ``3a.three``, ``3a.five_reduce``, ``3a.five`` and ``3a.pooled``;
    for the further classifiers ``auxiliary1.conv``, ``auxiliary1.hidden`` and
    ``auxiliary1.output`` (so too 2), if the images are large enough for them; ``output``.
    ``scale`` makes every layer narrower; ``size`` is the rows and columns of the images.
    """
    made = layers.Maker(seed, dtype)

    def width(filters: int) -> int:
        return max(1, round(filters * scale))

    made.biased("conv1", width(64), channels, 7, 7)
    made.biased("conv2_reduce", width(64), width(64), 1, 1)
    made.biased("conv2", width(192), width(64), 3, 3)
    given = width(192)
    rows = (size + 1) // 2 // 8
    averages = (rows - 5) // 3 + 1
    for module, filters in MODULES.items():
        one, three_reduce, three, five_reduce, five, pooled = map(width, filters)
        made.biased(f"{module}.one", one, given, 1, 1)
        made.biased(f"{module}.three_reduce", three_reduce, given, 1, 1)
        made.biased(f"{module}.three", three, three_reduce, 3, 3)
        made.biased(f"{module}.five_reduce", five_reduce, given, 1, 1)
        made.biased(f"{module}.five", five, five_reduce, 5, 5)
        made.biased(f"{module}.pooled", pooled, given, 1, 1)
        given = one + three + five + pooled
        if module in CLASSIFIERS and averages > 0:
            name = CLASSIFIERS[module]
            made.biased(f"{name}.conv", width(128), given, 1, 1)
            made.biased(f"{name}.hidden", width(1024), width(128) * averages**2)
            made.biased(f"{name}.output", classes, width(1024), gain=1)
    made.biased("output", classes, given, gain=1)
    return made.made


def normalised(x: Any) -> Any:
    """Divided by what the five channels around hold at the same place."""
    return T.nnet.local_response_normalization(x, alpha=1e-4 / 5, k=1, beta=0.75, n=5)


def stem(x: Any, p: layers.Parameters) -> Any:
    """What comes before the modules."""
    relu = T.nnet.relu
    x = relu(layers.convolved(x, p, "conv1", 2))
    x = normalised(layers.maxima(x, 3, 2, whole=False))
    x = relu(layers.convolved(x, p, "conv2_reduce"))
    x = normalised(relu(layers.convolved(x, p, "conv2")))
    return layers.maxima(x, 3, 2, whole=False)


def inception(x: Any, p: layers.Parameters, module: str) -> Any:
    """A module: four ways side by side."""

    def layer(x: Any, way: str) -> Any:
        return T.nnet.relu(layers.convolved(x, p, f"{module}.{way}"))

    ways = [
        layer(x, "one"),
        layer(layer(x, "three_reduce"), "three"),
        layer(layer(x, "five_reduce"), "five"),
        layer(layers.maxima(x, 3, 1, 1), "pooled"),
    ]
    return T.concatenate(ways, axis=1)


def network(x: Any, p: layers.Parameters, drop: layers.Drop = layers.keep) -> Any:
    """The scores of each class for each image; in training, ``drop`` drops 40 %."""
    return _dropped(_modules(x, p)[-1], p, drop)


def heads(x: Any, p: layers.Parameters, drop: layers.Drop = layers.keep) -> list[Any]:
    """The scores, and those of the two further classifiers, of which ``drop`` drops 70 %."""
    seen = dict(zip(MODULES, _modules(x, p), strict=True))
    further = [_classifier(seen[module], p, name, drop) for module, name in CLASSIFIERS.items()]
    return [_dropped(seen["5b"], p, drop), *further]


def _modules(x: Any, p: layers.Parameters) -> list[Any]:
    """What each module gives."""
    x = stem(x, p)
    found = []
    for module in MODULES:
        found.append(inception(x, p, module))
        x = layers.maxima(found[-1], 3, 2, whole=False) if module in POOLED else found[-1]
    return found


def _dropped(x: Any, p: layers.Parameters, drop: layers.Drop) -> Any:
    return layers.dense(drop(x.mean((2, 3)), 0.4), p, "output")


def _classifier(x: Any, p: layers.Parameters, name: str, drop: layers.Drop) -> Any:
    x = pool_2d(x, (5, 5), ignore_border=True, stride=(3, 3), mode="average_exc_pad")
    x = T.nnet.relu(layers.convolved(x, p, f"{name}.conv"))
    x = drop(T.nnet.relu(layers.dense(x.flatten(2), p, f"{name}.hidden")), 0.7)
    return layers.dense(x, p, f"{name}.output")
