"""Depthwise convolutions, one channel and one filter in each group, and groups of a few.

Lanes run over the channels.  What a place of the result needs is read where it lies: taps
outside of the image are left out by the bounds of loops, never by a test of each or by zeros.
The inputs go only over the taps that meet them: their places fall into classes
(:mod:`croton.schedule.convolution.depthwise.dimensions`).

A group of 2, 4 or 8 channels and as many filters is a part of a vector: each of its lanes is
brought into all lanes of the group, and multiplied with a row of the filters, so that no lane
computes for nothing.  Larger groups fill vectors by themselves.
"""

from croton.schedule.convolution.depthwise.plan import steps, sums_of

__all__ = ["steps", "sums_of"]
