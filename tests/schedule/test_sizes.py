"""Symbolic sizes: arithmetic agrees with integers, in any order, and stays short."""

import numpy as np
import pytest

from croton.schedule.sizes import ONE, ZERO, Size, Sizes, product

ATOMS = 9


def atom(number):
    return Size((((number,), 1),))


def value(size, numbers):
    """What a size comes to where the atoms have these numbers."""
    total = 0
    for monomial, c in size.terms:
        for factor in monomial:
            c *= value(factor, numbers) if isinstance(factor, Size) else numbers[factor]
        total += c
    return total


def linear(rng, terms):
    """A sum of some atoms and a number, and what it comes to as a function of theirs."""
    chosen = rng.choice(ATOMS, min(terms, ATOMS), replace=False)
    factors = [int(c) for c in rng.choice([-4, -2, 1, 2, 6], len(chosen))]
    size = Size.of(int(rng.integers(0, 5)))
    rest = size.value
    for a, c in zip(chosen, factors, strict=True):
        term = product([atom(int(a)), Size.of(abs(c))])
        size = size + term if c > 0 else size - term
    pairs = list(zip(chosen, factors, strict=True))
    return size, lambda n: rest + sum(c * n[a] for a, c in pairs)


@pytest.mark.parametrize("seed", range(30))
def test_arithmetic_is_that_of_integers(seed):
    rng = np.random.default_rng(seed)
    numbers = [int(n) for n in rng.integers(-3, 20, ATOMS)]
    parts = [linear(rng, int(rng.integers(1, 9))) for _ in range(4)]
    (a, fa), (b, fb), (c, fc), (d, fd) = parts
    found = (a * b - c) * d + b * a * c
    want = (fa(numbers) * fb(numbers) - fc(numbers)) * fd(numbers)
    want += fb(numbers) * fa(numbers) * fc(numbers)
    assert value(found, numbers) == want
    assert value(-found, numbers) == -want
    assert found - found == ZERO


@pytest.mark.parametrize("seed", range(30))
def test_products_are_equal_in_any_order(seed):
    rng = np.random.default_rng(seed)
    sizes = [linear(rng, n)[0] for n in (1, 1, 3, 8, 7)]
    first = product(sizes)
    for _ in range(5):
        again = product([sizes[k] for k in rng.permutation(len(sizes))])
        assert again == first and hash(again) == hash(first)


def test_a_long_sum_divides_its_products():
    long = sum((atom(k) for k in range(6)), Size.of(3))
    other = atom(6) + ONE
    assert (long * other).divided_by(long) == other
    assert (Size.of(6) * long).divided_by(Size.of(2) * long) == Size.of(3)
    assert (long * atom(7)).divided_by(atom(7)) == long
    assert long.divided_by(long) == ONE
    assert (long * other).divided_by(atom(2)) is None


def test_the_elements_of_a_deep_image_are_a_short_size():
    # Each layer's filters have sizes of their own, and change those of the image.
    sizes = Sizes()
    rows, columns = atom(100), atom(101)
    for layer in range(40):
        for_rows, for_columns = atom(200 + 2 * layer), atom(201 + 2 * layer)
        rows = rows - for_rows + ONE
        columns = columns - for_columns + ONE
        half = sizes.operation("floordiv", rows, Size.of(layer + 2))
        count = product([atom(102), rows, atom(103), columns, half])
        assert len(count.terms) <= 64
        assert len(rows.terms) == layer + 3
