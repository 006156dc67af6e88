"""A metal plate cools: the heat equation on a grid, its state kept in a shared variable.

The edges are held at 0, the middle starts hot.  Each call of ``advance`` is one
step of time: neighbours are slices of the grid, and the new grid takes the old one's place.

    python examples/heat.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import croton
import croton.tensor as T


def laplacian(grid: Any) -> Any:
    """How much warmer the four neighbours are, for each point but those on the edge."""
    middle = grid[1:-1, 1:-1]
    return grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:] - 4 * middle


def main(size: int = 51, steps: int = 400, rate: float = 0.2) -> np.ndarray:
    """Let a plate cool; print its temperature as it does and return the last grid."""
    line = np.sin(np.linspace(0, np.pi, size))
    plate: Any = croton.shared(np.outer(line, line), name="plate")
    warmed = T.inc_subtensor(plate[1:-1, 1:-1], rate * laplacian(plate))
    advance = croton.function([], plate.max(), updates=[(plate, warmed)])

    for step in range(steps):
        hottest = advance()
        if step % 100 == 0:
            print(f"step {step:4d}   hottest point {float(hottest):.4f}")
    grid: np.ndarray = plate.get_value()
    return grid


if __name__ == "__main__":
    main()
