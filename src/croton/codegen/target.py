"""What the renderer asks of a target: words of LLVM, and how its loops are run."""

from __future__ import annotations

from croton.codegen.statements import Statements
from croton.kernel.machine import Machine


class Target:
    """A kind of machine.

    ``features`` are what lowering depends on: ``"extreme.nan"`` (an instruction
    for a maximum in which NaN wins), ``"ldexp"`` (scaling by a power of two),
    ``"half"`` (conversions of float16), ``"vector.x86"`` (32 by 32 bit products of
    the even lanes only).
    """

    machine: Machine
    triple: str
    layout: str = ""
    attributes: str = ""
    globals: str = ""
    features: frozenset[str] = frozenset()
    statements: type[Statements] = Statements
