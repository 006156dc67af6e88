"""Follow something that moves through what is seen of it, and find out how well one sees.

A Kalman filter knows where the thing is and how fast it goes, each up to an uncertainty, and
corrects both with every sighting.  It is a loop over the sightings.  How much they err is found by
the gradient of their likelihood, through all steps of the filter.

    python examples/kalman.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import croton
import croton.tensor as T

MOVE = np.array([[1.0, 0.1], [0.0, 1.0]])
SEE = np.array([1.0, 0.0])
JOLTS = np.diag([0.0, 0.01])


def sightings(count: int, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Where it was and where it was seen, ``count`` times."""
    rng = np.random.default_rng(1)
    state, places = np.zeros(2), []
    for _ in range(count):
        state = MOVE @ state + np.sqrt(np.diag(JOLTS)) * rng.normal(size=2)
        places.append(state[0])
    true = np.array(places)
    return true, true + error * rng.normal(size=count)


def main(count: int = 500, error: float = 0.5, steps: int = 60) -> tuple[float, float, float]:
    """Fit and filter; return the error that was found, and how far off the filter and sight are."""
    seen, log_error = T.dvector("seen"), croton.shared(1.0, name="log_error")
    variance = T.exp(2 * log_error)

    def step(z: Any, x: Any, p: Any) -> tuple[Any, Any, Any]:
        x, p = T.dot(MOVE, x), T.dot(T.dot(MOVE, p), MOVE.T) + JOLTS
        spread = T.dot(SEE, T.dot(p, SEE)) + variance
        gain = T.dot(p, SEE) / spread
        wrong = z - T.dot(SEE, x)
        surprise = (T.log(spread) + wrong**2 / spread) / 2
        return x + gain * wrong, p - spread * T.outer(gain, gain), surprise

    (states, _, surprises), _ = croton.scan(step, seen, [np.zeros(2), np.eye(2), None])
    loss = surprises.mean()
    slope = T.grad(loss, log_error)
    fit = croton.function([seen], loss, updates=[(log_error, log_error - 0.5 * slope)])
    follow = croton.function([seen], states[:, 0])

    true, data = sightings(count, error)
    for k in range(steps):
        value = fit(data)
        if k % 20 == 0:
            print(f"step {k:3d}   loss {float(value):.4f}")
    found = float(np.exp(log_error.get_value()))
    filtered = float(np.sqrt(np.mean((follow(data) - true) ** 2)))
    sight = float(np.sqrt(np.mean((data - true) ** 2)))
    print(f"sightings err by {found:.3f}; they are {sight:.3f} off, the filter {filtered:.3f}")
    return found, filtered, sight


if __name__ == "__main__":
    main()
