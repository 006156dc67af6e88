"""Philox 4x32-10 in uint32 arithmetic; :mod:`croton.kernel.philox` says what it computes."""

from __future__ import annotations

from typing import NamedTuple

from croton.codegen.math.term import Term, apply, select
from croton.kernel import build
from croton.kernel.nodes import Expr, Op
from croton.kernel.philox import KEY_STEPS, MULTIPLIERS, ROUNDS

_GROUP = 16


def expand_philox(op: Op) -> Expr:
    """Random bits for each lane; aligned lanes share the evaluations of their counters."""
    return _shared(op) if "aligned" in op.attrs else _separate(op)


def _separate(op: Op) -> Expr:
    """The four words of each lane's counter, and of those the one that its column picks."""
    column, row, step, key = op.args
    keep, put, turn = op.attrs[:3]
    c = _word(column)
    high = _word(build.op("shr", column, build.const(2, "int64", op.lanes)))
    counter = ((high & 0xFFFFFFF0) | (c & 15), _word(row), *_halves(step))
    number = _Number(c >> 4)
    result = _pick(evaluate(counter, _halves(key)), number, keep, put)
    return _turned(result, number, turn).expr


def _shared(op: Op) -> Expr:
    """Each group of 16 neighbours is one word of the same 16 counters."""
    column, row, step, key = map(_scalar, op.args)
    keep, put, turn = op.attrs[:3]
    block = _word(build.op("shr", column, build.index(2))) & 0xFFFFFFF0
    lanes = Term(build.ramp(build.const(0, "uint32"), _GROUP))
    low, high = _halves(step)
    words = evaluate((block + lanes, _word(row), low, high), _halves(key))
    groups = op.lanes // _GROUP
    number = _word(column) >> 4
    parts = []
    for k in range(groups):
        # A group knows as many bits of its word's number as there are groups.
        here = _Number(number, groups - 1, k)
        parts.append(_turned(_pick(words, here, keep, put), here, turn).expr)
    return _join(parts)


class _Number(NamedTuple):
    """A number of which the bits ``known`` are those of ``value``; ``term`` has the others."""

    term: Term
    known: int = 0
    value: int = 0


def evaluate(counter: tuple[Term, ...], key: tuple[Term, Term]) -> tuple[Term, ...]:
    """Ten rounds; a word may be the same for all lanes."""
    a, b, c, d = counter
    first, second = key
    for number in range(ROUNDS):
        if number:
            first, second = first + KEY_STEPS[0], second + KEY_STEPS[1]
        left, right = a.like(MULTIPLIERS[0]), c.like(MULTIPLIERS[1])
        a, b, c, d = (
            apply("mulhi", c, right) ^ b ^ first,
            c * right,
            apply("mulhi", a, left) ^ d ^ second,
            a * left,
        )
    return a, b, c, d


def _pick(words: tuple[Term, ...], number: _Number, keep: int, put: int) -> Term:
    """Word ``number & keep | put``."""

    def bit(mask: int, zero: Term, one: Term) -> Term:
        if put & mask or not keep & mask:
            return one if put & mask else zero
        if number.known & mask:
            return one if number.value & mask else zero
        return select((number.term & mask).differs(0), one, zero)

    return bit(2, bit(1, words[0], words[1]), bit(1, words[2], words[3]))


def _turned(bits: Term, number: _Number, turn: int) -> Term:
    if number.known & turn:
        return bits - ((number.value & turn) << 30) if number.value & turn else bits
    return bits - ((number.term & turn) << 30) if turn else bits


def _join(parts: list[Expr]) -> Expr:
    while len(parts) > 1:
        lanes = tuple(range(2 * parts[0].lanes))
        parts = [build.shuffle(a, b, lanes) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _scalar(value: Expr) -> Expr:
    """The first lane of neighbours, or of what is the same in all lanes."""
    if isinstance(value, Op) and value.name in ("ramp", "broadcast"):
        return value.args[0]
    return build.extract(value, 0)


def _word(value: Expr) -> Term:
    return Term(build.cast(value, "uint32"))


def _halves(value: Expr) -> tuple[Term, Term]:
    return _word(value), _word(build.op("shr", value, build.const(32, "int64", value.lanes)))
