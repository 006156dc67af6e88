"""Which buffers take the memory of others row by row, while a loop reads these for the last time.

An ordinary temporary takes the memory of another one that is dead (:mod:`croton.schedule.arena`).
A sequence is not while a loop goes through it, but each of its rows is once its step has read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from croton.runtime import program as p


class Heir(NamedTuple):
    """Steps of a loop read a row of ``old`` as ``read`` and write one of ``new`` as ``written``.

    Both buffers have a size, both rows are at the same place, and other steps deal with others.
    ``at_once``: a kernel may read the one while it writes the other.
    """

    old: int
    new: int
    read: int
    written: int
    at_once: bool = False


def inheritances(
    heirs: Sequence[Heir],
    buffers: Sequence[p.Buffer],
    instructions: Sequence[p.Instruction],
    touches: Mapping[int, Sequence[int]],
) -> dict[int, int]:
    """The buffers that can take the memory of others, and the first that was in each's.

    ``touches`` are the instructions that need each buffer.
    """
    old_of: dict[int, int] = {}
    for heir in heirs:
        kinds = {(buffers[b].kind, buffers[b].dtype) for b in (heir.old, heir.new)}
        free = heir.new not in old_of and heir.old not in old_of.values()
        if len(kinds) == 1 and buffers[heir.old].kind == "temporary" and free:
            if _can_inherit(instructions, touches, heir):
                old_of[heir.new] = heir.old
    first_of = {}
    for b in old_of:
        first = b
        while first in old_of:
            first = old_of[first]
        first_of[b] = first
    return first_of


def _can_inherit(
    instructions: Sequence[p.Instruction], touches: Mapping[int, Sequence[int]], heir: Heir
) -> bool:
    """Whether nobody reads a row of the old buffer once that of the new one is written."""
    shown = {i.buffer: k for k, i in enumerate(instructions) if isinstance(i, p.View)}
    if heir.read not in shown or heir.written not in shown:
        return False
    around = _loop_around(instructions, shown[heir.read])
    if around is None or _loop_around(instructions, shown[heir.written]) != around:
        return False
    start, stop = around
    reads = set(touches[heir.read])
    writes = set(touches[heir.written]) - {shown[heir.written]}
    before = [k for k in touches[heir.new] if k < start]
    return (
        # From the first step on the old one is needed for its rows alone, to the last one the new.
        all(k in reads for k in touches[heir.old] if k > start)
        and all(isinstance(instructions[k], p.Allocate) for k in before)
        and writes >= {k for k in touches[heir.new] if start < k < stop} - {shown[heir.written]}
        and max(reads) < min(writes, default=-1) + heir.at_once
    )


def _loop_around(instructions: Sequence[p.Instruction], place: int) -> tuple[int, int] | None:
    """Where the loop begins and ends, with its parts, that the instruction is in.

    None if it is in none, or in a loop of a loop: its rounds come again.
    """
    begun: list[int] = []
    for k, instruction in enumerate(instructions):
        if isinstance(instruction, p.BEGINS):
            begun.append(k)
        elif isinstance(instruction, p.ENDS):
            if k > place > begun[-1]:
                kinds = [type(instructions[b]) for b in begun]
                if kinds in ([p.Loop], [p.Split, p.Loop]):
                    rest = range(k, len(instructions))
                    ends = [j for j in rest if isinstance(instructions[j], p.ENDS)]
                    return begun[0], ends[len(begun) - 1]
                return None
            begun.pop()
    return None
