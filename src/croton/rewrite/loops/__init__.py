"""Rules for scans: each looks at a scan and at who reads it, in the whole graph."""

from croton.rewrite.loops.accumulation import ACCUMULATION, PARTS, SUMS
from croton.rewrite.loops.afterwards import AFTERWARDS
from croton.rewrite.loops.beside import BESIDE, COLUMNS
from croton.rewrite.loops.driver import Graph, LoopRule, Loops
from croton.rewrite.loops.invariants import INVARIANTS
from croton.rewrite.loops.join import JOIN
from croton.rewrite.loops.last import LAST
from croton.rewrite.loops.products import PRODUCTS
from croton.rewrite.loops.together import TOGETHER
from croton.rewrite.loops.trim import TRIM

#: In the order in which they are tried.
LOOP_RULES = (
    TRIM,
    JOIN,
    LAST,
    INVARIANTS,
    ACCUMULATION,
    SUMS,
    PARTS,
    PRODUCTS,
    AFTERWARDS,
    TOGETHER,
)

#: For steps that are as simple as they get.
LATE_RULES = (TRIM, BESIDE, COLUMNS)

__all__ = ["LATE_RULES", "LOOP_RULES", "TRIM", "Graph", "LoopRule", "Loops"]
