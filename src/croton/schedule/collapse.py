"""Joining neighbouring axes of a domain that all accesses run through as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from croton.kernel import build
from croton.kernel.nodes import Const, Expr, Load, Op, Var
from croton.schedule.elements import Arguments, Index
from croton.schedule.sizes import ZERO, Size

if TYPE_CHECKING:
    from croton.schedule.loops import LoopKernel


def merge_axes(kernel: LoopKernel) -> list[list[int]]:
    """The axes of the kernel's domain in runs; the axes of a run become one."""
    group = kernel.group
    rank = group.rank
    separate = [[a] for a in range(rank)]
    if rank < 2 or (rank == 2 and group.split == 1) or group.serial:
        return separate
    accesses, fixed = _accesses(kernel)
    runs: list[list[int]] = []
    for a in range(rank):
        if runs and _joins(a - 1, a, group.domain, accesses, fixed) and a != group.split:
            runs[-1].append(a)
        else:
            runs.append([a])
    return runs


def _joins(
    a: int, b: int, domain: list[Size], accesses: list[dict[int, Size]], fixed: set[int]
) -> bool:
    if a in fixed or b in fixed:
        return False
    return all(access.get(a, ZERO) == access.get(b, ZERO) * domain[b] for access in accesses)


def _reduced(r: Any) -> Callable[[Index], Expr]:
    reduced = Var("reduced", r.type.dtype)
    return lambda _: reduced


def _accesses(kernel: LoopKernel) -> tuple[list[dict[int, Size]], set[int]]:
    """How each load and store moves along the axes; the axes used in any other way."""
    group = kernel.group
    arguments = Arguments()
    elements = kernel._elements(arguments)
    loops = {f"a{k}": k for k in range(group.rank)}
    axes = [Var(name) for name in loops]
    zero = build.index(0)

    def at(v: Any) -> Index:
        return tuple(zero if a is None else axes[a] for a in kernel.alignment(v))

    for r in group.row_reductions:
        elements.bind(r, _reduced(r))
    expressions: list[Expr] = []
    places: list[Expr] = []
    for v in kernel.stores:
        index = at(v)
        expressions.append(elements.element(v, index))
        places.append(elements.flat(v, index))
    for v in [*group.row_reductions, *group.terminals]:
        node: Any = v.owner
        x = node.inputs[0]
        expressions.append(elements.element(x, at(x)))
    for _ in group.terminals:
        # Partial results lie as the inner axes do.
        split = group.split or 0
        if split and group.rank > split:
            places.append(elements.place(group.domain[split:], axes[split:]))
    expressions.extend(p.bad for p in elements.positions)
    fixed: set[int] = set()
    accesses: list[dict[int, Size]] = []

    def take(place: Expr) -> None:
        found = kernel.sizes.affine(place, loops, arguments.params)
        if found is None:
            fixed.update(_axes_in(place, loops))
        else:
            accesses.append(found[0])

    for place in places:
        take(place)
    done: set[int] = set()
    stack = list(expressions)
    while stack:
        e = stack.pop()
        if id(e) in done:
            continue
        done.add(id(e))
        if isinstance(e, Load):
            take(e.index)
            if e.mask is not None:
                stack.append(e.mask)
            if kernel.sizes.affine(e.index, loops, arguments.params) is None:
                stack.append(e.index)
        elif isinstance(e, Op):
            stack.extend(e.args)
        elif isinstance(e, Var) and e.name in loops:
            fixed.add(loops[e.name])
    return accesses, fixed


def _axes_in(e: Expr, loops: dict[str, int]) -> set[int]:
    found: set[int] = set()
    stack = [e]
    while stack:
        e = stack.pop()
        if isinstance(e, Var) and e.name in loops:
            found.add(loops[e.name])
        elif isinstance(e, Op):
            stack.extend(e.args)
        elif isinstance(e, Load):
            stack.append(e.index)
        elif isinstance(e, Const):
            continue
    return found
