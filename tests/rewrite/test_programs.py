"""Whole programs: what rewriting gives has the same values as what it was given."""

import numpy as np
import pytest

import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.gradient.reverse import grad
from croton.rewrite import FAST_COMPILE, FAST_RUN, rewrite

PHASES = {"fast_run": FAST_RUN, "fast_compile": FAST_COMPILE, "merge": ()}


def logistic_regression():
    x, y = T.dmatrix("x"), T.lvector("y")
    w, b = T.dmatrix("w"), T.dvector("b")
    p = T.nnet.softmax(T.dot(x, w) + b)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    rng = np.random.default_rng(1)
    given = {
        x: rng.normal(size=(5, 4)),
        y: np.array([0, 2, 1, -1, 1]),
        w: rng.normal(size=(4, 3)),
        b: rng.normal(size=3),
    }
    return [cost, *grad(cost, [w, b])], given


@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES)
def test_logistic_regression(phases):
    outputs, given = logistic_regression()
    after, report = rewrite(outputs, phases)
    for a, b, v in zip(evaluate(outputs, given), evaluate(after, given), outputs, strict=True):
        assert a.dtype == b.dtype == v.type.dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
    assert report.nodes_before and report.nodes_after
    assert "nodes became" in str(report)
