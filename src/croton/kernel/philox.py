"""Philox 4x32-10: random numbers as a function of a counter.

Salmon, Moraes, Dror and Shaw: "Parallel random numbers: as easy as 1, 2, 3"
(2011).  Each counter of four words gives, under a key of two, four words that
pass every known test; counters need no order, so any element of a random array
can be computed by itself.

The kernel operation ``philox`` lays a matrix over them.  The element in row
``r`` and column ``c`` is word ``c // 16 % 4`` of the counter
``(c // 64 * 16 + c % 16, r, low and high half of step)``: 64 neighbours take 16
evaluations, each of which gives one lane of four vectors of 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDS = 10
#: So many neighbours of a row, from a multiple on, share 16 counters.
NEIGHBOURS = 64
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
#: The golden ratio and the square root of 3 less 1: what the key grows by in each round.
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)

QUARTER = np.uint32(1 << 30)

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(counter: tuple[Any, ...], key: tuple[Any, Any]) -> tuple[Any, ...]:
    """Four uint32 arrays from arrays of four counter words and two key words that broadcast."""
    words = [np.asarray(w, np.uint64) for w in counter]
    keys = [np.asarray(k, np.uint64) for k in key]
    for number in range(ROUNDS):
        first, second = (np.uint64(m) * w for m, w in zip(MULTIPLIERS, words[::2], strict=True))
        a, b = ((k + np.uint64(number * s)) & _LOW for k, s in zip(keys, KEY_STEPS, strict=True))
        words = [
            (second >> _HALF) ^ words[1] ^ a,
            second & _LOW,
            (first >> _HALF) ^ words[3] ^ b,
            first & _LOW,
        ]
    return tuple(w.astype(np.uint32) for w in np.broadcast_arrays(*words))


def halves(value: Any) -> tuple[Any, Any]:
    """The low and the high 32 bits of 64."""
    wide = np.asarray(value).astype(np.uint64)
    return wide & _LOW, wide >> _HALF


def element(
    column: Any, row: Any, step: Any, key: Any, keep: int = 3, put: int = 0, turn: int = 0
) -> Any:
    """Elements of the matrix under ``step`` and ``key`` (int64, any bits).

    Of the number of the word only the bits of ``keep`` stay, and those of ``put``
    are set, so that an element can look at its neighbours of the same counter.
    With ``turn`` a quarter of 2**32 is taken from elements whose own word is odd.
    """
    column = np.asarray(column, np.int64)
    number = column // 16 % 4
    block = (column // 64 * 16 + column % 16) & 0xFFFFFFFF
    counter = (block, np.asarray(row, np.int64) & 0xFFFFFFFF, *halves(step))
    words = philox4x32(counter, halves(key))
    chosen = np.choose(number & keep | put, words)
    return (chosen - (number & turn).astype(np.uint32) * QUARTER)[()]


def matrix(
    rows: int, columns: int, step: int, key: int, keep: int = 3, put: int = 0, turn: int = 0
) -> Any:
    """All elements of a ``rows`` x ``columns`` matrix, each counter evaluated once."""
    blocks = -(-columns // 64) * 16
    counter = (
        np.arange(blocks, dtype=np.uint64) & _LOW,
        (np.arange(rows, dtype=np.uint64) & _LOW)[:, None],
        *halves(step),
    )
    words = philox4x32(counter, halves(key))
    parts = [
        (words[n & keep | put] - np.uint32(n & turn) * QUARTER).reshape(rows, blocks // 16, 16)
        for n in range(4)
    ]
    return np.stack(parts, axis=2).reshape(rows, blocks * 4)[:, :columns]
