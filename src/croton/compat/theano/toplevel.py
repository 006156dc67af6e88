"""Names of ``theano`` itself, and of ``theano.misc``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from croton.compat.theano.version import version as __version__
from croton.config import config

__all__ = ["__version__", "_asarray"]

__api_version__ = 1


def _asarray(a: Any, dtype: Any, order: Any = None) -> npt.NDArray[Any]:
    """``numpy.asarray``, where ``dtype`` may be "floatX"."""
    wanted = config.floatX if isinstance(dtype, str) and dtype == "floatX" else dtype
    return np.asarray(a, dtype=wanted, order=order)
