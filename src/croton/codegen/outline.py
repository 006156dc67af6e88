"""Functions for what seldom runs, so that a kernel holds its code once.

A loop over wide vectors is followed by one over what is left, and the slow path of,
say, a sine is several times as long as the usual one.  Its function is for vectors
of one register; wider ones are given to it in parts.
"""

from __future__ import annotations

from typing import NamedTuple

from croton.codegen.types import SIZE, type_of
from croton.codegen.values import Value, Values
from croton.kernel.nodes import Const, Expr, Op, Var

#: A function of fewer operations costs as much as their copies do.
_WORTH = 40


class _Outlined(NamedTuple):
    """A function, its lanes and what it is called with."""

    name: str
    lanes: int
    parameters: tuple[Expr, ...]
    slow: Expr  # kept so that its id stays its own


class Outline:
    """The functions that a kernel calls for what it seldom computes.

    ``vector`` is the size of a register in bytes.
    """

    def __init__(self, prefix: str, vector: int) -> None:
        self.prefix = prefix
        self.vector = vector
        #: The result and the text behind the name of each function, and its name.
        self._names: dict[tuple[str, str], str] = {}
        self._known: dict[int, _Outlined] = {}

    def definitions(self) -> list[str]:
        """The functions that were called."""
        return [f"define internal {k} @{name}{text}\n" for (k, text), name in self._names.items()]

    def part(self, text: str) -> str:
        """The name of a function without a result, from its parameters on ``text``."""
        return self._names.setdefault(("void", text), f"{self.prefix}.part{len(self._names)}")

    def call(self, values: Values, op: Op) -> Value:
        """The second argument of the choice ``op`` by calls of its function, or in its place."""
        _, slow, fast = op.args
        found = self._known.get(id(slow))
        if found is None:
            size, parameters = _leaves(slow, {id(e) for e in (*values.arguments, fast)})
            if size < _WORTH:
                return values.apart(slow)
            found = self._known[id(slow)] = self._define(values, slow, parameters)
        lanes = found.lanes
        kind = type_of(op.dtype, lanes)
        whole = [(p.dtype, values.value(p)) for p in found.parameters]
        results: list[str] = []
        for start in range(0, op.lanes, lanes):
            arguments = []
            for dtype, value in whole:
                if lanes < op.lanes:
                    value = _part(values, dtype, op.lanes, value, start, lanes)
                arguments.append(f"{type_of(dtype, lanes)} {value}")
            results.append(values.emit(f"call {kind} @{found.name}({', '.join(arguments)})"))
        while len(results) > 1:
            pairs = zip(results[::2], results[1::2], strict=True)
            results = [_joined(values, op.dtype, lanes, a, b) for a, b in pairs]
            lanes *= 2
        return results[0]

    def _lanes(self, slow: Expr) -> int:
        """How many lanes the function for ``slow`` has."""
        lanes = max(1, self.vector // SIZE[slow.dtype])
        parts = max(1, slow.lanes // lanes)
        whole = parts * lanes == slow.lanes and parts & (parts - 1) == 0
        return lanes if whole else slow.lanes

    def _define(self, values: Values, slow: Expr, parameters: list[Expr]) -> _Outlined:
        lanes = self._lanes(slow)
        names = [Var(f"p{k}", p.dtype, lanes) for k, p in enumerate(parameters)]
        inner = Values(values.rules, values.expansions, values.features)
        inner.environment = {v.name: f"%{v.name}" for v in names}
        known: dict[int, Expr] = {id(p): v for p, v in zip(parameters, names, strict=True)}
        result = inner.value(_with_lanes(slow, lanes, known))
        values.declarations.update(inner.declarations)
        kind = type_of(slow.dtype, lanes)
        heads = ", ".join([f"{type_of(v.dtype, lanes)} %{v.name}" for v in names])
        text = "\n".join([f"({heads}) #1 {{", *inner.lines, f"  ret {kind} {result}", "}"])
        name = self._names.setdefault((kind, text), f"{self.prefix}.rare{len(self._names)}")
        return _Outlined(name, lanes, tuple(parameters), slow)


def _leaves(root: Expr, known: set[int]) -> tuple[int, list[Expr]]:
    """How many operations ``root`` has, down to nodes in ``known`` and those that are none."""
    found: list[Expr] = []
    seen: set[int] = set()
    stack = [root]
    while stack:
        expr = stack.pop()
        if id(expr) in seen:
            continue
        seen.add(id(expr))
        if isinstance(expr, Op) and id(expr) not in known:
            stack.extend(reversed(expr.args))
        elif not isinstance(expr, Const):
            found.append(expr)
    return len(seen) - len(found), found


def _with_lanes(root: Expr, lanes: int, known: dict[int, Expr]) -> Expr:
    """``root``, of operations on each lane alone, for ``lanes``; ``known`` replaces nodes."""
    stack = [root]
    while stack:
        expr = stack[-1]
        if id(expr) in known:
            stack.pop()
        elif isinstance(expr, Const):
            known[id(expr)] = Const(expr.value, expr.dtype, lanes)
        else:
            assert isinstance(expr, Op)
            pending = [a for a in expr.args if id(a) not in known]
            stack.extend(pending)
            if not pending:
                args = tuple(known[id(a)] for a in expr.args)
                known[id(expr)] = Op(expr.name, args, expr.dtype, lanes, expr.attrs)
    return known[id(root)]


def _part(values: Values, dtype: str, lanes: int, value: Value, start: int, count: int) -> Value:
    """``count`` lanes of ``value`` from ``start`` on."""
    kind = type_of(dtype, lanes)
    if count == 1:
        return values.emit(f"extractelement {kind} {value}, i64 {start}")
    order = ", ".join([f"i32 {i}" for i in range(start, start + count)])
    return values.emit(f"shufflevector {kind} {value}, {kind} poison, <{count} x i32> <{order}>")


def _joined(values: Values, dtype: str, lanes: int, a: Value, b: Value) -> str:
    """The lanes of ``a`` and those of ``b``."""
    kind, pair = type_of(dtype, lanes), type_of(dtype, 2 * lanes)
    if lanes == 1:
        first = values.emit(f"insertelement {pair} poison, {kind} {a}, i64 0")
        return values.emit(f"insertelement {pair} {first}, {kind} {b}, i64 1")
    order = ", ".join([f"i32 {i}" for i in range(2 * lanes)])
    return values.emit(f"shufflevector {kind} {a}, {kind} {b}, <{2 * lanes} x i32> <{order}>")
