"""Garbage is not looked for while a function is made, and is afterwards as before."""

import gc

import pytest

import croton
import croton.tensor as T
from croton.compile.garbage import collected_later


@pytest.fixture(params=[True, False])
def enabled(request):
    was = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was else gc.disable)()


def test_collecting_goes_on_as_before(enabled):
    with collected_later():
        assert not gc.isenabled()
        with collected_later():
            assert not gc.isenabled()
    assert gc.isenabled() == enabled
    with pytest.raises(KeyError), collected_later():
        raise KeyError
    assert gc.isenabled() == enabled


def test_functions_and_their_errors(enabled):
    x = T.dvector("x")
    assert croton.function([x], x * 2)([3.0]) == 6
    assert gc.isenabled() == enabled
    with pytest.raises(croton.compile.errors.MissingInputError):
        croton.function([], x * 2)
    assert gc.isenabled() == enabled
