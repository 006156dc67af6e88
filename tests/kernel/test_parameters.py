"""Kernels that follow from a few parameters."""

import pytest

from croton.compile.kernels import kernel_key
from croton.kernel.build import index
from croton.kernel.nodes import Buffer, Function, Store, Var
from croton.kernel.parameters import from_parameters

MADE = []


def storing(name, value):
    MADE.append((name, value))
    b = Buffer("b", "int64")
    return Function(name, (b,), (Var("n"),), (Store(b, Var("lo"), index(value)),))


@from_parameters
def one(value):
    return storing("one", value)


@from_parameters
def two(first, second):
    return storing("first", first), storing("second", second)


def test_they_are_made_once():
    assert one(3) is one(3)
    assert two(4, 5) is two(4, 5)
    assert MADE == [("one", 3), ("first", 4), ("second", 5)]


def test_equal_parameters_make_equal_code():
    functions = [one(1), one(2), *two(1, 2), *two(2, 1)]
    keys = [kernel_key(f) for f in functions]
    assert len(set(keys)) == len(keys)
    assert [kernel_key(f._replace(name="another")) for f in functions] == keys
    assert kernel_key(storing("one", 7)) == kernel_key(storing("two", 7))


@pytest.mark.parametrize("contract", [False, True])
def test_what_is_made_otherwise_is_told_by_its_text(contract):
    plain = storing("one", 1)._replace(contract=contract)
    assert kernel_key(plain) != kernel_key(storing("one", 2)._replace(contract=contract))
    assert (kernel_key(plain) == kernel_key(storing("one", 1))) == (not contract)
