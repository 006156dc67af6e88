"""Random numbers: a function of a key and a counter, so they fuse into kernels like any other."""

from croton.tensor.random.bits import RandomBits
from croton.tensor.random.streams import MRG_RandomStreams, RandomStreams

__all__ = ["MRG_RandomStreams", "RandomBits", "RandomStreams"]
