"""The value of a single expression: ``x.eval()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from croton.compile.function import function
from croton.graph.traversal import explicit_inputs
from croton.graph.variable import Variable


def evaluate(v: Variable, inputs_to_values: Mapping[Any, Any] | None = None) -> Any:
    """The value of ``v`` for inputs given by variable or by name.

    The function is compiled once for a variable and a set of inputs.

    >>> import croton.tensor as T
    >>> x = T.dvector("x")
    >>> (x + 1).eval({x: [1.0, 2.0]}), (x * 2).eval({"x": [3.0]})
    (array([2., 3.]), array([6.]))
    """
    if inputs_to_values is not None and not isinstance(inputs_to_values, Mapping):
        raise TypeError(f"eval takes a dict of inputs and their values, got {inputs_to_values!r}")
    given = {}
    for key, value in (inputs_to_values or {}).items():
        if isinstance(key, str):
            found = [u for u in explicit_inputs([v]) if u.name == key]
            if len(found) != 1:
                raise ValueError(f"{len(found)} variables are called {key!r}")
            key = found[0]
        given[key] = value
    inputs = tuple(sorted(given, key=id))
    kept = getattr(v.tag, "compiled", None)
    if kept is None:
        kept = v.tag.compiled = {}
    if inputs not in kept:
        kept[inputs] = function(
            list(inputs), v, on_unused_input="ignore", allow_input_downcast=True
        )
    return kept[inputs](*(given[k] for k in inputs))
