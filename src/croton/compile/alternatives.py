"""Kernels of alternatives: of several ways to do something, a call takes the one for its sizes.

The kernels of the others need not be there.  So those that only alternatives launch are compiled
when a call first takes one of these.
"""

from __future__ import annotations

from collections.abc import Sequence

from croton.runtime.program import (
    OPERATIONS,
    Ask,
    Compute,
    Host,
    Instruction,
    Item,
    Join,
    Launch,
    Loop,
    Program,
    Split,
)


def always(program: Program) -> set[int]:
    """The kernels that are no alternative's alone.

    Not in a split, though: what threads do there that have nothing to do with Python has to be
    complete.
    """
    number = dict(program.constants)
    compute = [i for i in program.instructions if isinstance(i, Compute)]
    chosen = {i.target for i in compute if i.chooses(number)}
    found: set[int] = set()
    depth = 0
    for i in program.instructions:
        depth += isinstance(i, Split) - isinstance(i, Join)
        if isinstance(i, Launch) and (depth or i.items not in chosen):
            found.update(i.reached())
    return found


def needed(program: Program, begin: int, registers: Sequence[int]) -> set[int]:
    """The kernels that a call launches from instruction ``begin`` on, as far as it can be told.

    ``registers`` are what it has there.  What hangs on values is not known before it is read.
    """
    rest = program.instructions[begin:]
    later = {target for i in rest for target in _targets(i)}
    known = {r: value for r, value in enumerate(registers) if r not in later}
    found: set[int] = set()
    for i in rest:
        if isinstance(i, Compute):
            used = [r for r in (i.a, i.b, i.c) if r >= 0]
            if all(r in known for r in used):
                known[i.target] = OPERATIONS[i.operation](*(known[r] for r in used))
        elif isinstance(i, Launch) and known.get(i.items, 0) > 0:
            found.update(i.reached())
    return found


def _targets(i: Instruction) -> tuple[int, ...]:
    """The registers that an instruction sets."""
    if isinstance(i, Compute | Item | Ask):
        return (i.target,)
    if isinstance(i, Loop):
        return (i.index,)
    if isinstance(i, Split):
        return i.first, i.count
    if isinstance(i, Host):
        return tuple(r for _, shape in i.outputs for r in shape)
    return ()
