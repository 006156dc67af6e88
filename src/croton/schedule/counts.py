"""Integer expressions of a product's sizes, for registers of a Program to hold.

A :data:`Count` is a name, a number or a :class:`Operation`, whose name is one that
:class:`croton.runtime.program.Compute` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from croton.runtime.program import OPERATIONS


class Operation(NamedTuple):
    """``name(*args)``."""

    name: str
    args: tuple[Count, ...]


Count = str | int | Operation


def count(name: str, *args: Count) -> Count:
    """``name(*args)``: a number, if all the arguments are."""
    if all(isinstance(a, int) for a in args):
        return OPERATIONS[name](*args)
    return Operation(name, args)


def mul(*factors: Count) -> Count:
    """The product of ``factors``."""
    found: Count = 1
    for factor in factors:
        found = factor if found == 1 else found if factor == 1 else count("mul", found, factor)
    return found


def add(*terms: Count) -> Count:
    """The sum of ``terms``."""
    found: Count = 0
    for term in terms:
        found = term if found == 0 else found if term == 0 else count("add", found, term)
    return found


def all_of(*conditions: Count) -> Count:
    """Whether all of ``conditions`` hold."""
    result: Count = 1
    for condition in conditions:
        if condition == 0 or result == 0:
            return 0
        result = condition if result == 1 else count("and", result, condition)
    return result


def renamed(names: Mapping[str, Count]) -> Callable[[Count], Count]:
    """What puts ``names`` in the place of the names of a count; those not among them stay."""
    known: dict[int, tuple[Operation, Count]] = {}

    def put(value: Count) -> Count:
        if isinstance(value, str):
            return names.get(value, value)
        if isinstance(value, int):
            return value
        found = known.get(id(value))
        if found is None:
            found = known[id(value)] = value, count(value.name, *map(put, value.args))
        return found[1]

    return put


def evaluate(value: Count, names: Mapping[str, int]) -> int:
    """The number that ``value`` stands for."""
    known: dict[int, int] = {}

    def find(value: Count) -> int:
        if isinstance(value, int):
            return value
        if isinstance(value, str):
            return names[value]
        found = known.get(id(value))
        if found is None:
            found = known[id(value)] = OPERATIONS[value.name](*map(find, value.args))
        return found

    return find(value)
