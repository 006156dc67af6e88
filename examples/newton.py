"""Find a minimum by Newton's method, with derivatives that nobody wrote down.

The function is Rosenbrock's: a narrow, bent valley in which gradient descent
takes thousands of steps.  Newton's method needs the matrix of second derivatives
as well: the gradient of each element of the gradient.

    python examples/newton.py
"""

from __future__ import annotations

import numpy as np

import croton
import croton.tensor as T


def main(start: tuple[float, float] = (-1.2, 1.0), steps: int = 10) -> np.ndarray:
    """Walk to the minimum; print the way and return where it ends."""
    p = T.dvector("p")
    height = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
    gradient = T.grad(height, p)
    hessian = T.stack([T.grad(gradient[i], p) for i in range(2)])
    look = croton.function([p], [height, gradient, hessian])

    point = np.array(start)
    for step in range(steps):
        value, slope, curvature = look(point)
        print(f"step {step}   at ({point[0]:+.6f}, {point[1]:+.6f})   height {value:.3e}")
        point = point - np.linalg.solve(curvature, slope)
    return point


if __name__ == "__main__":
    main()
