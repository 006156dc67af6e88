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
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    counts: dict[int, int] = {}
    for k, instruction in enumerate(instructions):
        for b in _touched(instruction):
            first.setdefault(b, k)
            last[b] = k
        if isinstance(instruction, p.Allocate):
            counts[instruction.buffer] = instruction.count
    free: list[tuple[int, int]] = []
    slots = 0
    ends: list[tuple[int, int, int]] = []
    for b in sorted(
        (b for b, buffer in enumerate(found) if buffer.kind == "temporary"),
        key=lambda b: first.get(b, 0),
    ):
        start = first.get(b, 0)
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
        ends.append((last.get(b, start), slot, hash(wanted)))
        found[b] = found[b]._replace(slot=slot)
    return found


def _touched(instruction: p.Instruction) -> list[int]:
    if isinstance(instruction, p.Allocate | p.Keep):
        return [instruction.buffer]
    if isinstance(instruction, p.Launch):
        found = [b for b in instruction.buffers if b >= 0]
        for _, launch in instruction.calls:
            found += _touched(launch)
        return found
    if isinstance(instruction, p.Copy):
        return [instruction.target, instruction.source]
    if isinstance(instruction, p.Item):
        return [instruction.buffer]
    if isinstance(instruction, p.Host):
        return [b for b, _ in (*instruction.inputs, *instruction.outputs)]
    return []
