"""Depthwise convolutions: one channel and one filter in each group.

Lanes run over the channels.  What a place of the result needs is read where it lies: taps
outside of the image are left out by the bounds of loops, never by a test or by zeros.  The
inputs go only over the taps that meet them: their places fall into classes
(:mod:`croton.schedule.convolution.depthwise.dimensions`).
"""

from croton.schedule.convolution.depthwise.filters import pack_filters
from croton.schedule.convolution.depthwise.plan import steps

__all__ = ["pack_filters", "steps"]
