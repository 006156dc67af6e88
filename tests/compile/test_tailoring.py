"""Kernels for the sizes that calls tell: kept in the cache, and told to several threads."""

import threading

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.compile import kernels, tailoring
from croton.compile.caching import object_cache
from croton.config import config

STEPS = 5000
HALF = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))


def turned():
    """``f(a, x)``: x after STEPS products with a."""
    a, x = T.dmatrix("a"), T.dvector("x")
    states, _ = croton.scan(lambda x: T.dot(a, x), outputs_info=x, n_steps=STEPS)
    return croton.function([a, x], states[-1])


def compiled(f, *args):
    """What a call gives, and how many kernels were compiled for it."""
    before = kernels.counters["compiled"]
    return f(*args), kernels.counters["compiled"] - before


def check(f, x, fresh):
    got, count = compiled(f, HALF[: len(x), : len(x)], x)
    np.testing.assert_array_equal(got, x if len(x) == 2 else 0 * x)
    assert count == fresh


def test_once_for_all_calls_and_functions():
    f = turned()
    check(f, np.arange(2.0), 1)
    check(f, np.ones(2), 0)
    check(f, np.ones(1), 1)
    check(f, np.ones(2), 0)
    again = turned()
    assert "cache" in again.seconds
    check(again, np.arange(2.0), 0)
    check(again, np.ones(1), 0)
    # Nothing was rewritten or scheduled for that.
    assert again.owner.version.rewritten is None


@pytest.mark.parametrize("damage", ["kernel", "entry"])
def test_what_is_damaged_in_the_cache_is_made_again(damage, monkeypatch):
    cache = object_cache()
    kept, put, get = {}, cache.put, cache.get
    f = turned()
    monkeypatch.setattr(cache, "put", lambda key, data: (kept.update({key: data}), put(key, data)))
    check(f, np.ones(2), 1)
    (entry,) = (key for key, data in kept.items() if data.startswith(tailoring._STAMP))
    (kernel,) = kept.keys() - {entry}
    given = {kernel: None} if damage == "kernel" else {entry: tailoring._STAMP + b"{"}
    again = turned()
    monkeypatch.setattr(cache, "get", lambda key: given[key] if key in given else get(key))
    check(again, np.ones(2), 1 if damage == "kernel" else 0)


def test_calls_at_once():
    f = turned()
    wrong = []

    def work(k):
        for _ in range(20):
            x = np.arange(float(k))
            got = f(HALF[:k, :k], x)
            if not np.array_equal(got, x if k == 2 else 0 * x):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(1 + i % 2,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_profile_names_it():
    a, x = T.dmatrix("a"), T.dvector("x")
    states, _ = croton.scan(lambda x: T.dot(a, x), outputs_info=x, n_steps=STEPS)
    f = croton.function([a, x], states[-1], profile=True)
    f(HALF, np.ones(2))
    assert "kernel for these sizes" in str(f.profile)
