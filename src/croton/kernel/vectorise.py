"""Making the lanes of vector loops explicit.

A loop of kind ``"vector"`` becomes a main loop over whole vectors and a second
one for the rest, a register at a time, masked where it ends.  A vector of the
main loop spans ``interleave`` registers: the renderer's back end splits it,
which gives independent chains of instructions without writing them out.

Accumulators get one vector each, whose lanes are combined behind the loop.
Float sums are kept short: every 32 iterations the vector goes, with its
rounding error, into a second pair of vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from croton.kernel import build
from croton.kernel.accumulate import REDUCTIONS, Sum, fold, fold_best, identity
from croton.kernel.lanes import Hoist, Lanes, size_of
from croton.kernel.machine import Machine
from croton.kernel.multiples import Multiples
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Best,
    Body,
    Const,
    Expr,
    For,
    Function,
    If,
    Let,
    Local,
    Op,
    Outlined,
    Stmt,
    Store,
    Var,
    While,
    walk_statements,
)
from croton.kernel.ops import FUNCTIONS
from croton.kernel.philox import NEIGHBOURS
from croton.kernel.uniform import Facts, Unsupported, constant

#: How many vectors are added up before the sum is put away.
RUN = 32


def vectorise(
    function: Function,
    machine: Machine,
    *,
    interleave: int = 2,
    report: list[str] | None = None,
) -> Function:
    """``function`` with explicit lanes in its vector loops.

    A loop that cannot run in lanes becomes ``"serial"``, and the reason is
    added to ``report``.
    """
    report = [] if report is None else report
    body = _body(function.body, _Names(function), machine, interleave, report)
    return function._replace(body=body)


class _Names:
    """Fresh names for what the vectoriser adds, and what is known of those there are."""

    def __init__(self, function: Function) -> None:
        self.multiples = Multiples(function)
        self.padded = frozenset(
            s.buffer.name
            for s in walk_statements(function.body)
            if isinstance(s, Allocate) and s.padded
        )
        self.taken = {"lo", "hi", *(b.name for b in function.buffers)}
        self.taken.update(s.name for s in function.sizes)
        for s in walk_statements(function.body):
            if isinstance(s, For | Let | Local):
                self.taken.add(s.var.name)

    def __call__(self, base: str) -> str:
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}{number}"
        self.taken.add(name)
        return name


def _body(body: Body, names: _Names, machine: Machine, interleave: int, report: list[str]) -> Body:
    result: list[Stmt] = []
    for s in body:
        if isinstance(s, If):
            then = _body(s.body, names, machine, interleave, report)
            otherwise = _body(s.orelse, names, machine, interleave, report)
            result.append(If(s.condition, then, otherwise))
        elif isinstance(s, While):
            result.append(While(s.condition, _body(s.body, names, machine, interleave, report)))
        elif isinstance(s, Outlined):
            result.append(Outlined(_body(s.body, names, machine, interleave, report)))
        elif isinstance(s, For):
            kind = s.kind
            if kind == "vector":
                try:
                    result.extend(_Loop(s, names, machine, interleave).statements())
                    continue
                except Unsupported as reason:
                    report.append(f"the loop over {s.var.name!r} is serial: {reason}")
                    kind = "serial"
            inner = _body(s.body, names, machine, interleave, report)
            result.append(For(s.var, s.start, s.stop, inner, kind, s.step))
        else:
            result.append(s)
    return tuple(result)


class _Loop:
    """One vector loop on its way to lanes."""

    def __init__(self, loop: For, names: _Names, machine: Machine, interleave: int) -> None:
        self.loop = loop
        self.names = names
        self.facts = Facts(loop)
        self.count = build.sub(loop.stop, loop.start)
        self.single = machine.lanes(element_size(loop))
        self.lanes = self._width(machine, interleave)
        self.narrow = self._narrow()
        self.outer = self._outer()
        self.wide = self._accumulators("lanes", self.lanes)
        same = self.narrow == self.lanes
        self.rest = self.wide if same else self._accumulators("rest", self.narrow)

    def _accumulators(self, suffix: str, lanes: int) -> dict[str, Var]:
        return {
            name: Var(self.names(f"{name}_{suffix}"), var.dtype, lanes)
            for name, var in self.outer.items()
        }

    def _outer(self) -> dict[str, Var]:
        """The variables from outside that the loop assigns."""
        found: dict[str, Var] = {}
        for s in walk_statements(self.loop.body):
            variables = [s.var] if isinstance(s, Assign) else []
            if isinstance(s, Best):
                variables = [s.var, s.where]
            found.update((v.name, v) for v in variables if v.name in self.facts.outer_assigned)
        return found

    def _width(self, machine: Machine, interleave: int) -> int:
        names = {node.name for node in _values(self.loop.body) if isinstance(node, Op)}
        if names & FUNCTIONS:
            # Their temporaries fill a small set of registers.
            interleave = interleave if machine.registers > 16 else 1
        elif self.facts.outer_assigned and sum(1 for _ in _values(self.loop.body)) <= 12:
            # Additions wait for each other; there is room for more of them.
            interleave = max(interleave, 4)
        lanes = self.single * interleave
        if "philox" in names:
            # So many neighbours share their evaluations.
            lanes = max(lanes, NEIGHBOURS)
        count = constant(self.count)
        while count is not None and lanes // 2 >= max(count, 1):
            lanes //= 2
        return lanes

    def _narrow(self) -> int:
        """The lanes of what whole vectors leave over: a register, or less if that is known."""
        lanes, count = min(self.single, self.lanes), constant(self.count)
        rest = count % self.lanes if count is not None else lanes
        while rest and lanes // 2 >= rest:
            lanes //= 2
        return lanes

    def statements(self) -> Body:
        """What replaces the loop."""
        loop, lanes = self.loop, self.lanes
        count = constant(self.count)
        if count is not None and count <= 0:
            return ()
        result: list[Stmt] = []
        multiples = self.names.multiples
        multiples.assume(loop.var.name, math.gcd(multiples.of(loop.start), lanes))
        bounds: list[Stmt] = []
        start, stop = (self._name(e, bounds) for e in (loop.start, loop.stop))
        loop = self.loop = For(loop.var, start, stop, loop.body, loop.kind)
        self.count = build.sub(stop, start)
        hoist = Hoist(self.facts, self.names)
        whole = build.mul(
            build.op(
                "floordiv", build.op("maximum", self.count, build.index(0)), build.index(lanes)
            ),
            build.index(lanes),
        )
        end = self._name(build.add(loop.start, whole), result)
        main: list[Stmt] = []
        if count is None or count >= lanes:
            writer = Lanes(self.facts, lanes, self.wide, hoist, self.names, multiples)
            main.extend(self._main(writer.body(loop.body, None), end))
        if count is None or count % lanes:
            padded = self.names.padded
            writer = Lanes(self.facts, self.narrow, self.rest, hoist, self.names, multiples, padded)
            main.append(self._tail(writer, end))
        result += [*self._start(self.rest), *hoist.lets, *main, *self._finish()]
        if hoist.lets:
            # What was moved out of the loop must not run, or be seen, outside of this.
            return (*bounds, If(build.op("lt", loop.start, loop.stop), tuple(result)))
        return (*bounds, *result)

    def _name(self, e: Expr, result: list[Stmt]) -> Expr:
        """A bound of the loop, evaluated once."""
        if isinstance(e, Const | Var):
            return e
        name = Var(self.names("bound"))
        result.append(Let(name, e))
        return name

    # -- the parts ---------------------------------------------------------------------

    def _start(self, accumulators: dict[str, Var]) -> list[Stmt]:
        result: list[Stmt] = []
        for name, var in accumulators.items():
            family = self.facts.families.get(name)
            if family is None:
                first: Expr = build.broadcast(Var(name, var.dtype), var.lanes)
            else:
                first = build.const(identity(family, var.dtype), var.dtype, var.lanes)
            result.append(Local(var, first))
        return result

    def _main(self, body: Body, end: Expr) -> list[Stmt]:
        """The loop over whole vectors; what it accumulates ends in the narrow accumulators."""
        loop, step = self.loop, build.index(self.lanes)
        count = constant(self.count)
        sums = [
            Sum(self.wide[name], self.names)
            for name, family in self.facts.families.items()
            if family == "add" and self.wide[name].dtype in ("float32", "float64")
        ]
        result = [] if self.wide is self.rest else self._start(self.wide)
        if not sums or (count is not None and count <= RUN * self.lanes):
            result.append(For(loop.var, loop.start, end, body, "serial", step))
        else:
            block, last = Var(self.names("block")), Var(self.names("last"))
            stride = build.index(RUN * self.lanes)
            flush = tuple(s for part in sums for s in part.flush(self.names))
            inner: Body = (
                Let(last, build.op("minimum", build.add(block, stride), end)),
                For(loop.var, block, last, body, "serial", step),
                If(build.op("lt", last, end), flush),
            )
            result += [s for part in sums for s in part.start()]
            result.append(For(block, loop.start, end, inner, "serial", stride))
            result += [part.finish() for part in sums]
        if self.wide is not self.rest:
            result += self._narrowed()
        if len(result) == 1:
            return result
        return [If(build.op("lt", loop.start, end), tuple(result))]

    def _narrowed(self) -> list[Stmt]:
        result: list[Stmt] = []
        for name, var in self.wide.items():
            family = self.facts.families.get(name)
            if family is not None:
                result.append(Assign(self.rest[name], fold(family, var, self.narrow)))
        for best in self._bests():
            value, where = self.wide[best.var.name], self.wide[best.where.name]
            lets, top, at = fold_best(best, value, where, self.narrow, self.names)
            result += lets
            result.append(Assign(self.rest[best.var.name], top))
            result.append(Assign(self.rest[best.where.name], at))
        return result

    def _bests(self) -> list[Best]:
        return list({id(b): b for b in self.facts.best.values()}.values())

    def _tail(self, writer: Lanes, end: Expr) -> Stmt:
        """What is left, a register at a time; the last one in part."""
        loop, lanes = self.loop, self.narrow
        count = constant(self.count)
        if count is not None and count % lanes == 0:
            body = writer.body(loop.body, None)
        else:
            counter = "int32" if element_size(loop) >= 4 else "int16"
            rest = build.cast(build.sub(loop.stop, loop.var), counter)
            numbers = build.ramp(build.const(0, counter), lanes)
            mask = Var(self.names("rest"), "bool", lanes)
            inside = build.op("lt", numbers, build.broadcast(rest, lanes))
            body = (Let(mask, inside), *writer.body(loop.body, mask))
        if lanes == self.lanes:
            return If(build.op("lt", end, loop.stop), (Let(loop.var, end), *body))
        return For(loop.var, end, loop.stop, body, "serial", build.index(lanes))

    def _finish(self) -> list[Stmt]:
        result: list[Stmt] = []
        for name, var in self.rest.items():
            family = self.facts.families.get(name)
            if family is not None:
                outer = Var(name, var.dtype)
                total = build.reduce_lanes(REDUCTIONS[family], var)
                result.append(Assign(outer, build.op(family, outer, total)))
        for best in self._bests():
            value, where = self.rest[best.var.name], self.rest[best.where.name]
            lets, top, at = fold_best(best, value, where, 1, self.names)
            result += [*lets, Assign(best.var, top), Assign(best.where, at)]
        return result


def _values(body: Body) -> Iterator[Expr]:
    """The nodes of what a body computes, without its indices."""
    done: set[int] = set()
    for s in walk_statements(body):
        if isinstance(s, For | If) or (isinstance(s, Let) and s.var.dtype == "int64"):
            continue
        stack = [s.value] if isinstance(s, Let | Local | Assign | Store | Best) else []
        while stack:
            node = stack.pop()
            if id(node) not in done:
                done.add(id(node))
                yield node
                if isinstance(node, Op):
                    stack.extend(node.args)


def element_size(loop: For) -> int:
    """The bytes of the elements that decide how many lanes the loop has.

    The smallest float, but of no less than four bytes where there is one; without
    floats the smallest of at least four bytes; else the largest.  Indices do not count.
    """
    dtypes = {node.dtype for node in _values(loop.body)}
    numbers = {t for t in dtypes if "float" in t} or dtypes - {"bool"} or {"bool"}
    sizes = sorted(size_of(t) for t in numbers)
    return next((n for n in sizes if n >= 4), sizes[-1])
