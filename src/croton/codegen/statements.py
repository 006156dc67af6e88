"""The control flow of one function: loops, conditions, variables, stores and calls.

Everything is SSA from the start.  A loop is tested at its end (and once before
it, unless its bounds show that it runs); a variable that its body assigns
becomes a phi at its head and another one behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from croton.codegen.changes import ANY, Changes
from croton.codegen.memory import Memory
from croton.codegen.outline import Outline
from croton.codegen.types import suffix_of, type_of
from croton.codegen.values import Expansion, Rule, Value, Values
from croton.kernel.build import best_assignments
from croton.kernel.free import free_names
from croton.kernel.nodes import (
    Advance,
    Aligned,
    Allocate,
    Assign,
    Barrier,
    Best,
    Body,
    Call,
    Choose,
    Cursor,
    Fail,
    For,
    Function,
    If,
    KernelError,
    Let,
    Local,
    Op,
    Outlined,
    Part,
    Prefetch,
    Reload,
    Stmt,
    Store,
    While,
)


class Statements(Memory):
    """Renders the body of one function."""

    def __init__(
        self,
        function: Function,
        rules: dict[str, Rule],
        expansions: Callable[[Op], Expansion],
        features: frozenset[str],
        vector: int,
    ) -> None:
        self.function = function
        super().__init__(Values(rules, expansions, features))
        self.values.branch = self.rarely
        self.vector = vector
        self.outline = Outline(function.name, vector)
        self.ended = False
        self.dtypes: dict[str, str] = {}
        #: Conditions that are true where the current block runs.
        self.holds: list[Value | None] = []
        self.effects = Changes()
        self._methods: dict[type[Stmt], Callable[[Any], None]] = {
            For: self.loop,
            While: self.again,
            If: self.condition,
            Let: self.let,
            Local: self.local,
            Assign: self.assign,
            Best: self.best,
            Store: self.store,
            Prefetch: self.prefetch,
            Allocate: self.allocate,
            Choose: self.choose,
            Part: self.part,
            Cursor: self.cursor,
            Advance: self.advance,
            Reload: self.reload,
            Aligned: self.aligned,
            Outlined: self.outlined,
            Call: self.call,
            Fail: self.fail,
            Barrier: self.barrier,
        }

    # -- the frame ---------------------------------------------------------------------

    def render(self) -> list[str]:
        """The lines between the braces."""
        values, function = self.values, self.function
        values.names.update(("buffers", "sizes", "lo", "hi", "scratch", "entry"))
        values.environment.update(lo="%lo", hi="%hi")
        values.fast = " contract" if function.contract else ""
        values.lines.append("entry:")
        self.prologue()
        self.body(function.body)
        if not self.ended:
            self.finish()
        return values.lines

    def signature(self) -> str:
        """The function's head."""
        given = "ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch"
        return f"define i64 @{self.function.name}({given})"

    def prologue(self) -> None:
        """Bind the function's buffers and sizes."""
        values = self.values
        for position, buffer in enumerate(self.function.buffers):
            if buffer.dtype == "float16" and "half" not in values.features:
                raise KernelError("this processor has no float16")
            slot = "%buffers"
            if position:
                slot = values.emit(f"getelementptr ptr, ptr %buffers, i64 {position}")
            pointer = values.emit(f"load ptr, ptr {slot}, align 8")
            values.pointers[buffer.name] = str(values.name_last(pointer, buffer.name))
        for position, size in enumerate(self.function.sizes):
            slot = "%sizes"
            if position:
                slot = values.emit(f"getelementptr i64, ptr %sizes, i64 {position}")
            value = values.emit(f"load i64, ptr {slot}, align 8")
            values.environment[size.name] = values.name_last(value, size.name)

    def finish(self) -> None:
        """Leave the function without a failure."""
        if self.streams:
            # Other threads see what bypassed the caches only behind this.
            self.values.lines.append("  fence seq_cst")
        self.values.lines.append("  ret i64 0")

    # -- statements --------------------------------------------------------------------

    def body(self, body: Body) -> None:
        """Render a block; what follows a ``Fail`` cannot run and is left out."""
        for statement in body:
            if self.ended:
                return
            method = self._methods.get(statement.__class__)
            if method is None:
                raise KernelError(f"not a statement of the kernel language: {statement!r}")
            method(statement)

    def let(self, s: Let) -> None:
        """Name a value."""
        values = self.values
        if s.value.dtype == "int64" and s.value.lanes == 1:
            base, offset = values.affine(s.value)
            value = values.value(s.value)
            if type(value) is str:
                value = values.name_last(value, s.var.name)
                if offset:
                    values.parts[value] = (base, offset)
        else:
            value = values.name_last(values.value(s.value), s.var.name)
        values.environment[s.var.name] = value
        values.memo = {}

    def local(self, s: Local) -> None:
        """Declare a variable."""
        self.local_types[s.var.name] = type_of(s.var.dtype, s.var.lanes)
        self.dtypes[s.var.name] = s.var.dtype
        self.assign(s)

    def assign(self, s: Local | Assign) -> None:
        """Give a variable a value."""
        values = self.values
        if s.var.name not in self.local_types:
            raise KernelError(f"{s.var.name!r} is assigned to but is no local variable")
        values.environment[s.var.name] = values.value(s.value)
        values.memo = {}

    def best(self, s: Best) -> None:
        """Keep the best value and where it was."""
        for assignment in best_assignments(s):
            self.assign(assignment)

    def outlined(self, s: Outlined) -> None:
        """Call a function that is made of a body, with what that needs from outside."""
        values, outer = self.values, self.values.environment
        inner = Statements(
            self.function, values.rules, values.expansions, values.features, self.vector
        )
        inner.outline = self.outline
        found = inner.values
        found.fast, found.declarations = values.fast, values.declarations
        found.names.add("entry")
        found.lines.append("entry:")
        heads, arguments = [], []
        variables, buffers = free_names(s.body)
        for buffer in buffers:
            found.pointers[buffer] = name = found.fresh(buffer)
            heads.append(f"ptr {name}")
            arguments.append(f"ptr {values.pointers[buffer]}")
        for var in variables:
            value, kind = outer[var.name], type_of(var.dtype, var.lanes)
            if str(value).startswith("%"):
                found.environment[var.name] = name = found.fresh(var.name)
                heads.append(f"{kind} {name}")
                arguments.append(f"{kind} {value}")
            else:
                found.environment[var.name] = value
        inner.body(s.body)
        self.streams |= inner.streams
        head = f"({', '.join(heads)}) #2 {{"
        text = "\n".join([head, *found.lines, "  ret void", "}"])
        self.line(f"call void @{self.outline.part(text)}({', '.join(arguments)})")
        self.touch(self.effects.of(s).stored)
        values.memo = {}

    def fail(self, s: Fail) -> None:
        """Leave the function with a status."""
        values = self.values
        for position, detail in enumerate(s.details):
            slot = "%scratch"
            value = values.value(detail)
            if position:
                slot = values.emit(f"getelementptr i64, ptr %scratch, i64 {position}")
            self.line(f"store i64 {value}, ptr {slot}, align 8")
        self.leave(str(s.code))

    def leave(self, code: str) -> None:
        """Return ``code``; nothing can follow in this block."""
        self.line(f"ret i64 {code}")
        self.ended = True

    def call(self, s: Call) -> None:
        """Run another kernel; its failure is ours, details and all."""
        values = self.values
        target = values.pointers[s.target.name]
        words = []
        for position in range(3):
            slot = target
            if position:
                slot = values.emit(f"getelementptr ptr, ptr {target}, i64 {position}")
            version = values.versions.get(s.target.name, 0)
            words.append(values.emit(f"load ptr, ptr {slot}, align 8", f"call {slot} {version}"))
        scratch = values.pointers[s.scratch.name]
        lo, hi = values.value(s.lo), values.value(s.hi)
        status = values.fresh("status")
        self.line(
            f"{status} = call i64 {words[0]}(ptr {words[1]}, ptr {words[2]}, "
            f"i64 {lo}, i64 {hi}, ptr {scratch})"
        )
        failed, ok = self.label("failed"), self.label("called")
        bad = values.fresh("bad")
        self.line(f"{bad} = icmp ne i64 {status}, 0")
        self.line(f"br i1 {bad}, label %{failed}, label %{ok}")
        self.start(failed)
        details = values.fresh("details")
        self.line(f"{details} = load <2 x i64>, ptr {scratch}, align 8")
        self.line(f"store <2 x i64> {details}, ptr %scratch, align 8")
        self.line(f"ret i64 {status}")
        self.start(ok)
        self.touch((ANY,))
        values.memo = {}

    def barrier(self, s: Barrier) -> None:
        """One thread is its own group: nothing to wait for."""
        self.touch((ANY,))
        self.values.memo = {}

    def condition(self, s: If) -> None:
        """Run one of two blocks."""
        values = self.values
        test = values.value(s.condition)
        if test in ("true", "false"):
            self.scope(s.body if test == "true" else s.orelse)
            return
        effects = self.effects.of(s)
        carried = [n for n in effects.assigned if n in self.local_types]
        before = {n: values.environment[n] for n in carried}
        then, end = self.label("then"), self.label("end")
        otherwise = self.label("else") if s.orelse else end
        self.line(f"br i1 {test}, label %{then}, label %{otherwise}")
        edges: list[tuple[str, dict[str, Value]]] = []
        if not s.orelse:
            edges.append((self.block, before))
        for label, body in ((then, s.body), (otherwise, s.orelse)):
            if not body and label == end:
                continue
            self.start(label)
            mark = values.enter()
            values.environment.update(before)
            self.holds.append(test if label == then else None)
            self.body(body)
            self.holds.pop()
            values.leave(mark)
            if not self.ended:
                edges.append((self.block, {n: values.environment[n] for n in carried}))
                self.line(f"br label %{end}")
            self.ended = False
        if not edges:
            self.ended = True
            return
        self.start(end)
        for name in carried:
            sources = [(found[name], label) for label, found in edges]
            values.environment[name] = self.phi(name, self.local_types[name], sources)
        self.touch(effects.stored)

    def rarely(self, op: Op, test: Value, other: Value) -> Value:
        """``op``'s second argument in the lanes where ``test`` holds, which it seldom does."""
        values = self.values
        kind, lanes = type_of(op.dtype, op.lanes), type_of("bool", op.lanes)
        some = test
        if op.lanes > 1:
            name = f"vector.reduce.or.{suffix_of('bool', op.lanes)}"
            some = values.call("bool", 1, name, (lanes, test))
        before, slow, end = self.block, self.label("rare"), self.label("usual")
        self.line(f"br i1 {some}, label %{slow}, label %{end}, !prof !1")
        self.start(slow)
        mark = len(values.table)
        found = self.slow(op)
        chosen = values.emit(f"select {lanes} {test}, {kind} {found}, {kind} {other}")
        values.forget(mark)
        self.line(f"br label %{end}")
        last = self.block
        self.start(end)
        return values.emit(f"phi {kind} [ {other}, %{before} ], [ {chosen}, %{last} ]")

    def slow(self, op: Op) -> Value:
        """The second argument of the choice ``op``."""
        return self.outline.call(self.values, op)

    def scope(self, body: Body) -> None:
        """Run a block; its names and values end with it."""
        values = self.values
        mark = values.enter()
        self.body(body)
        values.leave(mark)

    def phi(self, name: str, kind: str, sources: list[tuple[Value, str]]) -> Value:
        """What ``name`` is where several blocks meet."""
        first = sources[0][0]
        if all(value == first for value, _ in sources):
            return first
        result = self.values.fresh(name)
        edges = ", ".join([f"[ {value}, %{label} ]" for value, label in sources])
        self.line(f"{result} = phi {kind} {edges}")
        return result

    # -- loops -------------------------------------------------------------------------

    def loop(self, s: For) -> None:
        """Run a body for each value of a variable."""
        if s.kind == "unroll":
            self.unrolled(s)
        else:
            start, stop, step = (self.values.value(e) for e in (s.start, s.stop, s.step))
            if (
                isinstance(start, int)
                and isinstance(stop, int)
                and isinstance(step, int)
                and start + step >= stop
            ):
                # It runs at most once.
                self.unrolled(s)
            else:
                self.repeat(s, start, stop, step)

    def again(self, s: While) -> None:
        """A loop whose condition is computed before each round."""
        values, lines = self.values, self.values.lines
        assigned, stored = self.effects.of(s)
        initial = {n: values.environment[n] for n in assigned if n in self.local_types}
        before = self.block
        head, inside, end = map(self.label, ("while", "round", "done"))
        self.line(f"br label %{head}")
        self.start(head)
        self.touch(stored)
        mark, place = values.enter(), len(lines)
        lines.extend([""] * len(initial))
        phis = {n: values.fresh(n) for n in initial}
        values.environment.update(phis)
        self.line(f"br i1 {values.value(s.condition)}, label %{inside}, label %{end}")
        self.start(inside)
        self.body(s.body)
        for offset, (name, first) in enumerate(initial.items()):
            back = "" if self.ended else f", [ {values.environment[name]}, %{self.block} ]"
            kind = f"phi {self.local_types[name]} [ {first}, %{before} ]{back}"
            lines[place + offset] = f"  {phis[name]} = {kind}"
        if not self.ended:
            self.line(f"br label %{head}")
        self.ended = False
        values.leave(mark)
        self.start(end)
        values.environment.update(phis)
        self.touch(stored)

    def unrolled(self, s: For) -> None:
        """Write the body once for each value."""
        values = self.values
        start, stop, step = (values.value(e) for e in (s.start, s.stop, s.step))
        if not (isinstance(start, int) and isinstance(stop, int) and isinstance(step, int)):
            raise KernelError(f"the loop over {s.var.name!r} is unrolled but its bounds vary")
        for number in range(start, stop, step):
            values.environment[s.var.name] = number
            values.memo = {}
            self.body(s.body)

    def opaque(self, value: Value) -> str:
        """A call that gives ``value`` and leaves no instruction.

        It hides how a variable moves from one iteration to the next: addresses are
        written the way they should be computed, and rewriting them for a loop takes
        LLVM as long as half of all else, and more registers.
        """
        self.values.declarations.setdefault("expect.i64", "declare i64 @llvm.expect.i64(i64, i64)")
        return f"call i64 @llvm.expect.i64(i64 {value}, i64 0)"

    def repeat(self, s: For, start: Value, stop: Value, step: Value) -> None:
        """A loop with a phi for its variable and for each variable that it assigns."""
        values, lines = self.values, self.values.lines
        effects = self.effects.of(s)
        carried = [n for n in effects.assigned if n in self.local_types]
        test: Value | None = None
        if not (isinstance(start, int) and isinstance(stop, int)):
            test = values.emit(f"icmp slt i64 {start}, {stop}")
        elif start >= stop:
            return
        runs = test is None or test in self.holds
        before = self.block
        initial = {n: values.environment[n] for n in carried}
        head, end = self.label(f"for.{s.var.name}"), self.label(f"end.{s.var.name}")
        if runs:
            self.line(f"br label %{head}")
        else:
            self.line(f"br i1 {test}, label %{head}, label %{end}")
        self.start(head)
        self.touch(effects.stored)
        mark = values.enter()
        place = len(lines)
        counter = values.fresh(s.var.name)
        phis = [(values.fresh(n), n) for n in carried]
        lines.extend([""] * (1 + len(carried)))
        values.environment[s.var.name] = counter
        for phi, name in phis:
            values.environment[name] = phi
        self.body(s.body)
        final = {n: values.environment[n] for n in carried}
        latch = self.block
        again = not self.ended
        following = values.fresh(f"{s.var.name}.next")
        if again:
            sum_ = self.values.fresh(f"{s.var.name}.sum")
            self.line(f"{sum_} = add nsw i64 {counter}, {step}")
            self.line(f"{following} = {self.opaque(sum_)}")
            for name in carried:
                if self.local_types[name] == "i64" and type(final[name]) is str:
                    moved = values.fresh(f"{name}.next")
                    self.line(f"{moved} = {self.opaque(final[name])}")
                    final[name] = moved
            more = values.fresh(f"{s.var.name}.more")
            self.line(f"{more} = icmp slt i64 {following}, {stop}")
            self.line(f"br i1 {more}, label %{head}, label %{end}")
        back = f", [ {following}, %{latch} ]" if again else ""
        lines[place] = f"  {counter} = phi i64 [ {start}, %{before} ]{back}"
        for offset, (phi, name) in enumerate(phis, 1):
            back = f", [ {final[name]}, %{latch} ]" if again else ""
            kind = self.local_types[name]
            lines[place + offset] = f"  {phi} = phi {kind} [ {initial[name]}, %{before} ]{back}"
        values.leave(mark)
        self.ended = runs and not again
        if self.ended:
            return
        self.start(end)
        for name in carried:
            sources = [] if runs else [(initial[name], before)]
            if again:
                sources.append((final[name], latch))
            values.environment[name] = self.phi(name, self.local_types[name], sources)
        self.touch(effects.stored)
