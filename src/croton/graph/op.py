"""Op: a kind of computation, with all its faces in one class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph.apply import Apply
from croton.graph.variable import Variable


class Op:
    """A computation that can be applied to variables.

    A subclass gives

    - ``make_node(*inputs)``: check the inputs' types, say the outputs' types;
    - ``perform(node, inputs, outputs)``: compute with NumPy; ``outputs`` are
      one-element lists to fill.  This is the reference for every other way;
    - ``infer_shape(node, shapes)``: the outputs' shapes from the inputs' (tuples of
      symbolic integers), where that can be said without computing;
    - ``L_op(inputs, outputs, gradients)`` (or Theano's ``grad(inputs,
      gradients)``) and ``R_op(inputs, directions)``: derivatives;
    - ``lower``: how the scheduler sees it.  An op without it runs ``perform``.

    ``__props__`` names the attributes that tell two instances apart: ops with
    equal props are equal, and equal applications are merged.

    >>> import croton, croton.tensor as T
    >>> class Double(croton.Op):
    ...     __props__ = ()
    ...     def make_node(self, x):
    ...         x = croton.as_tensor_variable(x)
    ...         return croton.Apply(self, [x], [x.type()])
    ...     def perform(self, node, inputs, outputs):
    ...         outputs[0][0] = inputs[0] * 2
    >>> Double()([1.0, 2.0]).eval()
    array([2., 4.])
    """

    __props__: tuple[str, ...] = ()

    def make_node(self, *inputs: Any) -> Apply:
        """An application of this op to ``inputs``; TypeError or ValueError if they do not fit."""
        itypes = getattr(self, "itypes", None)
        otypes = getattr(self, "otypes", None)
        if itypes is None or otypes is None:
            raise NotImplementedError(f"{type(self).__name__} does not define make_node()")
        if len(inputs) != len(itypes):
            raise ValueError(f"{self} takes {len(itypes)} inputs, got {len(inputs)}")
        given = [t.filter_variable(v) for t, v in zip(itypes, inputs, strict=True)]
        return Apply(self, given, [t() for t in otypes])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Compute the outputs with NumPy."""
        raise NotImplementedError(f"{type(self).__name__} does not define perform()")

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any] | None:
        """The outputs' shapes; None if only computing tells."""
        return None

    def grad(self, inputs: Sequence[Variable], gradients: Sequence[Variable]) -> list[Any]:
        """The gradients with respect to the inputs (Theano's form, without the outputs)."""
        raise NotImplementedError(f"{self} has no gradient")

    def L_op(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        gradients: Sequence[Variable],
    ) -> list[Any]:
        """The vector-Jacobian product: one variable (or a marker) for each input."""
        return self.grad(inputs, gradients)

    def R_op(self, inputs: Sequence[Variable], directions: Sequence[Any]) -> list[Any]:
        """The Jacobian-vector product; a direction may be None (zero)."""
        raise NotImplementedError(f"{self} has no R_op")

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """``pattern[i][j]``: whether input i reaches output j differentiably."""
        return [[True] * len(node.outputs) for _ in node.inputs]

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """The output of a new application, or a list of them."""
        name = kwargs.pop("name", None)
        node = self.make_node(*inputs, **kwargs)
        if len(node.outputs) == 1 or getattr(self, "default_output", None) is not None:
            result = node.default_output()
            if name is not None:
                result.name = name
            return result
        return list(node.outputs)

    def _key(self) -> tuple[Any, ...]:
        key = self.__dict__.get("_key_value")
        if key is None:
            key = (type(self), *(getattr(self, p) for p in self.__props__))
            self.__dict__["_key_value"] = key
        return key

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not self.__props__:
            return type(self) is type(other) and self._propless()
        return self._key() == other._key()

    def _propless(self) -> bool:
        # A class that says it has no props has one meaning; a class that does
        # not say (a user's own op) is told apart by identity.
        return "__props__" in type(self).__dict__

    def __hash__(self) -> int:
        if self.__props__ or self._propless():
            return hash(self._key())
        return id(self) >> 4

    def __str__(self) -> str:
        if not self.__props__:
            return type(self).__name__
        return (
            type(self).__name__
            + "{"
            + ", ".join(f"{p}={getattr(self, p)!r}" for p in self.__props__)
            + "}"
        )

    def __repr__(self) -> str:
        return str(self)
