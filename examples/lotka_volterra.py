"""Hares and lynxes: find the rates of a differential equation from what was seen of it.

Between two sightings the equation is integrated in hundreds of small steps by Runge and Kutta's
method: a loop in a loop, thousands of steps in all.  Gradients go back through all of them;
``scan_checkpoints`` keeps few of the states for that and computes the others again, much as one
does who solves the adjoint equation.

    python examples/lotka_volterra.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import croton
import croton.tensor as T

RATES = np.array([1.1, 0.4, 0.4, 0.1])
START = np.array([10.0, 5.0])


def change(animals: Any, rates: Any) -> Any:
    """How fast the numbers of hares and lynxes grow."""
    hares, lynxes = animals[0], animals[1]
    born, eaten, starved, fed = (rates[k] for k in range(4))
    return T.stack([born * hares - eaten * hares * lynxes, fed * hares * lynxes - starved * lynxes])


def trajectory(start: Any, rates: Any, between: float, sights: int, steps: int) -> Any:
    """The numbers at ``sights`` times that lie ``between`` apart, by ``steps`` steps to each."""
    h = between / steps

    def advance(y: Any, rates: Any) -> Any:
        k1 = change(y, rates)
        k2 = change(y + h / 2 * k1, rates)
        k3 = change(y + h / 2 * k2, rates)
        k4 = change(y + h * k3, rates)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def follow(y: Any, rates: Any) -> Any:
        last, _ = croton.scan_checkpoints(advance, None, y, rates, n_steps=steps, save_every_N=20)
        return last[0]

    seen, _ = croton.scan(follow, outputs_info=start, non_sequences=rates, n_steps=sights)
    return seen


def main(rounds: int = 6, sights: int = 40, steps: int = 100, error: float = 0.02) -> np.ndarray:
    """Fit the rates to sightings that err by a part of ``error``; return what was found."""
    logs, seen = T.dvector("logs"), T.dmatrix("seen")
    off = T.log(trajectory(START, T.exp(logs), 0.25, sights, steps) / seen).flatten()
    look = croton.function([logs, seen], [off, croton.gradient.jacobian(off, logs)])

    rates = T.dvector("rates")
    follow = croton.function([rates], trajectory(START, rates, 0.25, sights, steps))
    true = follow(RATES)
    data = true * np.exp(error * np.random.default_rng(3).normal(size=true.shape))
    point = np.log(RATES * [0.7, 1.3, 1.3, 0.7])
    for k in range(rounds):
        # Least squares of what the sightings are off, if that were linear (Gauss and Newton).
        value, slopes = look(point, data)
        print(f"round {k}   off by {np.sqrt(np.mean(value**2)):.4f}")
        point = point - np.linalg.lstsq(slopes, value)[0]
    found: np.ndarray = np.exp(point)
    print("true rates ", *(f"{r:.3f}" for r in RATES))
    print("found      ", *(f"{r:.3f}" for r in found))
    return found


if __name__ == "__main__":
    main()
