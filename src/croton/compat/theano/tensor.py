"""Names of ``theano.tensor`` that Croton's has not, or has otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton.config import config
from croton.tensor.convert import constant_scalar
from croton.tensor.type import TensorType
from croton.tensor.variable import TensorOperators

numpy = np
AsTensorError = TypeError
Tensor = TensorType
_tensor_py_operators = TensorOperators

int_dtypes = ("int8", "int16", "int32", "int64")
uint_dtypes = ("uint8", "uint16", "uint32", "uint64")
integer_dtypes = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
float_dtypes = ("float16", "float32", "float64")
complex_dtypes = ("complex64", "complex128")
continuous_dtypes = (*float_dtypes, *complex_dtypes)
discrete_dtypes = ("bool", *integer_dtypes)
all_dtypes = (*discrete_dtypes, *continuous_dtypes)


class NotScalarConstantError(Exception):
    """A variable is not a constant number."""


def get_scalar_constant_value(v: Any, *ignored: Any, **options: Any) -> Any:
    """The number that ``v`` is; NotScalarConstantError where that is not known."""
    value = constant_scalar(v)
    if value is None:
        raise NotScalarConstantError(f"{v} is not a constant number")
    return np.asarray(value)


def _types() -> dict[str, TensorType]:
    """``dmatrix`` and its like: in Theano they are types, whose calls make variables."""
    letters = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32"}
    shapes: dict[str, tuple[int | None, ...]] = {
        "scalar": (),
        "vector": (None,),
        "row": (1, None),
        "col": (None, 1),
        "matrix": (None, None),
        "tensor3": (None,) * 3,
        "tensor4": (None,) * 4,
        "tensor5": (None,) * 5,
    }
    return {
        letter + kind: TensorType(dtype, shape)
        for letter, dtype in (*letters.items(), ("d", "float64"))
        for kind, shape in shapes.items()
    }


globals().update(_types())
__all__ = [
    "AsTensorError",
    "NotScalarConstantError",
    "Tensor",
    "all_dtypes",
    "complex_dtypes",
    "config",
    "continuous_dtypes",
    "discrete_dtypes",
    "float_dtypes",
    "get_scalar_constant_value",
    "int_dtypes",
    "integer_dtypes",
    "numpy",
    "uint_dtypes",
    *_types(),
]
