"""Expressions, shared variables and functions are copied and pickled, as parts of models are."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.tensor.random import RandomStreams

WAYS = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


class Model:
    def __init__(self):
        self.x = T.dmatrix("x")
        self.w = croton.shared(np.arange(6.0).reshape(2, 3), name="w")
        self.p = T.nnet.softmax(T.dot(self.x, self.w.astype("float64")) + T.cast(1, "float64"))
        self.cost = -T.log(self.p[T.arange(self.x.shape[0]), [0, 1]]).mean()
        self.gradient = T.grad(self.cost, self.w)


@pytest.mark.parametrize("way", WAYS)
def test_a_model(way):
    ours = Model()
    theirs = way(ours)
    x = np.array([[0.5, -1.0], [2.0, 0.25]])
    want = croton.function([ours.x], [ours.p, ours.cost, ours.gradient])(x)
    got = croton.function([theirs.x], [theirs.p, theirs.cost, theirs.gradient])(x)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)
    theirs.w.set_value(np.zeros((2, 3)))
    assert ours.w.get_value().any()
    assert theirs.w.name == "w" and "test_pickling.py" in str(theirs.cost.made_at[0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["FAST_RUN", "reference"])
def test_a_function_with_its_state(way, mode):
    total = croton.shared(1.0, name="total")
    step = T.dscalar("step")
    count = T.dscalar("count")
    f = croton.function(
        [croton.In(step, value=2.0), croton.In(count, value=0.0, update=count + 1)],
        {"total": total, "count": count},
        updates=[(total, total + step)],
        mode=mode,
        name="walk",
    )
    f()
    g = way(f)
    assert g()["count"] == 1 and g(step=4)["total"] == 5 and g()["total"] == 9
    assert f()["total"] == 3 and f[count] == 2 and total.get_value() == 5
    assert g.name == "walk"


def test_random_streams_go_on_where_they_were():
    streams = RandomStreams(7)
    first = streams.normal((3,))
    theirs, other = pickle.loads(pickle.dumps((streams, first)))
    np.testing.assert_array_equal(other.eval(), first.eval())
    np.testing.assert_array_equal(theirs.normal((3,)).eval(), streams.normal((3,)).eval())


def test_another_process_reads_it(tmp_path):
    x = T.dvector("x")
    f = croton.function([x], T.cast(T.tanh(x), "float32").sum())
    path = tmp_path / "f.pkl"
    path.write_bytes(pickle.dumps(f))
    program = f"import pickle; print(pickle.load(open({str(path)!r}, 'rb'))([1.0, 2.0]))"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(shown.stdout) == pytest.approx(float(f([1.0, 2.0])))
