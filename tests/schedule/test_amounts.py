"""Amounts of plans as sizes: numbers where they are known, and shared by layers that are alike."""

import pytest

from croton.schedule.counts import count
from croton.schedule.products import amounts
from croton.schedule.sizes import Atom, Size, Sizes
from croton.schedule.steps import Plan

PLAN = Plan("float32", (), (), ())
TREE = count(
    "select",
    count("lt", "k", 3),
    count("add", count("mul", "n", "k"), "answer"),
    count("floordiv", "n", 0),
)


@pytest.fixture
def sizes():
    return Sizes()


def symbol(sizes, name):
    return sizes._atom(name, lambda: Atom("dimension", name))


def test_numbers_and_sizes(sizes):
    n = symbol(sizes, "n")
    names = {"n": n, "k": Size.of(2), "answer": Size.of(1)}
    amount = amounts(names, sizes)
    assert amount(TREE) == n * Size.of(2) + Size.of(1)
    assert amount(7) == Size.of(7)
    assert amount("k").value == 2
    assert amounts(names | {"n": Size.of(5)}, sizes)(TREE).value == 11


def test_what_is_decided_needs_no_other_names(sizes):
    assert amounts({"k": Size.of(4), "n": Size.of(9)}, sizes)(TREE).value == 0
    with pytest.raises(KeyError):
        amounts({"k": Size.of(2), "n": Size.of(9)}, sizes)(TREE)


def test_layers_that_are_alike_share(sizes):
    n, m = symbol(sizes, "n"), symbol(sizes, "m")
    found = []
    for size, plan in ((n, PLAN), (n, PLAN), (m, PLAN), (n, PLAN._replace(dtype="float64"))):
        names = {"n": size, "k": Size.of(2)}
        amount = amounts(names, sizes, plan)
        # What is found of the sizes may be a name of its own afterwards.
        names["answer"] = amount(count("mul", "n", 0))
        found.append(amount(TREE))
    assert found[0] is found[1]
    assert found[2] == m * Size.of(2)
    assert found[3] == found[0] and len(sizes.amounts) == 3
