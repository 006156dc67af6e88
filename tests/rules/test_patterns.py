"""Rules whose left side is an expression of elementwise functions, each by itself.

The left side is built of variables that hold every combination of edge values; what the rule
makes of it must have the same bits, but where its note says that something may change.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest

import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.rewrite import rewrite
from croton.rewrite.pattern import App, Number, Pattern, Var, variants
from croton.rewrite.rules import RULES
from croton.tensor.elementwise import FUNCTIONS

INF, NAN = math.inf, math.nan
EDGES = {
    "float64": [0.0, -0.0, 1.0, -1.0, 0.5, -3.25, 1e-12, 40.0, -700.0, 1e200, INF, -INF, NAN],
    "float32": [0.0, -0.0, 1.0, -2.5, 1e-6, 90.0, -90.0, 3e38, INF, -INF, NAN],
    "int32": [0, 1, -1, 7, -12, 2**31 - 1, -(2**31)],
    "uint8": [0, 1, 2, 200, 255],
    "bool": [False, True],
}
CONSTANTS = {
    "float64": [1.5, -2.0],
    "float32": [1.5, -2.0],
    "int32": [3, -2],
    "uint8": [3, 2],
    "bool": [True, False],
}


def only_functions(p):
    if isinstance(p, App):
        return p.head in FUNCTIONS and bool(p.args) and all(map(only_functions, p.args))
    return isinstance(p, Number | Var)


# These look at shapes: their examples are elsewhere.
SHAPED = {"over_smaller", "small_factors_together", "log_softmax"}
PATTERNS = [r for r in RULES if only_functions(next(variants(r.pattern))) and r.name not in SHAPED]


def build(p, bound, dtype):
    if isinstance(p, Var):
        return bound[p.name]
    if isinstance(p, Number):
        return T.constant(p.value, dtype=dtype)
    args = [build(a, bound, dtype) for a in p.args]
    return FUNCTIONS[p.head].op(*args)


def names(p, constant):
    if isinstance(p, Var):
        return {p.name} if p.constant == constant else set()
    return set().union(*(names(a, constant) for a in getattr(p, "args", None) or ()))


def left_sides(rule, dtype):
    """For every order of the pattern: the expression and the values of its variables."""
    for p in variants(rule.pattern):
        free = sorted(names(p, False))
        fixed = sorted(names(p, True))
        grid = np.array(list(itertools.product(EDGES[dtype], repeat=len(free))), dtype)
        variables = {n: T.tensor(dtype, (None,), name=n) for n in free}
        given = {variables[n]: grid[:, k].copy() for k, n in enumerate(free)}
        for chosen in itertools.permutations(CONSTANTS[dtype], len(fixed)):
            constants = {n: T.constant(c, dtype=dtype) for n, c in zip(fixed, chosen, strict=True)}
            try:
                yield p, build(p, variables | constants, dtype), given
            except (TypeError, OverflowError):
                return


def same_bits(a, b):
    if a.dtype.kind != "f":
        return a == b
    nan = np.isnan(a) & np.isnan(b)
    return nan | ((a == b) & (np.signbit(a) == np.signbit(b)))


@pytest.mark.parametrize("rule", PATTERNS, ids=lambda r: r.name)
def test_pattern(rule):
    hits = 0
    for dtype in EDGES:
        for _, expression, given in left_sides(rule, dtype):
            (after,), report = rewrite([expression], [rule.name])
            if rule.name not in report.hits:
                continue
            hits += 1
            assert after.type.dtype == expression.type.dtype
            assert after.type.ndim == expression.type.ndim
            old, new = (evaluate([v], given)[0] for v in (expression, after))
            assert new.dtype == old.dtype and new.shape == old.shape
            if not rule.note:
                wrong = ~same_bits(old, new)
            else:
                # Where it was a number of moderate size it is about the same number.
                tiny, huge = (1e-200, 1e200) if dtype == "float64" else (1e-20, 1e20)
                magnitude = np.abs(np.where(np.isfinite(old), old, 0))
                moderate = np.isfinite(old) & (magnitude < huge) & ((magnitude > tiny) | (old == 0))
                for v in given.values():
                    if v.dtype.kind == "f":
                        moderate &= (np.abs(v) < 50) & ((np.abs(v) > 1e-3) | (v == 0))
                rtol = {"float64": 1e-12, "float32": 1e-5}.get(old.dtype.name, 0)
                wrong = moderate & ~np.isclose(old, new, rtol=rtol, atol=rtol)
            assert not wrong.any(), [
                {v.name: x[wrong][0] for v, x in given.items()}, old[wrong][0], new[wrong][0]
            ]  # fmt: skip
    assert hits, "the rule applied to none of the dtypes"


STABLE = [r for r in PATTERNS if r.group == "stabilise" and isinstance(r.replacement, Pattern)]
TRUE = {
    "add": mpmath.fadd,
    "sub": mpmath.fsub,
    "mul": mpmath.fmul,
    "true_div": lambda a, b: mpmath.fdiv(a, b) if b else mpmath.nan,
    "neg": mpmath.fneg,
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": lambda x: mpmath.log(x) if x > 0 else mpmath.nan,
    "log1p": lambda x: mpmath.log1p(x) if x > -1 else mpmath.nan,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "sqr": lambda x: x * x,
    "sqrt": lambda x: mpmath.sqrt(x) if x >= 0 else mpmath.nan,
}


def truth(p, values):
    if isinstance(p, Var):
        return mpmath.mpf(float(values[p.name]))
    if isinstance(p, Number):
        return mpmath.mpf(p.value)
    args = [truth(a, values) for a in p.args]
    return mpmath.nan if any(map(mpmath.isnan, args)) else TRUE[p.head](*args)


@pytest.mark.parametrize("rule", STABLE, ids=lambda r: r.name)
def test_stable_pattern_is_accurate(rule):
    p = next(variants(rule.pattern))
    free = sorted(names(p, False))
    points = [-900.0, -40.0, -1.5, -1e-9, 0.0, 1e-14, 0.3, 1.0, 5.0, 36.5, 900.0]
    grid = np.array(list(itertools.product(points, repeat=len(free))))
    variables = {n: T.dvector(n) for n in free}
    (after,), report = rewrite([build(p, variables, "float64")], [rule.name])
    assert report.hits[rule.name] == 1
    (got,) = evaluate([after], {variables[n]: grid[:, k].copy() for k, n in enumerate(free)})
    with mpmath.workdps(900):
        for row, value in zip(grid, got, strict=True):
            exact = truth(p, dict(zip(free, row, strict=True)))
            if mpmath.isnan(exact) or abs(exact) > 1e300:
                continue
            if abs(exact) < 1e-300:
                assert abs(value) < 1e-290
            else:
                assert value == pytest.approx(float(exact), rel=1e-13), row
