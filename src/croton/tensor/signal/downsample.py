"""Pooling under the names that it had before Theano 0.9."""

from __future__ import annotations

from typing import Any

from croton.tensor.signal.pool import Pool, max_pool_2d_same_size, pool_2d

__all__ = ["DownsampleFactorMax", "max_pool_2d", "max_pool_2d_same_size", "pool_2d"]

max_pool_2d = pool_2d


class DownsampleFactorMax:
    """Holds all about a pooling, and is called on a tensor.

    >>> import croton.tensor as T
    >>> DownsampleFactorMax((2, 2))(T.constant([[1.0, 2.0], [4.0, 3.0]])).eval()
    array([[4.]])
    """

    out_shape = staticmethod(Pool.out_shape)

    def __init__(
        self,
        ds: Any,
        ignore_border: bool = False,
        st: Any = None,
        padding: Any = (0, 0),
        mode: str = "max",
        openmp: Any = None,
    ) -> None:
        self.ds, self.st, self.padding = ds, st, padding
        self._pool = Pool(ignore_border, mode)

    def __call__(self, x: Any) -> Any:
        """The pooled tensor."""
        return self._pool(x, self.ds, self.st, self.padding)
