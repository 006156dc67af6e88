"""Memory for temporaries: those whose lives do not overlap share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from croton.runtime import program as p


def share_slots(
    buffers: Sequence[p.Buffer], instructions: Sequence[p.Instruction]
) -> list[p.Buffer]:
    """Give temporaries whose lives do not overlap the same slot of the arena."""
    found = list(buffers)
    lives = _lives(instructions)
    counts = {i.buffer: i.count for i in instructions if isinstance(i, p.Allocate)}
    free: list[tuple[int, int]] = []
    slots = 0
    ends: list[tuple[int, int, int]] = []
    for b in sorted(
        (b for b, buffer in enumerate(found) if buffer.kind == "temporary"),
        key=lambda b: lives.get(b, (0, 0)),
    ):
        start, end = lives.get(b, (0, 0))
        itemsize = np.dtype(found[b].dtype).itemsize
        for e in [e for e in ends if e[0] < start]:
            ends.remove(e)
            free.append((e[1], e[2]))
        wanted = (counts.get(b, -1), itemsize)
        match = next((f for f in free if f[1] == hash(wanted)), None) or (free[0] if free else None)
        if match is not None:
            free.remove(match)
            slot = match[0]
        else:
            slot = slots
            slots += 1
        ends.append((end, slot, hash(wanted)))
        found[b] = found[b]._replace(slot=slot)
    return found


def _lives(instructions: Sequence[p.Instruction]) -> dict[int, tuple[int, int]]:
    """The first and the last instruction that needs each buffer.

    What lies in memory before a loop begins stays there until it ends, wherever the loop reads
    it; and what there are views of lives as long as they do.
    """
    lives: dict[int, tuple[int, int]] = {}
    sources: dict[int, set[int]] = {}
    begun: list[int] = []
    for k, instruction in enumerate(instructions):
        if isinstance(instruction, p.BEGINS):
            begun.append(k)
        elif isinstance(instruction, p.ENDS):
            start = begun.pop()
            for b, (first, last) in lives.items():
                if first < start <= last:
                    lives[b] = (first, k)
        elif isinstance(instruction, p.View):
            sources.setdefault(instruction.buffer, set()).add(instruction.source)
        reached = set()
        stack = _touched(instruction)
        while stack:
            b = stack.pop()
            if b not in reached:
                reached.add(b)
                stack += sources.get(b, ())
        for b in reached:
            lives[b] = (lives.get(b, (k, k))[0], k)
    return lives


def _touched(instruction: p.Instruction) -> list[int]:
    if isinstance(instruction, p.Allocate | p.Keep | p.View):
        return [instruction.buffer]
    if isinstance(instruction, p.Launch):
        found = [b for b in instruction.buffers if b >= 0]
        for _, launch in instruction.calls:
            found += _touched(launch)
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
