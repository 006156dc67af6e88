"""Learn to read handwritten digits with a convolutional network.

Three convolutions (32, 64 and 128 filters of 3 x 3, relu), each followed by the maxima of
2 x 2 windows, then a layer of 625 and one of 10; dropout, RMSProp.  It sees the digits of
``digits.py`` as images and gets more of them right than the network there, which sees
rows of numbers.  It prints what the held-out digits say after each epoch and draws
``digits.png``.

    python examples/convnet.py [--epochs 30] [--picture digits.png]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import digits
import numpy as np

import croton
import croton.tensor as T
from croton.tensor.random import RandomStreams
from croton.tensor.signal.pool import pool_2d

SIDE = 28


def weights(shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """A layer's weights, small enough that what goes through it keeps its size."""
    inputs = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
    values = random.normal(0, np.sqrt(2 / inputs), shape)
    return croton.shared(values.astype("float32"))


def convolved(images: Any, filters: Any, border_mode: str = "valid") -> Any:
    """What the filters find, at half the size: the best of each 2 x 2 places."""
    found = T.nnet.relu(T.nnet.conv2d(images, filters, border_mode=border_mode))
    return pool_2d(found, (2, 2), ignore_border=False)


def network(x: Any, layers: list[Any], drop: Callable[[Any, float], Any]) -> Any:
    """The probability of each digit for each row of pixels in ``x``."""
    first, second, third, fourth, last = layers
    images = x.reshape((x.shape[0], 1, SIDE, SIDE))
    found = drop(convolved(images, first, "full"), 0.2)
    found = drop(convolved(found, second), 0.2)
    found = drop(convolved(found, third).flatten(2), 0.2)
    hidden = drop(T.nnet.relu(T.dot(found, fourth)), 0.5)
    return T.nnet.softmax(T.dot(hidden, last))


def compile_network(seed: int = 0) -> tuple[Any, Any]:
    """``train(images, labels)`` learns and gives the loss; ``read(images)`` gives digits."""
    random = np.random.default_rng(seed)
    streams = RandomStreams(seed)
    shapes = [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (128 * 3 * 3, 625), (625, 10)]
    layers = [weights(shape, random) for shape in shapes]

    def drop(values: Any, p: float) -> Any:
        keep = np.float32(1 - p)
        return values * streams.binomial(values.shape, p=1 - p, dtype="float32") / keep

    x, y = T.fmatrix("x"), T.ivector("y")
    loss = T.nnet.categorical_crossentropy(network(x, layers, drop), y).mean()
    train = croton.function([x, y], loss, updates=digits.rmsprop(loss, layers))
    sure = network(x, layers, lambda values, p: values)
    read = croton.function([x], T.argmax(sure, axis=1))
    return train, read


def main(epochs: int, picture: str) -> float:
    """Train the network of this program; the held-out accuracy is the result."""
    return digits.learn(compile_network, epochs, picture)


if __name__ == "__main__":
    given = digits.options("Learn to read handwritten digits by convolution.", 30)
    main(given.epochs, given.picture)
