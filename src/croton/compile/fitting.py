"""Whether an update fits its shared variable, and a given value what it replaces."""

from __future__ import annotations

from typing import Any

from croton.graph import trace
from croton.graph.variable import Constant, Variable
from croton.tensor.convert import as_tensor_variable


def fit_update(target: Any, expression: Any) -> Any:
    """The new value of the shared variable ``target``; TypeError if it cannot hold that."""
    new: Any = as_tensor_variable(expression)
    shape = new.type.shape
    if new.type.dtype != target.type.dtype:
        # A constant without precision to lose takes the variable's dtype.
        if isinstance(new, Constant):
            try:
                return target.type.make_constant(
                    target.type.clone(shape=shape).filter(
                        new.data.item() if new.data.ndim == 0 else new.data
                    )
                )
            except TypeError:
                pass
        raise TypeError(
            f"the update of {target} has dtype {new.type.dtype}, the variable {target.type.dtype}; "
            f"cast it: ({new}).astype({target.type.dtype!r})" + trace.describe(new.made_at)
        )
    if new.type.ndim != target.type.ndim:
        raise TypeError(
            f"the update of {target} has rank {new.type.ndim}, the variable {target.type.ndim}"
            + trace.describe(new.made_at)
        )
    for d, (want, have) in enumerate(zip(target.type.shape, new.type.shape, strict=True)):
        if want is not None and have is not None and want != have:
            raise TypeError(
                f"dimension {d} of the update of {target} is {have}, of the variable {want}"
                + trace.describe(new.made_at)
            )
    if any(
        w is not None and h is None for w, h in zip(target.type.shape, new.type.shape, strict=True)
    ):
        new = new.specify_shape(target.type.shape)
    return new


def fit_given(old: Any, new: Any) -> Any:
    """What stands for ``old``; TypeError if it has another type."""
    if not isinstance(new, Variable):
        new = old.type.make_constant(new)
    if new.type.dtype != old.type.dtype or new.type.ndim != old.type.ndim:
        raise TypeError(f"givens: {old} of type {old.type} cannot be replaced by {new.type}")
    for want, have in zip(old.type.shape, new.type.shape, strict=True):
        if want is not None and have is not None and want != have:
            raise TypeError(f"givens: {old} of type {old.type} cannot be replaced by {new.type}")
    if any(
        w is not None and h is None for w, h in zip(old.type.shape, new.type.shape, strict=True)
    ):
        new = new.specify_shape(old.type.shape)
    return new
