"""Names of ``theano.compile``: ops made of Python functions, the default mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from croton.compile import Mode, get_mode
from croton.graph import Apply, Op, Type

__all__ = ["FromFunctionOp", "as_op", "get_default_mode"]


def get_default_mode() -> Mode:
    """The mode of functions that are made without one."""
    return get_mode(None)


class FromFunctionOp(Op):
    """Computes with a Python function of arrays."""

    __props__ = ("function", "itypes", "otypes")

    def __init__(
        self,
        fn: Callable[..., Any],
        itypes: Sequence[Type],
        otypes: Sequence[Type],
        infer_shape: Callable[[Apply, Sequence[Any]], list[Any]] | None = None,
    ) -> None:
        self.function = fn
        self.itypes = tuple(itypes)
        self.otypes = tuple(otypes)
        self._infer_shape = infer_shape
        self.__name__ = getattr(fn, "__name__", "function")

    def __str__(self) -> str:
        return f"FromFunctionOp{{{self.__name__}}}"

    def make_node(self, *inputs: Any) -> Apply:
        """Apply the function to variables of its types."""
        if len(inputs) != len(self.itypes):
            raise ValueError(f"{self} takes {len(self.itypes)} inputs, got {len(inputs)}")
        given = [t.filter_variable(v) for t, v in zip(self.itypes, inputs, strict=True)]
        return Apply(self, given, [otype() for otype in self.otypes])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Call the function."""
        results = self.function(*inputs)
        if len(outputs) == 1:
            results = [results]
        if len(results) != len(outputs):
            raise ValueError(f"{self} has {len(outputs)} outputs, got {len(results)}")
        for place, result in zip(outputs, results, strict=True):
            place[0] = result

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any] | None:
        """What the function's own rule says."""
        return None if self._infer_shape is None else self._infer_shape(node, shapes)


def as_op(
    itypes: Type | Sequence[Type],
    otypes: Type | Sequence[Type],
    infer_shape: Callable[[Apply, Sequence[Any]], list[Any]] | None = None,
) -> Callable[[Callable[..., Any]], FromFunctionOp]:
    """A decorator that makes an op of a function from arrays of ``itypes`` to ``otypes``."""
    given = (itypes,) if isinstance(itypes, Type) else tuple(itypes)
    made = (otypes,) if isinstance(otypes, Type) else tuple(otypes)
    for type_ in (*given, *made):
        if not isinstance(type_, Type):
            raise TypeError(f"as_op takes types such as T.dmatrix, got {type_!r}")
    return lambda function: FromFunctionOp(function, given, made, infer_shape)
