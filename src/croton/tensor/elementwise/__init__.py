"""Elementwise functions: a table, one subject a file, and the op that applies them."""

from croton.tensor.elementwise.arithmetic import (
    abs_,
    add,
    floor_div,
    int_div,
    inv,
    maximum,
    minimum,
    mod,
    mul,
    neg,
    power,
    reciprocal,
    sgn,
    sqr,
    sqrt,
    sub,
    true_div,
)
from croton.tensor.elementwise.comparison import (
    clip,
    eq,
    ge,
    gt,
    isclose,
    isinf,
    isnan,
    le,
    lt,
    ne,
    neq,
    switch,
    where,
)
from croton.tensor.elementwise.exponential import (
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    log10,
    sigmoid,
    softplus,
)
from croton.tensor.elementwise.logic import (
    and_,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    invert,
    or_,
    xor,
)
from croton.tensor.elementwise.op import Elemwise
from croton.tensor.elementwise.rounding import (
    cast,
    ceil,
    floor,
    identity,
    iround,
    round,
    round_half_away_from_zero,
    round_half_to_even,
    tensor_copy,
    trunc,
)
from croton.tensor.elementwise.special import erf, erfc
from croton.tensor.elementwise.table import FUNCTIONS, ScalarFunction
from croton.tensor.elementwise.trigonometry import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cos,
    cosh,
    deg2rad,
    rad2deg,
    sin,
    sinh,
    tan,
    tanh,
)

__all__ = [name for name in dir() if not name.startswith("_")]
