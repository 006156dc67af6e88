"""``shared``: variables whose values live between calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.graph.shared import SharedVariable
from croton.tensor import dtypes
from croton.tensor.type import TensorType
from croton.tensor.variable import TensorSharedVariable

__all__ = ["SharedVariable", "shared"]


def shared(
    value: Any,
    name: str | None = None,
    strict: bool = False,
    allow_downcast: bool | None = None,
    borrow: bool = False,
    broadcastable: Any = None,
    shape: Any = None,
    **unknown: Any,
) -> TensorSharedVariable:
    """A variable that holds ``value`` (an array or number) and that functions can update.

    Its rank and dtype are the value's; its sizes may change, unless ``shape``
    (or Theano's ``broadcastable``) fixes some.  The value is copied, unless ``borrow``.
    Raises TypeError for what is no array of numbers.

    >>> w = shared(np.zeros(3), name="w")
    >>> w.get_value()
    array([0., 0., 0.])
    """
    for key in unknown:
        if key != "target":
            raise TypeError(f"shared() has no argument {key!r}")
    if isinstance(value, int | float | bool):
        data = np.array(value)
    else:
        data = np.array(value, copy=None if borrow else True)
    if data.dtype.kind not in "biuf":
        raise TypeError(f"cannot share {type(value).__name__} of dtype {data.dtype}: not numbers")
    if not data.flags.c_contiguous or not data.flags.aligned or not data.dtype.isnative:
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("=")).reshape(data.shape)
    if not data.flags.writeable:
        data = data.copy()
    given = shape if shape is not None else broadcastable
    if given is None:
        given = (None,) * data.ndim
    kind = TensorType(dtypes.check(data.dtype), given)
    if kind.ndim != data.ndim:
        raise TypeError(f"the shape {tuple(given)} has another rank than the value, {data.ndim}")
    kind.filter(data, strict=True)
    made = TensorSharedVariable(kind, data, name=name)
    made.container.exposed = borrow
    return made
