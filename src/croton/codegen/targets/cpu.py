"""The CPU that this process runs on, and other CPUs to export for."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import llvmlite.binding as llvm

from croton.codegen import native
from croton.codegen.target import Target
from croton.kernel.machine import Machine

_USUAL_CACHES = (32 << 10, 1 << 20, 8 << 20)

_V2 = "sse3 ssse3 sse4.1 sse4.2 popcnt"
_V3 = f"{_V2} avx avx2 bmi bmi2 f16c fma lzcnt movbe"
_LEVELS = {
    "x86-64-v2": _V2,
    "x86-64-v3": _V3,
    "x86-64-v4": f"{_V3} avx512f avx512bw avx512cd avx512dq avx512vl",
}

_SYSFS = Path("/sys/devices/system/cpu/cpu0/cache")


class CpuTarget(Target):
    """A CPU, by LLVM's names for its architecture, model and instruction sets."""

    def __init__(
        self, triple: str, cpu: str, instructions: frozenset[str], caches: tuple[int, int, int]
    ) -> None:
        self.triple = triple
        self.cpu = cpu
        self.instructions = instructions
        width, registers = _vectors(triple, instructions)
        # Of the x86 family, those that can clear a line of a cache have units for sums alone.
        adders = not triple.startswith(("x86_64", "i686")) or "clzero" in instructions
        # The others read as many operands from memory in a cycle as they multiply vectors.
        embeds = width == 64 and not adders
        self.machine = Machine(
            cpu or triple, width, registers, *caches, adders=adders, embeds=embeds
        )
        self.attributes = (
            f'"prefer-vector-width"="{8 * width}" "min-legal-vector-width"="{8 * width}"'
        )
        self.features = _lowering(triple, instructions)
        # More effort schedules instructions once more.  Of a large kernel, whose blocks keep all
        # units busy in any order, that is a sixth of the time; short loops gain one per cent.
        features = ",".join(sorted(f"+{name}" for name in instructions))
        self.settings = native.Settings(triple, cpu, features, effort=2, long=1)

    def compile(self, text: str) -> bytes:
        """The object file of the LLVM IR ``text``."""
        return native.generate(text, self.settings)

    def assembly(self, text: str) -> str:
        """The assembly of the LLVM IR ``text``, for reading."""
        return native.generate(text, self.settings, assembly=True).decode()

    def load(self, *objects: bytes) -> native.Library:
        """Link object files into this process."""
        return native.Library(objects, self.settings)


def named(cpu: str, triple: str | None = None) -> CpuTarget:
    """A CPU to export for: ``"x86-64"`` to ``"x86-64-v4"``, or LLVM's name for another one.

    Without ``triple`` it is for the operating system of this process.
    """
    known = frozenset(_LEVELS.get(cpu, "").split())
    return CpuTarget(triple or llvm.get_process_triple(), cpu, known, _USUAL_CACHES)


@lru_cache(maxsize=1)
def host() -> CpuTarget:
    """The CPU that this process runs on."""
    found = llvm.get_host_cpu_features()
    instructions = frozenset(name for name, present in found.items() if present)
    return CpuTarget(
        llvm.get_process_triple(), llvm.get_host_cpu_name(), instructions, cache_sizes()
    )


def _vectors(triple: str, instructions: frozenset[str]) -> tuple[int, int]:
    """The bytes of a vector register and how many there are."""
    if triple.startswith(("x86_64", "i686")):
        if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= instructions:
            return 64, 32
        return (32, 16) if "avx2" in instructions else (16, 16)
    return 16, 32 if triple.startswith(("aarch64", "arm64")) else 16


def _lowering(triple: str, instructions: frozenset[str]) -> frozenset[str]:
    features = set()
    if triple.startswith(("x86_64", "i686")):
        features.add("vector.x86")
        if "f16c" in instructions:
            features.add("half")
        if {"avx512f", "avx512vl"} <= instructions:
            features.add("ldexp")
    elif triple.startswith(("aarch64", "arm64")):
        features.update(("extreme.nan", "half"))
    if "ldexp" not in features:
        # Stores under a mask take many cycles with AVX, and are done lane by lane without it.
        features.add("slow.masks")
    return frozenset(features)


def cache_sizes() -> tuple[int, int, int]:
    """Bytes of the first, second and third data cache of a core."""
    sizes = dict(enumerate(_USUAL_CACHES, 1))
    for name, level in (("LEVEL1_DCACHE", 1), ("LEVEL2_CACHE", 2), ("LEVEL3_CACHE", 3)):
        key = f"SC_{name}_SIZE"
        if key in getattr(os, "sysconf_names", {}) and os.sysconf(key) > 0:
            sizes[level] = os.sysconf(key)
    for index in sorted(_SYSFS.glob("index*")):
        try:
            level = int((index / "level").read_text())
            kind = (index / "type").read_text().strip()
            size = (index / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        if kind in ("Data", "Unified") and level in sizes and size[-1:] in ("K", "M"):
            sizes[level] = int(size[:-1]) << (10 if size[-1] == "K" else 20)
    return sizes[1], sizes[2], sizes[3]
