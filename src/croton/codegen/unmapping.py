"""A shared library's pages that can be read from its file again: out of this process's memory."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

_LOADED, _WRITABLE = 1, 2


class _Segment(ctypes.Structure):
    """``Elf64_Phdr`` of elf.h."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("physical", ctypes.c_uint64),
        ("stored", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("alignment", ctypes.c_uint64),
    )


class _Object(ctypes.Structure):
    """The beginning of ``dl_phdr_info`` of link.h."""

    _fields_ = (
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("segments", ctypes.POINTER(_Segment)),
        ("count", ctypes.c_uint16),
    )


_visitor = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Object), ctypes.c_size_t, ctypes.c_void_p)


def constant_segments(address: int) -> list[tuple[int, int]]:
    """Where the library that ``address`` lies in has its code and constants: (start, bytes).

    These are the segments that nobody writes to, not even the dynamic linker.  None on systems
    that do not tell.
    """
    found: list[tuple[int, int]] = []

    def visit(reference: Any, size: int, data: Any) -> int:
        library = reference.contents
        loaded = [
            (library.base + s.address, s.size, s.flags)
            for s in library.segments[: library.count]
            if s.kind == _LOADED
        ]
        if not any(start <= address < start + length for start, length, _ in loaded):
            return 0
        found.extend((start, n) for start, n, flags in loaded if not flags & _WRITABLE)
        return 1

    if sys.platform == "linux" and sys.maxsize > 2**32:
        ctypes.CDLL(None).dl_iterate_phdr(_visitor(visit), None)
    return found


def unmap(address: int) -> int:
    """Let go of the code and constants of the library at ``address``: how many bytes they span.

    Whoever needs them again, at the same moment in another thread, too, finds them: a page that
    is touched comes back from the file, which the system most likely still has in memory.
    """
    total = 0
    for start, size in constant_segments(address):
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (start + size - first) // mmap.PAGESIZE * mmap.PAGESIZE
        if length > 0 and not ctypes.CDLL(None).madvise(
            ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED
        ):
            total += length
    return total
