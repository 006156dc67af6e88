"""Computing expressions in tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.gradient.numeric import evaluate


def compute(outputs: Any, inputs: Any = None) -> Any:
    """The values of ``outputs`` (one, or a list) where ``inputs`` maps variables to values."""
    many = isinstance(outputs, list | tuple)
    given = {v: v.type.filter(x) for v, x in (inputs or {}).items()}
    found = evaluate(list(outputs) if many else [outputs], given)
    for v, x in zip(outputs if many else [outputs], found, strict=True):
        assert isinstance(x, np.ndarray) or np.isscalar(x)
        assert x.dtype == v.type.dtype, f"{v.type} came out as {x.dtype}"
        assert x.ndim == v.type.ndim, f"{v.type} came out with shape {x.shape}"
        assert all(d in (None, n) for d, n in zip(v.type.shape, x.shape, strict=True))
    return found if many else found[0]
