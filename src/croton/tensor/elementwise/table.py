"""The table of elementwise functions: what each one is, in one entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes

_RULES = {
    "same": "The result is of the arguments' common dtype.",
    "float": "Floats keep their dtype; integers up to 16 bits give float32, others float64.",
    "bool": "The arguments are compared in their common dtype; the result is a bool.",
    "bits": "Of integers and bools, in their common dtype; of floats: TypeError.",
}


class ScalarFunction:
    """A function of scalars, applied to the elements of arrays.

    ``rule`` says which dtypes go in and out:

    - ``"same"``: all inputs and the output have the inputs' common dtype;
    - ``"float"``: the same after raising integers to floats;
    - ``"bool"``: inputs of a common dtype, a bool out;
    - ``"bits"``: as ``"same"``, for integers and bools only;
    - a callable ``(input dtypes) -> (dtypes to compute in, output dtype)``.

    ``evaluate`` is the NumPy function; ``derivative(inputs, output, gradient)``
    gives a gradient for each input (None: the function is constant almost
    everywhere in it); ``kernel`` is the expression of kernel code (default: the
    kernel operation of the same name).  ``example`` is a call, as it follows ``T.``,
    and what its value looks like: together with ``doc`` and the rule they make
    the docstring.
    """

    def __init__(
        self,
        name: str,
        arity: int,
        evaluate: Callable[..., Any],
        derivative: Callable[[Sequence[Any], Any, Any], Sequence[Any]] | None = None,
        rule: Any = "same",
        kernel: Callable[..., Expr] | str | None = None,
        symbol: str | None = None,
        doc: str = "",
        example: tuple[str, str] | None = None,
    ) -> None:
        self.name = name
        self.arity = arity
        self.evaluate = evaluate
        self.derivative = derivative
        self.rule = rule
        self.symbol = symbol
        self.doc = doc
        self.example = example
        self._kernel = kernel

    @property
    def docstring(self) -> str:
        """What the function is, of which dtypes, and the example."""
        parts = [self.doc]
        if isinstance(self.rule, str):
            parts.append(_RULES[self.rule])
        if self.example is not None:
            call, value = self.example
            parts.append(f">>> import croton.tensor as T\n>>> T.{call}.eval()\n{value}")
        return "\n\n".join(parts) + "\n"

    def resolve(self, given: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """The dtypes to compute in and the output's, for inputs of dtypes ``given``."""
        if callable(self.rule):
            into, out = self.rule(tuple(given))
            return into, out
        common = dtypes.upcast(*given)
        if self.rule == "float":
            common = dtypes.to_float(common)
        elif self.rule == "bits" and common not in dtypes.DISCRETE:
            raise TypeError(f"{self.name} takes integers or bools, got {', '.join(given)}")
        return (common,) * len(given), "bool" if self.rule == "bool" else common

    def express(self, args: Sequence[Expr], given: Sequence[str]) -> Expr:
        """The kernel expression for ``args`` of dtypes ``given``."""
        into, out = self.resolve(given)
        args = [build.cast(a, d) for a, d in zip(args, into, strict=True)]
        half = "float16" in into
        if half:
            args = [build.cast(a, "float32") if a.dtype == "float16" else a for a in args]
        if self._kernel is None:
            result = build.op(self.name, *args)
        elif isinstance(self._kernel, str):
            result = build.op(self._kernel, *args)
        else:
            result = self._kernel(*args)
        return build.cast(result, out)

    def __repr__(self) -> str:
        return self.name


FUNCTIONS: dict[str, ScalarFunction] = {}
