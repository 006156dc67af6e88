"""Rows of what is in memory are views of it, not copies."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.runtime.program import Copy, View

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 30))

ROWS = {
    "later": lambda v: v[1:],
    "earlier": lambda v: v[:-1],
    "some": lambda v: v[3:35],
    "none": lambda v: v[50:],
    "of rows": lambda v: v[2:][:-3],
}


def has(f, *kinds):
    return any(isinstance(i, kinds) for i in f.program.instructions)


def check(outputs, inputs, values, updates=()):
    f = croton.function(inputs, outputs, updates=updates, mode="FAST_RUN")
    want = evaluate(outputs, dict(zip(inputs, values, strict=True)))
    found = f(*values)
    for a, b in zip(found, want, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    return f, found


@pytest.mark.parametrize("name", ROWS)
def test_factors_of_products(name):
    x = T.dmatrix("x")
    rows = ROWS[name]
    f, _ = check([T.dot(rows(x), x.T)], [x], [X])
    assert has(f, View)
    y = T.dot(x, x.T)
    f, _ = check([T.dot(rows(y), y)], [x], [X])
    assert has(f, View)
    check([T.dot(rows(y).T, rows(y)) + 1, y.sum(0)], [x], [X])


@pytest.mark.parametrize("name", ROWS)
def test_results_and_what_they_are_of(name):
    x = T.dmatrix("x")
    y = T.dot(x, x.T)
    rows = ROWS[name]
    _, (part,) = check([rows(y)], [x], [X])
    assert part.flags.c_contiguous and part.flags.writeable
    # Each result is the caller's own.
    for outputs in ([rows(y), y], [y, rows(y)], [rows(y), rows(y)], [rows(y), rows(y) * 2]):
        _, (a, b) = check(outputs, [x], [X])
        before = b.copy()
        a[...] = 7
        np.testing.assert_array_equal(b, before)


def test_most_of_a_result_is_not_copied():
    x = T.dmatrix("x")
    large = RNG.standard_normal((200, 200))
    f, (part,) = check([T.dot(x, x)[1:]], [x], [large])
    assert has(f, View) and not has(f, Copy)
    kept = part.copy()
    for _ in range(3):
        f(large * 2)
    np.testing.assert_array_equal(part, kept)


def test_one_row():
    x, k = T.dmatrix("x"), T.lscalar("k")
    y = T.dot(x, x.T)
    f = croton.function([x, k], [y[k], T.dot(y, y[k])])
    for at in (0, 5, -1):
        row, product = f(X, at)
        np.testing.assert_allclose(row, (X @ X.T)[at], rtol=1e-12)
        np.testing.assert_allclose(product, X @ X.T @ (X @ X.T)[at], rtol=1e-12)
    with pytest.raises(IndexError, match="index 40 is out of bounds"):
        f(X, 40)


def test_a_variable_is_not_overwritten_while_parts_of_it_are_read():
    for shape in ((40, 40), None):
        s = croton.shared(RNG.standard_normal((40, 40)), shape=shape)
        before = s.get_value()
        f = croton.function([], [T.dot(s[1:], s), s[:-1]], updates=[(s, s * 2)])
        product, rows = f()
        np.testing.assert_allclose(product, before[1:] @ before, rtol=1e-12)
        np.testing.assert_array_equal(rows, before[:-1])
        np.testing.assert_array_equal(s.get_value(), before * 2)
        # The product's own rows become the new value.
        g = croton.function([], updates=[(s, T.dot(T.concatenate([s, s]), s)[2:42])])
        before = s.get_value()
        g()
        want = np.concatenate([before, before]) @ before
        np.testing.assert_allclose(s.get_value(), want[2:42], rtol=1e-12)


def test_memory_is_not_given_away_while_parts_of_it_are_read():
    x = T.dmatrix("x")
    first = T.dot(x, x.T)
    part = first[4:]
    # Nobody reads the first product itself any more when these are computed.
    second = T.tanh(T.dot(first, first))
    third = T.dot(second, second) + 1
    check([T.dot(part, third), T.dot(part.T, part)], [x], [X])
    check([T.dot(part[1:], third).sum(), part[3:]], [x], [X])


def test_rows_in_loops():
    x = T.dtensor3("x")
    sums, _ = croton.scan(lambda m: T.dot(m[1:], m[:3].T), [x])
    check([sums, sums[2:]], [x], [RNG.standard_normal((6, 5, 4))])
