"""Names of ``theano.gof`` and ``theano.scan_module.scan_utils`` for what our graphs do."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from croton.config import config
from croton.graph import Apply, Constant, SharedVariable, Variable
from croton.graph.traversal import (
    ancestors,
    clone_graph,
    graph_inputs,
    is_in_ancestors,
    replace,
    toposort,
)

__all__ = [
    "ancestors",
    "clone",
    "clone_graph",
    "debug_assert",
    "equal_computations",
    "get_debug_values",
    "inputs",
    "io_toposort",
    "is_in_ancestors",
    "is_same_graph",
    "ops",
    "variables",
]


def inputs(variable_list: Iterable[Variable], blockers: Iterable[Variable] = ()) -> list[Variable]:
    """The variables without an owner that ``variable_list`` is computed from."""
    return graph_inputs(variable_list, blockers or ())


def io_toposort(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> list[Apply]:
    """The applications between ``inputs`` and ``outputs``, each after those it needs."""
    return toposort(outputs, inputs)


def ops(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> set[Apply]:
    """The applications between ``inputs`` and ``outputs``."""
    return set(toposort(outputs, inputs))


def variables(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> set[Variable]:
    """The variables between ``inputs`` and ``outputs``, those included."""
    starts, ends = list(inputs), list(outputs)
    found = {*starts, *ends}
    for node in toposort(ends, starts):
        found.update(node.inputs, node.outputs)
    return found


def clone(
    output: Any,
    replace: Mapping[Variable, Any] | Iterable[tuple[Variable, Any]] | None = None,
    strict: bool = True,
    share_inputs: bool = True,
) -> Any:
    """``output`` (a variable or a list of them) with other variables in the place of some.

    With ``strict`` a replacement must fit the type of what it replaces.  Without
    ``share_inputs`` the copy has inputs of its own.
    """
    single = isinstance(output, Variable)
    outputs: list[Variable] = [output] if single else list(output)
    pairs = list(replace.items() if isinstance(replace, Mapping) else replace or ())
    new = [(old, _fitting(old, value, strict)) for old, value in pairs]
    if not share_inputs:
        given = {old for old, _ in new}
        new += [
            (v, v.clone())
            for v in graph_inputs(outputs)
            if v not in given and not isinstance(v, Constant | SharedVariable)
        ]
    result = _replace(outputs, new)
    return result[0] if single else result


_replace = replace


def _fitting(old: Variable, value: Any, strict: bool) -> Variable:
    if isinstance(value, Variable) and not strict:
        return value
    fitting: Variable = old.type.filter_variable(value)
    return fitting


def equal_computations(
    xs: Sequence[Variable],
    ys: Sequence[Variable],
    in_xs: Sequence[Variable] = (),
    in_ys: Sequence[Variable] = (),
) -> bool:
    """Whether ``xs`` are to ``in_xs`` what ``ys`` are to ``in_ys``."""
    if len(xs) != len(ys) or len(in_xs or ()) != len(in_ys or ()):
        return False
    same = {(id(x), id(y)) for x, y in zip(in_xs or (), in_ys or (), strict=True)}
    kept = {id(v) for pair in (in_xs or (), in_ys or ()) for v in pair}
    waiting = list(zip(xs, ys, strict=True))
    while waiting:
        x, y = waiting.pop()
        if (id(x), id(y)) in same:
            continue
        if id(x) in kept or id(y) in kept or x.type != y.type:
            return False
        same.add((id(x), id(y)))
        if isinstance(x, Constant) and isinstance(y, Constant):
            if x.signature() != y.signature():
                return False
        elif x.owner is None or y.owner is None:
            if x is not y:
                return False
        else:
            one, other = x.owner, y.owner
            if x.index != y.index or one.op != other.op or len(one.inputs) != len(other.inputs):
                return False
            waiting += zip(one.inputs, other.inputs, strict=True)
    return True


def is_same_graph(
    var1: Variable,
    var2: Variable,
    givens: Mapping[Variable, Variable] | None = None,
    debug: bool = False,
) -> bool:
    """Whether the two variables are the same computation, after the replacements ``givens``."""
    pairs = list((givens or {}).items())
    one, other = replace([var1, var2], pairs) if pairs else [var1, var2]
    return equal_computations([one], [other])


def get_debug_values(*arguments: Any) -> Iterator[tuple[Any, ...]]:
    """The test values of ``arguments``, once, where there are; nothing without test values."""
    if config.compute_test_value == "off":
        return
    values = []
    for argument in arguments:
        if isinstance(argument, Constant):
            values.append([argument.data])
        elif isinstance(argument, SharedVariable):
            values.append([argument.get_value(borrow=True)])
        elif isinstance(argument, Variable):
            value = getattr(argument.tag, "test_value", None)
            values.append([] if value is None else [value])
        else:
            values.append([argument])
    yield from product(*values)


def debug_assert(condition: Any, message: str = "debug_assert failed") -> None:
    """Complain of a false ``condition`` on test values as ``compute_test_value`` says."""
    if condition:
        return
    if config.compute_test_value in ("raise", "ignore"):
        raise AssertionError(message)
    if config.compute_test_value == "warn":
        warnings.warn(message, stacklevel=2)
