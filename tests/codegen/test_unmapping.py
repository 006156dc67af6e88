"""A library's constant pages: which they are, and that they come back."""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from croton.codegen import native
from croton.codegen.targets import cpu
from croton.codegen.unmapping import constant_segments, unmap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells segments")

_KERNEL = """
define float @twice(float %x) {
  %y = fmul float %x, 2.0
  ret float %y
}
"""


def _address() -> int:
    return ctypes.cast(native._parse, ctypes.c_void_p).value or 0


class _Mapping(NamedTuple):
    """What this process has mapped somewhere: how much is in memory, and changed (KiB)."""

    start: int
    end: int
    permissions: str
    resident: int
    changed: int


def _mappings(segments: list[tuple[int, int]]) -> list[_Mapping]:
    """What is mapped where the segments are."""
    found = []
    for text in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", _SMAPS.read_text())[1:]:
        start, end, permissions = text.split()[0].split("-") + text.split()[1:2]
        mapping = _Mapping(
            int(start, 16),
            int(end, 16),
            permissions,
            _number("Rss", text),
            _number("Anonymous", text),
        )
        if any(mapping.start < s + size and s < mapping.end for s, size in segments):
            found.append(mapping)
    return found


def _number(name: str, text: str) -> int:
    found = re.search(rf"(?m)^{name}:\s+(\d+) kB", text)
    assert found
    return int(found[1])


_SMAPS = Path("/proc/self/smaps")


def _generate() -> bytes:
    return native.generate(_KERNEL, cpu.host().settings)


def test_nothing_that_was_written_to_is_among_the_segments() -> None:
    segments = constant_segments(_address())
    assert sum(size for _, size in segments) > 1 << 20
    code = [(s, n) for s, n in segments if s <= _address() < s + n]
    assert len(code) == 1
    found = _mappings(segments)
    assert found
    assert not [m for m in found if "w" in m.permissions or m.changed]


def test_pages_go_and_come_back() -> None:
    before = _generate()
    segments = constant_segments(_address())
    held = sum(m.resident for m in _mappings(segments))
    assert unmap(_address()) > 1 << 20
    assert sum(m.resident for m in _mappings(segments)) < held / 4
    assert _generate() == before


def test_others_may_be_compiling_meanwhile() -> None:
    expected = _generate()
    differing: list[bytes] = []

    def compile_often() -> None:
        for _ in range(30):
            if (code := _generate()) != expected:
                differing.append(code)

    threads = [threading.Thread(target=compile_often) for _ in range(2)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        unmap(_address())
    assert not differing


def test_an_address_in_no_library_unmaps_nothing() -> None:
    assert constant_segments(1) == []
    assert unmap(1) == 0
