"""Philox 4x32-10 in uint32 arithmetic; :mod:`croton.kernel.philox` says what it computes."""

from __future__ import annotations

from croton.codegen.math.term import Term, apply, select
from croton.kernel import build
from croton.kernel.nodes import Expr, Op
from croton.kernel.philox import KEY_STEPS, MULTIPLIERS, ROUNDS


def expand_philox(op: Op) -> Expr:
    """The four words of each lane's counter, and of those the one that its column picks."""
    column, row, step, key = op.args
    keep, put, turn = op.attrs
    c = _word(column)
    block = _word(build.op("shr", column, build.const(2, "int64", op.lanes)))
    words = evaluate(((block & 0xFFFFFFF0) | (c & 15), _word(row), *_halves(step)), _halves(key))
    result = _pick(words, c >> 4, keep, put)
    if turn:
        result = result - ((c & (turn << 4)) << 26)
    return result.expr


def evaluate(counter: tuple[Term, ...], key: tuple[Term, Term]) -> tuple[Term, ...]:
    """Ten rounds."""
    a, b, c, d = counter
    first, second = key
    for number in range(ROUNDS):
        if number:
            first, second = first + KEY_STEPS[0], second + KEY_STEPS[1]
        left, right = a.like(MULTIPLIERS[0]), a.like(MULTIPLIERS[1])
        a, b, c, d = (
            apply("mulhi", c, right) ^ b ^ first,
            c * right,
            apply("mulhi", a, left) ^ d ^ second,
            a * left,
        )
    return a, b, c, d


def _pick(words: tuple[Term, ...], number: Term, keep: int, put: int) -> Term:
    """Word ``number & keep | put``."""

    def bit(mask: int, zero: Term, one: Term) -> Term:
        if put & mask or not keep & mask:
            return one if put & mask else zero
        return select((number & mask).differs(0), one, zero)

    return bit(2, bit(1, words[0], words[1]), bit(1, words[2], words[3]))


def _word(value: Expr) -> Term:
    return Term(build.cast(value, "uint32"))


def _halves(value: Expr) -> tuple[Term, Term]:
    # What is the same in every lane is taken apart once.
    if isinstance(value, Op) and value.name == "broadcast":
        low, high = _halves(value.args[0])
        return _spread(low, value.lanes), _spread(high, value.lanes)
    return _word(value), _word(build.op("shr", value, build.const(32, "int64", value.lanes)))


def _spread(value: Term, lanes: int) -> Term:
    return Term(build.broadcast(value.expr, lanes))
