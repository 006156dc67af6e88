"""Joining neighbouring axes of a domain that all accesses run through as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from croton.kernel import build
from croton.kernel.nodes import Const, Expr, Load, Op, Var
from croton.schedule.elements import Arguments, Index
from croton.schedule.joined import pieces
from croton.schedule.sizes import ZERO, Size, Sizes

if TYPE_CHECKING:
    from croton.schedule.loops import LoopKernel


def merge_axes(kernel: LoopKernel) -> list[list[int]]:
    """The axes of the kernel's domain in runs; the axes of a run become one."""
    group = kernel.group
    rank = group.rank
    separate = [[a] for a in range(rank)]
    if rank < 2 or (rank == 2 and group.split == 1) or group.serial:
        return separate
    accesses = _accesses(kernel)
    runs: list[list[int]] = []
    for a in range(rank):
        if runs and accesses.join(a - 1, group.domain) and a != group.split:
            runs[-1].append(a)
        else:
            runs.append([a])
    return runs


class Accesses:
    """How each load and store moves along the axes, by coefficients; the axes used otherwise.

    ``loops`` are the numbers of the axes by the names of their variables.
    """

    def __init__(self, loops: dict[str, int], sizes: Sizes, arguments: Arguments) -> None:
        self._loops = loops
        self._sizes = sizes
        self._arguments = arguments
        self._fixed: set[int] = set()
        self._moves: list[dict[int, Size]] = []

    def join(self, a: int, domain: Sequence[Size]) -> bool:
        """Whether axis ``a`` and the one that follows can be one."""
        b = a + 1
        if a in self._fixed or b in self._fixed:
            return False
        return all(m.get(a, ZERO) == m.get(b, ZERO) * domain[b] for m in self._moves)

    def take(self, place: Expr) -> None:
        """What is at ``place`` is loaded or stored."""
        found = self._sizes.affine(place, self._loops, self._arguments.params)
        if found is None:
            self._fixed.update(_axes_in(place, self._loops))
        else:
            self._moves.append(found[0])

    def read(self, expressions: Sequence[Expr]) -> None:
        """All that ``expressions`` load."""
        done: set[int] = set()
        stack = list(expressions)
        while stack:
            e = stack.pop()
            if id(e) in done:
                continue
            done.add(id(e))
            if isinstance(e, Load):
                self.take(e.index)
                if e.mask is not None:
                    stack.append(e.mask)
                if self._sizes.affine(e.index, self._loops, self._arguments.params) is None:
                    stack.append(e.index)
            elif isinstance(e, Op):
                stack.extend(e.args)
            elif isinstance(e, Var) and e.name in self._loops:
                self._fixed.add(self._loops[e.name])


def _reduced(r: Any) -> Callable[[Index], Expr]:
    reduced = Var("reduced", r.type.dtype)
    return lambda _: reduced


def _accesses(kernel: LoopKernel) -> Accesses:
    """The loads and stores of the kernel."""
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
        for part, place in pieces(group, elements, v, at(v)):
            expressions.append(part)
            places.append(place)
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
    found = Accesses(loops, kernel.sizes, arguments)
    for place in places:
        found.take(place)
    found.read(expressions)
    return found


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
