"""Convolution as a product whose left factor is read where it lies, tap by tap.

An item is a box of places of the result and some of its channels.  The part of the source that
the box needs is read in place where it has no border, else copied with its border of zeros.
Blocks of a few places, which may be anywhere, times two vectors of channels stay in registers
while taps and source channels run.

The kind ``inputs`` is a convolution of ``y`` with the filter turned.  With strides it falls apart
into as many convolutions without strides as there are remainders of a place divided by the
stride: each goes over the taps that hit its places.
"""

from croton.schedule.convolution.direct.plan import steps
from croton.schedule.convolution.direct.pooled import steps as pooled_steps

__all__ = ["pooled_steps", "steps"]
