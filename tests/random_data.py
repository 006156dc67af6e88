"""Arrays of random numbers, of every dtype and in every layout."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATS = ("float32", "float64", "float16")
INTEGERS = ("int64", "int32", "int8", "int16", "uint8", "uint16", "uint32", "uint64")
LAYOUTS = ("C", "F", "reversed", "strided", "broadcast", "readonly", "swapped", "unaligned")


def array(dtype: str, shape: tuple[int, ...], seed: int, kind: str = "normal") -> Any:
    """Numbers of a ``kind``: normal, grid (many are equal), special (NaN, inf, extremes)."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype not in FLOATS:
        low = 0 if dtype.startswith("u") else -4
        data = rng.integers(low, 6, shape).astype(dtype)
        if kind == "special":
            info = np.iinfo(dtype)
            ends = rng.choice(np.array([info.min, info.max, info.max - 1], dtype), shape)
            data = np.where(rng.random(shape) < 0.2, ends, data)
        return data
    if kind == "normal":
        return (rng.standard_normal(shape) * 1.5).astype(dtype)
    data = (rng.integers(-4, 5, shape) * 0.5).astype(dtype)
    if kind == "special":
        info = np.finfo(dtype)
        odd = [np.nan, np.inf, -np.inf, -0.0, info.max, info.tiny, -info.tiny / 4, 60.0]
        data = np.where(rng.random(shape) < 0.2, rng.choice(np.array(odd, dtype), shape), data)
    return data


def laid_out(data: Any, layout: str) -> Any:
    """The same numbers, in memory as ``layout`` says (``broadcast`` repeats the first ones)."""
    data = np.asarray(data)
    if layout == "swapped":
        return data.astype(data.dtype.newbyteorder())
    if layout == "readonly":
        data = data.copy()
        data.flags.writeable = False
        return data
    if not data.ndim:
        return data
    if layout == "F":
        return np.asfortranarray(data)
    if layout == "reversed":
        return data[..., ::-1].copy()[..., ::-1]
    if layout == "strided":
        wide = np.zeros((*data.shape[:-1], 2 * data.shape[-1] + 1), data.dtype)
        wide[..., 1::2] = data
        return wide[..., 1::2]
    if layout == "broadcast":
        return np.broadcast_to(data[:1], data.shape) if data.shape[0] else data
    if layout == "unaligned":
        raw = np.zeros(data.nbytes + 1, np.uint8)
        view = raw[1:].view(data.dtype).reshape(data.shape)
        view[...] = data
        return view
    return data
