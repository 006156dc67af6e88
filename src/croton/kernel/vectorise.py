"""Making the lanes of vector loops explicit.

A loop of kind ``"vector"`` becomes a main loop over whole vectors and one
masked iteration for the rest.  A vector here spans ``interleave`` registers:
the renderer's back end splits it, which gives independent chains of
instructions without writing them out.

Accumulators get one vector each, whose lanes are combined behind the loop.
Float sums are kept short: every 32 iterations the vector goes, with its
rounding error, into a second pair of vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from croton.kernel import build
from croton.kernel.lanes import Hoist, Lanes, size_of
from croton.kernel.machine import Machine
from croton.kernel.multiples import Multiples
from croton.kernel.nodes import (
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
    Stmt,
    Store,
    Var,
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
        self.lanes = self._width(machine, interleave)
        self.accumulators = {
            name: Var(names(f"{name}_lanes"), var.dtype, self.lanes)
            for name, var in self._outer().items()
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
        lanes = machine.lanes(element_size(self.loop)) * interleave
        if "philox" in names:
            # So many neighbours share their evaluations.
            lanes = max(lanes, NEIGHBOURS)
        count = constant(self.count)
        while count is not None and lanes // 2 >= max(count, 1):
            lanes //= 2
        return lanes

    def statements(self) -> Body:
        """What replaces the loop."""
        loop, facts, lanes = self.loop, self.facts, self.lanes
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
        hoist = Hoist(facts, self.names)
        writer = Lanes(facts, lanes, self.accumulators, hoist, self.names, multiples)
        whole = build.mul(
            build.op(
                "floordiv", build.op("maximum", self.count, build.index(0)), build.index(lanes)
            ),
            build.index(lanes),
        )
        end = self._name(build.add(loop.start, whole), result)
        main: list[Stmt] = []
        if count is None or count >= lanes:
            main.extend(self._main(writer.body(loop.body, None), end))
        if count is None or count % lanes:
            main.append(If(build.op("lt", end, loop.stop), self._tail(writer, end)))
        result += [*self._start(), *hoist.lets, *main, *self._finish()]
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

    def _start(self) -> list[Stmt]:
        result: list[Stmt] = []
        for name, var in self.accumulators.items():
            family = self.facts.families.get(name)
            if family is None:
                first: Expr = build.broadcast(Var(name, var.dtype), self.lanes)
            else:
                first = build.const(identity(family, var.dtype), var.dtype, self.lanes)
            result.append(Local(var, first))
        return result

    def _main(self, body: Body, end: Expr) -> list[Stmt]:
        loop, step = self.loop, build.index(self.lanes)
        count = constant(self.count)
        sums = [
            self.accumulators[name]
            for name, family in self.facts.families.items()
            if family == "add" and self.accumulators[name].dtype in ("float32", "float64")
        ]
        if not sums or (count is not None and count <= RUN * self.lanes):
            return [For(loop.var, loop.start, end, body, "serial", step)]
        pairs = [_Sum(var, self.names) for var in sums]
        block, last = Var(self.names("block")), Var(self.names("last"))
        stride = build.index(RUN * self.lanes)
        flush = tuple(s for pair in pairs for s in pair.flush(self.names))
        inner: Body = (
            Let(last, build.op("minimum", build.add(block, stride), end)),
            For(loop.var, block, last, body, "serial", step),
            If(build.op("lt", last, end), flush),
        )
        whole: Body = (
            *(s for pair in pairs for s in pair.start()),
            For(block, loop.start, end, inner, "serial", stride),
            *(pair.finish() for pair in pairs),
        )
        return [If(build.op("lt", loop.start, end), whole)]

    def _tail(self, writer: Lanes, end: Expr) -> Body:
        narrow = "int32" if element_size(self.loop) >= 4 else "int16"
        rest = build.cast(build.sub(self.loop.stop, end), narrow)
        lanes = build.ramp(build.const(0, narrow), self.lanes)
        mask = Var(self.names("rest"), "bool", self.lanes)
        inside = build.op("lt", lanes, build.broadcast(rest, self.lanes))
        body = writer.body(self.loop.body, mask)
        return (Let(self.loop.var, end), Let(mask, inside), *body)

    def _finish(self) -> list[Stmt]:
        result: list[Stmt] = []
        done: set[str] = set()
        for name, var in self.accumulators.items():
            family = self.facts.families.get(name)
            if family is not None:
                outer = Var(name, var.dtype)
                total = build.reduce_lanes(_REDUCTIONS[family], var)
                result.append(Assign(outer, build.op(family, outer, total)))
            elif name not in done:
                best = self.facts.best[name]
                done.update((best.var.name, best.where.name))
                result.extend(self._best_lane(best))
        return result

    def _best_lane(self, best: Best) -> list[Stmt]:
        """Halve the lanes until the best is left; of equals the first index wins."""
        result: list[Stmt] = []
        value: Expr = self.accumulators[best.var.name]
        where: Expr = self.accumulators[best.where.name]
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            low, high = tuple(range(lanes)), tuple(range(lanes, 2 * lanes))
            a, b = (self._let(result, best.var, _part(value, part)) for part in (low, high))
            i, j = (self._let(result, best.where, _part(where, part)) for part in (low, high))
            better = build.op("gt" if best.largest else "lt", b, a)
            same = build.op("eq", a, b)
            if "float" in value.dtype:
                a_nan, b_nan = build.op("ne", a, a), build.op("ne", b, b)
                only = build.op("and", b_nan, build.op("not", a_nan))
                better = build.op("or", better, only)
                same = build.op("or", same, build.op("and", a_nan, b_nan))
            earlier = build.op("and", same, build.op("lt", j, i))
            test = Var(self.names("better"), "bool", lanes)
            result.append(Let(test, build.op("or", better, earlier)))
            value = self._let(result, best.var, build.select(test, b, a))
            where = self._let(result, best.where, build.select(test, j, i))
        return [*result, Assign(best.var, value), Assign(best.where, where)]

    def _let(self, result: list[Stmt], like: Var, value: Expr) -> Var:
        """Name ``value`` after the variable that it may become."""
        var = Var(self.names(f"{like.name}_half"), value.dtype, value.lanes)
        result.append(Let(var, value))
        return var


class _Sum:
    """Where the sums of finished runs go: their total, and what it lost by rounding."""

    def __init__(self, run: Var, names: _Names) -> None:
        self.run = run
        self.total = Var(names(f"{run.name}_total"), run.dtype, run.lanes)
        self.lost = Var(names(f"{run.name}_lost"), run.dtype, run.lanes)
        self.zero = build.const(-0.0, run.dtype, run.lanes)

    def start(self) -> list[Stmt]:
        return [Local(self.total, self.zero), Local(self.lost, self.zero)]

    def flush(self, names: _Names) -> list[Stmt]:
        """Add the run to the total, and the exact error of that to what is lost."""
        run, total, lost = self.run, self.total, self.lost
        new = Var(names(f"{run.name}_new"), run.dtype, run.lanes)
        part = Var(names(f"{run.name}_part"), run.dtype, run.lanes)
        of_total = _exact("sub", total, _exact("sub", new, part))
        of_run = _exact("sub", run, part)
        return [
            Let(new, _exact("add", total, run)),
            Let(part, _exact("sub", new, total)),
            Assign(lost, _exact("add", lost, _exact("add", of_total, of_run))),
            Assign(total, new),
            Assign(run, self.zero),
        ]

    def finish(self) -> Stmt:
        """All of it back into the run; a total of infinity, or of zeros, has lost nothing."""
        total, zero = self.total, build.const(0.0, self.total.dtype)
        finite = build.op("eq", _exact("sub", total, total), zero)
        some = build.op("and", finite, build.op("ne", self.lost, zero))
        whole = build.select(some, _exact("add", total, self.lost), total)
        return Assign(self.run, _exact("add", self.run, whole))


def _exact(name: str, a: Expr, b: Expr) -> Expr:
    return Op(name, (a, b), a.dtype, a.lanes, ("exact",))


def _part(e: Expr, lanes: tuple[int, ...]) -> Expr:
    return build.extract(e, lanes[0]) if len(lanes) == 1 else build.shuffle(e, e, lanes)


_REDUCTIONS = {
    "add": "add",
    "mul": "mul",
    "maximum": "max",
    "minimum": "min",
    "and": "and",
    "or": "or",
    "xor": "xor",
}


def identity(family: str, dtype: str) -> float | int | bool:
    """What changes nothing when it is combined."""
    if family == "mul":
        return True if dtype == "bool" else 1
    if family == "add":
        return -0.0 if "float" in dtype else 0
    if family in ("or", "xor"):
        return False if dtype == "bool" else 0
    if family == "and":
        return (
            True if dtype == "bool" else (-1 if dtype[0] == "i" else (1 << 8 * size_of(dtype)) - 1)
        )
    low, high = _range(dtype)
    return low if family == "maximum" else high


def _range(dtype: str) -> tuple[float | int, float | int]:
    if dtype == "bool":
        return False, True
    if "float" in dtype:
        return -math.inf, math.inf
    bits = 8 * size_of(dtype)
    if dtype[0] == "u":
        return 0, (1 << bits) - 1
    return -(1 << bits - 1), (1 << bits - 1) - 1


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
