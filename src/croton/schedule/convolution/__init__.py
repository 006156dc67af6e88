"""Convolutions of images whose channels lie last, and what their gradients are made of.

Three kinds, each linear in two arrays (``n`` images, ``g`` groups, ``c`` channels and
``f`` filters of a group, spatial places ``p`` in the result and ``t`` in the filter)::

    forward   y[n, p, g f]  = sum over t, c of  x[n, at(p, t), g c] * w[g f, c, t]
    inputs    x[n, q, g c]  = sum over f and p, t with at(p, t) = q of  y[n, p, g f] * w[g f, c, t]
    filters   w[t, c, g f]  = sum over n, p of  x[n, at(p, t), g c] * y[n, p, g f]

    at(p, t) = p * stride + t * dilation - before

All sizes are arguments, so one set of kernels serves every one of them.  A plan holds the steps
of several algorithms, of which the sizes choose one (:mod:`croton.schedule.convolution.choice`):
the others have no items.
"""

from croton.schedule.convolution.plan import plan

__all__ = ["plan"]
