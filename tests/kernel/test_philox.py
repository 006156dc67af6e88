"""Philox 4x32-10 against the vectors published with Random123 (kat_vectors)."""

import numpy as np
import pytest

from croton.kernel import philox

KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize("counter, key, words", KNOWN)
def test_known_answers(counter, key, words):
    assert tuple(int(w) for w in philox.philox4x32(counter, key)) == words


def plain(counter, key):
    """One counter with Python's own integers."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        x, y = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = y >> 32 ^ b ^ k, y % 2**32, x >> 32 ^ d ^ m, x % 2**32
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    return a, b, c, d


def test_matrix_is_laid_over_the_counters():
    step, key = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    got = philox.matrix(3, 150, step, key)
    for r, c in [(0, 0), (0, 15), (1, 16), (2, 63), (2, 64), (1, 149), (0, 100)]:
        counter = (c // 64 * 16 + c % 16, r, step % 2**32, step >> 32)
        assert got[r, c] == plain(counter, (key % 2**32, key >> 32))[c // 16 % 4]


@pytest.mark.parametrize("word", [(3, 0, 0), (2, 0, 0), (2, 1, 1)])
def test_elements_are_those_of_the_matrix(word):
    step, key = 2**63 + 5, 77
    row, column = np.indices((4, 131))
    got = philox.element(column, row, np.int64(step - 2**64), np.int64(key), *word)
    assert got.dtype == np.uint32
    assert np.array_equal(got, philox.matrix(4, 131, step, key, *word))


def test_large_positions():
    column, row = 2**34 - 1, 2**32 + 3
    got = philox.element(column, row, 1, 2)
    counter = (2**32 - 1, 3, 1, 0)
    assert got == plain(counter, (2, 0))[3]


def test_a_pair_shares_radius_and_angle_a_quarter_turn_apart():
    own = philox.matrix(2, 64, 1, 2).reshape(2, 4, 16)
    radius = philox.matrix(2, 64, 1, 2, 2, 0, 0).reshape(2, 4, 16)
    angle = philox.matrix(2, 64, 1, 2, 2, 1, 1).reshape(2, 4, 16)
    assert np.array_equal(radius[:, 0], own[:, 0]) and np.array_equal(radius[:, 1], own[:, 0])
    assert np.array_equal(angle[:, 2], own[:, 3])
    assert np.array_equal(angle[:, 3], own[:, 3] - np.uint32(2**30))


def test_no_elements():
    assert philox.matrix(0, 5, 0, 0).shape == (0, 5)
    assert philox.matrix(5, 0, 0, 0).shape == (5, 0)
