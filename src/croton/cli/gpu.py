"""Which NVIDIA GPUs there are, as the driver's library tells."""

from __future__ import annotations

import ctypes
import sys
from typing import NamedTuple

_MAJOR, _MINOR = 75, 76
"""The numbers of the attributes of a device that make its compute capability."""


class Gpu(NamedTuple):
    """A device, its compute capability and its memory in bytes."""

    name: str
    capability: str
    memory: int


class Driver(NamedTuple):
    """The CUDA version that the driver speaks, and its devices."""

    version: str
    devices: tuple[Gpu, ...]


def driver() -> Driver | None:
    """What the driver finds; None where there is no driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(name)
    except OSError:
        return None
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    version = f"{number.value // 1000}.{number.value % 1000 // 10}"
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(number)) != 0:
        return Driver(version, ())
    return Driver(version, tuple(_device(cuda, index) for index in range(number.value)))


def _device(cuda: ctypes.CDLL, index: int) -> Gpu:
    device = ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    memory = ctypes.c_size_t()
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    parts = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        parts.append(str(value.value))
    return Gpu(name.value.decode(errors="replace"), ".".join(parts), memory.value)
