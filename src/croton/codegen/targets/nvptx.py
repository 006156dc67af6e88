"""NVIDIA GPUs: kernels as PTX text.

A block runs the items of a parallel loop in turn with all of its threads.  What
stands outside of vector loops every thread computes alike, and one stores.  The
threads share the iterations of a vector loop; what it accumulates is combined
through the warp and then through shared memory, so that every thread knows it.
A block has a multiple of 32 threads.

The entry's signature has one argument more than on a CPU, and no result::

    void name(void **buffers, const int64_t *sizes, int64_t lo, int64_t hi,
              void *scratch, int64_t scratch_stride)

Block ``b`` uses the scratch memory at ``scratch + b * scratch_stride``.  A
failure writes its code to ``scratch[2]`` and its details to ``scratch[0:2]``
(int64); the first one counts.
"""

from __future__ import annotations

from croton.codegen import native
from croton.codegen.lanes import combine
from croton.codegen.statements import Statements
from croton.codegen.target import Target
from croton.codegen.types import SIZE, constant, type_of
from croton.codegen.values import Value
from croton.kernel.accumulate import identity
from croton.kernel.machine import Machine
from croton.kernel.nodes import (
    Allocate,
    Barrier,
    Best,
    Call,
    Fail,
    For,
    KernelError,
    Load,
    Op,
    Outlined,
    Prefetch,
    Store,
    walk_statements,
)
from croton.kernel.uniform import Facts, Unsupported, post_order, statement_expressions

_SPECIAL = {"tid": "tid.x", "ntid": "ntid.x", "block": "ctaid.x", "blocks": "nctaid.x"}
_WARP = 32


class NvptxStatements(Statements):
    """Renders a kernel for a block of threads."""

    register = "l"

    def signature(self) -> str:
        """The function's head."""
        return (
            f"define ptx_kernel void @{self.function.name}(ptr %buffers, ptr %sizes, "
            "i64 %lo, i64 %hi, ptr %all, i64 %stride)"
        )

    def prologue(self) -> None:
        """Bind names; a kernel without a parallel loop is the first block's alone."""
        values = self.values
        values.names.update(("all", "stride"))
        self.shared_work = False
        self.special = {name: self._register(name) for name in _SPECIAL}
        values.lines.append(f"  %offset = mul i64 {self.special['block']}, %stride")
        values.lines.append("  %scratch = getelementptr i8, ptr %all, i64 %offset")
        super().prologue()
        for name, pointer in values.pointers.items():
            values.pointers[name] = self._global(pointer)
        self.loaded = {
            node.buffer.name
            for s in walk_statements(self.function.body)
            for e in statement_expressions(s)
            for node in post_order(e, {})
            if isinstance(node, Load)
        }
        if not any(
            isinstance(s, For) and s.kind == "parallel" for s in walk_statements(self.function.body)
        ):
            first = values.emit(f"icmp eq i64 {self.special['block']}, 0")
            self.line(f"br i1 {first}, label %alone, label %others")
            self.start("others")
            self.line("ret void")
            self.start("alone")

    def finish(self) -> None:
        """Leave the function."""
        self.line("ret void")

    def _register(self, name: str) -> str:
        full = f"nvvm.read.ptx.sreg.{_SPECIAL[name]}"
        narrow = self.values.call("int32", 1, full)
        wide = self.values.emit(f"zext i32 {narrow} to i64")
        return str(self.values.name_last(wide, name))

    def _global(self, pointer: str) -> str:
        """The same address, known to be in global memory."""
        values = self.values
        known = values.emit(f"addrspacecast ptr {pointer} to ptr addrspace(1)")
        return values.emit(f"addrspacecast ptr addrspace(1) {known} to ptr")

    def slow(self, op: Op) -> Value:
        """The second argument of a choice, in its place: a loop is here only once."""
        return self.values.apart(op.args[1])

    # -- loops -------------------------------------------------------------------------

    def loop(self, s: For) -> None:
        """Share the iterations among blocks or threads, or repeat them in every thread."""
        if s.kind == "parallel" and not self.shared_work:
            self._strided(s, "block", "blocks")
        elif s.kind == "vector" and not self.shared_work:
            try:
                facts = Facts(s)
            except Unsupported:
                super().loop(s)
            else:
                self._threads(s, facts)
        else:
            super().loop(s)

    def _strided(self, s: For, own: str, count: str) -> None:
        values = self.values
        start, stop, step = (values.value(e) for e in (s.start, s.stop, s.step))
        first = self._times(self.special[own], step)
        stride = self._times(self.special[count], step)
        if start != 0:
            first = values.emit(f"add i64 {start}, {first}")
        self.repeat(s, first, stop, stride)

    def _times(self, number: str, step: Value) -> str:
        return number if step == 1 else self.values.emit(f"mul i64 {number}, {step}")

    def _threads(self, s: For, facts: Facts) -> None:
        values = self.values
        outer = {n: self.dtypes[n] for n in facts.outer_assigned}
        before = {n: values.environment[n] for n in outer}
        for name, family in facts.families.items():
            first = identity(family, outer[name])
            values.environment[name] = constant(first, outer[name], 1)
        values.memo = {}
        self.shared_work = True
        self._strided(s, "tid", "ntid")
        self.shared_work = False
        for name, family in facts.families.items():
            total = self._combined(name, family, outer[name])
            values.environment[name] = combine(values, family, outer[name], 1, before[name], total)
        for best in {id(b): b for b in facts.best.values()}.values():
            self._combined_best(best)
        if facts.stored:
            self._wait()
        values.memo = {}

    # -- threads together --------------------------------------------------------------

    def _wait(self) -> None:
        self.values.declarations.setdefault(
            "barrier", "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)"
        )
        self.line("call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)")
        self.touch(tuple(self.values.pointers))

    def _combined(self, name: str, family: str, dtype: str) -> Value:
        """What all threads of the block have accumulated, in each of them."""
        values = self.values
        value = self._butterfly(values.environment[name], family, dtype)
        (word,) = self._exchange([(value, dtype, constant(identity(family, dtype), dtype, 1))])
        return self._butterfly(word, family, dtype)

    def _butterfly(self, value: Value, family: str, dtype: str) -> Value:
        distance = _WARP // 2
        while distance:
            other = self._shuffle(value, dtype, distance)
            value = combine(self.values, family, dtype, 1, value, other)
            distance //= 2
        return value

    def _combined_best(self, best: Best) -> None:
        values, dtype = self.values, best.var.dtype
        value, where = (values.environment[v.name] for v in (best.var, best.where))
        first = value, where
        value, where = self._butterfly_best(best, value, where)
        # Warps that are not there have what every thread started with.
        value, where = self._exchange([(value, dtype, first[0]), (where, "int64", first[1])])
        value, where = self._butterfly_best(best, value, where)
        values.environment[best.var.name] = value
        values.environment[best.where.name] = where

    def _butterfly_best(self, best: Best, value: Value, where: Value) -> tuple[Value, Value]:
        values, dtype = self.values, best.var.dtype
        kind = type_of(dtype, 1)
        real = "float" in dtype
        better = ("fcmp o" if real else "icmp s" if dtype[0] == "i" else "icmp u") + (
            "gt" if best.largest else "lt"
        )
        distance = _WARP // 2
        while distance:
            other = self._shuffle(value, dtype, distance)
            index = self._shuffle(where, "int64", distance)
            wins = values.emit(f"{better} {kind} {other}, {value}")
            same = values.emit(f"{'fcmp oeq' if real else 'icmp eq'} {kind} {other}, {value}")
            if real:
                theirs = values.emit(f"fcmp uno {kind} {other}, {other}")
                ours = values.emit(f"fcmp uno {kind} {value}, {value}")
                none = values.emit(f"xor i1 {ours}, true")
                only = values.emit(f"and i1 {theirs}, {none}")
                both = values.emit(f"and i1 {theirs}, {ours}")
                wins = values.emit(f"or i1 {wins}, {only}")
                same = values.emit(f"or i1 {same}, {both}")
            earlier = values.emit(f"icmp slt i64 {index}, {where}")
            tie = values.emit(f"and i1 {same}, {earlier}")
            wins = values.emit(f"or i1 {wins}, {tie}")
            value = values.emit(f"select i1 {wins}, {kind} {other}, {kind} {value}")
            where = values.emit(f"select i1 {wins}, i64 {index}, i64 {where}")
            distance //= 2
        return value, where

    def _shuffle(self, value: Value, dtype: str, distance: int) -> Value:
        """The value of the thread whose number differs in one bit."""
        values = self.values
        words = self._words(value, dtype)
        values.declarations.setdefault(
            "shfl", "declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)"
        )
        shuffle = "call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32"
        moved = [values.emit(f"{shuffle} {word}, i32 {distance}, i32 31)") for word in words]
        return self._from_words(moved, dtype)

    def _words(self, value: Value, dtype: str) -> list[Value]:
        """``value`` as words of 32 bits."""
        values, kind = self.values, type_of(dtype, 1)
        bits = "i1" if dtype == "bool" else f"i{8 * SIZE[dtype]}"
        if "float" in dtype:
            value = values.emit(f"bitcast {kind} {value} to {bits}")
        if bits == "i32":
            return [value]
        if bits != "i64":
            return [values.emit(f"zext {bits} {value} to i32")]
        low = values.emit(f"trunc i64 {value} to i32")
        shifted = values.emit(f"lshr i64 {value}, 32")
        return [low, values.emit(f"trunc i64 {shifted} to i32")]

    def _from_words(self, words: list[str], dtype: str) -> Value:
        values, kind = self.values, type_of(dtype, 1)
        bits = "i1" if dtype == "bool" else f"i{8 * SIZE[dtype]}"
        value = words[0]
        if bits == "i64":
            low, high = (values.emit(f"zext i32 {word} to i64") for word in words)
            high = values.emit(f"shl i64 {high}, 32")
            value = values.emit(f"or i64 {low}, {high}")
        elif bits != "i32":
            value = values.emit(f"trunc i32 {value} to {bits}")
        return values.emit(f"bitcast {bits} {value} to {kind}") if "float" in dtype else value

    def _exchange(self, items: list[tuple[Value, str, Value]]) -> list[Value]:
        """Thread ``k`` of each warp gets the values of warp ``k``, or the given defaults."""
        values = self.values
        lane = values.emit(f"and i64 {self.special['tid']}, {_WARP - 1}")
        warp = values.emit(f"lshr i64 {self.special['tid']}, 5")
        warps = values.emit(f"lshr i64 {self.special['ntid']}, 5")
        slot = "getelementptr [2 x i64], ptr addrspace(3) @exchange, i64"
        result: list[Value] = []
        for position, (value, dtype, _) in enumerate(items):
            kind = "i8" if dtype == "bool" else type_of(dtype, 1)
            if dtype == "bool":
                value = values.emit(f"zext i1 {value} to i8")
            place = values.emit(f"{slot} {warp}, i64 {position}")
            self.line(f"store {kind} {value}, ptr addrspace(3) {place}, align 8")
        self._wait()
        there = values.emit(f"icmp ult i64 {lane}, {warps}")
        for position, (_, dtype, default) in enumerate(items):
            kind = "i8" if dtype == "bool" else type_of(dtype, 1)
            place = values.emit(f"{slot} {lane}, i64 {position}")
            name = values.fresh("shared")
            self.line(f"{name} = load {kind}, ptr addrspace(3) {place}, align 8")
            word: Value = name
            if dtype == "bool":
                word = values.emit(f"icmp ne i8 {name}, 0")
            kind = type_of(dtype, 1)
            result.append(values.emit(f"select i1 {there}, {kind} {word}, {kind} {default}"))
        # The next exchange must not overwrite what is still being read.
        self._wait()
        return result

    # -- statements --------------------------------------------------------------------

    def store(self, s: Store) -> None:
        """Outside of vector loops all threads have the value, and one stores it."""
        if self.shared_work:
            super().store(s)
            return
        values = self.values
        for e in (s.value, s.index, s.mask):
            if e is not None:
                values.value(e)
        if s.buffer.name in self.loaded:
            self._wait()
        first = values.emit(f"icmp eq i64 {self.special['tid']}, 0")
        one, end = self.label("one"), self.label("stored")
        self.line(f"br i1 {first}, label %{one}, label %{end}")
        self.start(one)
        mark = len(values.table)
        super().store(s)
        values.leave(mark)
        self.line(f"br label %{end}")
        self.start(end)
        if s.buffer.name in self.loaded:
            self._wait()

    def prefetch(self, s: Prefetch) -> None:
        """Other threads run while one waits for memory: there is nothing to ask for."""

    def allocate(self, s: Allocate) -> None:
        """Name a part of the block's scratch memory."""
        super().allocate(s)
        pointers = self.values.pointers
        pointers[s.buffer.name] = self._global(pointers[s.buffer.name])

    def outlined(self, s: Outlined) -> None:
        """Run a body here: registers are many."""
        self.scope(s.body)

    def barrier(self, s: Barrier) -> None:
        """Wait for the threads of the block."""
        if self.shared_work:
            raise KernelError("a barrier inside a vector loop")
        self._wait()
        self.values.memo = {}

    def call(self, s: Call) -> None:
        """There are no pointers to kernels here."""
        raise KernelError("a kernel on a GPU cannot call another one")

    def fail(self, s: Fail) -> None:
        """Leave word of the first failure and end this thread."""
        values = self.values
        details = [values.value(d) for d in s.details]
        slot = values.emit("getelementptr i64, ptr %all, i64 2")
        pair, old = values.fresh("claim"), values.fresh("old")
        self.line(f"{pair} = cmpxchg ptr {slot}, i64 0, i64 {s.code} monotonic monotonic")
        self.line(f"{old} = extractvalue {{ i64, i1 }} {pair}, 1")
        ours, end = self.label("first"), self.label("failed")
        self.line(f"br i1 {old}, label %{ours}, label %{end}")
        self.start(ours)
        for position, detail in enumerate(details):
            place = values.fresh("detail")
            self.line(f"{place} = getelementptr i64, ptr %all, i64 {position}")
            self.line(f"store i64 {detail}, ptr {place}, align 8")
        self.line(f"br label %{end}")
        self.start(end)
        self.line("ret void")
        self.ended = True


class NvptxTarget(Target):
    """A GPU, by its compute capability (``"sm_80"``)."""

    globals = "@exchange = internal addrspace(3) global [32 x [2 x i64]] undef, align 8"
    features = frozenset({"extreme.nan", "half"})
    statements = NvptxStatements

    def __init__(self, capability: str = "sm_80") -> None:
        self.triple = "nvptx64-nvidia-cuda"
        self.capability = capability
        self.machine = Machine(capability, 4, 255, 128 << 10, 4 << 20, 40 << 20, "gpu")
        self.settings = native.Settings(self.triple, capability, "+ptx80", effort=2)

    def compile(self, text: str) -> bytes:
        """The PTX of the LLVM IR ``text``."""
        return native.generate(text, self.settings, assembly=True)
