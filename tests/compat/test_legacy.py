"""Names that NumPy and the library have lost."""

import collections
import fractions
import inspect
import time

import numpy as np
import pytest

from croton.compat import legacy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def installed():
    before = [(module, dict(vars(module))) for module, _ in legacy._MODULES]
    legacy.install()
    yield
    for module, names in before:
        for name in set(vars(module)) - set(names):
            delattr(module, name)


def test_types():
    assert np.float is float
    assert np.int is int
    assert np.object is object
    assert np.array([1], dtype=np.float).dtype == np.float64
    assert np.float_ is np.float64


def test_functions():
    assert np.cast["float32"]([1, 2]).dtype == "float32"
    assert np.cast["int32"](3.7) == 3
    assert np.product([2, 3]) == 6
    assert np.asscalar(np.array([5])) == 5
    assert np.rank(np.zeros((2, 3))) == 2
    assert np.in1d([[1, 2], [3, 4]], [2, 3]).tolist() == [False, True, True, False]
    assert np.row_stack([[1], [2]]).shape == (2, 1)
    assert np.trapz([0, 1, 2]) == 2
    assert np.asfarray([1]).dtype == np.float64
    assert np.asfarray([1], dtype="float32").dtype == np.float32
    assert np.asfarray([1], dtype="int32").dtype == np.float64
    assert np.isnan(np.NaN)
    assert np.Inf == -np.NINF == np.inf


def test_random_integers():
    np.random.seed(1)
    drawn = np.random.random_integers(2, 4, size=1000)
    assert set(drawn) == {2, 3, 4}
    assert set(np.random.random_integers(2, size=100)) == {1, 2}


def test_the_library():
    assert time.clock() >= 0
    assert fractions.gcd(12, 18) == 6
    assert isinstance({}, collections.Mapping)
    spec = inspect.getargspec(lambda a, b=2, *c, **d: 0)
    assert spec == (["a", "b"], "c", "d", (2,))
    args, varargs, keywords, defaults = spec
    assert (args, varargs, keywords, defaults) == tuple(spec)


def test_what_is_there_stays():
    assert np.bool is np.bool_
    assert np.sum.__module__ == "numpy"
