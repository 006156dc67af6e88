"""Products of matrices: ``c[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]``.

Extents and strides are arguments, so one set of kernels per dtype (float32,
float64) serves every size and layout: transposed factors, and factors that are
the same for the whole batch (a batch stride of 0).

``plan(dtype, machine, epilogue=..., accumulate=...)`` gives the kernels to
compile (``functions``), the temporaries and the steps.  All amounts are
:data:`~croton.schedule.counts.Count` expressions of the names in
``EXTENTS`` and ``STRIDES``.  With an epilogue each block of the product is handed
to a kernel instead of being stored: :mod:`croton.schedule.product.tile` says how
that finds it.

Where the result has one column, pass the transposed product instead (a row):
``c.T = b.T a.T`` reads whole vectors.
"""

from croton.schedule.counts import Count, Operation, evaluate
from croton.schedule.product.plan import EXTENTS, STRIDES, main_kernel, plan
from croton.schedule.steps import Plan, Step

__all__ = [
    "EXTENTS",
    "STRIDES",
    "Count",
    "Operation",
    "Plan",
    "Step",
    "evaluate",
    "main_kernel",
    "plan",
]
