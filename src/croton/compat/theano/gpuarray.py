"""``theano.gpuarray``, as Theano had it where there was no GPU."""

from __future__ import annotations

from typing import Any

from croton.compat.theano.cuda import (
    _NotHere,
    gpu_contiguous,
    gpu_from_host,
    host_from_gpu,
    use,
)
from croton.graph import SharedVariable, Type, Variable
from croton.tensor import empty

__all__ = [
    "ContextNotDefined",
    "GpuAllocEmpty",
    "GpuArrayConstant",
    "GpuArraySharedVariable",
    "GpuArrayType",
    "GpuArrayVariable",
    "as_gpuarray_variable",
    "get_context",
    "gpu_contiguous",
    "gpu_from_host",
    "host_from_gpu",
    "list_contexts",
    "pygpu_activated",
    "use",
]

pygpu_activated = False


class ContextNotDefined(ValueError):
    """There is no GPU context of that name."""


class GpuArrayType(_NotHere, Type):
    """The type of arrays on the GPU."""


class GpuArrayVariable(_NotHere, Variable):
    """A variable on the GPU."""


class GpuArrayConstant(_NotHere, Variable):
    """A constant on the GPU."""


class GpuArraySharedVariable(_NotHere, SharedVariable):
    """A shared variable on the GPU."""


class GpuAllocEmpty:
    """Called on sizes: an array of ``dtype`` for what is overwritten; it holds zeros."""

    def __init__(self, dtype: str, context_name: str | None = None) -> None:
        self.dtype = dtype

    def __call__(self, *shape: Any) -> Any:
        """The array."""
        return empty(shape, self.dtype)


def as_gpuarray_variable(x: Any, context_name: str | None = None) -> Any:
    """``x`` as a variable."""
    return gpu_contiguous(x)


def get_context(name: str | None) -> None:
    """The GPU context ``name``: there is none."""
    raise ContextNotDefined(f"context name {name} not defined: there is no GPU")


def list_contexts() -> list[str]:
    """The names of the GPU contexts: none."""
    return []
