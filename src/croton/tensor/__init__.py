"""The language: what a user writes expressions with (``import croton.tensor as T``)."""

from typing import TYPE_CHECKING, Any

from croton.tensor import elementwise, nnet, shared_randomstreams, signal
from croton.tensor import random as random
from croton.tensor.axes import (
    expand_dims,
    moveaxis,
    shape_padaxis,
    shape_padleft,
    shape_padright,
    squeeze,
    swapaxes,
    transpose,
)
from croton.tensor.constructors import constructors, tensor
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.creation import (
    Alloc,
    ARange,
    alloc,
    arange,
    empty,
    eye,
    fill,
    full,
    full_like,
    identity_like,
    ones,
    ones_like,
    second,
    tri,
    tril,
    triu,
    zeros,
    zeros_like,
)
from croton.tensor.elementwise import *  # noqa: F403
from croton.tensor.elementwise import Elemwise
from croton.tensor.indexing import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
    inc_subtensor,
    set_subtensor,
    take,
)
from croton.tensor.joining import Join, concatenate, join, repeat, split, stack, tile
from croton.tensor.product import Dot, batched_dot, dot, inner, matmul, outer, tensordot
from croton.tensor.reduction import (
    Argmax,
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    logsumexp,
    max,
    max_and_argmax,
    mean,
    min,
    norm,
    prod,
    ptp,
    std,
    sum,
    var,
)
from croton.tensor.shapes import (
    DimShuffle,
    Reshape,
    Shape_i,
    addbroadcast,
    dimshuffle,
    flatten,
    patternbroadcast,
    reshape,
    shape,
    specify_shape,
    unbroadcast,
)
from croton.tensor.type import TensorType
from croton.tensor.variable import TensorConstant, TensorSharedVariable, TensorVariable

globals().update(constructors())

if TYPE_CHECKING:
    # The constructors, and what ``import croton`` adds (grad and its kin).
    def __getattr__(name: str) -> Any: ...


as_tensor = as_tensor_variable
pow = power  # noqa: F405
square = sqr  # noqa: F405
sign = sgn  # noqa: F405
abs = abs_  # noqa: F405
absolute = abs_  # noqa: F405
divide = true_div  # noqa: F405
multiply = mul  # noqa: F405
subtract = sub  # noqa: F405
negative = neg  # noqa: F405
equal = eq  # noqa: F405
not_equal = ne  # noqa: F405
less, less_equal, greater, greater_equal = lt, le, gt, ge  # noqa: F405
logical_and, logical_or = and_, or_  # noqa: F405

__all__ = [
    "ARange",
    "AdvancedIncSubtensor",
    "AdvancedSubtensor",
    "Alloc",
    "Argmax",
    "DimShuffle",
    "Dot",
    "Elemwise",
    "IncSubtensor",
    "Join",
    "Reshape",
    "Shape_i",
    "Subtensor",
    "TensorConstant",
    "TensorSharedVariable",
    "TensorType",
    "TensorVariable",
    "abs",
    "absolute",
    "addbroadcast",
    "all",
    "alloc",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "as_tensor",
    "as_tensor_variable",
    "batched_dot",
    "concatenate",
    "constant",
    "dimshuffle",
    "divide",
    "dot",
    "empty",
    "equal",
    "expand_dims",
    "eye",
    "fill",
    "flatten",
    "full",
    "full_like",
    "greater",
    "greater_equal",
    "identity_like",
    "inc_subtensor",
    "inner",
    "join",
    "less",
    "less_equal",
    "logical_and",
    "logical_or",
    "logsumexp",
    "matmul",
    "max",
    "max_and_argmax",
    "mean",
    "min",
    "moveaxis",
    "multiply",
    "negative",
    "nnet",
    "norm",
    "not_equal",
    "ones",
    "ones_like",
    "outer",
    "patternbroadcast",
    "pow",
    "prod",
    "ptp",
    "repeat",
    "reshape",
    "second",
    "set_subtensor",
    "shape",
    "shape_padaxis",
    "shape_padleft",
    "shape_padright",
    "shared_randomstreams",
    "sign",
    "signal",
    "specify_shape",
    "split",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tensor",
    "tensordot",
    "tile",
    "transpose",
    "tri",
    "tril",
    "triu",
    "unbroadcast",
    "var",
    "zeros",
    "zeros_like",
]
__all__ += elementwise.__all__
__all__ += sorted(constructors())
