"""What every round of a loop, or part of a split, would do again, done once before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from croton.kernel.nodes import Choose, Fail, Function, Store, walk_statements
from croton.runtime import program as p


class Kernel(NamedTuple):
    """The positions of the buffers that a kernel writes to, and whether it may fail."""

    writes: frozenset[int]
    fails: bool


def kernel_effects(function: Function) -> Kernel:
    """What ``function`` does to its buffers."""
    names: set[str] = set()
    chosen: dict[str, tuple[str, str]] = {}
    fails = False
    for s in walk_statements(function.body):
        if isinstance(s, Store):
            names.add(s.buffer.name)
        elif isinstance(s, Choose):
            chosen[s.buffer.name] = (s.first.name, s.second.name)
        elif isinstance(s, Fail):
            fails = True
    stack = list(names)
    while stack:
        for name in chosen.get(stack.pop(), ()):
            if name not in names:
                names.add(name)
                stack.append(name)
    writes = frozenset(k for k, b in enumerate(function.buffers) if b.name in names)
    return Kernel(writes, fails)


def hoist(
    instructions: Sequence[p.Instruction], effects_of: Callable[[int], Kernel]
) -> Sequence[int]:
    """The order in which the instructions are to run, by their positions.

    Those of a loop's body that read nothing that the loop changes come before it.  They then run
    where the loop has no rounds as well, so what may fail stays, views among it.  Parts of a split
    are like rounds.
    ``effects_of`` tells about the kernel of a number.
    """
    if not any(isinstance(i, p.BEGINS) for i in instructions):
        return range(len(instructions))
    return _Hoisting(instructions, effects_of).order


class _Use(NamedTuple):
    """Registers and memory that a unit (an instruction, or one with its ``Keep``) touches."""

    reads: frozenset[int]
    sets: frozenset[int]
    buffers: frozenset[int]
    writes: frozenset[int]
    defines: frozenset[int]
    pure: bool


class _Hoisting:
    def __init__(
        self, instructions: Sequence[p.Instruction], effects_of: Callable[[int], Kernel]
    ) -> None:
        self.instructions = instructions
        self.effects_of = effects_of
        #: What each view may be a part of.
        self.sources: dict[int, set[int]] = {}
        for i in instructions:
            if isinstance(i, p.View):
                self.sources.setdefault(i.buffer, set()).add(i.source)
        self.order, _ = self._block(0)

    def _block(self, start: int) -> tuple[list[int], int]:
        """The order from ``start`` up to the end of the body that it is in, and that end."""
        order: list[int] = []
        k = start
        while k < len(self.instructions) and not isinstance(self.instructions[k], p.ENDS):
            loop = self.instructions[k]
            if isinstance(loop, p.BEGINS):
                body, end = self._block(k + 1)
                lazy = isinstance(loop, p.Loop) and loop.lazy
                moved, left = ([], body) if lazy else self._divide(k, body, end)
                order += [*moved, k, *left, end]
                k = end + 1
            else:
                order.append(k)
                k += 1
        return order, k

    def _divide(self, loop: int, body: list[int], end: int) -> tuple[list[int], list[int]]:
        """What of the ``body`` of a loop moves before it, and what stays."""
        units = self._units(body)
        uses = [self._use(unit) for unit in units]
        changed = set(self._use((loop,)).sets)
        defined: set[int] = set()
        for use in uses:
            changed |= use.sets
            defined |= use.defines
        moving = {k for k, use in enumerate(uses) if use.pure}
        while True:
            staying = [use for k, use in enumerate(uses) if k not in moving]
            fixed = set().union(*(uses[k].sets for k in moving))
            ready = set().union(*(uses[k].defines for k in moving))
            written = self._memory(b for use in staying for b in use.writes)
            kept = defined - ready
            gone = {
                k
                for k in moving
                if (uses[k].reads & changed) - fixed
                or uses[k].buffers & kept
                or self._memory(uses[k].buffers) & written
                # What lies in memory from before the loop may be read before it is written.
                or not uses[k].writes <= ready
            }
            if not gone:
                break
            moving -= gone
        # Memory and sizes that only what stays needs are made there.
        needed = self._needed(uses, moving)
        moved = [i for k in sorted(needed) for i in units[k]]
        left = [i for k, unit in enumerate(units) if k not in needed for i in unit]
        return moved, left

    def _needed(self, uses: Sequence[_Use], moving: set[int]) -> set[int]:
        """Of those ``moving`` the ones that save work: memory is not made early for nothing."""
        found = {k for k in moving if not uses[k].defines or uses[k].writes}
        buffers: set[int] = set().union(*(uses[k].buffers for k in found))
        while True:
            more = {k for k in moving - found if uses[k].defines & buffers}
            if not more:
                return found
            found |= more
            buffers |= set().union(*(uses[k].buffers for k in more))

    def _units(self, body: Sequence[int]) -> list[tuple[int, ...]]:
        """The body's instructions one by one; inner loops, and what is kept, as wholes."""
        units: list[tuple[int, ...]] = []
        depth = 0
        for i in body:
            instruction = self.instructions[i]
            previous = self.instructions[units[-1][-1]] if units else None
            if depth or isinstance(previous, p.Keep):
                units[-1] = (*units[-1], i)
            else:
                units.append((i,))
            depth += isinstance(instruction, p.BEGINS) - isinstance(instruction, p.ENDS)
        return units

    def _memory(self, buffers: Iterable[int]) -> set[int]:
        """The memory that ``buffers`` may lie in: what is no view itself."""
        found: set[int] = set()
        seen: set[int] = set()
        stack = list(buffers)
        while stack:
            b = stack.pop()
            if b in seen:
                continue
            seen.add(b)
            if b in self.sources:
                stack += self.sources[b]
            else:
                found.add(b)
        return found

    def _use(self, unit: Sequence[int]) -> _Use:
        parts = [self._of(self.instructions[k]) for k in unit]
        if len(parts) == 1:
            return parts[0]
        return _Use(
            frozenset().union(*(part.reads for part in parts)),
            frozenset().union(*(part.sets for part in parts)),
            frozenset().union(*(part.buffers for part in parts)),
            frozenset().union(*(part.writes for part in parts)),
            frozenset().union(*(part.defines for part in parts)),
            all(part.pure for part in parts),
        )

    def _of(self, i: p.Instruction) -> _Use:
        reads: set[int] = set()
        sets: set[int] = set()
        buffers: set[int] = set()
        writes: set[int] = set()
        defines: set[int] = set()
        pure = True
        if isinstance(i, p.Compute):
            reads = {r for r in (i.a, i.b, i.c) if r >= 0}
            sets = {i.target}
        elif isinstance(i, p.Allocate):
            reads, defines = {i.count, *i.shape}, {i.buffer}
        elif isinstance(i, p.Keep):
            reads, defines, writes = {i.count}, {i.buffer}, {i.buffer}
        elif isinstance(i, p.View):
            reads, defines, buffers = {i.offset, i.count}, {i.buffer}, {i.source}
            pure = False
        elif isinstance(i, p.Copy):
            reads, buffers, writes = {i.count}, {i.target, i.source}, {i.target}
        elif isinstance(i, p.Item):
            reads, sets, buffers = {i.index}, {i.target}, {i.buffer}
        elif isinstance(i, p.Launch):
            pure = self._launch(i, reads, buffers, writes)
        elif isinstance(i, p.LaunchAt):
            reads, buffers = {i.address, i.scratch, *i.sizes}, {*i.buffers}
            writes, pure = {i.buffers[k] for k in i.writes}, False
        elif isinstance(i, p.Host):
            reads = {r for _, shape in i.inputs for r in shape}
            sets = {r for _, shape in i.outputs for r in shape}
            buffers = {b for b, _ in i.inputs}
            writes = defines = {b for b, _ in i.outputs}
            pure = False
        elif isinstance(i, p.Check):
            reads, pure = {i.condition}, False
        elif isinstance(i, p.Ask):
            reads, sets = {i.when, *i.about}, {i.target}
        elif isinstance(i, p.Loop):
            reads, sets, pure = {i.count}, {i.index}, False
        elif isinstance(i, p.Split):
            reads, sets, pure = {i.total, i.unit}, {i.first, i.count}, False
        else:
            reads = {i.stop} if isinstance(i, p.Next) and i.stop >= 0 else set()
            pure = False
        return _Use(
            frozenset(reads), frozenset(sets), frozenset(buffers), frozenset(writes),
            frozenset(defines), pure,
        )  # fmt: skip

    def _launch(self, i: p.Launch, reads: set[int], buffers: set[int], writes: set[int]) -> bool:
        """Note what a launch touches; whether it cannot fail."""
        effects = self.effects_of(i.kernel)
        reads |= {*i.sizes, i.items, i.grain, i.scratch}
        buffers |= {b for b in i.buffers if b >= 0}
        writes |= {b for k, b in enumerate(i.buffers) if b >= 0 and k in effects.writes}
        pure = not effects.fails
        for _, call in i.calls:
            pure = self._launch(call, reads, buffers, writes) and pure
        return pure
