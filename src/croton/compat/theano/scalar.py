"""``theano.scalar``: of its scalar graphs, only the questions about types."""

from __future__ import annotations

from croton.tensor.dtypes import upcast

__all__ = ["upcast"]
