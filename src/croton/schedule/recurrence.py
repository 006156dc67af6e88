"""Tiny steps: a whole scan as one kernel, whose states stay in registers.

That is so where a step deals with a few numbers, and how many is known.  What is the same in
every step may be larger: a step reads some numbers of it, which may be at places that it computes.
A scan that may end early is run some steps at a time: its states lie in memory in between, so that
one that never ends can be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product as places_of
from typing import Any, NamedTuple, Protocol

from croton.graph.variable import Constant, Variable
from croton.kernel import build
from croton.kernel.accumulate import identity
from croton.kernel.nodes import (
    Assign,
    Body,
    Buffer,
    Const,
    Expr,
    Fail,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Stmt,
    Store,
    Var,
    While,
)
from croton.loop.layout import Layout, Source
from croton.schedule.elements import Arguments, Elements, Index, Position
from croton.schedule.moments import is_moment
from croton.schedule.sizes import Size, Sizes
from croton.schedule.terminals import operand_dtype
from croton.schedule.unify import SizeCheck
from croton.schedule.windows import has_windows
from croton.tensor.convert import constant_scalar

#: The steps at a time of a scan that may end early.
STEPS = 1 << 16
#: Numbers that one value of a step, and that all of them together, may have.
MOST, MOST_IN_ALL = 16, 256

Place = tuple[int, ...]


class Recurrence(NamedTuple):
    """The kernel of a scan.

    ``buffers`` say what its buffers are: ``("input", k)`` or ``("output", k)`` of the scan, or
    ``("constant", k)`` of its :func:`large_constants`.  Its first size is the number of steps, the
    last ones are ``sizes``.  Of a scan that may end early, the second one is the first step to do
    now, and there are buffers ``("state", k)``, which hold the rows of states from before the first
    step on, or the last rows of those without history; ``("count", 0)`` for the number of steps so
    far, and ``("ended", 0)`` for whether there are no more.
    """

    function: Function
    buffers: tuple[tuple[str, int], ...]
    sizes: tuple[Size, ...]

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
    if kind == "constant":
        return large_constants(node)[k].type.dtype  # type: ignore[no-any-return]
    of = node.inputs if kind == "input" else node.outputs
    return of[k].type.dtype  # type: ignore[no-any-return]


def large_constants(node: Any) -> list[Any]:
    """The constants of the scan's step that a kernel reads from memory."""
    return [c for c in _constants(node) if c.data.size > MOST]


def _constants(node: Any) -> list[Any]:
    read = (v for n in node.op.inner.nodes for v in n.inputs)
    found = dict.fromkeys(v for v in read if isinstance(v, Constant))
    return [c for c in found if constant_scalar(c) is None]


class Failing(Protocol):
    """Numbers of errors that a kernel may fail with."""

    def index_error(self, check: SizeCheck) -> int:
        """That of the ``check`` of an index; the details are the index and the size."""

    def position_error(self, node: Any) -> int:
        """That of a position that ``node`` reads; the details are the position and the size."""


def recurrence(
    node: Any,
    sizes: Sizes,
    is_wanted: Callable[[Variable], bool],
    checks: Sequence[SizeCheck],
    failing: Failing,
    plain: bool = False,
) -> Recurrence | None:
    """The kernel of the scan ``node`` if its step is tiny; ``sizes`` are those in the step.

    ``checks`` are those of a step that only its values decide.  ``plain``: it takes dimensions
    only, and computes with them itself.
    """
    nodes, inputs = node.op.inner.nodes, node.op.inner.inputs
    large = {
        v
        for source, v in zip(node.op.layout.sources, inputs, strict=True)
        if source.kind == "non_sequence" and not _count(v, sizes)
    }
    values = [v for v in (*inputs, *(v for n in nodes for v in n.outputs)) if v not in large]
    counts = [_count(v, sizes) for v in values]
    if not all(counts) or not all(is_simple(n, sizes) for n in nodes):
        return None
    if sum(filter(None, counts)) > MOST_IN_ALL or not large.isdisjoint(node.op.inner.outputs):
        return None
    if any(
        not (_is_size(n.outputs[0], sizes) or n.op.loop == "map" or large.isdisjoint(n.inputs))
        for n in nodes
    ):
        return None
    if any(check.kind != "index" for check in checks):
        return None
    kernel = _Kernel(node, sizes, is_wanted, checks, failing, large)
    kernel.arguments.plain = plain
    try:
        return kernel.make()
    except _AskedError:
        return None


class _AskedError(Exception):
    """A size hangs on the answer to a question."""


class _Arguments(Arguments):
    """The sizes of a kernel, and what is computed from the values of a step as if it were one."""

    def __init__(self, sizes: Sizes, value: Callable[[Variable], Expr]) -> None:
        super().__init__()
        self._sizes = sizes
        self._value = value
        self.plain = False

    def size(self, size: Size) -> Expr:
        """The number, the kernel's name for it, or the expression that computes it."""
        if size.value is not None:
            return build.index(size.value)
        if not (self.plain or self._sizes.values_in([size])):
            return super().size(size)
        total: Expr = build.index(0)
        for factors, number in size.terms:
            term: Expr = build.index(number)
            for factor in factors:
                known = self.size(factor) if isinstance(factor, Size) else self._atom(factor)
                term = build.mul(term, known)
            total = build.add(total, term)
        return total

    def _atom(self, number: int) -> Expr:
        atom = self._sizes.atoms[number]
        if atom.kind == "value":
            return build.cast(self._value(atom.what), "int64")
        if atom.kind == "dimension":
            return super().size(Size((((number,), 1),)))
        if atom.kind == "answer":
            raise _AskedError
        args = [self.size(a) for a in atom.args]
        if atom.kind in ("and", "or", "not", "select"):
            tested = args[:1] if atom.kind == "select" else args
            args[: len(tested)] = [build.op("ne", a, build.index(0)) for a in tested]
        if atom.kind == "ceildiv":
            return build.op("neg", build.op("floordiv", build.op("neg", args[0]), args[1]))
        return build.cast(build.op(atom.kind, *args), "int64")


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

    def __init__(
        self,
        node: Any,
        sizes: Sizes,
        is_wanted: Callable[[Variable], bool],
        checks: Sequence[SizeCheck],
        failing: Failing,
        large: Collection[Variable],
    ) -> None:
        self.checks = checks
        self.failing = failing
        self.node = node
        self.sizes = sizes
        self.is_wanted = is_wanted
        self.layout: Layout = node.op.layout
        self.graph = node.op.inner
        self.arguments = _Arguments(sizes, lambda v: self.elements.element(v, ()))
        #: Where what steps read of it lies.
        self.wholes = {
            v: ("input", source.outer)
            for source, v in zip(self.layout.sources, self.graph.inputs, strict=True)
            if source.kind == "non_sequence"
        }
        self.elements = Elements(
            sizes, self.arguments, lambda v: self.wholes[v] if v in large else None
        )
        self.large = large
        self.names = 0
        self.n, self.first = Var("steps"), Var("first")
        self.step, self.ended = Var("step"), Var("ended", "bool")

    def name(self, base: str, v: Any) -> Var:
        """A fresh name for a number of ``v``."""
        self.names += 1
        return Var(f"{base}{self.names}", v.type.dtype)

    def buffer(self, kind: str, k: int) -> Buffer:
        """The scan's input or output ``k``, or what else there is, in memory."""
        return self.arguments.buffer((kind, k), dtype_of(self.node, kind, k))

    def make(self) -> Recurrence:
        """The kernel."""
        before = self._begin()
        body = self._step()
        after = self._finish()
        sizes: tuple[Var, ...] = (self.n,)
        loop: Body = (For(self.step, build.index(0), self.n, body),)
        if self.layout.until:
            sizes = (self.n, self.first)
            loop = self._until_it_ends(body)
        only = For(Var("item"), Var("lo"), Var("hi"), (*before, *loop, *after), "parallel")
        used = self.arguments
        sizes = (*sizes, *used.sizes.values())
        function = Function("kernel", tuple(used.buffers.values()), sizes, (only,), True)
        return Recurrence(function, tuple(used.buffers), tuple(used.sizes))

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

    def _bind(self, v: Any, numbers: Sequence[Expr], whole: Any = None) -> None:
        """Let ``numbers`` be the elements of ``v``, in order; it lies in memory ``whole`` too."""
        table = dict(zip(self._places(v), numbers, strict=True))
        nothing: Expr = Const(identity("or", v.type.dtype), v.type.dtype)

        def element(index: Index) -> Expr:
            if all(isinstance(i, Const) for i in index):
                # Elements beyond the end are asked for where a condition leaves them out.
                return table.get(tuple(i.value for i in index), nothing)  # type: ignore[attr-defined]
            if whole is not None:
                return self._load(whole, v, index)
            found = nothing
            for place, number in table.items():
                here: Expr = build.const(True, "bool")
                for i, p in zip(index, place, strict=True):
                    here = build.op("and", here, build.op("eq", i, build.index(p)))
                found = build.select(here, number, found)
            return found

        self.elements.bind(v, element)

    def _load(self, whole: Any, v: Any, index: Index) -> Expr:
        return self.elements.load(whole, v.type.dtype, self.elements.flat(v, index))

    def _bind_constant(self, c: Any) -> None:
        if c.data.size <= MOST:
            self._bind(c, [Const(x, c.type.dtype) for x in c.data.ravel().tolist()])
            return
        whole = "constant", large_constants(self.node).index(c)
        self.elements.bind(c, lambda index: self._load(whole, c, index))

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
        for c in _constants(self.node):
            self._bind_constant(c)
        for source, v in zip(self.layout.sources, self.graph.inputs, strict=True):
            if source.kind == "non_sequence" and v not in self.large:
                whole = self.buffer("input", source.outer)
                numbers = [self.name("x", v) for _ in self._places(v)]
                for k, x in enumerate(numbers):
                    body.append(Let(x, Load(whole, build.index(k))))
                self._bind(v, numbers, self.wholes[v])
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
            checks = self._checks(node)
            before = len(self.elements.positions)
            numbered = self._compute(node)
            body += [*checks, *self._failures(self.elements.positions[before:]), *numbered]
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

    def _checks(self, node: Any) -> list[Stmt]:
        """Fail where an index that ``node`` computes with is out of bounds."""
        found: list[Stmt] = []
        for check in self.checks:
            if check.node is node:
                at, size = (
                    self.arguments.size(self.sizes.of(v)) for v in check.sources if v is not None
                )
                low = build.op("lt", at, build.op("neg", size))
                bad = build.op("or", low, build.op("ge", at, size))
                code = self.failing.index_error(check) + 1
                found.append(If(bad, (Fail(code, (at, size)),)))
        return found

    def _failures(self, positions: Sequence[Position]) -> list[Stmt]:
        found: list[Stmt] = []
        for at in positions:
            code = self.failing.position_error(at.node) + 1
            found.append(If(at.bad, (Fail(code, (at.value, at.size)),)))
        return found

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
