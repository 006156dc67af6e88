"""Derivatives of expressions: reverse mode, forward mode, and numeric checks."""

from typing import TYPE_CHECKING, Any

from croton.gradient.forward import Rop
from croton.gradient.markers import (
    DisconnectedGrad,
    DisconnectedType,
    GradClip,
    GradScale,
    NullType,
    ZeroGrad,
    consider_constant,
    disconnected_grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    zero_grad,
)
from croton.gradient.numeric import GradientError, numeric_grad, verify_grad
from croton.gradient.reverse import (
    DisconnectedInputError,
    Lop,
    NullTypeGradError,
    grad,
    subgraph_grad,
)

__all__ = [
    "DisconnectedGrad",
    "DisconnectedInputError",
    "DisconnectedType",
    "GradClip",
    "GradScale",
    "GradientError",
    "Lop",
    "NullType",
    "NullTypeGradError",
    "Rop",
    "ZeroGrad",
    "consider_constant",
    "disconnected_grad",
    "grad",
    "grad_clip",
    "grad_not_implemented",
    "grad_scale",
    "grad_undefined",
    "numeric_grad",
    "subgraph_grad",
    "verify_grad",
    "zero_grad",
]

if TYPE_CHECKING:
    # What ``import croton`` adds: jacobian and hessian, which are loops.
    jacobian: Any
    hessian: Any
