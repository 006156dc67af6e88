"""How the kernel language's types and literals are written in LLVM IR."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np

from croton.kernel.nodes import KernelError

#: The type of one value in a register.
SCALAR = {
    "bool": "i1",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "i8",
    "uint16": "i16",
    "uint32": "i32",
    "uint64": "i64",
    "float16": "half",
    "float32": "float",
    "float64": "double",
}

#: Bytes of one element in memory.
SIZE = {
    "bool": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "float32": 4,
    "float64": 8,
}

#: ``f`` a float, ``s`` and ``u`` integers with and without a sign, ``b`` a bool.
KIND = {
    name: "f" if "float" in name else "s" if name.startswith("int") else name[0] for name in SCALAR
}

_SUFFIX = {"half": "f16", "float": "f32", "double": "f64"}


@cache
def type_of(dtype: str, lanes: int) -> str:
    """The LLVM type of a register with ``lanes`` values of ``dtype``."""
    if dtype not in SCALAR:
        raise KernelError(f"a kernel has no values of type {dtype!r}; it has {', '.join(SCALAR)}")
    return SCALAR[dtype] if lanes == 1 else f"<{lanes} x {SCALAR[dtype]}>"


@cache
def memory_type(dtype: str, lanes: int) -> str:
    """The LLVM type of ``lanes`` values of ``dtype`` in memory, where a bool is a byte."""
    return type_of("uint8" if dtype == "bool" else dtype, lanes)


@cache
def suffix_of(dtype: str, lanes: int) -> str:
    """What the name of an intrinsic ends with for this type: ``v16f32``, ``i64``."""
    scalar = SCALAR[dtype]
    scalar = _SUFFIX.get(scalar, scalar)
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


def float_literal(value: float, dtype: str) -> str:
    """A float of ``dtype``: in decimal where that is exact and short, else by its bits."""
    value = float(value)
    if dtype in ("float32", "float64") and value.is_integer() and abs(value) < 1e6:
        return f"{value:.1f}"
    if dtype == "float64":
        return f"0x{np.float64(value).view(np.uint64):016X}"
    if dtype == "float16":
        return f"0xH{np.float16(value).view(np.uint16):04X}"
    return f"0x{np.float64(np.float32(value)).view(np.uint64):016X}"


def literal(value: Any, dtype: str) -> str:
    """One element of a constant."""
    kind = KIND[dtype]
    if kind == "f":
        return float_literal(value, dtype)
    if kind == "b":
        return "true" if value else "false"
    return str(int(value))


def constant(value: Any, dtype: str, lanes: int) -> str:
    """``value`` in every lane."""
    # The two zeros are equal and would share an entry.
    return _constant(value, dtype, lanes) if value else _constant.__wrapped__(value, dtype, lanes)


@lru_cache(maxsize=4096)
def _constant(value: Any, dtype: str, lanes: int) -> str:
    if lanes == 1:
        return literal(value, dtype)
    return f"splat ({type_of(dtype, 1)} {literal(value, dtype)})"


def constant_vector(values: tuple[Any, ...], dtype: str) -> str:
    """A vector of different literals."""
    scalar = type_of(dtype, 1)
    return f"<{', '.join(f'{scalar} {literal(v, dtype)}' for v in values)}>"
