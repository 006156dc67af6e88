"""Two levels of caching: whole functions, and the kernels that functions share."""

from __future__ import annotations

import os

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.compile import kernels
from croton.compile.caching import object_cache

START = np.random.default_rng(1).random((3, 2), "float32")


def build(scale):
    x = T.fmatrix("x")
    w = croton.shared(START, "w")
    table = T.constant(np.arange(2, dtype="float32"))
    out = T.nnet.softmax(T.dot(x, w) * scale + table)
    return croton.function([x], out, updates=[(w, w + 1)]), w


def test_an_unchanged_function_is_only_loaded():
    made = [build(0.37) for _ in range(2)]
    before = kernels.counters["compiled"]
    (f, v), (g, w) = made
    again, u = build(0.37)
    assert kernels.counters["compiled"] == before
    assert "cache" in again.seconds
    data = np.random.default_rng(0).random((4, 3), "float32")
    for _ in range(2):
        first, second, third = f(data), g(data), again(data)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
    for shared in (v, w, u):
        np.testing.assert_array_equal(shared.get_value(), START + 1 + 1)
    with pytest.raises(ValueError, match=r"in build[\s\S]*line"):
        again(np.ones((2, 7), "float32"))
    # What only the compiler knows is made again on request.
    assert "kernel" in again.kernels()
    assert again.maker.fgraph.toposort()


def test_functions_that_differ_in_a_number_are_apart():
    f, _ = build(0.5)
    g, _ = build(0.25)
    data = np.random.default_rng(0).random((4, 3), "float32")
    assert not np.array_equal(f(data), g(data))


def test_a_damaged_entry_is_made_again():
    f, _ = build(0.123)
    data = np.random.default_rng(0).random((4, 3), "float32")
    expected = f(data)
    for entry in object_cache().entries():
        with open(entry.path, "r+b") as file:
            file.seek(entry.size // 2)
            byte = file.read(1)
            file.seek(entry.size // 2)
            file.write(bytes([byte[0] ^ 0xFF]))
    again, _ = build(0.123)
    np.testing.assert_array_equal(again(data), expected)


def large(seed, factor):
    """A function with 400 KB of constants, and what it should give."""
    table = np.random.default_rng(seed).random((300, 333), "float32")
    x = T.fvector("x")
    f = croton.function([x], factor * T.dot(x, T.constant(table).T))
    return f, lambda v: factor * (table @ v)


def test_large_constants_are_kept_and_shared():
    size = lambda: sum(entry.size for entry in object_cache().entries())
    sizes = [size()]
    values = np.random.default_rng(5).random(333, "float32")
    for factor in (2.5, 3.5):
        large(7, factor)
        sizes.append(size())
        again, expected = large(7, factor)
        assert "cache" in again.seconds
        np.testing.assert_allclose(again(values), expected(values), rtol=1e-5)
    assert sizes[1] - sizes[0] > 300 * 333 * 4 > 3 * (sizes[2] - sizes[1])
    f, expected = large(8, 2.5)
    assert "cache" not in f.seconds
    np.testing.assert_allclose(f(values), expected(values), rtol=1e-5)


def test_without_its_constants_a_function_is_made_again():
    large(9, 1.5)
    removed = [e.path for e in object_cache().entries() if e.size > 300 * 333 * 4]
    assert removed
    for path in removed:
        os.unlink(path)
    values = np.random.default_rng(6).random(333, "float32")
    for found in (False, True):
        f, expected = large(9, 1.5)
        assert ("cache" in f.seconds) == found
        np.testing.assert_allclose(f(values), expected(values), rtol=1e-5)


def test_large_constants_that_differ_in_a_bit_are_apart():
    a = np.linspace(1, 2, 1000, dtype="float32")
    b = a.copy()
    b[999] = np.nextafter(b[999], np.float32(3))
    x = T.fscalar("x")
    for c in (a, b):
        np.testing.assert_array_equal(croton.function([x], x * T.constant(c))(1), c)
    both = croton.function([x], (x * T.constant(a) - x * T.constant(b)).sum())
    assert both(1) == a[999] - b[999]


def test_a_users_op_is_not_kept():
    class Own(croton.Op):
        __props__ = ()

        def make_node(self, x):
            return croton.Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] + 1

    x = T.fvector("x")
    for _ in range(2):
        f = croton.function([x], Own()(x) * 2)
        assert "cache" not in f.seconds
        np.testing.assert_array_equal(f(np.ones(2, "float32")), [4, 4])
