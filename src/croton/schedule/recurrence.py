"""Tiny steps: a whole scan as one kernel, whose states stay in registers.

That is so where a step deals with a few numbers, how many is known, and each is at a known place.
A scan that may end early is run some steps at a time: its states lie in memory in between, so that
one that never ends can be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product as places_of
from typing import Any, NamedTuple

from croton.graph.variable import Constant, Variable
from croton.kernel import build
from croton.kernel.accumulate import identity
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Const,
    Expr,
    For,
    Function,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
    While,
)
from croton.loop.layout import Layout, Source
from croton.schedule.elements import Arguments, Elements, Index
from croton.schedule.moments import is_moment
from croton.schedule.sizes import Sizes
from croton.schedule.terminals import operand_dtype
from croton.schedule.windows import has_windows
from croton.tensor.convert import constant_scalar

#: The steps at a time of a scan that may end early.
STEPS = 1 << 16
#: Numbers that one value of a step, and that all of them together, may have.
MOST, MOST_IN_ALL = 16, 256

Place = tuple[int, ...]


class Recurrence(NamedTuple):
    """The kernel of a scan.

    ``buffers`` say what its buffers are: ``("input", k)`` or ``("output", k)`` of the scan.  Its
    size is the number of steps.  Of a scan that may end early, the second one is the first step to
    do now, and there are buffers ``("state", k)``, which hold the rows of states from before the
    first step on, or the last rows of those without history; ``("count", 0)`` for the number of
    steps so far, and ``("ended", 0)`` for whether there are no more.
    """

    function: Function
    buffers: tuple[tuple[str, int], ...]

    def with_buffers(self, node: Any, order: Sequence[tuple[str, int]]) -> Function:
        """The kernel of the scan ``node`` with buffers in this order, used or not."""
        own = dict(zip(self.buffers, self.function.buffers, strict=True))
        for kind, k in order:
            own.setdefault((kind, k), Buffer(f"b{len(own)}", dtype_of(node, kind, k)))
        return self.function._replace(buffers=tuple(own[key] for key in order))


def dtype_of(node: Any, kind: str, k: int) -> str:
    """The dtype of a buffer of a :class:`Recurrence`."""
    if kind in ("count", "ended"):
        return "int64" if kind == "count" else "bool"
    of = node.inputs if kind == "input" else node.outputs
    return of[k].type.dtype  # type: ignore[no-any-return]


def recurrence(node: Any, sizes: Sizes, is_wanted: Callable[[Variable], bool]) -> Recurrence | None:
    """The kernel of the scan ``node`` if its step is tiny; ``sizes`` are those in the step."""
    nodes, inputs = node.op.inner.nodes, node.op.inner.inputs
    values = [*inputs, *(v for n in nodes for v in n.outputs)]
    counts = [_count(v, sizes) for v in values]
    if not all(counts) or not all(is_simple(n, sizes) for n in nodes):
        return None
    if sum(filter(None, counts)) > MOST_IN_ALL:
        return None
    kernel = _Kernel(node, sizes, is_wanted)
    try:
        return kernel.make()
    except _FarError:
        return None


class _FarError(Exception):
    """An element is read at a place that only the values tell, or one of very many."""


def _count(v: Any, sizes: Sizes) -> int | None:
    total = 1
    for size in sizes.shape(v):
        if size.value is None:
            return None
        total *= size.value
    return total if total <= MOST else None


def is_simple(node: Any, sizes: Sizes) -> bool:
    """Whether the numbers that ``node`` computes can be written one by one."""
    if _is_size(node.outputs[0], sizes):
        return True
    if len(node.outputs) > 1 or has_windows(node.outputs) or is_moment(node.outputs[0]):
        return False
    return getattr(node.op, "loop", None) in ("map", "reduce", "product", "reshape")


def _is_size(v: Any, sizes: Sizes) -> bool:
    """Whether ``v`` is a number that hangs on no values."""
    return sizes.is_host(v) and not sizes.values_in([sizes.of(v)])


class _Kernel:
    """The statements of a scan's kernel as they come."""

    def __init__(self, node: Any, sizes: Sizes, is_wanted: Callable[[Variable], bool]) -> None:
        self.node = node
        self.sizes = sizes
        self.is_wanted = is_wanted
        self.layout: Layout = node.op.layout
        self.graph = node.op.inner
        self.elements = Elements(sizes, Arguments(), lambda _: None)
        self.buffers: dict[tuple[str, int], Buffer] = {}
        self.names = 0
        self.n, self.first = Var("s0"), Var("s1")
        self.step, self.ended = Var("step"), Var("ended", "bool")

    def name(self, base: str, v: Any) -> Var:
        """A fresh name for a number of ``v``."""
        self.names += 1
        return Var(f"{base}{self.names}", v.type.dtype)

    def buffer(self, kind: str, k: int) -> Buffer:
        """The scan's input or output ``k``, or what else there is, in memory."""
        found = self.buffers.get((kind, k))
        if found is None:
            found = Buffer(f"b{len(self.buffers)}", dtype_of(self.node, kind, k))
            self.buffers[kind, k] = found
        return found

    def make(self) -> Recurrence:
        """The kernel."""
        before = self._begin()
        body = self._step()
        after = self._finish()
        if self.elements.positions or self.elements.arguments.sizes:
            raise _FarError
        sizes: tuple[Var, ...] = (self.n,)
        loop: Body = (For(self.step, build.index(0), self.n, body),)
        if self.layout.until:
            sizes = (self.n, self.first)
            loop = self._until_it_ends(body)
        only = For(Var("item"), Var("lo"), Var("hi"), (*before, *loop, *after), "parallel")
        function = Function("kernel", tuple(self.buffers.values()), sizes, (only,), True)
        return Recurrence(function, tuple(self.buffers))

    def _until_it_ends(self, body: Body) -> Body:
        """Steps from the first one on, as many as are done at a time, or until one is the last."""
        stop, goes_on = Var("stop"), Var("goes_on", "bool")
        following = build.add(self.step, build.index(1))
        (ends,) = self._numbers(self.graph.outputs[-1])
        more = build.op("and", build.op("not", ends), build.op("lt", following, stop))
        enough = build.add(self.first, build.index(STEPS))
        return (
            Let(stop, build.op("minimum", self.n, enough)),
            Local(self.step, self.first),
            Local(goes_on, build.op("lt", self.first, stop)),
            Local(self.ended, build.const(False, "bool")),
            While(
                goes_on,
                (
                    *body,
                    Assign(self.ended, ends),
                    Assign(goes_on, more),
                    Assign(self.step, following),
                ),
            ),
        )

    def _shape(self, v: Any) -> list[int]:
        return [s.value or 0 for s in self.sizes.shape(v)]

    def _places(self, v: Any) -> list[Place]:
        return list(places_of(*map(range, self._shape(v))))

    def _bind(self, v: Any, numbers: Sequence[Expr]) -> None:
        """Let ``numbers`` be the elements of ``v``, in order."""
        table = dict(zip(self._places(v), numbers, strict=True))
        nothing = Const(identity("or", v.type.dtype), v.type.dtype)

        def element(index: Index) -> Expr:
            if not all(isinstance(i, Const) for i in index):
                raise _FarError
            # Elements beyond the end are asked for where a condition leaves them out.
            return table.get(tuple(i.value for i in index), nothing)  # type: ignore[attr-defined]

        self.elements.bind(v, element)

    def _bind_constant(self, c: Any) -> None:
        if c.data.size > MOST:
            raise _FarError
        self._bind(c, [Const(x, c.type.dtype) for x in c.data.ravel().tolist()])

    def _row(self, v: Any, row: Expr) -> list[Expr]:
        """The places of the elements of row ``row`` of what has the rows ``v``."""
        count = len(self._places(v))
        first = build.mul(row, build.index(count))
        return [build.add(first, build.index(k)) for k in range(count)]

    # Rows and times.

    def _time(self) -> Expr:
        if not self.layout.backwards:
            return self.step
        return build.sub(build.sub(self.n, build.index(1)), self.step)

    def _begin(self) -> Body:
        """States from their initial rows, and what all steps read."""
        body: list[Stmt] = []
        self.states: dict[tuple[int, int], list[Var]] = {}
        for c in {u for node in self.graph.nodes for u in node.inputs if isinstance(u, Constant)}:
            if constant_scalar(c) is None:
                self._bind_constant(c)
        for source, v in zip(self.layout.sources, self.graph.inputs, strict=True):
            if source.kind == "non_sequence":
                whole = self.buffer("input", source.outer)
                numbers = [self.name("x", v) for _ in self._places(v)]
                for k, x in enumerate(numbers):
                    body.append(Let(x, Load(whole, build.index(k))))
                self._bind(v, numbers)
        for k, state in enumerate(self.layout.states):
            v = self.graph.inputs[self.layout.first_of_state(k)]
            initial = self._before(k)
            for lag in range(1, state.depth + 1):
                row = lag - 1 if self.layout.backwards else state.depth - lag
                place: Expr = build.index(row)
                if self.layout.until and self._has_history(k):
                    place = build.add(place, self.first)
                places = self._row(v, place)
                past = self.states[k, lag] = [self.name("h", v) for _ in places]
                body += [Local(x, Load(initial, i)) for x, i in zip(past, places, strict=True)]
                if self._has_history(k) and not self.layout.until:
                    first = self.n if self.layout.backwards else build.index(0)
                    targets = self._row(v, build.add(build.index(row), first))
                    body += self._store(k, targets, past)
        return tuple(body)

    def _before(self, k: int) -> Buffer:
        """Where the rows of state ``k`` are that the first step to do now looks back to."""
        if self.layout.until:
            return self.buffer("state", k)
        return self.buffer("input", self.layout.state_input(k))

    def _has_history(self, k: int) -> bool:
        return self.layout.states[k].history and self.is_wanted(self.node.outputs[k])

    def _store(self, output: int, places: Sequence[Expr], values: Sequence[Expr]) -> list[Stmt]:
        is_state = self.layout.until and output < len(self.layout.states)
        buffer = self.buffer("state" if is_state else "output", output)
        return [Store(buffer, i, x) for i, x in zip(places, values, strict=True)]

    # The step.

    def _step(self) -> Body:
        body: list[Stmt] = []
        for source, v in zip(self.layout.sources, self.graph.inputs, strict=True):
            if source.kind != "non_sequence":
                body += self._read(source, v)
        for node in self.graph.nodes:
            body += self._compute(node)
        news = [self._numbers(v) for v in self.graph.outputs]
        time = self._time()
        for target, v, numbers in zip(self.layout.targets, self.graph.outputs, news, strict=True):
            row = time
            if target.kind == "state":
                if not self._has_history(target.entry):
                    continue
                if not self.layout.backwards:
                    row = build.add(time, build.index(self.layout.states[target.entry].depth))
            elif target.kind == "until" or not self.is_wanted(self.node.outputs[target.outer]):
                continue
            body += self._store(target.outer, self._row(v, row), numbers)
        for k, state in enumerate(self.layout.states):
            # The oldest is forgotten first.
            for lag in range(state.depth, 1, -1):
                pairs = zip(self.states[k, lag], self.states[k, lag - 1], strict=True)
                body += [Assign(old, young) for old, young in pairs]
        for k in range(len(self.layout.states)):
            newest = zip(self.states[k, 1], news[k], strict=True)
            body += [Assign(old, new) for old, new in newest]
        return tuple(body)

    def _read(self, source: Source, v: Any) -> list[Stmt]:
        """Name the numbers of a row, as they are when the step begins."""
        if source.kind == "state":
            now: Sequence[Expr] = self.states[source.entry, source.offset]
        else:
            row = build.add(self._time(), build.index(source.offset))
            buffer = self.buffer("input", source.outer)
            now = [Load(buffer, i) for i in self._row(v, row)]
        return self._let(v, now)

    def _let(self, v: Any, values: Sequence[Expr]) -> list[Stmt]:
        numbers = [self.name("v", v) for _ in values]
        self._bind(v, numbers)
        return [Let(x, value) for x, value in zip(numbers, values, strict=True)]

    def _numbers(self, v: Any) -> list[Expr]:
        return [self.elements.element(v, tuple(map(build.index, p))) for p in self._places(v)]

    def _compute(self, node: Any) -> list[Stmt]:
        (v,) = node.outputs
        if _is_size(v, self.sizes):
            return []
        kind = node.op.loop
        if kind == "reshape":
            self._bind(v, self._numbers(node.inputs[0]))
            return []
        if kind == "map":
            places = [tuple(map(build.index, p)) for p in self._places(v)]
            return self._let(v, [self.elements.compute(v, p) for p in places])
        combined = [self._combined(node, place) for place in self._places(v)]
        return self._let(v, combined)

    def _combined(self, node: Any, place: Place) -> Expr:
        """An element of a sum, a product or the like of others."""
        (v,) = node.outputs
        first: Any = node.inputs[0]
        if node.op.loop == "product":
            fulls = [(*place, k) for k in range(self._shape(first)[-1])]
        else:
            rest = iter(place)
            kept = [None if d in node.op.axis else next(rest) for d in range(first.type.ndim)]
            shape = self._shape(first)
            ranges = [range(n) if i is None else (i,) for n, i in zip(shape, kept, strict=True)]
            fulls = list(places_of(*ranges))
        inputs = [lambda *i, u=u: self.elements.element(u, i) for u in node.inputs]
        total: Expr | None = None
        for full in fulls:
            index = tuple(map(build.index, full))
            value = node.op.lower(node, inputs, index, None)
            total = value if total is None else build.op(node.op.combine, total, value)
        assert total is not None
        return build.cast(build.cast(total, operand_dtype(v)), v.type.dtype)

    def _finish(self) -> Body:
        """Hand out the last rows of states."""
        body: list[Stmt] = []
        for k, state in enumerate(self.layout.states):
            needed = self.layout.until or self.is_wanted(self.node.outputs[k])
            if not needed or self._has_history(k):
                continue
            v = self.graph.inputs[self.layout.first_of_state(k)]
            for lag in range(1, state.depth + 1):
                row = lag - 1 if self.layout.backwards else state.depth - lag
                body += self._store(k, self._row(v, build.index(row)), self.states[k, lag])
        if self.layout.until:
            body.append(Store(self.buffer("count", 0), build.index(0), self.step))
            body.append(Store(self.buffer("ended", 0), build.index(0), self.ended))
        return tuple(body)
