"""Names of ``theano.tensor`` that Croton's has not."""

from __future__ import annotations

import numpy as np

from croton.config import config
from croton.tensor.variable import TensorOperators

__all__ = [
    "AsTensorError",
    "all_dtypes",
    "complex_dtypes",
    "config",
    "continuous_dtypes",
    "discrete_dtypes",
    "float_dtypes",
    "int_dtypes",
    "integer_dtypes",
    "np",
    "numpy",
    "uint_dtypes",
]

numpy = np
AsTensorError = TypeError

int_dtypes = ("int8", "int16", "int32", "int64")
uint_dtypes = ("uint8", "uint16", "uint32", "uint64")
integer_dtypes = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
float_dtypes = ("float16", "float32", "float64")
complex_dtypes = ("complex64", "complex128")
continuous_dtypes = (*float_dtypes, *complex_dtypes)
discrete_dtypes = ("bool", *integer_dtypes)
all_dtypes = (*discrete_dtypes, *continuous_dtypes)

_tensor_py_operators = TensorOperators
