"""Whole functions in the cache: an unchanged graph skips rewriting, scheduling and compiling."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from croton.compile.fingerprint import Leaves
from croton.graph import trace
from croton.graph.shared import SharedVariable
from croton.runtime import serial
from croton.runtime.cache import ObjectCache
from croton.runtime.program import Program

#: Functions whose constants take a larger part of the cache than this are not kept.
_MOST_CONSTANTS = 1 / 4
#: Constants of more bytes are entries of their own, which functions share.
_LARGE_CONSTANT = 1 << 16
_STAMP = b"croton function 3\n"


class Kept(NamedTuple):
    """What the cache knows of a function."""

    program: Program
    keys: list[str]
    shared: list[SharedVariable]
    constants: list[Any]
    lines: list[str]


def keep(cache: ObjectCache, key: str, scheduled: Any, keys: Sequence[str], leaves: Leaves) -> None:
    """Put a function, whose kernels have ``keys``, into the cache.

    Unless it calls Python or is too large.
    """
    constants = [np.ascontiguousarray(c) for c in scheduled.constants]
    if scheduled.host or sum(c.nbytes for c in constants) > _MOST_CONSTANTS * cache.limit:
        return
    position = {id(s): k for k, s in enumerate(leaves.shared)}
    if any(id(s) not in position for s in scheduled.shared):
        return
    program, ends = _without_traces(scheduled.program, leaves)
    apart = [_keep_large(cache, c) if c.nbytes > _LARGE_CONSTANT else "" for c in constants]
    places = {str(t[0]): k for k, t in enumerate(leaves.traces) if t}
    header = json.dumps(
        {
            "ends": ends,
            "keys": keys,
            "shared": [position[id(s)] for s in scheduled.shared],
            "constants": [
                (c.dtype.str, np.shape(o), place)
                for c, o, place in zip(constants, scheduled.constants, apart, strict=True)
            ],
            "lines": [places.get(line, -1) for line in scheduled.lines],
        }
    ).encode()
    text = serial.dumps(program)
    lengths = struct.pack("<QQ", len(header), len(text))
    small = [c.tobytes() for c, place in zip(constants, apart, strict=True) if not place]
    cache.put(key, b"".join([_STAMP, lengths, header, text, *small]))


def _keep_large(cache: ObjectCache, constant: NDArray[Any]) -> str:
    """Put an array into the cache, unless it is there: where it is."""
    data = constant.reshape(-1).view(np.uint8).data
    key = hashlib.sha256(data).hexdigest()
    if key not in cache:
        cache.put(key, data)
    return key


def _without_traces(program: Program, leaves: Leaves) -> tuple[Program, list[int]]:
    """The program without the user's lines in its messages, and whose lines they were."""
    described = {_escaped(t): k for k, t in enumerate(leaves.traces) if t}
    errors, ends = [], []
    for error in program.errors:
        found = -1
        message = error.message
        for text, k in described.items():
            if message.endswith(text):
                found, message = k, message[: -len(text)]
                break
        errors.append(error._replace(message=message))
        ends.append(found)
    return program._replace(errors=tuple(errors)), ends


def _escaped(lines: trace.Trace) -> str:
    return trace.describe(lines).replace("{", "{{").replace("}", "}}")


def find(cache: ObjectCache, key: str, leaves: Leaves) -> Kept | None:
    """The function kept under ``key``, if it is there and whole."""
    data = cache.get(key)
    if data is None or not data.startswith(_STAMP):
        return None
    try:
        return _read(cache, data, leaves)
    except (ValueError, KeyError, IndexError, TypeError, struct.error):
        # Damaged in a way that its checksum does not tell: as if it were not there.
        return None


def _read(cache: ObjectCache, data: bytes, leaves: Leaves) -> Kept | None:
    at = len(_STAMP)
    first, second = struct.unpack_from("<QQ", data, at)
    at += 16
    header = json.loads(data[at : at + first])
    at += first
    program = serial.loads(data[at : at + second])
    at += second
    constants: list[Any] = []
    for dtype, shape, place in header["constants"]:
        count = int(np.prod(shape, dtype=np.int64))
        stored = cache.get(place) if place else data[at : at + count * np.dtype(dtype).itemsize]
        if stored is None:
            return None
        at += 0 if place else len(stored)
        constants.append(np.frombuffer(stored, np.dtype(dtype), count).reshape(shape).copy())
    shared: Sequence[SharedVariable] = leaves.shared
    errors = [
        e if k < 0 else e._replace(message=e.message + _escaped(leaves.traces[k]))
        for e, k in zip(program.errors, header["ends"], strict=True)
    ]
    lines = ["" if k < 0 else str(leaves.traces[k][0]) for k in header["lines"]]
    return Kept(
        program._replace(errors=tuple(errors)),
        header["keys"],
        [shared[k] for k in header["shared"]],
        constants,
        lines,
    )
