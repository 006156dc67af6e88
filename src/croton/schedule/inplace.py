"""Which updates are written in place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from croton.graph.shared import SharedVariable
from croton.graph.variable import Variable
from croton.kernel.nodes import Let, Stmt, Store, Var
from croton.schedule.group import TILED, Group
from croton.schedule.groups import Grouping
from croton.schedule.moments import is_moment
from croton.schedule.storage import Storage
from croton.schedule.views import is_free, moved_inputs
from croton.tensor.indexing import AdvancedIncSubtensor, AdvancedSubtensor
from croton.tensor.indexing.columns import columns_of


def plan_in_place(
    order: Sequence[Group],
    grouping: Grouping,
    storage: Storage,
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
    late_checks: bool,
) -> dict[Variable, SharedVariable]:
    """The new values that are written into their shared variable's own storage.

    That is so where nobody reads the old value any more, and nothing can fail
    any more: all updates of a call happen or none.  ``late_checks``: sizes are
    checked that are known only in the midst of the call.
    """
    sizes = grouping.sizes
    target: dict[Variable, SharedVariable] = {}
    last_failure = len(order) if late_checks else -1
    readers: dict[Any, list[int]] = {}
    for k, group in enumerate(order):
        if _may_fail(group, storage):
            last_failure = max(k, last_failure)
        for leaf in _leaves(group, storage):
            readers.setdefault(leaf, []).append(k)
    place = {g: k for k, g in enumerate(order)}
    outside = {storage.root(v) for v in outputs}
    sources = {storage.root(v) for _, v in updates}
    counts: dict[Variable, int] = {}
    for _, v in updates:
        counts[v] = counts.get(v, 0) + 1
    for s, v in updates:
        home = grouping.home.get(v)
        if home is None or home not in place or v not in storage.stored:
            continue
        k = place[home]
        if (
            counts[v] > 1
            or v in outputs
            or s in outside
            or s in sources
            or v.type.dtype != s.type.dtype  # type: ignore[attr-defined]
            or sizes.shape(v) != sizes.shape(s)
            or k <= last_failure
            or any(r > k for r in readers.get(s, ()))
            or (k in readers.get(s, ()) and not _reads_aligned(home, v, s, grouping, storage))
        ):
            continue
        target[v] = s
    return target


def plan_reuse(
    order: Sequence[Group],
    grouping: Grouping,
    storage: Storage,
    held: Collection[Variable],
    targets: Collection[Variable],
) -> dict[Variable, Variable]:
    """The values that are written over another one, which nobody reads any more after that.

    Those ``held`` are handed out, or read as sizes; ``targets`` are written into shared variables.
    """
    sizes = grouping.sizes
    last: dict[Any, int] = {}
    for k, group in enumerate(order):
        for leaf in _leaves(group, storage):
            last[leaf] = k
    taken = {storage.root(v) for v in held} | set(targets)
    place = {v: k for k, node in enumerate(grouping.order) for v in node.outputs}
    found: dict[Variable, Variable] = {}
    for k, group in enumerate(order):
        if group.kind not in ("loop", *TILED):
            continue
        free = sorted(
            (
                u
                for u in _leaves(group, storage)
                if u in storage.stored and u not in taken and last[u] == k
            ),
            key=lambda u: place[u],
        )
        for v in group.members:
            if v not in storage.stored or v in taken:
                continue
            for u in free:
                if (
                    u not in group.members
                    and u.type.dtype == v.type.dtype  # type: ignore[attr-defined]
                    and sizes.shape(u) == sizes.shape(v)
                    and group.align.get(u) == group.align.get(v)
                    and _reads_aligned(group, v, u, grouping, storage)
                ):
                    found[v] = u
                    free.remove(u)
                    break
    return found


def reads_own_columns(v: Variable, s: Any, grouping: Grouping, storage: Storage) -> bool:
    """Whether the group that puts ``v`` together reads of ``s`` only what it overwrites then.

    ``v`` is put together from columns, and ``s`` is of its shape: an element of each of the
    columns is computed from elements of the same row and column of such columns of ``s``.
    """
    group = grouping.home.get(v)
    if group is None or v not in group.joined or group.kind != "loop":
        return False
    node: Any = v.owner
    parts = node.inputs
    width = parts[0].type.shape[-1]
    if group.row_reductions or group.serial or group.terminals:
        return False
    if node.op.axis != v.type.ndim - 1 or width is None:  # type: ignore[attr-defined]
        return False
    own = tuple(range(group.rank))
    seen: set[Variable] = set()
    stack: list[Variable] = [*group.members]
    while stack:
        u = stack.pop()
        if u in seen:
            continue
        seen.add(u)
        if u is s:
            return False
        if u.owner is None or _own_columns(u, s, width):
            continue
        if u not in group.members and storage.root(u) is not None:
            if storage.root(u) is s:
                return False
            continue
        if u is v or _is_elementwise(u):
            if u in group.align and u is not v and _reaches(u, s, storage):
                if tuple(a for a in group.align[u] if a is not None) != own:
                    return False
            stack += u.owner.inputs
        elif any(_reaches(w, s, storage) for w in u.owner.inputs):
            return False
    return True


def _own_columns(u: Variable, s: Any, width: int) -> bool:
    """Whether ``u`` is one of the columns of ``s`` that are so wide and lie side by side."""
    found = columns_of(u)
    if found is None or found.array is not s:
        return False
    return found.start % width == 0 and found.stop - found.start == width


def reading_first(stores: Sequence[Store], overwriting: Sequence[Store]) -> list[Stmt]:
    """Statements that store after all that they overwrite was read."""
    if len(overwriting) < 2:
        return [*stores, *overwriting]
    values = [Var(f"new{k}", s.value.dtype) for k, s in enumerate(overwriting)]
    return [
        *(Let(v, s.value) for v, s in zip(values, overwriting, strict=True)),
        *stores,
        *(Store(s.buffer, s.index, v) for v, s in zip(values, overwriting, strict=True)),
    ]


def _may_fail(group: Group, storage: Storage) -> bool:
    if group.kind in ("host", "scan", "scatter"):
        return True
    seen: set[Variable] = set()
    stack: list[Variable] = [*group.members, *group.terminals]
    while stack:
        v = stack.pop()
        if v in seen or v.owner is None:
            continue
        seen.add(v)
        if isinstance(v.owner.op, AdvancedSubtensor | AdvancedIncSubtensor):
            return True
        stack += [u for u in v.owner.inputs if storage.root(u) is None or (u in group.members)]
    return False


def _leaves(group: Group, storage: Storage) -> set[Any]:
    """The memory that the group reads."""
    found: set[Any] = set()
    seen: set[Variable] = set()
    members = set(group.members)
    stack: list[Variable] = [
        u for v in (*group.members, *group.terminals) if v.owner is not None for u in v.owner.inputs
    ]
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        memory = None if v in members else storage.root(v)
        if memory is not None:
            found.add(memory)
        elif v.owner is not None:
            stack.extend(v.owner.inputs)
    return found


def _reads_aligned(
    group: Group, v: Variable, s: Variable, grouping: Grouping, storage: Storage
) -> bool:
    """Whether the group reads ``s`` only where it writes ``v`` in the same step."""
    if group.kind == "scatter" or group.row_reductions or group.serial or v in group.joined:
        return False
    node: Any
    # Deviations are taken from the first row, which is read before all others.
    if any(is_moment(t) for t in group.terminals):
        return False
    if group.kind in TILED:
        node = group.members[0].owner
        if any(storage.root(operand) is s for operand in grouping.operands(node)):
            return False
    own = tuple(range(group.rank))
    members = set(group.members)
    moved = [u for m in members - group.joined for u in moved_inputs(m.owner)]
    if any(_reaches(u, s, storage) for u in moved):
        return False
    # A member that only says where elements come from may read others than its own.
    for m in members:
        node = m.owner
        if is_free(node.op) and any(_reaches(u, s, storage) for u in node.inputs):
            return False
    seen: set[Variable] = set()
    stack: list[Variable] = [u for m in group.members for u in m.owner.inputs]  # type: ignore[union-attr]
    while stack:
        u = stack.pop()
        if u in seen or u in members:
            continue
        seen.add(u)
        if u is s:
            # Read directly by a member, at the member's own index.
            continue
        if storage.root(u) is s:
            return False
        if u.owner is None or storage.root(u) is not None:
            continue
        if any(w is s for w in u.owner.inputs) and not grouping.sizes.is_host(u):
            if not _is_elementwise(u):
                return False
        stack.extend(u.owner.inputs)
    aligned = tuple(a for a in group.align.get(v, ()) if a is not None)
    return aligned == own


def _reaches(u: Variable, s: Variable, storage: Storage) -> bool:
    """Whether computing an element of ``u`` reads ``s``."""
    seen: set[Variable] = set()
    stack = [u]
    while stack:
        v = stack.pop()
        if v is s or storage.root(v) is s:
            return True
        if v not in seen and v.owner is not None and storage.root(v) is None:
            seen.add(v)
            stack.extend(v.owner.inputs)
    return False


def _is_elementwise(v: Variable) -> bool:
    return type(v.owner.op).__name__ in ("Elemwise", "SpecifyShape")  # type: ignore[union-attr]
