"""Which rules can match a node: found by its op and by what computes its inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from croton.graph import Apply, Constant, Op, Variable
from croton.rewrite.pattern import (
    AllConstant,
    App,
    Matcher,
    Number,
    Pattern,
    Var,
    matcher,
    variants,
)
from croton.rewrite.rule import ALWAYS, Rule
from croton.tensor.elementwise import Elemwise
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import DimShuffle

# Other names for ops, by which patterns may look for them: "cast" is any conversion,
# "expandable" an op that can say itself in others, "marker" one that hands its input on, and
# "reduce sum" (and so on) a reduction of that kind.

# How many inputs take part in the choice of rules: more would make it long, not sharper.
_LOOKED_AT = 3

Heads = tuple[Any, ...]
Candidate = tuple[Rule, Matcher | None]

_op_heads: dict[Any, Heads] = {}


def heads_of_op(op: Op) -> Heads:
    """The names under which patterns may look for ``op``."""
    kind = type(op)
    key: Any = kind
    if isinstance(op, Elemwise):
        key = (kind, op.name)
    elif isinstance(op, Reduce):
        key = (kind, op.kind)
    found = _op_heads.get(key)
    if found is not None:
        return found
    heads: list[Any] = [c for c in kind.__mro__ if c is not object]
    if isinstance(op, Elemwise):
        heads.insert(0, op.name)
        if op.name.startswith("Cast{"):
            heads.append("cast")
    elif isinstance(op, Reduce):
        heads.insert(0, "reduce " + op.kind)
    if getattr(op, "expand", None) is not None:
        heads.append("expandable")
    if getattr(op, "passes_through", False):
        heads.append("marker")
    found = _op_heads[key] = tuple(heads)
    return found


class RuleSet:
    """Rules that are applied together."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_root: dict[Any, list[tuple[Rule, Pattern]]] = {}
        self._for_constants: list[Rule] = []
        self._chosen: dict[Any, tuple[Candidate, ...]] = {}
        self._matchers: dict[int, Matcher] = {}
        self.numbers: set[Any] = set()
        for rule in rules:
            if isinstance(rule.pattern, AllConstant):
                self._for_constants.append(rule)
                continue
            for p in variants(rule.pattern):
                if not isinstance(p, App):
                    raise TypeError(f"rule {rule.name}: its pattern {p!r} is no application")
                self._by_root.setdefault(p.head, []).append((rule, p))
                self.numbers.update(a.value for a in p.args or () if isinstance(a, Number))
        # Rules keep the order in which they are given, whatever head they are found by.
        self._order = {id(rule): k for k, rule in enumerate(rules)}

    def may_apply(self, nodes: Iterable[Apply]) -> bool:
        """Whether some node is of an op, and its first input of one, that a rule looks for."""
        for node in nodes:
            found = tuple(self.heads(v, None) for v in looked_at(node))
            if any(rule.group != ALWAYS for rule, _ in self.candidates(node, found)):
                return True
        return False

    def heads(self, v: Variable, number: Any) -> Heads:
        """What patterns may call ``v``; ``number`` is its value if it is a uniform constant."""
        if isinstance(v, Constant):
            if number is None:
                return ("array",)
            return ("array", "number", number) if number in self.numbers else ("array", "number")
        owner = v.owner
        if owner is None:
            return ()
        found = heads_of_op(owner.op)
        if isinstance(owner.op, DimShuffle):
            inner = owner.inputs[0].owner
            if inner is not None and isinstance(inner.op, Elemwise):
                return (*found, inner.op.name, Elemwise)
        return found

    def candidates(self, node: Apply, heads: tuple[Heads, ...]) -> tuple[Candidate, ...]:
        """The rules to try on ``node`` whose (first) inputs have these heads, in order."""
        root = heads_of_op(node.op)
        key = (root, heads, len(node.inputs))
        found = self._chosen.get(key)
        if found is None:
            found = self._chosen[key] = self._choose(root, heads, len(node.inputs))
        return found

    def _choose(self, root: Heads, heads: tuple[Heads, ...], count: int) -> tuple[Candidate, ...]:
        chosen: list[tuple[int, Rule, Matcher | None]] = []
        if heads and all("array" in h for h in heads):
            chosen += [(self._order[id(r)], r, None) for r in self._for_constants]
        for head in root:
            for rule, p in self._by_root.get(head, ()):
                if isinstance(p, App) and _may_match(p, heads, count):
                    chosen.append((self._order[id(rule)], rule, self._matcher(p)))
        chosen.sort(key=lambda c: c[0])
        return tuple((rule, m) for _, rule, m in chosen)

    def _matcher(self, p: Pattern) -> Matcher:
        found = self._matchers.get(id(p))
        if found is None:
            found = self._matchers[id(p)] = matcher(p)
        return found


def _may_match(p: App, heads: tuple[Heads, ...], count: int) -> bool:
    if p.args is None:
        return True
    if len(p.args) > count or (len(p.args) < count and not p.rest):
        return False
    for a, h in zip(p.args, heads, strict=False):
        if isinstance(a, App):
            if a.head not in h:
                return False
        elif isinstance(a, Number):
            if "number" not in h or a.value not in h[2:]:
                return False
        elif isinstance(a, Var) and a.constant and "number" not in h:
            return False
    return True


def looked_at(node: Apply) -> Sequence[Variable]:
    """The inputs that take part in the choice of rules."""
    return node.inputs[:_LOOKED_AT]


def select(
    rules: Collection[Rule], groups: frozenset[str], excluding: frozenset[str]
) -> list[Rule]:
    """The rules of ``groups`` (or named there) that are not excluded by name or by group."""
    return [
        r
        for r in rules
        if r.group == ALWAYS
        or (excluding.isdisjoint((r.name, r.group)) and not groups.isdisjoint((r.name, r.group)))
    ]
