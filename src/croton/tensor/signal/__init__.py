"""Signals and images: pooling, and convolution without channels."""

from croton.tensor.signal import conv, downsample, pool
from croton.tensor.signal.downsample import DownsampleFactorMax, max_pool_2d
from croton.tensor.signal.pool import Pool, max_pool_2d_same_size, pool_2d, pool_3d

__all__ = [
    "DownsampleFactorMax",
    "Pool",
    "conv",
    "downsample",
    "max_pool_2d",
    "max_pool_2d_same_size",
    "pool",
    "pool_2d",
    "pool_3d",
]
