"""Fit a line through noisy points, one point at a time.

python examples/linear_regression.py
"""

from __future__ import annotations

import numpy as np

import croton
import croton.tensor as T


def fit(xs: np.ndarray, ys: np.ndarray, epochs: int, rate: float) -> tuple[float, float]:
    """Slope and intercept, by stochastic gradient descent on the squared error."""
    x, y = T.dscalars("x", "y")
    slope, intercept = croton.shared(0.0, name="slope"), croton.shared(0.0, name="intercept")
    error = (slope * x + intercept - y) ** 2
    updates = [(p, p - rate * T.grad(error, p)) for p in (slope, intercept)]
    step = croton.function([x, y], error, updates=updates)
    for _ in range(epochs):
        for point in zip(xs, ys, strict=True):
            step(*point)
    return float(slope.get_value()), float(intercept.get_value())


def main() -> tuple[float, float]:
    """Fit y = 2 x + 1 with noise; print and return what was found."""
    random = np.random.default_rng(0)
    xs = np.linspace(-1, 1, 101)
    ys = 2 * xs + 1 + 0.33 * random.standard_normal(len(xs))
    slope, intercept = fit(xs, ys, epochs=300, rate=0.002)
    print(f"y = {slope:.3f} x + {intercept:.3f}")
    return slope, intercept


if __name__ == "__main__":
    main()
