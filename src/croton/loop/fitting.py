"""Whether a step's result can be the next step's state."""

from __future__ import annotations

from typing import Any

from croton.graph import trace
from croton.graph.variable import Constant
from croton.tensor.type import TensorType


def fit(new: Any, began: TensorType, what: str) -> Any:
    """``new`` as a value of the type that ``what`` ``began`` with.

    TypeError where the dtype, the rank or a known size is another: a loop's states stay what
    they are.
    """
    kind = new.type
    line = trace.describe(new.made_at)
    if kind.dtype != began.dtype:
        if isinstance(new, Constant):
            try:
                return began.make_constant(began.clone(shape=kind.shape).filter(new.data[()]))
            except TypeError:
                pass
        raise TypeError(
            f"{what} changes its dtype from step to step: it begins as {began.dtype}, and the step "
            f"makes {kind.dtype} of it; take .astype({began.dtype!r}) of that, or begin with "
            f"{kind.dtype}" + line
        )
    if kind.ndim != began.ndim:
        raise TypeError(
            f"{what} changes its rank from step to step: it begins as {began}, and the step makes "
            f"{kind} of it" + line
        )
    for before, after in zip(began.shape, kind.shape, strict=True):
        if before is not None and after is not None and before != after:
            raise TypeError(
                f"{what} changes its shape from step to step: it begins with "
                f"{began.shape_text()}, and the step makes {kind.shape_text()} of it" + line
            )
    with trace.made_by(new.made_at):
        return promise(new, began)


def promise(v: Any, kind: Any) -> Any:
    """``v`` as one of ``kind``, of which more sizes may be known."""
    return v if kind.is_super(v.type) else v.specify_shape(kind.shape)
