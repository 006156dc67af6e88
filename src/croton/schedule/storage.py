"""Which values must be in memory, and the order in which groups run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from croton.graph.variable import Constant, Variable
from croton.schedule.group import Group
from croton.schedule.groups import Grouping
from croton.schedule.views import cost, is_cheap, is_free
from croton.tensor.convert import constant_scalar
from croton.tensor.shapes import Reshape, Shape_i

_CHEAP_TOTAL = 3


class Storage:
    """Decides what is stored: values that another group, or the outside, reads and cannot make
    again for less."""

    def __init__(self, grouping: Grouping, wanted: Sequence[Variable]) -> None:
        self.grouping = grouping
        self.sizes = grouping.sizes
        self.stored: set[Variable] = set()
        self.order: list[Group] = []
        for v in wanted:
            self._need(v)
        for v in grouping.forced:
            self._need(v)
        for atom in self.sizes.atoms:
            if atom.kind == "value":
                self._need(atom.what)
        # Groups that read come behind those they read from; going backwards,
        # what a group's readers need is known before its own sources are.
        for group in reversed(self._by_needs(grouping.groups)):
            if self._is_used(group):
                self._walk(group)
        self.groups = [g for g in grouping.groups if self._is_used(g)]

    def _need(self, v: Variable) -> None:
        if v.owner is not None and not (self.sizes.is_host(v) and v not in self.grouping.home):
            source = self._source(v)
            if source is not None:
                self._need(source)
                return
            self.stored.add(v)

    def _is_used(self, group: Group) -> bool:
        if any(v in self.stored for v in group.members) or group.kind in ("host", "scan"):
            return True
        return any(
            t in other.members and self._is_used(other)
            for t in group.terminals
            for other in self.grouping.groups
            if t in other.finishes
        )

    def memory(self, v: Variable) -> Any:
        """The key of the memory in which ``v`` lies, None if it is computed where used."""
        if v in self.stored:
            return v
        owner = v.owner
        if owner is None:
            known = isinstance(v, Constant) and constant_scalar(v) is not None
            return None if known and v not in self.grouping.forced else v
        if v in self.grouping.parts:
            return v
        source = self._source(v)
        return None if source is None else self.memory(source)

    def root(self, v: Variable) -> Any:
        """The key of the memory that ``v`` lies in or is a part of; None as for ``memory``."""
        key = self.memory(v)
        while key in self.grouping.parts:
            key = self.memory(self.grouping.parts[key])
        return key

    def _source(self, v: Variable) -> Variable | None:
        """What ``v`` is only another view of: its memory in another shape, or some of its rows."""
        if v.owner is None or v in self.grouping.home:
            return None
        if v in self.grouping.parts or isinstance(v.owner.op, Reshape):
            return v.owner.inputs[0]
        return None

    def _walk(self, group: Group) -> None:
        """Mark what the group reads from others and does not compute again."""
        members = set(group.members) | set(group.terminals)
        seen: set[Variable] = set()
        stack = [v for v in (*group.members, *group.terminals)]
        if group.kind == "loop":
            # Members that only serve stores in this group are reached from these.
            stack = [v for v in stack if v in self.stored or v in group.terminals]
            stack += group.row_reductions + group.serial
        while stack:
            v = stack.pop()
            if v in seen or v.owner is None:
                continue
            seen.add(v)
            inside = v in members
            if v in group.finishes and inside and v not in group.terminals:
                continue
            for u in v.owner.inputs:
                if u.owner is None or isinstance(v.owner.op, Shape_i):
                    continue
                if u in members and u not in group.terminals:
                    stack.append(u)
                    continue
                home = self.grouping.home.get(u)
                if home is None:
                    source = self._source(u)
                    if source is not None:
                        self._need(source)
                    elif not self.sizes.is_host(u):
                        stack.append(u)
                    continue
                if u in self.stored:
                    continue
                if self._again(u, group):
                    stack.append(u)
                else:
                    self._need(u)

    def _again(self, u: Variable, group: Group) -> bool:
        """Whether computing ``u`` in ``group`` again is worth no memory."""
        if group.kind in ("host", "scan", "scatter"):
            return False
        seen: set[Variable] = set()
        total, loads, stack = 0, 0, [u]
        while stack:
            v = stack.pop()
            if v in seen:
                continue
            seen.add(v)
            if v.owner is None or v in self.stored or self.sizes.is_host(v):
                loads += 1 if v.type.ndim and not isinstance(v, Constant) else 0  # type: ignore[attr-defined]
                continue
            if not is_cheap(v.owner.op) or (is_free(v.owner.op) and len(v.owner.inputs) > 2):
                return False
            total += cost(v.owner.op)
            if total > _CHEAP_TOTAL or loads > 1:
                return False
            stack.extend(v.owner.inputs)
        return loads <= 1

    def _by_needs(self, groups: Sequence[Group]) -> list[Group]:
        return order_groups(groups, lambda g: False)


def order_groups(groups: Collection[Group], late: Callable[[Group], bool]) -> list[Group]:
    """The groups in an order in which each follows those it needs; ``late`` ones when nothing else
    is left."""
    left = list(groups)
    needs = _needs_of(left)
    done: set[Group] = set()
    order: list[Group] = []
    while left:
        ready = [g for g in left if needs[g] <= done]
        if not ready:
            raise AssertionError(f"groups in a circle: {left}")
        chosen = next((g for g in ready if not late(g)), ready[0])
        order.append(chosen)
        done.add(chosen)
        left.remove(chosen)
    return order


def _needs_of(groups: Sequence[Group]) -> dict[Group, set[Group]]:
    """For each of ``groups`` those among them that it needs, be it through one that is left out."""
    known = set(groups)
    found: dict[Group, set[Group]] = {}
    for g in groups:
        needed: set[Group] = set()
        seen: set[Group] = set()
        stack = list(g.needs)
        while stack:
            n = stack.pop()
            if n in known:
                needed.add(n)
            elif n not in seen:
                seen.add(n)
                stack.extend(n.needs)
        found[g] = needed
    return found
