"""Results' memory: recycled when nobody holds it any more, and never before."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from by_hand import Builder, multiply

from croton.runtime._native import memory_statistics, release_memory

SIZES = [200, 5_000, 100_000, 600_000]


@pytest.mark.parametrize("size", SIZES)
def test_dropped_results_are_recycled(size):
    f = multiply(shape=(None,))
    x = np.arange(float(size))
    first = f(x, x)
    place = first.ctypes.data
    del first
    for _ in range(5):
        again = f(x, x)
        assert again.ctypes.data == place
        np.testing.assert_array_equal(again, x * x)
        del again


@pytest.mark.parametrize("size", [1, *SIZES])
@pytest.mark.parametrize("hold", [lambda r: r, lambda r: r[::2], lambda r: memoryview(r)])
def test_held_results_are_left_alone(size, hold):
    f = multiply(shape=(None,))
    held = [hold(f(np.full(size, float(i)), np.ones(size))) for i in range(4)]
    for i, result in enumerate(held):
        assert np.all(np.asarray(result) == i)
    places = {np.asarray(r).ctypes.data for r in held}
    assert len(places) == 4


def test_a_recycled_block_serves_another_function():
    release_memory()
    f, g = multiply(shape=(None,)), multiply("float32", (None, None))
    place = f(np.ones(500_000), np.ones(500_000)).ctypes.data
    assert g(np.ones((1000, 1000), "f4"), np.ones((1000, 1000), "f4")).ctypes.data == place


@pytest.mark.parametrize("size", [129, *SIZES])
def test_large_results_are_aligned_to_cache_lines(size):
    f = multiply(shape=(None,))
    assert f(np.ones(size), np.ones(size)).ctypes.data % 64 == 0


def test_results_outlive_their_function():
    f = multiply(shape=(None,))
    result = f(np.ones(100_000), np.full(100_000, 3.0))
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(result, np.full(100_000, 3.0))


def test_cached_memory_is_bounded_and_can_be_released():
    f = multiply(shape=(None,))
    results = [f(np.ones(600_000), np.ones(600_000)) for _ in range(20)]
    del results  # 96 MB
    statistics = memory_statistics()
    assert 0 < statistics["cached_bytes"] <= statistics["limit_bytes"]
    assert release_memory() == statistics["cached_bytes"]
    assert memory_statistics()["cached_bytes"] == 0
    np.testing.assert_array_equal(f(np.ones(9), np.ones(9)), np.ones(9))


def test_many_calls_use_no_more_memory():
    f = multiply(shape=(None,))
    x = np.ones(200)
    f(x, x)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(2000):
            f(x, x)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000 and peak - before < 20_000


def test_temporaries_return_to_the_cache():
    b = Builder()
    x = b.input("x", "float64", (None,))
    temporary = b.binary("mul_f64", x, x, kind="temporary", slot=0)
    b.output(b.binary("add_f64", temporary, x))
    f = b.load()
    x = np.ones(1_000_000)
    f(x)
    before = memory_statistics()
    for _ in range(10):
        f(x)
    after = memory_statistics()
    assert after["fresh"] == before["fresh"] and after["recycled"] == before["recycled"] + 20
