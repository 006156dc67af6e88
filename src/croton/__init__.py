"""Croton: define, differentiate, optimise and evaluate expressions over arrays.

>>> import croton, croton.tensor as T
>>> x = T.dvector("x")
>>> f = croton.function([x], T.grad((x**2).sum(), x))
>>> f([1.0, 2.0])
array([2., 4.])
"""

from croton import gradient, loop, printing, tensor
from croton._version import __version__
from croton.compat import install_as_theano
from croton.compile import (
    FAST_COMPILE,
    FAST_RUN,
    Function,
    In,
    Mode,
    Out,
    Param,
    SharedVariable,
    evaluate,
    function,
    get_mode,
    shared,
)
from croton.compile.errors import MissingInputError, UnusedInputError
from croton.config import config
from croton.gradient import Lop, Rop, grad
from croton.graph import Apply, Constant, Op, Type, Variable
from croton.graph.traversal import clone_graph
from croton.loop import (
    foldl,
    foldr,
    fori_loop,
    hessian,
    ifelse,
    jacobian,
    map,
    reduce,
    scan,
    scan_checkpoints,
    while_loop,
)
from croton.printing import pp
from croton.tensor import as_tensor_variable
from croton.tensor.variable import TensorOperators

config.use_device(("cpu",))

# What a user finds on tensors and on croton.tensor needs rooms that come later.
TensorOperators.eval = evaluate  # type: ignore[attr-defined]
tensor.grad = grad
tensor.Rop = Rop
tensor.Lop = Lop
tensor.verify_grad = gradient.verify_grad
tensor.shared = shared
tensor.jacobian = gradient.jacobian = jacobian
tensor.hessian = gradient.hessian = hessian

__all__ = [
    "FAST_COMPILE",
    "FAST_RUN",
    "Apply",
    "Constant",
    "Function",
    "In",
    "Lop",
    "MissingInputError",
    "Mode",
    "Op",
    "Out",
    "Param",
    "Rop",
    "SharedVariable",
    "Type",
    "UnusedInputError",
    "Variable",
    "__version__",
    "as_tensor_variable",
    "clone_graph",
    "config",
    "foldl",
    "foldr",
    "fori_loop",
    "function",
    "get_mode",
    "grad",
    "gradient",
    "ifelse",
    "install_as_theano",
    "loop",
    "map",
    "pp",
    "printing",
    "reduce",
    "scan",
    "scan_checkpoints",
    "shared",
    "tensor",
    "while_loop",
]
