"""Kernels find their memory filled with subnormal numbers, and may compute with none of it.

To compute with what memory happens to hold gives the right result where those lanes are not
stored; but where they hold subnormal numbers, each such operation takes a processor more than a
hundred cycles.  On x86 a flag tells whether any did.
"""

import ctypes
import platform

import numpy as np
import pytest

from croton.codegen.targets.cpu import host
from croton.schedule import running

#: Of float32 and float64 alike these are subnormal numbers.
SUBNORMAL = 0x000FFFFF

_CODE = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define i32 @seen() {
  %p = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %p)
  %found = load i32, ptr %p
  %clear = and i32 %found, -64
  store i32 %clear, ptr %p
  call void @llvm.x86.sse.ldmxcsr(ptr %p)
  %denormal = and i32 %found, 2
  ret i32 %denormal
}
"""


@pytest.fixture(scope="session")
def seen():
    """Whether an operand was subnormal since the last call."""
    if platform.machine() not in ("x86_64", "AMD64"):
        yield lambda: False
        return
    target = host()
    library = target.load(target.compile(_CODE))
    # The code is there as long as the library is.
    yield ctypes.CFUNCTYPE(ctypes.c_int32)(library.address("seen"))


@pytest.fixture(autouse=True)
def filled(monkeypatch, seen):
    """Fill memory before kernels run, and look for operations with what it held."""
    aligned, launch = running.aligned, running._launch

    def fill(size):
        memory = aligned(size)
        memory[: size // 4 * 4].view(np.uint32)[...] = SUBNORMAL
        return memory

    def watch(step, *rest):
        seen()
        launch(step, *rest)
        assert not seen(), f"{step.kernel} computed with subnormal numbers"

    monkeypatch.setattr(running, "aligned", fill)
    monkeypatch.setattr(running, "_launch", watch)
