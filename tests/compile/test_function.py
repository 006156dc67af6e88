"""``function``: inputs, outputs, updates, givens, modes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton import In, Out

MODES = ["FAST_RUN", "FAST_COMPILE", "reference"]


@pytest.mark.parametrize("mode", MODES)
def test_forms_of_outputs(mode):
    x = T.dvector("x")
    data = [1.0, 2.0]
    assert croton.function([x], x.sum(), mode=mode)(data) == 3.0
    assert isinstance(croton.function([x], [x.sum()], mode=mode)(data), list)
    assert set(croton.function([x], {"s": x.sum(), "m": x.max()}, mode=mode)(data)) == {"s", "m"}
    assert croton.function([], None, mode=mode)() is None
    np.testing.assert_array_equal(croton.function([x], Out(x * 2), mode=mode)(data), [2.0, 4.0])


@pytest.mark.parametrize("mode", MODES)
def test_defaults_and_keywords(mode):
    x, y = T.dscalars("x", "y")
    f = croton.function([x, In(y, value=10.0)], x - y, mode=mode)
    assert f(1.0) == -9.0
    assert f(1.0, 2.0) == -1.0
    assert f(y=3.0, x=1.0) == -2.0
    with pytest.raises(TypeError):
        f()
    with pytest.raises(TypeError):
        f(1.0, 2.0, 3.0)
    with pytest.raises(TypeError):
        f(1.0, z=2.0)


@pytest.mark.parametrize("mode", MODES)
def test_an_input_with_an_update_is_state(mode):
    step, total = T.dscalar("step"), T.dscalar("total")
    f = croton.function([step, In(total, value=0.0, update=total + step)], total, mode=mode)
    assert [float(f(2.0)) for _ in range(3)] == [0.0, 2.0, 4.0]
    assert f["total"] == 6.0
    f["total"] = 100.0
    assert f(1.0) == 100.0


@pytest.mark.parametrize("mode", MODES)
def test_givens(mode):
    x, y = T.dvector("x"), T.dvector("y")
    data = croton.shared(np.arange(6.0))
    i = T.lscalar("i")
    f = croton.function([i], (x * 2).sum(), givens={x: data[i * 2 : i * 2 + 2]}, mode=mode)
    assert [float(f(k)) for k in range(3)] == [2.0, 10.0, 18.0]
    g = croton.function([y], x + 1, givens=[(x, y * 10)], mode=mode)
    np.testing.assert_array_equal(g([1.0]), [11.0])
    with pytest.raises(TypeError):
        croton.function([y], x, givens={x: T.dmatrix()})


@pytest.mark.parametrize("mode", MODES)
def test_an_intermediate_variable_may_be_an_input(mode):
    x = T.dscalar("x")
    y = x * 2
    f = croton.function([y], y + 1, mode=mode)
    assert f(5.0) == 6.0


def test_results_do_not_share_memory():
    x = T.dvector("x")
    s = croton.shared(np.ones(3))
    f = croton.function([x], [x, x, s, x.reshape((3, 1))])
    data = np.array([1.0, 2.0, 3.0])
    a, b, c, d = f(data)
    for result in (a, b, c, d):
        result[...] = 9
    np.testing.assert_array_equal(data, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(s.get_value(), 1)


def test_results_stay_what_they_were():
    x = T.dvector("x")
    f = croton.function([x], x * 2)
    kept = [f(np.full(1000, float(k))) for k in range(5)]
    for k, result in enumerate(kept):
        assert (result == 2 * k).all()


def test_default_updates():
    count = croton.shared(np.int64(0), "count")
    count.default_update = count + 1
    f = croton.function([], count)
    g = croton.function([], count, no_default_updates=True)
    assert [int(f()), int(f()), int(g()), int(f())] == [0, 1, 2, 2]


def test_a_function_may_be_called_from_several_threads():
    x = T.dmatrix("x")
    total = croton.shared(np.zeros((50, 50)))
    f = croton.function([x], T.tanh(T.dot(x, x)).sum(), updates=[(total, total + x)])
    rng = np.random.default_rng(0)
    inputs = [rng.random((50, 50)) for _ in range(4)]
    expected = [np.tanh(a @ a).sum() for a in inputs]
    wrong = []

    def work(k):
        for _ in range(30):
            if not np.isclose(f(inputs[k]), expected[k]):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong
    np.testing.assert_allclose(total.get_value(), 30 * sum(inputs))


def test_eval():
    x = T.dscalar("x")
    y = x**2
    assert y.eval({x: 3.0}) == 9.0
    assert y.eval({"x": 4}) == 16.0
    assert T.constant(2.0).eval() == 2.0


def test_downcast_of_arguments():
    x = T.fvector("x")
    with pytest.raises(TypeError, match="lose precision"):
        croton.function([x], x * 2)(np.array([0.1]))
    f = croton.function([x], x * 2, allow_input_downcast=True)
    np.testing.assert_allclose(f(np.array([0.1])), [0.2], rtol=1e-6)
    i = T.ivector("i")
    with pytest.raises(TypeError):
        croton.function([i], i + 1)([0.5])
    assert croton.function([i], i + 1)([2.0]) == [3]


def test_the_graph_of_a_function_can_be_seen():
    x = T.fvector("x")
    f = croton.function([x], T.exp(x) + 1)
    names = [str(node.op) for node in f.maker.fgraph.toposort()]
    assert "Elemwise{exp,no_inplace}" in names
    assert "exp(" in f.kernels()
    assert "function" in repr(f)


def test_long_kernels_are_shown_by_name():
    x = T.fmatrix("x")
    f = croton.function([x], T.exp(T.dot(x, x)))
    shown = f.kernels()
    names = re.findall(r"^kernel (\w+)\(", shown, re.MULTILINE)
    (long,) = {n for n in names if len(f.kernels(n).splitlines()) > 200}
    assert re.search(r"^    \.\.\. \d+ lines$", shown, re.MULTILINE)
    assert "exp(" in shown and len(shown.splitlines()) < 200
    assert f.kernels(long).startswith(f"kernel {long}(")
    with pytest.raises(ValueError, match=f"no kernel called 'nothing'; it has .*{long}"):
        f.kernels("nothing")
    with pytest.raises(ValueError, match="it has none"):
        croton.function([x], x + 1, mode="reference").kernels("nothing")


def test_a_profile_tells_steps_and_lines():
    x = T.fmatrix("x")
    f = croton.function([x], T.dot(x, x).sum(), profile=True)
    f(np.ones((64, 64), "float32"))
    names = [name for name, _, count, _ in f.profile.steps if count]
    assert names.count("sizes and memory") == 1 and names[-1] == "sizes and memory"
    assert len(names) > 1
    assert "test_function.py" in str(f.profile)


def test_unknown_mode():
    with pytest.raises(ValueError, match="FAST_RUN"):
        croton.function([], T.constant(1), mode="FASTEST")


def test_the_flag_profile_prints_a_summary_at_the_end():
    program = """
import croton, croton.tensor as T
x = T.dvector("x")
f = croton.function([x], T.exp(x).sum(), name="often")
g = croton.function([x], x * 2, name="never")
h = croton.function([x], x * 3, name="not_measured", profile=False)
for _ in range(3):
    f([1.0, 2.0]), h([1.0])
"""
    env = {**os.environ, "CROTON_FLAGS": "profile=True"}
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    )
    assert "often: " in shown.stderr and "exp" not in shown.stdout
    assert "never" not in shown.stderr and "not_measured" not in shown.stderr
