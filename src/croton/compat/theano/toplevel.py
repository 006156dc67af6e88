"""Names of ``theano`` itself, and of ``theano.misc``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from croton.compat.theano.graph import clone
from croton.compat.theano.ops import as_op
from croton.compat.theano.version import version as __version__
from croton.config import config
from croton.loop.updates import OrderedUpdates

__all__ = ["OrderedUpdates", "__version__", "_asarray", "as_op", "clone"]

__api_version__ = 1


def _asarray(a: Any, dtype: Any, order: Any = None) -> npt.NDArray[Any]:
    """``numpy.asarray``, where ``dtype`` may be "floatX"."""
    wanted = config.floatX if isinstance(dtype, str) and dtype == "floatX" else dtype
    return np.asarray(a, dtype=wanted, order=order)
