"""VGG-16 (Simonyan and Zisserman, 2014; configuration D).

Thirteen convolutions of 3 x 3 in five groups, each group followed by the maxima of 2 x 2
windows, and three dense layers.  Names and shapes of the parameters are those of
torchvision's ``vgg16``, so its trained weights, as arrays, will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import croton.tensor as T

from . import layers

#: Filters of each layer, in units of the first one's; 0 is pooling.
CONVOLUTIONS = (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0)


def _convolutions() -> Iterator[tuple[str, int]]:
    """Each layer's name and units; a convolution and its relu count as two."""
    number = 0
    for units in CONVOLUTIONS:
        yield f"features.{number}", units
        number += 2 if units else 1


def parameters(
    width: int = 64,
    hidden: int = 4096,
    classes: int = 1000,
    size: int = 224,
    channels: int = 3,
    seed: int = 0,
    dtype: str = "float32",
) -> layers.Arrays:
    """``features.N`` and ``classifier.N``: ``.weight`` and ``.bias`` of each.

    ``size`` is the rows and columns of the images, a multiple of 32.
    """
    made = layers.Maker(seed, dtype)
    for name, units in _convolutions():
        if units:
            made.biased(name, units * width, channels, 3, 3)
            channels = units * width
    made.biased("classifier.0", hidden, channels * (size // 32) ** 2)
    made.biased("classifier.3", hidden, hidden)
    made.biased("classifier.6", classes, hidden, gain=1)
    return made.made


def network(x: Any, p: layers.Parameters, drop: layers.Drop = layers.keep) -> Any:
    """The scores of each class for each image; in training, ``drop`` drops half of the hidden."""
    for name, units in _convolutions():
        x = T.nnet.relu(layers.convolved(x, p, name)) if units else layers.maxima(x, 2, 2)
    hidden = drop(T.nnet.relu(layers.dense(x.flatten(2), p, "classifier.0")), 0.5)
    hidden = drop(T.nnet.relu(layers.dense(hidden, p, "classifier.3")), 0.5)
    return layers.dense(hidden, p, "classifier.6")
