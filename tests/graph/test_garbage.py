"""Garbage is not looked for while a function is made, and is afterwards as before."""

import gc
import weakref

import pytest

import croton
import croton.tensor as T
from croton.graph import garbage
from croton.graph.garbage import collected_later


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


class Cycle:
    def __init__(self):
        self.itself = self


def test_what_is_new_is_not_looked_at_at_once(monkeypatch):
    monkeypatch.setattr(garbage, "FEW", 1000)
    gc.collect()
    with collected_later():
        there = weakref.ref(Cycle())
        kept = [[] for _ in range(5000)]
    assert there() is not None
    assert len(gc.get_objects(0)) < len(kept)
    gc.collect(1)
    assert there() is not None
    gc.collect()
    assert there() is None


def test_not_too_many_objects_wait(monkeypatch):
    monkeypatch.setattr(garbage, "MOST", 10_000)
    monkeypatch.setattr(garbage, "FEW", 1000)
    gc.collect()
    alive = []
    for _ in range(5):
        with collected_later():
            there = weakref.ref(Cycle())
            kept = [[] for _ in range(3000)]
        alive.append(there() is not None)
        del kept
    # The fourth lot is one too many.
    assert alive == [True, True, True, False, True]


def test_few_objects_are_looked_at_as_always():
    gc.collect()
    with collected_later():
        there = weakref.ref(Cycle())
        kept = [[] for _ in range(5000)]
    kept.append([[]])
    assert there() is None


def test_gradients_and_their_errors(enabled):
    x = T.dscalar("x")
    assert T.grad(x**2, x).eval({x: 3.0}) == 6

    class Broken(croton.Op):
        def make_node(self, x):
            return croton.Apply(self, [x], [x.type()])

        def L_op(self, inputs, outputs, gradients):
            raise KeyError

    with pytest.raises(KeyError):
        T.grad(Broken()(x), x)
    assert gc.isenabled() == enabled


def test_what_somebody_froze_stays_frozen(monkeypatch):
    monkeypatch.setattr(garbage, "FEW", 0)
    gc.collect()
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        with collected_later():
            pass
        assert gc.get_freeze_count() == count
    finally:
        gc.unfreeze()
