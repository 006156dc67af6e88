"""Joining groups that were begun apart: producers of one consumer, readers of the same memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph.variable import Variable
from croton.schedule.group import TILED, Alignment, Group
from croton.schedule.groups import Grouping
from croton.tensor.deviations import SquaredDeviations


def merge_groups(grouping: Grouping) -> None:
    """Merge loop groups of the same domain where that makes no cycle and nothing moves."""
    position = {v: k for k, node in enumerate(grouping.order) for v in node.outputs}
    ways = Ways(grouping.groups)
    apart: dict[Group, set[Group]] = {}
    changed = True
    while changed:
        changed = False
        by_domain: dict[Any, list[Group]] = {}
        for g in grouping.groups:
            if g.kind in ("loop", *TILED) and g.rank and not g.alone:
                by_domain.setdefault(tuple(g.domain), []).append(g)
        for groups in by_domain.values():
            changed = _merge_within(grouping, groups, position, ways, apart) or changed


def _merge_within(
    grouping: Grouping,
    groups: list[Group],
    position: dict[Variable, int],
    ways: Ways,
    apart: dict[Group, set[Group]],
) -> bool:
    """Merge what can be of ``groups``, which have one domain; whether any two were.

    ``apart`` are pairs that were found to stay apart whatever becomes of others.
    """
    changed = False
    k = 1
    while k < len(groups):
        later = groups[k]
        known = apart.setdefault(later, set())
        for earlier in groups[:k]:
            if earlier in known:
                continue
            if not _related(earlier, later) or not _fits(earlier, later):
                known.add(earlier)
                continue
            merged = _merge(grouping, earlier, later, position, ways)
            if merged is not None:
                del apart[later]
                groups[k] = merged
                groups.remove(earlier)
                changed, k = True, 0
                break
        k += 1
    return changed


class Ways:
    """Which groups are needed by which, directly or not; each has a bit."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._bits: dict[Group, int] = {}
        self._ahead: dict[Group, int] = {}
        for g in groups:
            self._bits[g] = 1 << len(self._bits)
        self._find(groups)

    def _find(self, groups: Sequence[Group]) -> None:
        stack = list(groups)
        while stack:
            g = stack[-1]
            if g in self._ahead:
                stack.pop()
                continue
            waiting = [n for n in g.needs if n not in self._ahead]
            if waiting:
                stack.extend(waiting)
                continue
            found = 0
            for n in g.needs:
                found |= self._ahead[n] | self._bits[n]
            self._ahead[g] = found
            stack.pop()

    def leads_around(self, start: Group, goal: Group) -> bool:
        """Whether ``start`` needs ``goal`` by way of a third group."""
        bit = self._bits[goal]
        return any(self._ahead[n] & bit for n in start.needs if n is not goal)

    def merged(self, group: Group, a: Group, b: Group) -> None:
        """``group`` has taken the place of ``a`` and ``b``."""
        ahead = self._ahead.pop(a) | self._ahead.pop(b)
        either = self._bits[a] | self._bits[b]
        bit = self._bits[group] = 1 << len(self._bits)
        for g, found in self._ahead.items():
            if found & either:
                self._ahead[g] = found | ahead | bit
        self._ahead[group] = ahead


def _related(a: Group, b: Group) -> bool:
    """Whether one reads what the other computes, or both read the same memory."""
    if a in b.needs or b in a.needs:
        return True
    if a.align.keys().isdisjoint(b.align):
        return False
    return any(v in b.align for v in a.align if v.type.ndim)  # type: ignore[attr-defined]


def _merge(
    grouping: Grouping, a: Group, b: Group, position: dict[Variable, int], ways: Ways
) -> Group | None:
    # A way from one to the other through a third group would become a circle.
    if ways.leads_around(b, a) or ways.leads_around(a, b):
        return None
    merged = Group(a.number, "loop", a.domain)
    merged.stage = a.stage
    merged.kind = a.kind if a.kind in TILED else b.kind
    merged.split = a.split if a.split is not None else b.split
    merged.align = {**a.align, **b.align}
    merged.order = a.order or b.order
    members = sorted({*a.members, *b.members}, key=lambda v: position[v])
    if merged.kind in TILED:
        first = (a if a.kind in TILED else b).members[0]
        if any(u in a.members or u in b.members for u in _through(grouping, first)):
            return None
        members.remove(first)
        members.insert(0, first)
    merged.members = members
    merged.row_reductions = sorted(a.row_reductions + b.row_reductions, key=lambda v: position[v])
    merged.serial = sorted(a.serial + b.serial, key=lambda v: position[v])
    merged.terminals = a.terminals + b.terminals
    merged.finishes = {**a.finishes, **b.finishes}
    merged.joined = a.joined | b.joined
    merged.needs = (a.needs | b.needs) - {a, b}
    old_homes = {v: grouping.home[v] for v in members}
    for v in members:
        grouping.home[v] = merged
    if not all(_still_aligned(grouping, merged, v) for v in (*members, *merged.terminals)):
        grouping.home.update(old_homes)
        return None
    for g in grouping.groups:
        if a in g.needs or b in g.needs:
            g.needs = (g.needs - {a, b}) | {merged}
        for t, h in g.finishes.items():
            if h is a or h is b:
                g.finishes[t] = merged
    place = grouping.groups.index(b)
    grouping.groups[place] = merged
    grouping.groups.remove(a)
    ways.merged(merged, a, b)
    return merged


def _through(grouping: Grouping, v: Variable) -> list[Variable]:
    return grouping._sources(v)


def _fits(a: Group, b: Group) -> bool:
    if a.stage != b.stage or (a.kind in TILED and b.kind in TILED):
        return False
    if a.kind in TILED or b.kind in TILED:
        loop = b if a.kind in TILED else a
        if loop.split is not None or loop.terminals or loop.row_reductions or loop.serial:
            return False
        if loop.joined:
            return False
    if a.split is not None and b.split is not None and a.split != b.split:
        return False
    # Reductions within an element belong to groups without rows.
    if (a.serial or b.serial) and (
        a.terminals or b.terminals or a.row_reductions or b.row_reductions
    ):
        return False
    return all(b.align[v] == x for v, x in a.align.items() if v in b.align)


def _still_aligned(grouping: Grouping, group: Group, v: Variable) -> bool:
    """Whether ``v`` reads what the merged group computes only at its own element."""
    node: Any = v.owner
    if v in group.finishes or node is None:
        return True
    if group.order is not None and v in group.order.views[1:]:
        return True
    loop = getattr(node.op, "loop", None)
    if v in group.row_reductions or v in group.terminals:
        x = node.inputs[0]
        found = grouping._combine(group, [x], grouping.sizes.shape(x))
        if isinstance(node.op, SquaredDeviations) and grouping.waits(group, x):
            return False
        return found is not None and _same(found, _expected(group, v, x))
    if v in group.serial or loop in TILED:
        return not any(grouping._reads(u, group) for u in node.inputs)
    found = grouping.own_alignment(v, group)
    return found is not None and found == group.align[v]


def _expected(group: Group, v: Variable, x: Variable) -> Alignment | None:
    return group.align.get(x)


def _same(found: Alignment, expected: Alignment | None) -> bool:
    return expected is None or found == expected
