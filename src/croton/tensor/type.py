"""TensorType: arrays of one dtype and rank, of sizes known as far as the program says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from croton.config import config
from croton.graph.type import Type
from croton.graph.variable import Variable
from croton.tensor import dtypes

_RANKS = {0: "scalar", 1: "vector", 2: "matrix", 3: "3D", 4: "4D", 5: "5D"}


class TensorType(Type):
    """The type of arrays of ``dtype`` whose dimension d is ``shape[d]``, or any if that is None.

    ``shape`` may also be given in Theano's way, as a tuple of bools: True for a
    dimension known to be 1 (only such a dimension broadcasts).

    >>> TensorType("float32", (None, 3))
    TensorType(float32, (?, 3))
    >>> TensorType("float32", (False, True)).shape
    (None, 1)
    """

    __slots__ = ("_hash", "dtype", "name", "shape")

    def __init__(
        self,
        dtype: Any,
        shape: Iterable[int | bool | None] = (),
        name: str | None = None,
        broadcastable: Iterable[bool] | None = None,
    ) -> None:
        self.dtype = dtypes.check(dtype)
        if broadcastable is not None:
            shape = broadcastable
        if not isinstance(shape, Iterable):
            raise TypeError(f"a shape is a tuple of dimensions, such as (None, 3), got {shape!r}")
        dimensions: list[int | None] = []
        d: Any
        for d in shape:
            if d is None or (type(d) is int and d >= 0):
                dimensions.append(d)
            elif d is False or d is np.False_:
                dimensions.append(None)
            elif d is True or d is np.True_:
                dimensions.append(1)
            elif isinstance(d, int | np.integer) and d >= 0:
                dimensions.append(int(d))
            else:
                raise TypeError(f"a dimension is an int >= 0 or None, got {d!r}")
        self.shape = tuple(dimensions)
        self.name = name
        self._hash = hash((TensorType, self.dtype, self.shape))

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.shape)

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """For each dimension, whether it is known to be 1."""
        return tuple(d == 1 for d in self.shape)

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return np.dtype(self.dtype)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TensorType)
            and self.dtype == other.dtype
            and self.shape == other.shape
        )

    def __hash__(self) -> int:
        return self._hash

    def clone(self, dtype: Any = None, shape: Any = None, broadcastable: Any = None) -> TensorType:
        """The same type but for what is given."""
        if broadcastable is not None:
            shape = broadcastable
        return TensorType(
            self.dtype if dtype is None else dtype, self.shape if shape is None else shape
        )

    def is_super(self, other: Type) -> bool:
        """Whether every value of ``other`` is one of this type."""
        return (
            isinstance(other, TensorType)
            and self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(a is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    def in_same_class(self, other: Type) -> bool:
        """Whether dtype, rank and broadcasting are the same."""
        return (
            isinstance(other, TensorType)
            and self.dtype == other.dtype
            and self.broadcastable == other.broadcastable
        )

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """``value`` as a C-contiguous array of this type.

        Raises TypeError if the rank, the dtype or a dimension does not fit; a
        cast that may lose precision needs ``allow_downcast`` (None allows it
        for Python floats where ``floatX`` is this type's dtype).
        """
        if isinstance(value, Variable):
            raise TypeError(
                f"expected an array of type {self}, got the symbolic variable {value}; "
                "compute its value first, or use it inside the function's expression"
            )
        if strict:
            if not isinstance(value, np.ndarray):
                raise TypeError(f"expected a NumPy array, got {type(value).__name__}")
            if value.dtype != self.dtype:
                raise TypeError(f"expected dtype {self.dtype}, got {value.dtype}")
            data = value
        else:
            data = self._convert(value, allow_downcast)
        if data.ndim != self.ndim:
            raise TypeError(
                f"wrong number of dimensions: expected {self.ndim} ({self}), "
                f"got {data.ndim} with shape {data.shape}"
            )
        if any(d is not None and d != n for d, n in zip(self.shape, data.shape, strict=True)):
            raise TypeError(f"wrong shape: expected {self.shape_text()}, got {data.shape}")
        if not data.flags.c_contiguous and not strict:
            data = np.ascontiguousarray(data)
        return data

    def _convert(self, value: Any, allow_downcast: bool | None) -> np.ndarray[Any, Any]:
        try:
            data = np.asarray(value)
        except ValueError as error:
            raise TypeError(f"cannot make an array of {self} from {value!r}: {error}") from error
        if data.dtype == self.dtype:
            return data
        if data.dtype.kind not in "biuf":
            raise TypeError(f"expected numbers of dtype {self.dtype}, got dtype {data.dtype}")
        if data.size == 0 and not isinstance(value, np.ndarray | np.generic):
            return data.astype(self.dtype)
        if allow_downcast or np.can_cast(data.dtype, self.dtype, "safe"):
            return data.astype(self.dtype)
        if not isinstance(value, np.ndarray | np.generic):
            converted = data.astype(self.dtype)
            if data.dtype.kind in "biu" and np.array_equal(converted, data):
                return converted
            if isinstance(value, float) and allow_downcast is None and self.dtype == config.floatX:
                return converted
            if data.dtype.kind == "f" and np.array_equal(converted, data, equal_nan=True):
                return converted
        raise TypeError(
            f"{data.dtype} does not fit into {self.dtype} without losing precision; convert the "
            f"value (for example with .astype({self.dtype!r})) or pass allow_input_downcast=True"
        )

    def shape_text(self) -> str:
        """The shape with ``?`` for what is not known."""
        inner = ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"({inner},)" if self.ndim == 1 else f"({inner})"

    def values_eq(self, a: Any, b: Any) -> bool:
        """Whether two arrays have the same dtype, shape and elements (NaN equals NaN)."""
        a, b = np.asarray(a), np.asarray(b)
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
        )

    def values_eq_approx(
        self, a: Any, b: Any, rtol: float | None = None, atol: float | None = None
    ) -> bool:
        """As :meth:`values_eq` up to rounding."""
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.kind != "f":
            return bool(np.array_equal(a, b))
        size = {2: 1e-2, 4: 1e-5, 8: 1e-8}[a.dtype.itemsize]
        return bool(
            np.allclose(
                a,
                b,
                rtol=size if rtol is None else rtol,
                atol=size if atol is None else atol,
                equal_nan=True,
            )
        )

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if all(d is None for d in self.shape) and self.ndim in _RANKS:
            return f"TensorType({self.dtype}, {_RANKS[self.ndim]})"
        return f"TensorType({self.dtype}, {self.shape_text()})"

    def __repr__(self) -> str:
        return str(self)
