"""Running kernels natively, through the signature that every kernel has."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.native import check
from croton.codegen.targets import cpu
from croton.kernel.interpret import Status
from croton.kernel.vectorise import vectorise
from croton.kernel.verify import verify

SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
)


class Native:
    """Compiles kernels for this machine and calls them with arrays."""

    def __init__(self):
        self.target = cpu.host()

    def load(self, *functions):
        for function in functions:
            verify(function)
        text = llvm.render(functions, self.target)
        check(text)
        return self.target.load(self.target.compile(text))

    def vectorised(self, function, machine=None, **options):
        verify(function)
        result = vectorise(function, machine or self.target.machine, **options)
        verify(result)
        return result

    def call(self, library, function, buffers, sizes=None, lo=0, hi=0, scratch=1 << 12):
        pointers = [buffers[b.name].ctypes.data for b in function.buffers]
        numbers = [(sizes or {})[s.name] for s in function.sizes]
        table = (ctypes.c_void_p * max(1, len(pointers)))(*pointers)
        extents = (ctypes.c_int64 * max(1, len(numbers)))(*numbers)
        memory = np.zeros(scratch // 8, np.int64)
        entry = SIGNATURE(library.address(function.name))
        code = entry(table, extents, lo, hi, memory.ctypes.data)
        return Status(code, tuple(int(v) for v in memory[:2]))

    def run(self, function, buffers, sizes=None, lo=0, hi=0):
        return self.call(self.load(function), function, buffers, sizes, lo, hi)

    def binding(self, library, function, buffers, sizes=None):
        """The three words through which a ``Call`` reaches ``function``, kept alive."""
        pointers = np.array([buffers[b.name].ctypes.data for b in function.buffers], np.uint64)
        numbers = np.array([(sizes or {})[s.name] for s in function.sizes], np.int64)
        words = [library.address(function.name), pointers.ctypes.data, numbers.ctypes.data]
        return SimpleNamespace(
            words=np.array(words, np.int64), kept=(library, pointers, numbers, buffers)
        )


@pytest.fixture(scope="session")
def native():
    return Native()
