"""Fusion: which values are computed together, in one pass over one domain.

Values that are free or cheap need no group: they are computed where used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph.apply import Apply
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable
from croton.schedule.depth import stages
from croton.schedule.group import TILED, Alignment, Group
from croton.schedule.joined import are_even_parts, place_joined
from croton.schedule.orders import makes_filters, orders, turned
from croton.schedule.reading import need_sizes
from croton.schedule.scan import is_native
from croton.schedule.sizes import ONE, Size, Sizes
from croton.schedule.views import (
    aligned_inputs,
    free_inputs,
    is_elsewhere,
    is_free,
    is_leading_part,
    is_size,
    is_whole_range,
    moved_inputs,
    promised,
    view_base,
)
from croton.tensor.creation import Alloc
from croton.tensor.deviations import SquaredDeviations
from croton.tensor.indexing import AdvancedSubtensor
from croton.tensor.shapes import DimShuffle
from croton.tensor.signal.ops import PoolingOp
from croton.tensor.type import TensorType


class Grouping:
    """Forms the groups of a graph, in one walk from inputs to outputs."""

    def __init__(
        self,
        outputs: Sequence[Variable],
        sizes: Sizes,
        tiled: frozenset[str],
        read: Sequence[Variable] = (),
    ) -> None:
        self.sizes = sizes
        self.tiled = tiled  # the dtypes that have kernels for products and convolutions
        self.groups: list[Group] = []
        self.home: dict[Variable, Group] = {}
        self.forced: set[Variable] = set()
        #: Rows of what lies in memory, which lie there as they must, and what they are of.
        self.parts: dict[Variable, Variable] = {}
        self._readers: dict[Variable, list[Group]] = {}
        self._read = frozenset(read)
        wanted = [*outputs, *read]
        self.order = toposort(wanted)
        sizes.learn(self.order)
        self._mark_forced(wanted)
        made = [n for n in self.order if makes_filters(n) and self.is_tiled(n)]
        self._orders = orders(made, self.order, self.forced, sizes)
        self._in_order = {v for order in self._orders.values() for v in order.views}
        self._turned = turned(self.order, self._orders, self._in_order)
        self.forced |= self._turned
        self._stages = stages(
            self.order,
            sizes,
            lambda node: self.is_tiled(node) or node.outputs[0] in self._in_order,
            self.forced,
        )
        for node in self.order:
            self._stage = self._stages.get(node.outputs[0], 0)
            self._place(node)
        if read:
            need_sizes(self.groups, self.home, sizes)

    # Values that must be in memory whatever reads them.

    def _mark_forced(self, outputs: Sequence[Variable]) -> None:
        for v in outputs:
            self.forced.add(v)
        for node in self.order:
            loop = self._loop(node)
            if loop in (None, "scan"):
                self.forced.update(
                    v for v in node.inputs if isinstance(v.type, TensorType) and not is_size(node)
                )
            elif loop == "reshape":
                self.forced.add(node.inputs[0])
            elif self.is_tiled(node):
                self.forced.update(self.operands(node))

    def is_tiled(self, node: Apply) -> bool:
        """Whether kernels for products or convolutions compute the node, block by block."""
        op: Any = node.op
        if node.outputs[0].type.dtype not in self.tiled:  # type: ignore[attr-defined]
            return False
        return getattr(op, "loop", None) in TILED and getattr(op, "channels_last", True)

    def _loop(self, node: Apply) -> str | None:
        """How the op says that it is computed; None: by Python."""
        loop: str | None = getattr(node.op, "loop", None)
        if loop == "convolution" and not self.is_tiled(node):
            return None
        return None if loop == "scan" and not is_native(node) else loop

    def operands(self, node: Apply) -> list[Variable]:
        """What must be in memory for the kernels of a tiled node to read its inputs.

        Transposed views cost nothing, but images lie as they are read, and factors of products
        begin where their memory does.
        """
        parts = getattr(node.op, "parts", ())
        return [
            promised(v) if parts and parts[k] != "w" else view_base(v, backwards=bool(parts))
            for k, v in enumerate(node.inputs[:2])
        ]

    # Placing one node.

    def _place(self, node: Apply) -> None:
        loop = self._loop(node)
        v = node.outputs[0]
        if v in self.home:
            return
        if is_size(node):
            # A size is an argument of every kernel; one that is handed out is stored as well.
            if v in self.forced:
                self._place_pointwise(v)
            return
        if len(node.outputs) == 1 and self.sizes.is_host(v) and v not in self.forced:
            return
        if loop in (None, "scan"):
            self._new(loop or "host", (), node.outputs)
        elif self.is_tiled(node):
            order = self._orders.get(v)
            if order is None:
                group = self._new(loop, self.sizes.shape(v), [v])
                group.align[v] = tuple(range(v.type.ndim))  # type: ignore[attr-defined]
            else:
                group = self._new(loop, order.domain, order.views)
                group.align.update(order.align)
                group.order = order
            group.alone = not getattr(node.op, "takes_more", True)
        elif loop == "scatter":
            self._new("scatter", (), [v])
        elif loop in ("reduce", "product"):
            self._place_reduction(node)
        elif loop == "reshape":
            if v in self.forced and not self._is_memory(node.inputs[0]):
                self._place_pointwise(v)
        elif is_free(node.op):
            if v in self.forced:
                if v in self._turned:
                    self._begin(v).alone = True
                elif not self._is_part(node):
                    self._place_pointwise(v)
        elif isinstance(node.op, PoolingOp) and node.op.runs:
            self._serial_group(v)
        elif v in self.forced and are_even_parts(node, self.sizes):
            place_joined(self, v)
        else:
            self._place_pointwise(v)

    def _is_memory(self, v: Variable) -> bool:
        return v.owner is None or v in self.forced

    def _is_part(self, node: Apply) -> bool:
        """Whether the node gives rows of what lies in memory in any case; notes it if so."""
        if not is_leading_part(node):
            return False
        v, (x, *_) = node.outputs[0], node.inputs
        if x.owner is None:
            there = not isinstance(x, Constant)
        elif x in self.forced:
            there = not self.sizes.is_host(x)
        else:
            tiled = self.is_tiled(x.owner)
            there = tiled or self._loop(x.owner) in (None, "scan", "scatter")
        if there or x in self.parts or (x.owner is not None and self._is_part(x.owner)):
            self.parts[v] = x
            return True
        return False

    def _new(self, kind: str, domain: Sequence[Size], members: Sequence[Variable]) -> Group:
        group = Group(len(self.groups), kind, domain)
        group.stage = self._stage
        self.groups.append(group)
        for v in members:
            self._join(group, v)
        return group

    def _join(self, group: Group, v: Variable, alignment: Alignment | None = None) -> None:
        group.members.append(v)
        group.closed = group.closed or v in self._read
        self.home[v] = group
        if alignment is not None:
            group.align[v] = alignment
        for source in self._sources(v):
            home = self.home.get(source)
            if home is not None and home is not group:
                group.needs.add(home)
        if alignment is not None:
            node: Any = v.owner
            for u in node.inputs:
                self._register(u, group)

    def _register(self, u: Variable, group: Group) -> None:
        """Remember what ``group`` reads, so that others who read it may join."""
        if u.owner is None or u in self.forced or u in self.home:
            if not isinstance(u, Constant) and u.type.ndim:  # type: ignore[attr-defined]
                readers = self._readers.setdefault(u, [])
                if group not in readers:
                    readers.append(group)
        if u not in self.home and u.owner is not None and is_free(u.owner.op):
            for w in free_inputs(u):
                self._register(w, group)

    def _sources(self, v: Variable) -> list[Variable]:
        """The values with a home that ``v`` reads, through what is free."""
        found: list[Variable] = []
        seen: set[Variable] = set()
        stack = list(v.owner.inputs) if v.owner is not None else []
        while stack:
            u = stack.pop()
            if u in seen:
                continue
            seen.add(u)
            if u in self.home:
                found.append(u)
            elif u.owner is not None:
                stack.extend(u.owner.inputs)
        return found

    def _candidates(self, inputs: Sequence[Variable]) -> list[Group]:
        """Groups that compute or read what ``inputs`` read, the latest first."""
        found: set[Group] = set()
        seen: set[Variable] = set()
        stack = list(inputs)
        while stack:
            u = stack.pop()
            if u in seen:
                continue
            seen.add(u)
            if u in self.home:
                found.update((self.home[u], *self._readers.get(u, ())))
            elif u.owner is None:
                found.update(self._readers.get(u, ()))
            elif is_free(u.owner.op):
                found.update(self._readers.get(u, ()))
                stack.extend(free_inputs(u))
        return sorted(found, key=lambda g: -g.number)

    def _depends(self, a: Group, b: Group) -> bool:
        """Whether ``a`` needs ``b``, directly or not."""
        seen, stack = set(), [a]
        while stack:
            g = stack.pop()
            for h in g.needs:
                if h is b:
                    return True
                if h not in seen:
                    seen.add(h)
                    stack.append(h)
        return False

    def _can_join(self, group: Group, v: Variable) -> bool:
        """Whether ``v`` fits the stage, makes no cycle, and needs no unfinished reduction of it."""
        if group.closed or group.alone or group.stage != self._stage:
            return False
        for source in self._sources(v):
            home = self.home[source]
            if home is group:
                continue
            if group in home.finishes.values() or self._depends(home, group):
                return False
        return True

    # Alignment.

    def induced(self, w: Variable, group: Group) -> Alignment | None:
        """How ``w`` runs along the group's axes, as far as its sources say; None if it cannot.

        A dimension of which nothing is known is None as well.
        """
        if w in group.joined:
            return None
        if w in group.align and (w in group.members or w.owner is None or w in self.home):
            return group.align[w]
        if w.owner is None or w in self.home or not is_free(w.owner.op):
            return (None,) * w.type.ndim  # type: ignore[attr-defined, no-any-return]
        return self._through(w, group)

    def _through(self, w: Variable, group: Group) -> Alignment | None:
        """How the result ``w`` of a free op runs along the group's axes (see ``induced``)."""
        free: Alignment = (None,) * w.type.ndim  # type: ignore[attr-defined]
        node: Any = w.owner
        op = node.op
        if isinstance(op, DimShuffle):
            inner = self.induced(node.inputs[0], group)
            if inner is None:
                return None
            return tuple(None if d == "x" else inner[d] for d in op.new_order)  # type: ignore[index]
        inner_of = free_inputs(w)
        if not any(self._reads(u, group) for u in node.inputs):
            return free
        if isinstance(op, AdvancedSubtensor):
            return self._picked(w, group)
        if isinstance(op, Alloc) or getattr(op, "view_map", None) is not None:
            inner = self.induced(inner_of[0], group)
            if inner is not None and len(inner) == len(free) and not is_elsewhere(op):
                return inner
        return None

    def _picked(self, w: Variable, group: Group) -> Alignment | None:
        # x[arange(n), y]: element y[i] of row i, for a value of the same rows.
        node: Any = w.owner
        x, *indices = node.inputs
        inner = self.induced(x, group)
        if inner is None or node.op.start != 0 or len(indices) != len(inner):
            return None
        if any(self._reads(i, group) for i in indices):
            return None
        if group.split != 1 or inner[0] != 0 or indices[0].type.ndim != 1:
            return None
        return (0,) if is_whole_range(indices[0]) else None

    def _reads(self, w: Variable, group: Group) -> bool:
        """Whether ``w`` is computed from values of ``group`` without memory between."""
        if self.home.get(w) is group:
            return True
        if w in self.home or w.owner is None or not is_free(w.owner.op):
            return False
        return any(self._reads(u, group) for u in w.owner.inputs)

    def own_alignment(self, v: Variable, group: Group) -> Alignment | None:
        """How ``v`` would run along the axes of ``group``, which computes it; None if it cannot."""
        node: Any = v.owner
        if v in group.joined:
            return self._combine(group, node.inputs, self.sizes.shape(node.inputs[0]))
        shape = self.sizes.shape(v)
        if is_free(node.op):
            found = self._through(v, group)
            if found is None:
                return None
            axes = [None if s == ONE else a for a, s in zip(found, shape, strict=True)]
            return self._complete(group, axes, shape)
        if any(self._reads(u, group) for u in moved_inputs(node)):
            return None
        return self._combine(group, aligned_inputs(node), shape)

    def _combine(
        self, group: Group, inputs: Sequence[Variable], shape: Sequence[Size]
    ) -> Alignment | None:
        """The alignment of an elementwise result of ``inputs`` in ``group``."""
        rank = len(shape)
        axes: list[int | None] = [None] * rank
        for w in inputs:
            if w.type.ndim != rank:  # type: ignore[attr-defined]
                if self._reads(w, group):
                    return None
                continue
            found = self.induced(w, group)
            if found is None:
                return None
            for d, a in enumerate(found):
                if a is None or shape[d] == ONE:
                    continue
                if axes[d] is None:
                    axes[d] = a
                elif axes[d] != a:
                    return None
        taken = [a for a in axes if a is not None]
        if len(set(taken)) != len(taken):
            return None
        return self._complete(group, axes, shape)

    def _complete(
        self, group: Group, axes: list[int | None], shape: Sequence[Size]
    ) -> Alignment | None:
        """Give dimensions without alignment the domain axes of their size that are left."""
        nxt = 0
        for d, size in enumerate(shape):
            if size == ONE:
                continue
            a = axes[d]
            if a is None:
                while nxt < group.rank and (nxt in axes or group.domain[nxt] != size):
                    nxt += 1
                if nxt == group.rank:
                    return None
                axes[d] = a = nxt
            if group.domain[a] != size or a < nxt - 1:
                return None
            nxt = max(nxt, a + 1)
        order = [a for a in axes if a is not None]
        return tuple(axes) if order == sorted(order) else None

    # Pointwise values.

    def _place_pointwise(self, v: Variable) -> None:
        node: Any = v.owner
        shape = self.sizes.shape(v)
        inputs = node.inputs
        alone = v not in self.forced and not self._sources(v)
        if alone and all(s == ONE for s in shape) and not isinstance(node.op, PoolingOp):
            # A scalar of scalars: computed once by every kernel that uses it.
            return
        for group in self._candidates(inputs):
            if group.kind not in ("loop", *TILED) or not self._can_join(group, v):
                continue
            alignment = self.own_alignment(v, group)
            if alignment is None:
                continue
            full = group.is_full(alignment)
            if full or (group.kind == "loop" and group.is_row(alignment)):
                self._join(group, v, alignment)
                self._align_leaves(group, v, alignment)
                return
        self._begin(v)

    def _begin(self, v: Variable) -> Group:
        """A group of its own for the pointwise value ``v``."""
        shape = self.sizes.shape(v)
        domain = [s for s in shape if s != ONE]
        group = self._new("loop", domain, [])
        place = iter(range(len(domain)))
        alignment = tuple(None if s == ONE else next(place) for s in shape)
        self._join(group, v, alignment)
        self._align_leaves(group, v, alignment)
        return group

    def _align_leaves(self, group: Group, v: Variable, alignment: Alignment) -> None:
        """Note how values in memory that ``v`` reads run along the axes."""
        node: Any = v.owner
        if isinstance(node.op, DimShuffle):
            return self._align_back(group, node, alignment)
        read: Sequence[Any] = free_inputs(v) if is_free(node.op) else aligned_inputs(node)
        for w in read:
            if w.type.ndim == len(alignment):
                self._align(group, w, alignment)

    def _align(self, group: Group, w: Variable, alignment: Alignment) -> None:
        if self.home.get(w) is group or isinstance(w, Constant):
            return
        if w.owner is None or w in self.home:
            sizes = self.sizes.shape(w)
            own = tuple(None if s == ONE else a for s, a in zip(sizes, alignment, strict=True))
            # What is read at one place of a dimension may be read elsewhere by others.
            if own.count(None) == sizes.count(ONE):
                group.align.setdefault(w, own)
        elif isinstance(w.owner.op, DimShuffle):
            self._align_back(group, w.owner, alignment)

    def _align_back(self, group: Group, node: Any, alignment: Alignment) -> None:
        """Align what ``node`` rearranges the dimensions of, from how its result runs."""
        back: list[int | None] = [None] * node.inputs[0].type.ndim
        for k, d in enumerate(node.op.new_order):
            if d != "x":
                back[d] = alignment[k]
        self._align(group, node.inputs[0], tuple(back))

    # Reductions.

    def _place_reduction(self, node: Apply) -> None:
        v = node.outputs[0]
        if getattr(node.op, "loop", None) == "product":
            self._serial_group(v)
            return
        x = node.inputs[0]
        axes: tuple[int, ...] = node.op.axis  # type: ignore[attr-defined]
        shape = self.sizes.shape(x)
        reduced = [a for a in axes if shape[a] != ONE]
        for group in self._candidates([x]):
            if group.kind != "loop" or group.serial or not self._can_join(group, v):
                continue
            alignment = self._combine(group, [x], shape)
            if alignment is not None and self._reduce_in(group, v, x, alignment, reduced):
                return
        kept = [d for d in range(len(shape)) if d not in axes and shape[d] != ONE]
        if not reduced:
            self._serial_group(v)
            return
        domain_axes = [d for d in range(len(shape)) if shape[d] != ONE]
        leading = domain_axes[: len(reduced)] == reduced
        trailing = domain_axes[len(kept) :] == reduced
        if leading or trailing:
            group = self._new("loop", [shape[d] for d in domain_axes], [])
            place = {d: k for k, d in enumerate(domain_axes)}
            alignment = tuple(place.get(d) for d in range(len(shape)))
            if self._reduce_in(group, v, x, alignment, reduced):
                return
            self.groups.pop()
        self._serial_group(v)

    def _reduce_in(
        self, group: Group, v: Variable, x: Variable, alignment: Alignment, reduced: Sequence[int]
    ) -> bool:
        """Put the reduction ``v`` of ``x`` into ``group`` if its axes fit."""
        over = {alignment[d] for d in reduced}
        every = set(range(group.rank))
        moment = isinstance(v.owner.op, SquaredDeviations)  # type: ignore[union-attr]
        if moment and group.is_full(alignment) and self.waits(group, x):
            return False
        if not group.is_full(alignment):
            # A row value reduced over all rows.
            if not group.is_row(alignment) or over != set(range(group.split or 0)):
                return False
            terminal = True
        elif over == every:
            terminal = True
        else:
            count = len(over)
            if over == set(range(group.rank - count, group.rank)):
                split = group.rank - count
                terminal = False
            elif over == set(range(count)):
                split = count
                terminal = True
            else:
                return False
            if group.split is not None and group.split != split:
                return False
            if moment and not terminal:
                return False
            group.split = split
        if terminal:
            self._finish(group, v, x, alignment)
            return True
        axes = v.owner.op.axis  # type: ignore[union-attr]
        own = tuple(a for d, a in enumerate(alignment) if d not in axes)
        group.row_reductions.append(v)
        self._join(group, v, own)
        self._align(group, x, alignment)
        return True

    def waits(self, group: Group, x: Variable) -> bool:
        """Whether an element of ``x`` is known only after a reduction over its row.

        Deviations are taken from a chunk's first element, which is needed before.
        """
        seen: set[Variable] = set()
        stack = [x]
        while stack:
            u = stack.pop()
            if u in group.row_reductions:
                return True
            if u not in seen and u.owner is not None and self.home.get(u, group) is group:
                seen.add(u)
                stack.extend(u.owner.inputs)
        return False

    def _finish(self, group: Group, v: Variable, x: Variable, alignment: Alignment) -> None:
        """A reduction over the rows: parts in ``group``, the rest in a group of its own."""
        group.terminals.append(v)
        for source in self._sources(v):
            home = self.home.get(source)
            if home is not None and home is not group:
                group.needs.add(home)
        self._align(group, x, alignment)
        self._register(x, group)
        shape = self.sizes.shape(v)
        domain = [s for s in shape if s != ONE]
        for other in reversed(self.groups):
            if (
                other.kind == "loop"
                and other.stage == self._stage
                and other.domain == domain
                and other.finishes
                and all(g is group for g in other.finishes.values())
            ):
                last = other
                break
        else:
            last = self._new("loop", domain, [])
        place = iter(range(len(domain)))
        last.align[v] = tuple(None if s == ONE else next(place) for s in shape)
        last.members.append(v)
        last.closed = last.closed or v in self._read
        last.finishes[v] = group
        last.serial.append(v)
        last.needs.add(group)
        self.home[v] = last

    def _serial_group(self, v: Variable) -> None:
        shape = self.sizes.shape(v)
        domain = [s for s in shape if s != ONE]
        group = self._new("loop", domain, [])
        place = iter(range(len(domain)))
        group.serial.append(v)
        self._join(group, v, tuple(None if s == ONE else next(place) for s in shape))
