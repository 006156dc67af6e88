"""Angles far from 0, modulo pi/2 (Payne and Hanek).

``x 2/pi`` modulo 4 needs those bits of 2/pi alone whose products with the bits of
x are neither multiples of 4 nor too small to matter.  They are chosen by the
exponent of x, with selects: the functions that use this do so on a path that is
rarely taken.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from croton.codegen.math.coefficients import TWO_OVER_PI
from croton.codegen.math.term import (
    Term,
    apply,
    fast_two_sum,
    fma,
    select,
    two_product,
    two_sum,
)

HALF_PI = (1.5707963267948966, 6.123233995736766e-17)

#: Bits of 2/pi in one of the words that a double's reduction works with.
WORD = 48
#: Words that matter for one argument.
USED = 5


class Angle(NamedTuple):
    """``k`` quarters of a turn (an integer, of which the low bits count) and ``r`` more."""

    r: Term
    k: Term


class CloseAngle(NamedTuple):
    """An :class:`Angle`, and what rounding took from ``r``."""

    r: Term
    lost: Term
    k: Term


def large_angle(size: Term, offset: int) -> Angle:
    """The angle of a positive ``size``, with ``offset`` added to ``k``; NaN at infinity."""
    r, _, k = large_angle_closely(size, offset)
    return Angle(r, k)


def large_angle_closely(size: Term, offset: int = 0) -> CloseAngle:
    """:func:`large_angle`, with what ``r`` lost."""
    return _single(size, offset) if size.dtype == "float32" else _double(size, offset)


def bits_of_two_over_pi(first: int, count: int) -> int:
    """``count`` bits of 2/pi from the one of weight ``2**-(first + 1)`` on; 0 before them."""
    scaled = TWO_OVER_PI << max(0, first + count - 1200)
    return (scaled >> max(0, 1200 - first - count)) & ((1 << count) - 1)


def _pieces(lowest: int) -> tuple[float, float]:
    """What counts of 2/pi for multiples of ``2**lowest``: two doubles, one below the other."""
    first = max(0, lowest - 2)
    high = Fraction(bits_of_two_over_pi(first, 53), 1 << first + 53)
    low = Fraction(bits_of_two_over_pi(first + 53, 53), 1 << first + 106)
    return float(high), float(low)


def _single(size: Term, offset: int) -> CloseAngle:
    """Of a float32, in doubles: four ranges of x, with two pieces of 2/pi each."""
    x = size.cast("float64")
    form = x.format
    choice = [x.like(piece) for piece in _pieces(0)]
    for exponent in (50, 76, 102):
        far = x >= 2.0**exponent
        pieces = _pieces(exponent - 23)
        choice = [select(far, p, c) for p, c in zip(pieces, choice, strict=True)]
    high, low = choice
    turns = fma(x, high, form.shifter)
    part = fma(x, low, fma(x, high, -(turns - form.shifter)))
    more = part + form.shifter
    part = part - (more - form.shifter)
    quarters = turns.bits() + more.bits() + offset
    wide = fma(x, 0.0, part) * HALF_PI[0]
    r = wide.cast("float32")
    return CloseAngle(r, (wide - r.cast("float64")).cast("float32"), quarters.cast("int32"))


def _modulo_4(x: Term) -> Term:
    """``x`` less the nearest multiple of 4; exact."""
    return fma(apply("rint", x * 0.25), -4.0, x)


def _words(first: Term) -> list[Term]:
    """``USED`` words of 2/pi from the one numbered ``first`` on, as integers in doubles."""
    count = 1200 // WORD
    table: list[Term | float] = [float(bits_of_two_over_pi(WORD * i, WORD)) for i in range(count)]
    like = first.cast("float64")
    words = [like.like(w) if isinstance(w, float) else w for w in table]
    for bit in (16, 8, 4, 2, 1):
        odd = (first & bit).differs(0)
        need = USED + bit - 1
        words = [
            select(odd, words[i + bit] if i + bit < len(words) else like.like(0.0), words[i])
            for i in range(need)
        ]
    return words


def _double(size: Term, offset: int) -> CloseAngle:
    """Of a float64, in pairs of doubles."""
    form = size.format
    bits = size.bits()
    exponent = (bits >> form.mantissa) - form.bias
    beyond = exponent - (form.mantissa + 2)
    beyond = select(beyond < 0, 0, beyond)
    first = (beyond * 1366) >> 16  # beyond // WORD, for all that occur
    rest = exponent - first * WORD
    mantissa = ((bits & ((1 << form.mantissa) - 1)) | form.one).floats()
    scale = ((rest + form.bias) << form.mantissa).floats()
    x = mantissa * scale
    products: list[Term] = []
    for i, word in enumerate(_words(first)):
        products += two_product(x * 2.0 ** (-WORD * (i + 1)), word)
    a, b, c = (_modulo_4(p) for p in products[:3])
    total, lost_b = two_sum(a, b)
    total, lost_c = two_sum(total, c)
    total, lost_d = two_sum(total, products[3])
    total, lost_e = two_sum(total, products[4])
    turns = apply("rint", total)
    part = total - turns
    small, tail = two_sum(products[6], products[5])
    for lost in (small, lost_b, lost_c, lost_d, lost_e):
        part, less = two_sum(part, lost)
        tail = tail + less
    tail = tail + (products[7] + products[8])
    # What was lost may have been a half: round once more.
    more = apply("rint", part)
    part, tail = fast_two_sum(part - more, tail)
    quarters = (turns + more + form.shifter).bits() + offset
    high, low = two_product(part, HALF_PI[0])
    low = fma(part, HALF_PI[1], fma(tail, HALF_PI[0], low))
    r, lost = fast_two_sum(fma(size, 0.0, high), low)
    return CloseAngle(r, lost, quarters)
