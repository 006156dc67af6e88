"""The driver: rules applied from the inputs up, until none applies any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

from croton.graph import Apply, Constant, Variable, trace
from croton.graph.traversal import toposort
from croton.rewrite.intern import Table
from croton.rewrite.pattern import App, Number, Pattern, Var
from croton.rewrite.report import Report
from croton.rewrite.rule import Match, Rule
from croton.rewrite.ruleset import RuleSet, heads_of_op, looked_at
from croton.rewrite.shape import Shapes
from croton.tensor.convert import constant, constant_scalar
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import FUNCTIONS, Elemwise
from croton.tensor.elementwise import cast as cast_to
from croton.tensor.shapes import DimShuffle, dimshuffle
from croton.tensor.type import TensorType

_alloc = Alloc()

# Rewrites allowed before the rules are said to run away: so many, and so many a node.
_FUEL = 2_000
_FUEL_PER_NODE = 50


class RewriteError(Exception):
    """A rule failed, gave what cannot take the place of what it replaces, or ran away."""


class Knowledge:
    """What is known of interned variables, whatever rules are applied."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.shapes = Shapes(table)
        # Held with the variables themselves, so that their identities stay their own.
        self._numbers: dict[int, tuple[Variable, Any]] = {}
        self._functions: dict[int, tuple[Variable, str, Sequence[Variable]]] = {}
        self._serials: dict[int, tuple[Variable, int]] = {}

    def serial(self, v: Variable) -> int:
        """A number for the interned ``v``: the order in which they were asked for."""
        return self._serials.setdefault(id(v), (v, len(self._serials)))[1]

    def number(self, v: Variable) -> Any:
        """The number that every element of the constant ``v`` has, else None."""
        if not isinstance(v, Constant):
            return None
        found = self._numbers.get(id(v))
        if found is None:
            number = constant_scalar(v) if isinstance(v.type, TensorType) else None
            found = self._numbers[id(v)] = (v, number)
        return found[1]

    def arguments(self, v: Variable, head: Any) -> Sequence[Variable] | None:
        """The inputs of the application of ``head`` that computes ``v``, else None.

        Of an elementwise function inside a dimshuffle, the rearranged inputs.
        """
        name, inputs = self.function(v)
        if name == head:
            return inputs
        node = v.owner
        if node is None or head not in heads_of_op(node.op):
            return None
        return node.inputs

    def function(self, v: Variable) -> tuple[str, Sequence[Variable]]:
        """The elementwise function that computes ``v``, and its inputs; else "" and nothing.

        Of a function inside a dimshuffle, the rearranged inputs.
        """
        found = self._functions.get(id(v))
        if found is None:
            found = self._functions[id(v)] = (v, *self._look(v.owner))
        return found[1], found[2]

    def _look(self, node: Apply | None) -> tuple[str, Sequence[Variable]]:
        if node is None:
            return "", ()
        if isinstance(node.op, Elemwise):
            return node.op.name, node.inputs
        inner = node.inputs[0].owner if isinstance(node.op, DimShuffle) else None
        if inner is None or not isinstance(inner.op, Elemwise):
            return "", ()
        order = node.op.new_order  # type: ignore[attr-defined]
        return inner.op.name, [
            self.table.adopt(dimshuffle(i, order), origin=inner) for i in inner.inputs
        ]


class Pass:
    """One set of rules, applied to the nodes of one table."""

    def __init__(self, knowledge: Knowledge, rules: RuleSet, report: Report) -> None:
        self._knowledge = knowledge
        self._table = knowledge.table
        self._rules = rules
        self._report = report
        self._heads: dict[int, tuple[Any, ...]] = {}
        # What a variable has become for good, and what a rule has put in its place so far.
        self._final: dict[int, Variable] = {}
        self._forward: dict[int, Variable] = {}
        # Those that wait for what was put in their place.
        self._waiting: set[int] = set()
        self._by: dict[int, str] = {}
        self._rewrites = 0
        self._uses: dict[int, int] = {}
        self.number = knowledge.number
        self.arguments = knowledge.arguments
        self.function = knowledge.function
        self.serial = knowledge.serial

    def count_uses(self, outputs: Iterable[Variable]) -> None:
        """Count how often each variable is used on the way to ``outputs``."""
        outputs = list(outputs)
        uses = self._uses
        for v in outputs:
            uses[id(v)] = uses.get(id(v), 0) + 1
        for node in toposort(outputs):
            for i in node.inputs:
                uses[id(i)] = uses.get(id(i), 0) + 1

    def uses(self, v: Variable) -> int:
        """How often ``v`` was used when the pass began; 0 for what is new since."""
        return self._uses.get(id(v), 0)

    def _used_for(self, old: Variable, new: Variable) -> None:
        if new is not old:
            self._uses[id(new)] = self._uses.get(id(new), 0) + self._uses.get(id(old), 0)

    def leave(self, variables: Iterable[Variable]) -> None:
        """Take interned variables as they are."""
        for v in variables:
            self._final[id(v)] = v

    def sizes(self, v: Variable) -> tuple[Any, ...]:
        """The sizes of ``v``, simplified by this pass."""
        return self._knowledge.shapes.of(v, self.simplify)

    def simplified(self, v: Variable) -> Variable:
        """Any expression over interned variables, interned and simplified."""
        return self.simplify(self._table.adopt(v))

    def simplify(self, root: Variable) -> Variable:
        """What an interned variable becomes when no rule applies any more."""
        final, forward = self._final, self._forward
        stack = [root]
        while stack:
            v = stack[-1]
            if id(v) in final:
                stack.pop()
                continue
            node = v.owner
            if node is None:
                final[id(v)] = v
                stack.pop()
                continue
            became = forward.get(id(v))
            if became is not None:
                if id(became) in final:
                    final[id(v)] = final[id(became)]
                    stack.pop()
                else:
                    self._waiting.add(id(v))
                    self._enter(became, stack)
                continue
            waiting = [i for i in node.inputs if id(i) not in final]
            if waiting:
                for i in reversed(waiting):
                    self._enter(i, stack)
                continue
            inputs = [final[id(i)] for i in node.inputs]
            if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
                new = self._table.apply(node.op, inputs, like=node)
                for old, out in zip(node.outputs, new.outputs, strict=True):
                    forward[id(old)] = _sharp_as(old, out, self._table)
                    self._used_for(old, out)
                continue
            replaced = self._apply_rules(node)
            if replaced is None:
                for out in node.outputs:
                    final[id(out)] = out
            else:
                for out, new_out in zip(node.outputs, replaced, strict=True):
                    forward[id(out)] = new_out
                    self._used_for(out, new_out)
        return final[id(root)]

    def _enter(self, v: Variable, stack: list[Variable]) -> None:
        if id(v) in self._waiting and id(v) not in self._final:
            names = {self._by[id(u)] for u in stack if id(u) in self._by}
            raise RewriteError(
                f"the rules {', '.join(sorted(names))} lead from {v} back to itself"
                + trace.describe(v.made_at)
            )
        stack.append(v)

    def _apply_rules(self, node: Apply) -> list[Variable] | None:
        heads = self._heads
        found = []
        for i in looked_at(node):
            h = heads.get(id(i))
            if h is None:
                h = heads[id(i)] = self._rules.heads(i, self.number(i))
            found.append(h)
        for rule, match in self._rules.candidates(node, tuple(found)):
            start = perf_counter()
            result = self._try(rule, match, node)
            self._report.add(rule, perf_counter() - start, result is not None)
            if result is not None:
                self._count(rule)
                for out in node.outputs:
                    self._by[id(out)] = rule.name
                return result
        return None

    def _count(self, rule: Rule) -> None:
        self._rewrites += 1
        if self._rewrites > _FUEL + _FUEL_PER_NODE * self._report.nodes_before:
            hits = self._report.hits
            most = max(hits, key=lambda name: hits[name])
            raise RewriteError(
                f"after {self._rewrites} rewrites of a graph of {self._report.nodes_before} nodes "
                f"there is no end: the rule {most} applied {hits[most]} times, {rule.name} last"
            )

    def _try(self, rule: Rule, match: Any, node: Apply) -> list[Variable] | None:
        bound: dict[str, Any] = {}
        if match is not None and not match(node.outputs[0], bound, self):
            return None
        m = Match(node, bound, self)
        try:
            if rule.when is not None and not rule.when(m):
                return None
            if isinstance(rule.replacement, Pattern):
                given: Any = self._build(rule.replacement, m)
            else:
                given = rule.replacement(m)
            if given is None:
                return None
            results = given if isinstance(given, list | tuple) else [given]
            if len(results) != len(node.outputs):
                raise RewriteError(f"expected {len(node.outputs)} replacements, got {len(results)}")
            adopted = [
                self._fit(self._table.adopt(r, origin=node), out)
                for r, out in zip(results, node.outputs, strict=True)
            ]
        except RewriteError as error:
            raise RewriteError(f"rule {rule.name} on {node}: {error}") from None
        except Exception as error:
            raise RewriteError(
                f"rule {rule.name} failed on {node}: {type(error).__name__}: {error}"
                + trace.describe(node.made_at)
            ) from error
        if all(a is b for a, b in zip(adopted, node.outputs, strict=True)):
            return None
        return adopted

    def _build(self, p: Pattern, m: Match) -> Variable:
        if isinstance(p, Var):
            return m.bound[p.name]  # type: ignore[no-any-return]
        if isinstance(p, Number):
            data = constant(p.value, ndim=m.out.type.ndim, dtype=m.out.type.dtype)
            return self._table.adopt(data)
        if not isinstance(p, App) or p.args is None:
            raise RewriteError(f"{p!r} cannot be built")
        # A number takes the dtype and rank of its neighbour.
        first: Any = self._build(next(a for a in p.args if not isinstance(a, Number)), m)
        whole = [
            self._table.adopt(constant(a.value, ndim=first.type.ndim, dtype=first.type.dtype))
            if isinstance(a, Number)
            else self._build(a, m)
            for a in p.args
        ]
        op = m.bound[p.bind] if p.bind is not None else FUNCTIONS[str(p.head)].op  # type: ignore[attr-defined]
        return self._table.apply(op, whole, origin=m.node).outputs[0]

    def _fit(self, new: Any, old: Any) -> Variable:
        """``new`` with the shape of ``old``, where it has been broadcast less or is known less."""
        if new is old or new.type == old.type:
            self._name(new, old)
            return new  # type: ignore[no-any-return]
        if not isinstance(old.type, TensorType) or not isinstance(new.type, TensorType):
            raise RewriteError(f"a {new.type} cannot take the place of a {old.type}")
        if new.type.dtype != old.type.dtype:
            raise RewriteError(
                f"expected dtype {old.type.dtype}, the replacement has {new.type.dtype}"
            )
        if new.type.ndim != old.type.ndim:
            raise RewriteError(
                f"expected rank {old.type.ndim}, the replacement has {new.type.ndim}"
            )
        pairs = list(zip(new.type.shape, old.type.shape, strict=True))
        if any(n == 1 and o != 1 for n, o in pairs):
            sizes = self.sizes(old)
            new = self._table.apply(_alloc, [new, *sizes], origin=old.owner).outputs[0]
        fitted = _sharp_as(old, new, self._table)
        self._name(fitted, old)
        return fitted

    @staticmethod
    def _name(new: Variable, old: Variable) -> None:
        if new.name is None and old.name is not None and new.owner is not None:
            new.name = old.name


def _sharp_as(old: Any, new: Any, table: Table) -> Variable:
    """``new``, with a promise of the sizes that are known of ``old`` only."""
    if new.type == old.type or not isinstance(new.type, TensorType):
        return new  # type: ignore[no-any-return]
    promised = [
        o if n is None else None for n, o in zip(new.type.shape, old.type.shape, strict=True)
    ]
    if all(n is None for n in promised):
        return new  # type: ignore[no-any-return]
    return table.adopt(new.specify_shape(promised), origin=old.owner)


def convert(v: Any, dtype: str) -> Any:
    """``v`` as ``dtype``: a constant stays one."""
    if v.type.dtype == dtype:
        return v
    if isinstance(v, Constant):
        return constant(v.data.astype(dtype))
    return cast_to(v, dtype)
