"""Classify scikit-learn's small digits (8 x 8 pixels) by logistic regression.

python examples/logistic_regression.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

import croton
import croton.tensor as T


def main(steps: int = 300, rate: float = 0.5, decay: float = 1e-4) -> float:
    """Learn from two thirds of the digits; print and return the accuracy on the others."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    order = np.random.default_rng(0).permutation(len(images))
    learn, ask = order[: len(order) * 2 // 3], order[len(order) * 2 // 3 :]

    x, y = T.dmatrix("x"), T.lvector("y")
    weights = croton.shared(np.zeros((64, 10)), name="weights")
    bias = croton.shared(np.zeros(10), name="bias")
    probabilities = T.nnet.softmax(T.dot(x, weights) + bias)
    loss = -T.log(probabilities)[T.arange(y.shape[0]), y].mean() + decay * (weights**2).sum()
    updates = [(p, p - rate * T.grad(loss, p)) for p in (weights, bias)]
    train = croton.function([x, y], loss, updates=updates)
    read = croton.function([x], T.argmax(probabilities, axis=1))

    for step in range(steps):
        cost = train(images[learn], labels[learn])
        if step % 50 == 49:
            print(f"step {step + 1:3d}   loss {float(cost):.4f}")
    accuracy = float(np.mean(read(images[ask]) == labels[ask]))
    print(f"held-out accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
