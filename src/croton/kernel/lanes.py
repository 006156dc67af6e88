"""The body of a vector loop, said for all of its lanes at once."""

from __future__ import annotations

from collections.abc import Callable

from croton.kernel import build
from croton.kernel.multiples import Multiples
from croton.kernel.nodes import (
    Assign,
    Best,
    Body,
    Const,
    Expr,
    Fail,
    For,
    If,
    Let,
    Load,
    Local,
    Op,
    Prefetch,
    Stmt,
    Store,
    Var,
    walk_statements,
)
from croton.kernel.text import expression_text
from croton.kernel.uniform import (
    Facts,
    Unsupported,
    constant,
    operands,
    post_order,
    statement_expressions,
)

_LINE = 64
#: Strides that loads of neighbours serve better than a gather.
_STEPS = (2, 3, 4)
_EXTREMES = ("maximum", "minimum")
_LOWEST = -(1 << 63)


class Hoist:
    """Values that are the same in every iteration, named once before the loop."""

    def __init__(self, facts: Facts, fresh: Callable[[str], str]) -> None:
        self.facts = facts
        self.fresh = fresh
        self.lets: list[Let] = []
        self.loads = False
        self._names: set[str] = set()
        self._known: dict[int, tuple[Expr, Var]] = {}
        self._steps: dict[tuple[str, int], Expr] = {}

    def movable(self, e: Expr, conditional: bool) -> bool:
        """Whether ``e`` may be computed before the loop; no load that might not run is."""
        facts = self.facts
        known: dict[int, bool] = {}
        has_load = False
        for node in post_order(e, known):
            if isinstance(node, Var):
                fixed = node.name not in facts.bound or node.name in self._names
                known[id(node)] = fixed and node.name not in facts.outer_assigned
            elif isinstance(node, Load):
                has_load = True
                inner = all(known[id(a)] for a in operands(node))
                known[id(node)] = inner and node.buffer.name not in facts.stored
            else:
                known[id(node)] = all(known[id(a)] for a in operands(node))
        return known[id(e)] and not (has_load and conditional)

    def value(self, e: Expr) -> Expr:
        """The name of ``e``, which is movable."""
        if isinstance(e, Const | Var):
            return e
        known = self._known.get(id(e))
        if known is None:
            known = e, Var(self.fresh("fixed"), e.dtype, e.lanes)
            self._add(Let(known[1], e))
            self._known[id(e)] = known
        return known[1]

    def let(self, s: Let) -> None:
        """Move ``s`` itself."""
        if s.var.name not in self._names:
            self._add(s)
            self._names.add(s.var.name)

    def steps(self, slope: Expr, lanes: int) -> Expr:
        """``0, slope, 2 * slope, ...`` where slope is movable."""
        ramp = build.ramp(build.index(0), lanes)
        number = constant(slope)
        if number == 1:
            return ramp
        if number is not None:
            return build.mul(ramp, build.const(number, "int64", lanes))
        key = expression_text(slope), lanes
        if key not in self._steps:
            var = Var(self.fresh("steps"), "int64", lanes)
            self._add(Let(var, build.mul(ramp, build.broadcast(slope, lanes))))
            self._steps[key] = var
        return self._steps[key]

    def _add(self, s: Let) -> None:
        self.lets.append(s)
        self.loads = self.loads or any(isinstance(n, Load) for n in post_order(s.value, {}))


class Lanes:
    """Renders a loop's body for ``lanes`` iterations, of which a mask may turn some off."""

    def __init__(
        self,
        facts: Facts,
        lanes: int,
        accumulators: dict[str, Var],
        hoist: Hoist,
        fresh: Callable[[str], str],
        multiples: Multiples,
        padded: frozenset[str] = frozenset(),
    ) -> None:
        self.facts = facts
        #: Buffers of which a whole line may be written where the last element is.
        self.padded = padded
        self.lanes = lanes
        self.accumulators = accumulators
        self.multiples = multiples
        self.hoist = hoist
        self.fresh = fresh
        self.tail: Expr | None = None
        self.branch: Expr | None = None
        self.mask: Expr | None = None
        self.conditional = False
        self.memo: dict[int, Expr] = {}

    def body(self, body: Body, tail: Expr | None) -> Body:
        """The statements of the loop; ``tail`` says which lanes are within its bounds."""
        self.tail = self.mask = tail
        self.branch = None
        self.conditional = False
        self.memo = {}
        return self._body(body)

    def _body(self, body: Body) -> Body:
        result: list[Stmt] = []
        for s in body:
            result.extend(self._statement(s))
        return tuple(result)

    # -- statements --------------------------------------------------------------------

    def _statement(self, s: Stmt) -> list[Stmt]:
        if isinstance(s, Let):
            return self._let(s)
        if isinstance(s, Local):
            if s.var.name in self.facts.varying:
                return [Local(self._var(s.var), self.vector(s.value))]
            return [Local(s.var, self.scalar(s.value))]
        if isinstance(s, Assign):
            return [self._assign(s)]
        if isinstance(s, Best):
            return self._best(s)
        if isinstance(s, Store):
            return [self._store(s)]
        if isinstance(s, If):
            return self._if(s)
        if isinstance(s, For):
            return [self._for(s)]
        if isinstance(s, Prefetch):
            return self._prefetch(s)
        if isinstance(s, Fail):
            return self._fail(s)
        raise Unsupported(f"a {type(s).__name__} cannot run in lanes")

    def _let(self, s: Let) -> list[Stmt]:
        self.facts.bind(s)
        if s.var.name not in self.facts.varying:
            once = s.var.name not in self.facts.repeated
            if once and self.hoist.movable(s.value, self.conditional):
                self.hoist.let(s)
                return []
            return [Let(s.var, self.scalar(s.value))]
        if s.var.name in self.facts.slopes:
            # The first lane's number has the name; the others follow from it.
            return [Let(s.var, self.scalar(s.value))]
        return [Let(self._var(s.var), self.vector(s.value))]

    def _assign(self, s: Assign) -> Stmt:
        name = s.var.name
        if name not in self.facts.varying:
            return Assign(s.var, self.scalar(s.value))
        var = self._var(s.var)
        value = self.vector(s.value)
        if name in self.accumulators and isinstance(value, Op) and value.name in _EXTREMES:
            # Behind the number that it meets, it waits for one instruction less.
            a, b = value.args
            value = Op(value.name, (b, a) if a is var else (a, b), value.dtype, value.lanes)
        # What lanes beyond the end have in a variable of the body does not matter.
        mask = self.mask if name in self.accumulators else self.branch
        return Assign(var, value if mask is None else build.select(mask, value, var))

    def _best(self, s: Best) -> list[Stmt]:
        outer = s.var.name in self.accumulators
        inner = Best(
            self._var(s.var),
            self._var(s.where),
            self.vector(s.value),
            self.vector(s.index),
            s.largest,
        )
        return list(build.best_assignments(inner, self.mask if outer else self.branch))

    def _store(self, s: Store) -> Stmt:
        value = self.vector(s.value)
        mask = self._and(self.mask, s.mask)
        slope = self.facts.slope(s.index)
        step = constant(slope) if slope is not None else None
        if step == 1:
            if mask is self.tail and self._has_room(s):
                # A masked load would wait until a masked store has reached the cache.
                mask = None
            whole = mask is None and s.nontemporal
            return Store(s.buffer, self.scalar(s.index), value, mask, whole)
        if step == -1:
            value = self._reverse(value)
            mask = None if mask is None else self._reverse(mask)
            return Store(s.buffer, self._last(s.index), value, mask)
        return Store(s.buffer, self._indices(s.index), value, mask)

    def _has_room(self, s: Store) -> bool:
        """Whether lanes beyond the end of the loop may be stored as well."""
        size = self.lanes * size_of(s.buffer.dtype)
        aligned = self.multiples.of(s.index) % self.lanes == 0
        return s.buffer.name in self.padded and aligned and size <= _LINE

    def _prefetch(self, s: Prefetch) -> list[Stmt]:
        slope = self.facts.slope(s.index)
        if slope is None or constant(slope) not in (0, 1):
            return []
        first = self.scalar(s.index)
        size = size_of(s.buffer.dtype)
        step = _LINE // size
        count = max(1, self.lanes // step) if constant(slope) else 1
        places = [build.add(first, build.index(i * step)) for i in range(count)]
        return [Prefetch(s.buffer, place, s.write, s.level) for place in places]

    def _for(self, s: For) -> Stmt:
        if any(self.facts.varies(e) for e in (s.start, s.stop, s.step)):
            raise Unsupported(f"the bounds of the loop over {s.var.name!r} differ between lanes")
        start, stop, step = (self.scalar(e) for e in (s.start, s.stop, s.step))
        conditional, self.conditional = self.conditional, True
        body = self._body(s.body)
        self.conditional = conditional
        kind = "unroll" if s.kind == "unroll" else "serial"
        return For(s.var, start, stop, body, kind, step)

    def _if(self, s: If) -> list[Stmt]:
        conditional, self.conditional = self.conditional, True
        if not self.facts.varies(s.condition):
            condition = self.scalar(s.condition)
            result: list[Stmt] = [If(condition, self._body(s.body), self._body(s.orelse))]
        else:
            test = Var(self.fresh("where"), "bool", self.lanes)
            result = [Let(test, self.vector(s.condition))]
            result.extend(self._where(test, s.body))
            if s.orelse:
                result.extend(self._where(build.op("not", test), s.orelse))
        self.conditional = conditional or _fails((s,))
        return result

    def _where(self, test: Expr, body: Body) -> list[Stmt]:
        """``body`` in the lanes for which ``test`` holds."""
        saved = self.branch, self.mask, self.memo
        result: list[Stmt] = []
        self.branch = self._named(
            test if self.branch is None else self._both(self.branch, test), result
        )
        self.mask = self.branch
        if self.tail is not None:
            self.mask = self._named(self._both(self.tail, self.branch), result)
        self.memo = {}
        inner = self._body(body)
        if self._alone(body):
            inner = (If(build.reduce_lanes("or", self.mask), inner),)
        result.extend(inner)
        self.branch, self.mask, self.memo = saved
        return result

    def _named(self, mask: Expr, result: list[Stmt]) -> Expr:
        if isinstance(mask, Var):
            return mask
        var = Var(self.fresh("mask"), "bool", self.lanes)
        result.append(Let(var, mask))
        return var

    def _alone(self, body: Body) -> bool:
        """Whether ``body`` needs a block of its own.

        It does if something in it may not run where no lane wants it (a load that is
        the same in all lanes has no mask), or if it binds a name that is bound elsewhere.
        """
        done: dict[int, object] = {}
        for s in walk_statements(body):
            if isinstance(s, For | Fail):
                return True
            if isinstance(s, Let | Local) and s.var.name in self.facts.repeated:
                return True
            for e in statement_expressions(s):
                for node in post_order(e, done):
                    if isinstance(node, Load) and not self.facts.varies(node):
                        return True
        return False

    def _fail(self, s: Fail) -> list[Stmt]:
        self.conditional = True
        if self.mask is None:
            return [Fail(s.code, tuple(build.extract(self.vector(d), 0) for d in s.details))]
        # Some lane fails, or this block would not run: the first one speaks.
        lanes = build.ramp(build.index(0), self.lanes)
        beyond = build.const(self.lanes, "int64", self.lanes)
        first = Var(self.fresh("first"))
        number = build.reduce_lanes("min", build.select(self.mask, lanes, beyond))
        chosen = Var(self.fresh("chosen"), "bool", self.lanes)
        lowest = build.const(_LOWEST, "int64", self.lanes)
        details = (build.select(chosen, self.vector(d), lowest) for d in s.details)
        return [
            Let(first, number),
            Let(chosen, build.op("eq", lanes, first)),
            Fail(s.code, tuple(build.reduce_lanes("max", d) for d in details)),
        ]

    # -- expressions -------------------------------------------------------------------

    def scalar(self, e: Expr) -> Expr:
        """``e`` in the first lane: it is uniform or affine."""
        if isinstance(e, Const | Var):
            return e
        if not self.facts.varies(e) and self.hoist.movable(e, self.conditional):
            return self.hoist.value(e)
        if isinstance(e, Load):
            mask = None if e.mask is None else self.scalar(e.mask)
            return Load(e.buffer, self.scalar(e.index), e.lanes, mask)
        assert isinstance(e, Op)
        return Op(e.name, tuple(self.scalar(a) for a in e.args), e.dtype, e.lanes, e.attrs)

    def vector(self, root: Expr) -> Expr:
        """``root`` in every lane."""
        memo = self.memo
        stack = [root]
        while stack:
            e = stack[-1]
            if id(e) not in memo:
                pending = [a for a in self._needs(e) if id(a) not in memo]
                if pending:
                    stack.extend(pending)
                    continue
                memo[id(e)] = self._vector(e)
            stack.pop()
        return memo[id(root)]

    def _needs(self, e: Expr) -> tuple[Expr, ...]:
        """What of ``e`` is needed in every lane before ``e`` itself."""
        if isinstance(e, Var) or not self.facts.varies(e):
            return ()
        if isinstance(e, Load):
            index = (e.index,) if self.facts.slope(e.index) is None else ()
            return index if e.mask is None else (*index, e.mask)
        return () if self._affine(e) else operands(e)

    def _affine(self, e: Expr) -> bool:
        return e.dtype == "int64" and self.facts.slope(e) is not None

    def _vector(self, e: Expr) -> Expr:
        if not self.facts.varies(e):
            return build.broadcast(self.scalar(e), self.lanes)
        if isinstance(e, Load):
            return self._load(e)
        if self._affine(e):
            return self._indices(e)
        if isinstance(e, Var):
            return self._var(e)
        assert isinstance(e, Op)
        args = tuple(self.memo[id(a)] for a in e.args)
        attrs = (*e.attrs, "aligned") if e.name == "philox" and self._aligned(e) else e.attrs
        return Op(e.name, args, e.dtype, self.lanes, attrs)

    def _aligned(self, e: Op) -> bool:
        """Whether the columns of a ``philox`` are neighbours that share their evaluations."""
        column, *others = e.args
        if self.lanes not in (16, 32, 64) or any(self.facts.varies(a) for a in others):
            return False
        slope = self.facts.slope(column)
        neighbours = slope is not None and constant(slope) == 1
        return neighbours and self.multiples.of(column) % self.lanes == 0

    def _load(self, e: Load) -> Expr:
        mask = self._and(self.mask, e.mask)
        slope = self.facts.slope(e.index)
        step = constant(slope) if slope is not None else None
        if step == 0:
            # One address under a mask that differs between lanes.
            return Load(
                e.buffer, build.broadcast(self.scalar(e.index), self.lanes), self.lanes, mask
            )
        if step == 1:
            return Load(e.buffer, self.scalar(e.index), self.lanes, mask)
        if step == -1:
            mask = None if mask is None else self._reverse(mask)
            return self._reverse(Load(e.buffer, self._last(e.index), self.lanes, mask))
        if step is not None and step in _STEPS and mask is None and self.lanes > step:
            return self._every(e, step)
        return Load(e.buffer, self._indices(e.index), self.lanes, mask)

    def _every(self, e: Load, step: int) -> Expr:
        """Every ``step``-th element, picked from neighbours: no load goes past the last one."""
        first, lanes = self.scalar(e.index), self.lanes
        last = step * (lanes - 1)
        result: Expr | None = None
        for part in range(step):
            start = min(part * lanes, last - lanes + 1)
            found = Load(e.buffer, build.add(first, build.index(start)), lanes)
            places = [lane * step - start for lane in range(lanes)]
            # A lane whose element is not among these keeps what it has.
            order = (lanes + p if 0 <= p < lanes else lane for lane, p in enumerate(places))
            result = build.shuffle(result or found, found, tuple(order))
        assert result is not None
        return result

    def _indices(self, e: Expr) -> Expr:
        """The int64 ``e`` in every lane."""
        slope = self.facts.slope(e)
        if slope is None:
            return self.vector(e)
        first = self.scalar(e)
        if constant(slope) == 0:
            return build.broadcast(first, self.lanes)
        if constant(slope) == 1:
            return build.ramp(first, self.lanes)
        if constant(slope) is None and not self.hoist.movable(slope, self.conditional):
            lanes = build.ramp(build.index(0), self.lanes)
            steps = build.mul(lanes, build.broadcast(self.scalar(slope), self.lanes))
        else:
            steps = self.hoist.steps(slope, self.lanes)
        return build.add(build.broadcast(first, self.lanes), steps)

    def _last(self, index: Expr) -> Expr:
        """Where the last lane is, of an index that falls."""
        return build.sub(self.scalar(index), build.index(self.lanes - 1))

    def _reverse(self, e: Expr) -> Expr:
        return build.shuffle(e, e, tuple(range(self.lanes - 1, -1, -1)))

    def _var(self, var: Var) -> Var:
        known = self.accumulators.get(var.name)
        return known if known is not None else Var(var.name, var.dtype, self.lanes)

    def _and(self, mask: Expr | None, own: Expr | None) -> Expr | None:
        if own is None:
            return mask
        return self.vector(own) if mask is None else self._both(mask, self.vector(own))

    def _both(self, a: Expr, b: Expr) -> Expr:
        return build.op("and", a, b)


def _fails(body: Body) -> bool:
    return any(isinstance(s, Fail) for s in walk_statements(body))


def size_of(dtype: str) -> int:
    """The bytes of one element."""
    return 1 if dtype == "bool" else int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8
