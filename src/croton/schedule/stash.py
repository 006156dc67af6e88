"""Values of a row that are kept from one pass over it to the next, in the thread's scratch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from croton.graph.variable import Variable
from croton.schedule.sizes import Size, product
from croton.schedule.views import HEAVY, cost

if TYPE_CHECKING:
    from croton.schedule.loops import LoopKernel

_LINE = Size.of(64)


class Stash:
    """``kept[p]``: the values to keep in pass p, each with the offset of its memory in bytes.

    A value is kept if a later pass needs it again and it costs more than a load.
    ``scratch`` is where the memory ends.
    """

    def __init__(self, kernel: LoopKernel, roots: Sequence[Iterable[Variable]]) -> None:
        self.kernel = kernel
        self.kept: dict[int, list[tuple[Variable, Size]]] = {}
        self.scratch = _LINE
        self._costs: dict[Variable, int] = {}
        if len(roots) > 1 and kernel.inner:
            self._choose(self._passes(roots))

    def _passes(self, roots: Sequence[Iterable[Variable]]) -> dict[Variable, list[int]]:
        """For each value the passes that compute it on the way to their ``roots``."""
        used: dict[Variable, list[int]] = {}
        for p, starts in enumerate(roots):
            seen: set[Variable] = set()
            stack = list(starts)
            while stack:
                v = stack.pop()
                if v in seen or self._is_given(v) or self.kernel.sizes.is_host(v):
                    continue
                seen.add(v)
                used.setdefault(v, []).append(p)
                stack.extend(v.owner.inputs)  # type: ignore[union-attr]
        return used

    def _is_given(self, v: Variable) -> bool:
        kernel = self.kernel
        return v.owner is None or v in kernel.group.row_reductions or kernel.in_memory(v)

    def _choose(self, used: dict[Variable, list[int]]) -> None:
        members = {v: k for k, v in enumerate(self.kernel.group.members)}
        covered: set[Variable] = set()
        # Users come behind what they use: the last of a chain is kept.
        for v in sorted(used, key=lambda v: -members.get(v, -1)):
            passes = used[v]
            if len(passes) < 2 or v in covered or not self.kernel.is_full(v):
                continue
            if self._cost(v) < HEAVY:
                continue
            self.kept.setdefault(passes[0], []).append((v, self.scratch))
            itemsize = np.dtype(v.type.dtype).itemsize  # type: ignore[attr-defined]
            nbytes = product(self.kernel.inner) * Size.of(itemsize) + Size.of(63)
            lines = self.kernel.sizes.operation("floordiv", nbytes, _LINE)
            self.scratch = self.scratch + lines * _LINE
            below = [v]
            while below:
                u = below.pop()
                fresh = [] if u.owner is None else [w for w in u.owner.inputs if w not in covered]
                covered.update(fresh)
                below.extend(fresh)

    def _cost(self, v: Variable) -> int:
        found = self._costs.get(v)
        if found is None:
            found = 0
            node = v.owner
            if node is not None and not self._is_given(v):
                below = [self._cost(u) for u in node.inputs]
                found = cost(node.op) + sum(below)
            self._costs[v] = found
        return found
