"""Vector math: the functions of the kernel language as branch-free primitive operations."""

from __future__ import annotations

from collections.abc import Callable

from croton.codegen.math.exponentials import exp, exp2, expm1
from croton.codegen.math.logarithms import log, log1p
from croton.codegen.math.logistic import sigmoid, softplus, tanh
from croton.codegen.math.term import FORMATS, Term
from croton.kernel.nodes import Expr, KernelError, Op

_FORMULAS: dict[str, Callable[..., Term]] = {
    f.__name__: f for f in (exp, exp2, expm1, log, log1p, sigmoid, softplus, tanh)
}


def expand(op: Op) -> Expr:
    """What the function ``op`` computes, said in primitive operations.

    An expression object that occurs several times in the result is meant to be
    evaluated once.  float32 and float64 have formulas; a float16 operand is
    computed in float32 by the caller.
    """
    formula = _FORMULAS.get(op.name)
    if formula is None:
        raise KernelError(f"{op.name} is not a function that vector math expands")
    if op.dtype not in FORMATS:
        raise KernelError(f"{op.name} expands for {' and '.join(FORMATS)}, not for {op.dtype}")
    return formula(*map(Term, op.args)).expr
