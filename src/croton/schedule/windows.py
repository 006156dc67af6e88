"""Large windows: a loop within each element over most of their places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from croton.graph.variable import Variable
from croton.kernel import build
from croton.kernel.accumulate import identity
from croton.kernel.nodes import Assign, Body, For, Local, Stmt, Var
from croton.schedule.versions import versions
from croton.tensor.signal.ops import PoolingOp

if TYPE_CHECKING:
    from croton.schedule.loops import LoopKernel


def has_windows(values: Iterable[Variable]) -> bool:
    """Whether some of ``values`` are poolings, or gradients of such."""
    return any(v.owner is not None and isinstance(v.owner.op, PoolingOp) for v in values)


def lane_loop(kernel: LoopKernel, loop: For) -> Body:
    """The innermost loop of ``kernel``, in versions where that spares windows their conditions."""
    return versions(loop, kernel.name) if has_windows(kernel.group.members) else (loop,)


def loop_over_window(kernel: LoopKernel, v: Variable) -> list[Stmt]:
    """Statements that compute an element of ``v``; from then on it is known by its name."""
    op: Any = v.owner.op  # type: ignore[union-attr]
    dtype: str = v.type.dtype  # type: ignore[attr-defined]
    run = [Var(kernel.name("k")) for _ in op.runs]
    index = kernel.index_of(kernel.group.align[v])
    first = len(kernel.elements.positions)
    part = kernel.elements.run(v, index, run)
    total = Var(kernel.name("all"), part.dtype)
    added = Assign(total, build.op(op.combine, total, part))
    body: Body = (*kernel.flag(first), added)
    for k, n in zip(reversed(run), reversed(op.runs), strict=True):
        body = (For(k, build.index(0), build.index(n), body),)
    start = 0 if op.combine == "add" else identity(op.combine, part.dtype)
    result = build.cast(total, dtype)
    kernel.elements.bind(v, lambda _: result)
    return [Local(total, build.const(start, part.dtype)), *body]
