"""Making tensor variables of what a user may pass: variables, arrays, numbers, lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.config import config
from croton.graph import trace
from croton.graph.variable import Constant, Variable
from croton.tensor import dtypes
from croton.tensor.type import TensorType


def constant(
    x: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None
) -> Constant:
    """A constant; a Python scalar takes the smallest dtype that holds it (see ``autocast``).

    >>> constant(3).dtype, constant([1.0, 2.0]).dtype
    ('int8', 'float64')
    """
    if dtype is not None:
        data = np.array(x, dtypes.check(dtype))
    elif isinstance(x, bool | int | float) and not isinstance(x, np.generic):
        data = dtypes.autocast(x)
    else:
        data = np.array(x)
        if data.dtype.kind not in "biuf":
            raise TypeError(f"cannot make a tensor constant of {x!r} (dtype {data.dtype})")
    if ndim is not None:
        if data.ndim > ndim:
            raise ValueError(f"expected at most {ndim} dimensions, got an array of {data.ndim}")
        data = data.reshape((1,) * (ndim - data.ndim) + data.shape)
    kind = TensorType(data.dtype, data.shape)
    data.setflags(write=False)
    return kind.constant_class(kind, data, name=name)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a variable of a tensor type."""
    return isinstance(x, Variable) and isinstance(x.type, TensorType)


def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None) -> Any:
    """``x`` as a tensor variable: itself, or a constant, or several variables stacked.

    With ``ndim``, dimensions of size 1 are put in front up to that rank.
    Raises TypeError for what is not made of numbers, and ValueError for a rank
    above ``ndim``.

    >>> import croton.tensor as T
    >>> T.as_tensor_variable([[1, 2.5]]).type
    TensorType(float64, (1, 2))
    """
    if isinstance(x, Variable):
        if not isinstance(x.type, TensorType):
            raise TypeError(f"expected a tensor, got {x} of type {x.type}")
        if ndim is None or x.type.ndim == ndim:
            return x
        if x.type.ndim > ndim:
            raise ValueError(f"expected at most {ndim} dimensions, got {x} of type {x.type}")
        if isinstance(x, Constant):
            return constant(x.data, name=x.name, ndim=ndim)
        return x.dimshuffle(*("x",) * (ndim - x.type.ndim), *range(x.type.ndim))  # type: ignore[attr-defined]
    if isinstance(x, list | tuple):
        first = _first_variable(x)
        if first is not None:
            return as_tensor_variable(first.stack_with(x), ndim=ndim)
    if name is None and type(x) in (int, float, bool):
        return _number(x, ndim or 0)
    return constant(x, name=name, ndim=ndim)


_numbers: dict[Any, Constant] = {}


def _number(x: Any, ndim: int) -> Constant:
    # Expressions are full of the same few numbers; -0.0 and 0.0 are told apart.
    key = (type(x), repr(x), ndim, config.floatX, config.cast_policy)
    found = _numbers.get(key)
    if found is None:
        if len(_numbers) > 10_000:
            _numbers.clear()
        # Many lines write it: no single one made it.
        with trace.made_by(()):
            found = _numbers[key] = constant(x, ndim=ndim)
    return found


def _first_variable(x: list[Any] | tuple[Any, ...]) -> Any:
    for element in x:
        if isinstance(element, list | tuple):
            element = _first_variable(element)
        if isinstance(element, Variable):
            return element
    return None


def constant_scalar(x: Any) -> Any:
    """The number that every element of a constant (or of a NumPy value) has, else None.

    Looks through broadcasting, so that patterns need not.
    """
    while isinstance(x, Variable):
        if isinstance(x, Constant):
            x = x.data
        elif x.owner is not None and getattr(x.owner.op, "repeats_elements", False):
            x = x.owner.inputs[0]
        else:
            return None
    data = np.asarray(x)
    if data.size == 1:
        return data.reshape(()).item()
    if data.size and data.size <= 4096:
        first = data.flat[0]
        if bool(np.all(data == first)):
            return first.item()
    return None
