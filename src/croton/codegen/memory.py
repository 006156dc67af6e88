"""The statements about memory: stores, requests for cache lines, and buffers' further names."""

from __future__ import annotations

from croton.codegen.changes import ANY, place_of
from croton.codegen.types import SIZE, memory_type, suffix_of, type_of
from croton.codegen.values import Value, Values
from croton.kernel.nodes import (
    Advance,
    Aligned,
    Allocate,
    Buffer,
    Choose,
    Cursor,
    Part,
    Prefetch,
    Reload,
    Store,
)


class Memory:
    """Renders them into the lines of ``values``."""

    #: LLVM's letter for the registers that hold addresses.
    register = "r"

    def __init__(self, values: Values) -> None:
        self.values = values
        self.block = "entry"
        #: LLVM's types of the variables, and of the cursors.
        self.local_types: dict[str, str] = {}
        #: Whether a store bypasses the caches.
        self.streams = False

    def label(self, name: str) -> str:
        """A fresh label that reads like ``name``."""
        return self.values.fresh(name)[1:]

    def start(self, label: str) -> None:
        """Begin the block ``label``."""
        self.values.lines.append(f"{label}:")
        self.block = label

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.values.lines.append(f"  {text}")

    def touch(self, stored: tuple[str, ...]) -> None:
        """Forget what was loaded from buffers that are written to."""
        for name in self.values.pointers if ANY in stored else stored:
            self.values.touch(name)

    def store(self, s: Store) -> None:
        """Write to a buffer."""
        values = self.values
        dtype, lanes = s.value.dtype, s.value.lanes
        value = values.value(s.value)
        kind = memory_type(dtype, lanes)
        if dtype == "bool":
            value = values.emit(f"zext {type_of('bool', lanes)} {value} to {kind}")
        align = SIZE[dtype]
        suffix = suffix_of("uint8" if dtype == "bool" else dtype, lanes)
        if s.index.lanes > 1:
            pointers = values.addresses(s.buffer, s.index)
            vector, bits = f"<{lanes} x ptr>", f"<{lanes} x i1>"
            name = f"masked.scatter.{suffix}.v{lanes}p0"
            values.declarations.setdefault(
                name, f"declare void @llvm.{name}({kind}, {vector}, i32, {bits})"
            )
            mask = values.mask(s.mask, lanes)
            self.line(
                f"call void @llvm.{name}({kind} {value}, {vector} {pointers}, "
                f"i32 {align}, {bits} {mask})"
            )
        elif s.mask is not None:
            pointer = values.address(s.buffer, s.index)
            if lanes == 1:
                kind = f"<1 x {kind}>"
                value = values.emit(f"insertelement {kind} poison, {kind[5:-1]} {value}, i64 0")
                suffix = f"v1{suffix}"
            mask, bits = values.mask(s.mask, lanes), f"<{lanes} x i1>"
            name = f"masked.store.{suffix}.p0"
            values.declarations.setdefault(
                name, f"declare void @llvm.{name}({kind}, ptr, i32, {bits})"
            )
            text = f"@llvm.{name}({kind} {value}, ptr {pointer}, i32 {align}, {bits} {mask})"
            if lanes > 1 and "slow.masks" in values.features:
                self.whole(mask, lanes, f"store {kind} {value}, ptr {pointer}, align {align}", text)
            else:
                self.line(f"call void {text}")
        else:
            pointer = values.address(s.buffer, s.index)
            after = f"align {align}"
            if s.nontemporal:
                self.streams = True
                after = f"align {align * lanes}, !nontemporal !0"
            self.line(f"store {kind} {value}, ptr {pointer}, {after}")
        values.touch(s.buffer.name)
        values.memo = {}

    def whole(self, mask: Value, lanes: int, store: str, masked: str) -> None:
        """Store under a mask, plainly where it holds for all lanes."""
        name = f"vector.reduce.and.{suffix_of('bool', lanes)}"
        test = self.values.call("bool", 1, name, (type_of("bool", lanes), mask))
        whole, part, end = self.label("whole"), self.label("partial"), self.label("stored")
        self.line(f"br i1 {test}, label %{whole}, label %{part}")
        for label, text in ((whole, store), (part, f"call void {masked}")):
            self.start(label)
            self.line(text)
            self.line(f"br label %{end}")
        self.start(end)

    def prefetch(self, s: Prefetch) -> None:
        """Ask for a cache line."""
        values = self.values
        values.declarations.setdefault(
            "prefetch.p0", "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
        )
        pointer = values.address(s.buffer, s.index)
        hint = f"i32 {int(s.write)}, i32 {4 - s.level}, i32 1"
        self.line(f"call void @llvm.prefetch.p0(ptr {pointer}, {hint})")

    def allocate(self, s: Allocate) -> None:
        """Name a part of the scratch memory."""
        values = self.values
        offset = values.value(s.offset)
        pointer = values.emit(f"getelementptr i8, ptr %scratch, i64 {offset}")
        values.pointers[s.buffer.name] = str(values.name_last(pointer, s.buffer.name))
        values.memo = {}

    def choose(self, s: Choose) -> None:
        """Give one of two buffers a further name."""
        values = self.values
        test = values.value(s.condition)
        first, second = values.pointers[s.first.name], values.pointers[s.second.name]
        pointer = values.emit(f"select i1 {test}, ptr {first}, ptr {second}")
        values.pointers[s.buffer.name] = str(values.name_last(pointer, s.buffer.name))
        values.alias(s.buffer.name, s.first.name, s.second.name)
        values.memo = {}

    def part(self, s: Part) -> None:
        """Give a buffer a further name, from some element on."""
        values = self.values
        pointer = values.address(s.source, s.offset)
        values.pointers[s.buffer.name] = str(values.name_last(pointer, s.buffer.name))
        values.alias(s.buffer.name, s.source.name)
        values.memo = {}

    def cursor(self, s: Cursor) -> None:
        """Begin where a part does."""
        self.part(s)
        place = place_of(s.buffer)
        self.values.cursors[s.buffer.name] = place
        self.local_types[place] = "ptr"
        self._place(s.buffer, self.values.pointers[s.buffer.name])

    def advance(self, s: Advance) -> None:
        """Begin further on."""
        self._place(s.buffer, self.values.address(s.buffer, s.offset))

    def _place(self, cursor: Buffer, pointer: str) -> None:
        """Let ``cursor`` begin at ``pointer``, which no access computes anew."""
        values = self.values
        hidden = values.fresh(cursor.name)
        self.line(f'{hidden} = call ptr asm "", "={self.register},0"(ptr {pointer})')
        values.environment[place_of(cursor)] = hidden
        values.memo = {}

    def aligned(self, s: Aligned) -> None:
        """Name whether a buffer is aligned."""
        values = self.values
        address = values.emit(f"ptrtoint ptr {values.pointers[s.buffer.name]} to i64")
        low = values.emit(f"and i64 {address}, {s.size - 1}")
        found = values.name_last(values.emit(f"icmp eq i64 {low}, 0"), s.var.name)
        values.environment[s.var.name] = found
        values.memo = {}

    def reload(self, s: Reload) -> None:
        """Forget what was loaded, and have LLVM forget it."""
        self.touch((ANY,))
        self.line('call void asm sideeffect "", "~{memory}"()')
        self.values.memo = {}
