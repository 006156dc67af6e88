"""The matrices of Winograd's minimal filtering, derived from interpolation points.

A filter of ``r`` taps is applied at ``m`` neighbouring places of a line with ``m + r - 1``
products instead of ``m * r``, by Toom's and Cook's construction: polynomials are multiplied by
their values at points ``a_0, ..., a_(n-1)`` and infinity, n = m + r - 2, and filtering is the
transposed problem (S. Winograd, Arithmetic Complexity of Computations, SIAM, 1980; A. Lavin and
S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, whose names A, B and G
these are).  With ``N_j`` the product of ``a_j - a_l`` over all ``l != j``::

    result = A^T [(G filter) * (B^T image)]

    A^T[i, j] = a_j ** i                                    A^T[i, n] = 1 if i == m - 1 else 0
    G[j, k]   = a_j ** k / N_j                              G[n, k]   = 1 if k == r - 1 else 0
    B^T[j, :] = coefficients of the product of (x - a_l) over l != j
    B^T[n, :] = coefficients of the product of (x - a_l) over all l

In two dimensions each matrix is applied along both.  Any number may be moved from one of the
three matrices' lines for a point to another's; here the polynomials of B begin with 1, and G
takes in what is not exact in binary: filters are transformed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

Matrix = tuple[tuple[Fraction, ...], ...]

#: For each reach (the number of points in a dimension, and of the places of the image that a tile
#: needs) the points besides infinity.  Those for 6 lose about a third of the digits that the
#: small integers 0, 1, -1, 2, -2 lose: their powers differ less.
POINTS: dict[int, tuple[Fraction, ...]] = {
    4: tuple(map(Fraction, (0, 1, -1))),
    6: tuple(Fraction(p, 4) for p in (0, 3, -3, 6, -6)),
}

#: For each reach how many taps a filter may have in a dimension.
TAPS: dict[int, tuple[int, ...]] = {4: (3,), 6: (3, 5)}


def numbers_of_taps(reach: int, known: int | None) -> tuple[int, ...]:
    """How many taps filters may have: as many as is ``known``, or any number for the reach."""
    return TAPS[reach] if known is None else (known,)


class Matrices(NamedTuple):
    """``result`` is A^T (m, n + 1), ``filters`` G (n + 1, r), ``image`` B^T (n + 1, n + 1)."""

    result: Matrix
    filters: Matrix
    image: Matrix


@lru_cache(maxsize=8)
def matrices(reach: int, taps: int) -> Matrices:
    """The matrices for filters of ``taps`` in tiles of ``reach + 1 - taps`` places.

    ``reach`` is a key of :data:`POINTS`.  The image's matrix is the same for any ``taps``.

    >>> matrices(4, 3).image[1]
    (Fraction(0, 1), Fraction(1, 1), Fraction(1, 1), Fraction(0, 1))
    """
    points = POINTS[reach]
    size = reach + 1 - taps
    result = [[a**i for a in points] + [Fraction(i == size - 1)] for i in range(size)]
    filters, image = [], []
    for j, a in enumerate(points):
        others = [b for b in points[:j] + points[j + 1 :]]
        scale = Fraction(1)
        for b in others:
            scale *= a - b
        filters.append([a**k / scale for k in range(taps)])
        image.append(_polynomial(others, reach))
    filters.append([Fraction(k == taps - 1) for k in range(taps)])
    image.append(_polynomial(points, reach))
    return Matrices(_matrix(result), _matrix(filters), _matrix(image))


def _polynomial(roots: Sequence[Fraction], length: int) -> list[Fraction]:
    """The coefficients of the product of ``x - root``, the constant one first."""
    found = [Fraction(1)]
    for root in roots:
        times_x = [Fraction(0), *found]
        found = [a - root * b for a, b in zip(times_x, [*found, Fraction(0)], strict=True)]
    return found + [Fraction(0)] * (length - len(found))


def _matrix(rows: Sequence[Sequence[Fraction]]) -> Matrix:
    return tuple(map(tuple, rows))
