"""Vector math: the functions of the kernel language as branch-free primitive operations."""

from __future__ import annotations

from croton.codegen.math.formulas import FORMULAS
from croton.codegen.math.philox import expand_philox
from croton.codegen.math.term import FORMATS, Term
from croton.kernel.nodes import Expr, KernelError, Op


def expand(op: Op) -> Expr:
    """What the function ``op`` computes, said in primitive operations.

    An expression object that occurs several times in the result is meant to be
    evaluated once.  float32 and float64 have formulas; a float16 operand is
    computed in float32 by the caller.
    """
    if op.name == "philox":
        return expand_philox(op)
    formula = FORMULAS.get(op.name)
    if formula is None:
        raise KernelError(f"{op.name} is not a function that vector math expands")
    if op.dtype not in FORMATS:
        raise KernelError(f"{op.name} expands for {' and '.join(FORMATS)}, not for {op.dtype}")
    return formula(*map(Term, op.args)).expr
