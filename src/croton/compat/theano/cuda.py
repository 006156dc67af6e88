"""``theano.sandbox.cuda``, as Theano had it where there was no GPU.

Programs ask ``cuda_available`` (or ``cuda_enabled``) before they use the rest, and test
with ``isinstance`` whether a variable is on the GPU; none is.  Moving a variable there, or
back, changes nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from croton.graph import SharedVariable, Type, Variable
from croton.tensor import as_tensor_variable, empty

__all__ = [
    "CudaNdarray",
    "CudaNdarrayConstant",
    "CudaNdarraySharedVariable",
    "CudaNdarrayType",
    "CudaNdarrayVariable",
    "GpuOp",
    "as_cuda_ndarray_variable",
    "cuda_available",
    "cuda_enabled",
    "gpu_alloc_empty",
    "gpu_contiguous",
    "gpu_from_host",
    "host_from_gpu",
    "unuse",
    "use",
]

cuda_available = False
cuda_enabled = False


class _NotHere:
    def __new__(cls, *arguments: object, **options: object) -> _NotHere:
        raise RuntimeError(f"{cls.__name__}: Theano's CUDA back end is not part of Croton")


class CudaNdarray(_NotHere):
    """An array on the GPU."""


class CudaNdarrayType(_NotHere, Type):
    """The type of arrays on the GPU."""


class CudaNdarrayVariable(_NotHere, Variable):
    """A variable on the GPU."""


class CudaNdarrayConstant(_NotHere, Variable):
    """A constant on the GPU."""


class CudaNdarraySharedVariable(_NotHere, SharedVariable):
    """A shared variable on the GPU."""


class GpuOp(_NotHere):
    """An op that runs on the GPU."""


def gpu_contiguous(x: Any) -> Any:
    """``x``."""
    return as_tensor_variable(x)


def gpu_alloc_empty(*shape: Any) -> Any:
    """A float32 array of ``shape`` for what is overwritten; it holds zeros."""
    return empty(shape, "float32")


as_cuda_ndarray_variable = gpu_from_host = host_from_gpu = gpu_contiguous


def use(
    device: str,
    force: bool = False,
    default_to_move_computation_to_gpu: bool = True,
    move_shared_float32_to_gpu: bool = True,
    enable_cuda: bool = True,
    test_driver: bool = False,
) -> None:
    """Ask for a GPU while the program runs: a warning, or with ``force`` an error."""
    message = f"theano.sandbox.cuda.use({device!r}): there is no such device; using the CPU"
    if force:
        raise OSError(message)
    logging.getLogger("croton").warning("croton: %s", message)


def unuse() -> None:
    """Ask for the CPU, which is what is used."""
