"""Kernels that put values where index arrays say: a copy, then one element after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.nodes import (
    Assign,
    Body,
    Fail,
    For,
    Function,
    If,
    Load,
    Local,
    Stmt,
    Store,
    Var,
)
from croton.schedule.elements import Arguments, Elements, _Context
from croton.schedule.loops import Plan
from croton.schedule.sizes import ONE, ShapeOf, Size, Sizes


def scatter_kernel(
    v: Variable,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    error_of: Callable[[Any], int],
) -> list[Plan]:
    """The kernels that compute the ``AdvancedIncSubtensor`` ``v`` into its memory."""
    return [_copy(v, sizes, memory, error_of), _put(v, sizes, memory, error_of)]


def _plan(arguments: Arguments, body: list[Stmt], items: Size) -> Plan:
    function = Function(
        "kernel",
        tuple(arguments.buffers.values()),
        tuple(arguments.sizes.values()),
        (For(Var("item"), Var("lo"), Var("hi"), tuple(body), "parallel"),),
        True,
    )
    return Plan(function, tuple(arguments.buffers), tuple(arguments.sizes), items, ONE, Size.of(64))


def _flags(
    elements: Elements, error_of: Callable[[Any], int]
) -> tuple[list[Stmt], list[Stmt], list[Stmt]]:
    before: list[Stmt] = []
    inside: list[Stmt] = []
    after: list[Stmt] = []
    for k, position in enumerate(elements.positions):
        bad, worst = Var(f"bad{k}", "bool"), Var(f"worst{k}", "int64")
        least = build.const(-(2**63), "int64")
        before += [Local(bad, build.const(False, "bool")), Local(worst, least)]
        inside.append(Assign(bad, build.op("or", bad, position.bad)))
        here = build.select(position.bad, position.value, least)
        inside.append(Assign(worst, build.op("maximum", worst, here)))
        fail = Fail(error_of(position.node) + 1, (worst, position.size))
        after.append(If(bad, (fail,)))
    return before, inside, after


def _copy(
    v: Variable,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    error_of: Callable[[Any], int],
) -> Plan:
    x = v.owner.inputs[0]  # type: ignore[union-attr]
    arguments = Arguments()
    elements = Elements(sizes, arguments, memory)
    shape = sizes.shape(x)
    axes = [Var(f"i{d}") for d in range(len(shape))]
    value = elements.element(x, tuple(axes))
    target = arguments.buffer(v, v.type.dtype)  # type: ignore[attr-defined]
    before, inside, after = _flags(elements, error_of)
    body: Body = (*inside, Store(target, elements.place(shape, axes), value))
    for d in range(len(shape) - 1, -1, -1):
        kind = "vector" if d == len(shape) - 1 else "serial"
        body = (For(axes[d], build.index(0), arguments.size(shape[d]), body, kind),)
    return _plan(arguments, [*before, *body, *after], ONE)


def _put(
    v: Variable,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    error_of: Callable[[Any], int],
) -> Plan:
    node: Any = v.owner
    op = node.op
    arguments = Arguments()
    elements = Elements(sizes, arguments, memory)
    shapes = [ShapeOf(u) for u in node.inputs]
    selected = [sizes.of(s) for s in op.selected(node, shapes)]
    axes = [Var(f"i{d}") for d in range(len(selected))]
    inputs = [lambda *i, u=u: elements.element(u, i) for u in node.inputs]
    place, value = op.lower(node, inputs, tuple(axes), _Context(elements, node))
    target = arguments.buffer(v, v.type.dtype)  # type: ignore[attr-defined]
    flat = elements.place(sizes.shape(v), place)
    if not op.set_instead_of_inc:
        add = "or" if value.dtype == "bool" else "add"
        value = build.op(add, Load(target, flat), value)
    before, inside, after = _flags(elements, error_of)
    # Positions are checked before anything is written at them.
    body: Body = (*inside, Store(target, flat, value))
    # Dimensions behind those indexed are apart from each other: they may run in lanes.
    indexed = op.start + node.inputs[2].type.ndim
    for d in range(len(selected) - 1, -1, -1):
        lanes = d == len(selected) - 1 and d >= indexed
        body = (
            For(
                axes[d],
                build.index(0),
                arguments.size(selected[d]),
                body,
                "vector" if lanes else "serial",
            ),
        )
    return _plan(arguments, [*before, *body, *after], ONE)
