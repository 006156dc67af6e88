"""What functions of images take: tensors of rank 4, and whole numbers."""

from __future__ import annotations

from typing import Any

from croton.graph import trace
from croton.tensor.convert import as_tensor_variable


def as_images(x: Any, name: str) -> Any:
    """``x`` as a tensor of rank 4, for the function ``name``; TypeError for other ranks."""
    x = as_tensor_variable(x)
    if x.type.ndim != 4:
        raise TypeError(
            f"{name} takes images (batch, channels, rows, columns), got {x} of rank {x.type.ndim}"
            + trace.describe(x.made_at)
        )
    return x


def positive(n: Any, what: str) -> int:
    """The number ``n`` as an int; ValueError where it is none, or less than 1."""
    if isinstance(n, bool) or not hasattr(n, "__index__") or n < 1:
        raise ValueError(f"{what} is a positive int, got {n!r}")
    return int(n)
