"""Find the middles of clouds of points: Lloyd's algorithm (k-means), which ends by itself.

A round gives every point to the middle that is nearest, and moves each middle to the mean of its
points.  The rounds are a loop (``croton.scan``) that a step ends when nothing has moved
(``until``); how many that takes is known when it has run.

    python examples/clusters.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import croton
import croton.tensor as T
from croton.loop import until


def clouds(count: int, size: int) -> np.ndarray:
    """``size`` points around each of ``count`` places on a circle."""
    rng = np.random.default_rng(2)
    angles = 2 * np.pi * np.arange(count) / count
    places = 4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (places[:, None] + rng.normal(size=(count, size, 2))).reshape(-1, 2)


def lloyd(points: Any, start: Any, most: int = 100) -> tuple[Any, Any]:
    """The middles after every round, and the mean square of points' distances from theirs."""

    def move(middles: Any) -> Any:
        squares = ((points[:, None, :] - middles[None, :, :]) ** 2).sum(axis=2)
        nearest = squares.argmin(axis=1)
        belongs = T.eq(nearest[:, None], T.arange(middles.shape[0])).astype(points.dtype)
        sizes = belongs.sum(axis=0)[:, None]
        # A middle that no point is nearest to stays where it is.
        means = T.dot(belongs.T, points) / T.maximum(sizes, 1)
        moved = T.switch(T.gt(sizes, 0), means, middles)
        return (moved, squares.min(axis=1).mean()), until(T.eq(moved, middles).all())

    (middles, spread), _ = croton.scan(move, outputs_info=[start, None], n_steps=most)
    return middles, spread


def main(count: int = 6, size: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cluster some clouds; return the points, where the middles began, and where they ended."""
    points, start = T.dmatrix("points"), T.dmatrix("start")
    find = croton.function([points, start], lloyd(points, start))

    data = clouds(count, size)
    begin = data[np.random.default_rng(5).choice(len(data), count, replace=False)]
    middles, spread = find(data, begin)
    for k in range(0, len(spread), 5):
        print(f"round {k:2d}   mean square distance {spread[k]:.4f}")
    print(f"after {len(spread)} rounds nothing moves:")
    print("\n".join(f"({x:+.3f}, {y:+.3f})" for x, y in middles[-1]))
    return data, begin, middles[-1]


if __name__ == "__main__":
    main()
