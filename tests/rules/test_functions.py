"""Rules that are functions of what matched, each by itself, on examples.

What the rule makes of an example must have the same values.
"""

import numpy as np
import pytest
import rule_examples.arithmetic
import rule_examples.indexing
import rule_examples.layout
import rule_examples.pooling
import rule_examples.shapes
import rule_examples.sums  # noqa: F401 (they enter themselves)
from rule_examples import EXAMPLES

import croton.tensor as T
from croton.gradient.numeric import evaluate
from croton.graph.traversal import toposort
from croton.rewrite import rewrite
from croton.rewrite.pattern import App, Number, Var, variants
from croton.rewrite.rules import RULES
from croton.tensor.elementwise import FUNCTIONS
from croton.tensor.reduction import Reduce
from croton.tensor.shapes import shape_i

CASES = [
    pytest.param(rule, *e, id=f"{rule}-{k}")
    for rule, examples in EXAMPLES.items()
    for k, e in enumerate(examples)
]


@pytest.mark.parametrize("rule, make, applies, needs, rtol", CASES)
def test_example(rule, make, applies, needs, rtol):
    expression, given = make()
    phase = f"{rule}+shape" + (f"+{needs}" if needs else "")
    (after,), report = rewrite([expression], [phase])
    assert (rule in report.hits) == applies, report
    assert after.type.dtype == expression.type.dtype
    assert after.type.ndim == expression.type.ndim
    for old, new in zip(expression.type.shape, after.type.shape, strict=True):
        assert old is None or old == new
    (a,), (b,) = evaluate([expression], given), evaluate([after], given)
    assert a.dtype == b.dtype and a.shape == b.shape
    np.testing.assert_allclose(b, a, rtol=rtol, atol=1e-14)


def test_every_rule_has_an_example():
    functions = {r.name for r in RULES if is_only_functions(r)}
    assert {r.name for r in RULES} - functions - set(EXAMPLES) == set()
    assert set(EXAMPLES) - {r.name for r in RULES} == set()


def is_only_functions(rule):
    def check(p):
        if isinstance(p, App):
            return p.head in FUNCTIONS and bool(p.args) and all(map(check, p.args))
        return isinstance(p, Number | Var)

    return check(next(variants(rule.pattern)))


def test_nothing_is_left_of_what_cancels():
    a, b = T.dvectors("a", "b")
    (after,), _ = rewrite([a / b * b], ["cancel_in_product"])
    assert after is a


def test_sizes_of_a_slice_of_a_join_are_plain():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    n, m = shape_i(x, 0), shape_i(y, 0)
    (after,), _ = rewrite([T.concatenate([x, y], axis=0)[n : n + m]])
    assert after is y


def test_a_reduction_keeps_its_op():
    x = T.dmatrix("x")
    (after,), _ = rewrite([x.T.sum(axis=0)])
    (node,) = toposort([after])
    assert node.op == Reduce("sum", (1,), "float64")


def test_large_constants_are_folded_but_nothing_larger_is_made_of_them():
    data = np.arange(10_000, dtype="uint8")
    (after,), _ = rewrite([T.constant(data) / np.float32(255)])
    np.testing.assert_array_equal(after.data, data / np.float32(255))
    column = T.constant(np.ones((5_000, 1)))
    (after,), _ = rewrite([column + T.constant(np.ones((1, 5_000)))])
    assert after.owner is not None


def test_what_fails_is_left_to_the_call():
    (after,), _ = rewrite([T.constant([1.0, 2.0])[T.constant([5])]])
    with pytest.raises(IndexError):
        evaluate([after], {})
