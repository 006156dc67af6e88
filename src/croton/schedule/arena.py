"""Memory for temporaries: those whose lives do not overlap share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from croton.runtime import program as p
from croton.schedule.heirs import Heir, inheritances

#: A slot of so many times the bytes is left to what fills it better.
_LARGER = 8


class _Slot(NamedTuple):
    """A slot that nobody uses: what was in it last, its register of elements and their size."""

    number: int
    count: int  # type: ignore[assignment]
    itemsize: int
    size: int | None  # in bytes, if it is known


def share_slots(
    buffers: Sequence[p.Buffer],
    instructions: Sequence[p.Instruction],
    known: Mapping[int, int],
    heirs: Sequence[Heir] = (),
) -> list[p.Buffer]:
    """Give temporaries whose lives do not overlap the same slot of the arena.

    So have ``heirs`` that can take the rows of others one by one.  ``known`` are the values of
    registers.
    """
    found = list(buffers)
    touches = _touches(instructions)
    lives = _lives(instructions, touches)
    counts = {i.buffer: i.count for i in instructions if isinstance(i, p.Allocate)}
    first_of = inheritances(heirs, found, instructions, touches)
    for b, first in first_of.items():
        lives[first] = (lives[first][0], max(lives[first][1], lives[b][1]))
    free: list[_Slot] = []
    slots = 0
    ends: list[tuple[int, _Slot]] = []
    for b in sorted(
        (b for b, buffer in enumerate(found) if buffer.kind == "temporary" and b not in first_of),
        key=lambda b: lives.get(b, (0, 0)),
    ):
        start, end = lives.get(b, (0, 0))
        for e in [e for e in ends if e[0] < start]:
            ends.remove(e)
            free.append(e[1])
        count, itemsize = counts.get(b, -1), np.dtype(found[b].dtype).itemsize
        size = known[count] * itemsize if count in known else None
        match = _match(free, _Slot(-1, count, itemsize, size))
        if match is not None:
            free.remove(match)
            number = match.number
            if size is not None and match.size is not None:
                size = max(size, match.size)
        else:
            number = slots
            slots += 1
        ends.append((end, _Slot(number, count, itemsize, size)))
        found[b] = found[b]._replace(slot=number)
    for b, first in first_of.items():
        found[b] = found[b]._replace(slot=found[first].slot)
    return found


def _match(free: Sequence[_Slot], wanted: _Slot) -> _Slot | None:
    """The slot that is best for what is ``wanted``: one of its size, or not much larger."""
    for slot in free:
        if (slot.count, slot.itemsize) == (wanted.count, wanted.itemsize):
            return slot
    if wanted.size is None:
        return free[0] if free else None
    unknown = [s for s in free if s.size is None]
    fits = [s for s in free if s.size and wanted.size <= s.size <= _LARGER * wanted.size]
    return min(fits, key=lambda s: s.size or 0, default=unknown[0] if unknown else None)


def _lives(
    instructions: Sequence[p.Instruction], touches: Mapping[int, Sequence[int]]
) -> dict[int, tuple[int, int]]:
    """The first and the last instruction that needs each buffer.

    What lies in memory before a loop begins stays there until it ends, wherever the loop reads
    it.
    """
    lives = {b: (places[0], places[-1]) for b, places in touches.items()}
    begun: list[int] = []
    for k, instruction in enumerate(instructions):
        if isinstance(instruction, p.BEGINS):
            begun.append(k)
        elif isinstance(instruction, p.ENDS):
            start = begun.pop()
            for b, (first, last) in lives.items():
                if first < start <= last < k:
                    lives[b] = (first, k)
    return lives


def _touches(instructions: Sequence[p.Instruction]) -> dict[int, list[int]]:
    """The instructions that need each buffer: itself, or a view of it."""
    found: dict[int, list[int]] = {}
    sources: dict[int, set[int]] = {}
    for k, instruction in enumerate(instructions):
        if isinstance(instruction, p.View):
            sources.setdefault(instruction.buffer, set()).add(instruction.source)
        reached = set()
        stack = _needed(instruction)
        while stack:
            b = stack.pop()
            if b not in reached:
                reached.add(b)
                stack += sources.get(b, ())
        for b in reached:
            found.setdefault(b, []).append(k)
    return found


def _needed(instruction: p.Instruction) -> list[int]:
    if isinstance(instruction, p.Allocate | p.Keep | p.View):
        return [instruction.buffer]
    if isinstance(instruction, p.Launch):
        found = [b for b in instruction.buffers if b >= 0]
        for _, launch in instruction.calls:
            found += _needed(launch)
        return found
    if isinstance(instruction, p.LaunchAt):
        return [*instruction.buffers]
    if isinstance(instruction, p.Copy):
        return [instruction.target, instruction.source]
    if isinstance(instruction, p.Item):
        return [instruction.buffer]
    if isinstance(instruction, p.Host):
        return [b for b, _ in (*instruction.inputs, *instruction.outputs)]
    return []
