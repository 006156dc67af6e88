"""The engine: interning, patterns, the driver's fixed point, errors, reports, flags."""

import re

import numpy as np
import pytest

import croton.tensor as T
from croton.config import config
from croton.gradient.numeric import evaluate
from croton.graph import Apply, Op
from croton.graph.traversal import ancestors, toposort
from croton.rewrite import FAST_COMPILE, FAST_RUN, RewriteError, ShapeMap, rewrite
from croton.rewrite import pipeline as pipeline_module
from croton.rewrite.driver import Knowledge, Pass
from croton.rewrite.intern import Table
from croton.rewrite.pattern import const, exp, log, maximum, neg, op, sigmoid, var, variants
from croton.rewrite.report import Report
from croton.rewrite.rule import Rule
from croton.rewrite.ruleset import RuleSet
from croton.tensor.shapes import Shape_i
from croton.tensor.variable import TensorSharedVariable

x, y, z = var("x y z")
a = const("a")


def run(outputs, *rules):
    """Apply rules to a graph."""
    table = Table()
    report = Report()
    current = table.copy(outputs, {})
    report.nodes_before = len(toposort(current))
    these = Pass(Knowledge(table), RuleSet(rules), report)
    return [these.simplify(v) for v in current], report


def text(v):
    """An expression as text, for comparisons."""
    if v.owner is None:
        return str(v.data.tolist()) if hasattr(v, "data") else str(v)
    name = getattr(v.owner.op, "name", type(v.owner.op).__name__)
    return f"{name}({', '.join(text(i) for i in v.owner.inputs)})"


# Interning


def test_equal_expressions_become_one():
    v, w = T.dvectors("v", "w")
    outputs = [T.exp(v) + T.exp(v), T.exp(v * w), T.exp(v * w) * 2, v * T.constant(2.0)]
    after, report = rewrite(outputs, ())
    assert report.nodes_before == report.nodes_after == 6
    assert after[0].owner.inputs[0] is after[0].owner.inputs[1]
    assert after[2].owner.inputs[0] is after[1]


def test_commutative_functions_merge():
    v, w = T.dvectors("v", "w")
    after, _ = rewrite([v + w, w + v, v - w, w - v, T.maximum(v, w), T.maximum(w, v)], ())
    assert after[0] is after[1]
    assert len({id(u) for u in after}) == 5


def test_users_nodes_are_not_touched():
    v = T.dvector("v")
    e = T.exp(v)
    out = e * 2
    e.name = "e"
    before = [(n, list(n.inputs), list(n.outputs)) for n in toposort([out])]
    (after,), _ = rewrite([out])
    assert [(n, list(n.inputs), list(n.outputs)) for n in toposort([out])] == before
    assert not set(ancestors([after])) & {out, e}
    assert set(ancestors([after])) & {v} == {v}
    assert after.owner.inputs[0].name == "e"


def test_constants_merge_by_type_and_bits():
    values = [(0.0, "float32"), (-0.0, "float32"), (0.0, "float64"), (0.0, "float32")]
    after, _ = rewrite([T.constant(c, dtype=d) for c, d in values], ())
    assert after[0] is after[3]
    assert len({id(v) for v in after}) == 3


def test_shared_variables_stay():
    v = TensorSharedVariable(T.dvector().type, np.ones(3), "s")
    (after,), _ = rewrite([v * 1.0])
    assert after is v


class Plain(Op):
    """An op that says nothing about its equality: each instance is its own."""

    def make_node(self, v):
        return Apply(self, [v], [v.type()])


class WithProps(Plain):
    __props__ = ("n",)

    def __init__(self, n):
        self.n = n


def test_ops_without_props_merge_by_identity():
    v = T.dvector("v")
    one = Plain()
    ops = [one, one, Plain(), WithProps(1), WithProps(1), WithProps(2)]
    after, _ = rewrite([each(v) for each in ops])
    assert after[0] is after[1]
    assert after[2] is not after[0]
    assert after[3] is after[4] is not after[5]


def test_names_and_traces_are_carried_over():
    v = T.dvector("v")
    w = T.log(1 + v)
    w.name = "w"
    (after,), _ = rewrite([w])
    assert text(after) == "log1p(v)"
    assert after.name == "w"
    assert after.made_at == after.owner.made_at == w.made_at
    assert after.made_at and after.made_at[0].code.co_filename == __file__


def test_deep_graphs():
    w = T.dscalar("v")
    for _ in range(5000):
        w = T.sin(w)
    (after,), report = rewrite([w])
    assert report.nodes_after == 5000
    assert after.owner.op == w.owner.op


# Replacements


def test_replacements_are_made_at_once():
    u, v = T.dvectors("u", "v")
    (after,), _ = rewrite([u + 3 * v], (), replacements={u: v * 2, v: u})
    expected = 2 * np.arange(3.0) + 3 * np.ones(3)
    (value,) = evaluate([after], {u: np.ones(3), v: np.arange(3.0)})
    np.testing.assert_array_equal(value, expected)


def test_a_replacement_in_the_middle():
    u = T.dvector("u")
    e = T.exp(u)
    k = T.tensor("float64", (3,), name="k")
    (after,), _ = rewrite([e * 2 + u], replacements={e: k})
    assert text(after) == "add(mul(k, [2.0]), u)"
    assert after.type.shape == (3,)


def test_a_replacement_must_fit():
    u, f = T.dvector("u"), T.fvector("f")
    with pytest.raises(TypeError, match=r"cannot replace u .*float64.* by f .*float32"):
        rewrite([u * 2], replacements={u: f})
    with pytest.raises(TypeError, match="cannot replace u"):
        rewrite([u * 2], replacements={u: T.dmatrix()})


# Patterns


def test_commutative_functions_match_in_both_orders():
    rule = Rule("r", log(exp(x) + y), maximum(x, y), "g")
    u, v = T.dvectors("u", "v")
    for w in (T.log(T.exp(u) + v), T.log(v + T.exp(u))):
        assert text(run([w], rule)[0][0]) == "maximum(u, v)"
    assert len(list(variants(log(exp(x) + exp(y) * z).args[0]))) == 4


def test_a_variable_stands_for_one_thing():
    rule = Rule("r", exp(x) - log(x), x, "g")
    u, v = T.dvectors("u", "v")
    assert run([T.exp(u) - T.log(u)], rule)[0] == [u]
    (after,), report = run([T.exp(u) - T.log(v)], rule)
    assert not report.hits and text(after) == "sub(exp(u), log(v))"


def test_numbers_match_broadcast_constants():
    rule = Rule("r", x * 2, neg(x), "g")
    m = T.dmatrix("m")
    for two in (2, 2.0, np.full((1, 1), 2.0)):
        assert text(run([m * two], rule)[0][0]) == "neg(m)"
    assert text(run([m * np.full((1, 3), 2.0)], rule)[0][0]) == "SpecifyShape(neg(m))"
    assert not run([m * np.array([[2.0, 3.0]])], rule)[1].hits
    assert not run([m * 3], rule)[1].hits


def test_constants_are_bound():
    rule = Rule("r", x * a, x + a, "g")
    m = T.dmatrix("m")
    assert text(run([m * 7], rule)[0][0]) == "add(m, [[7]])"
    assert not run([m * m], rule)[1].hits


def test_patterns_look_through_dimshuffles():
    rule = Rule("r", log(1 + exp(x)), sigmoid(x), "g")
    v, m = T.dvector("v"), T.dmatrix("m")
    (after,), _ = run([T.log(1 + T.exp(v).dimshuffle("x", 0)) + m], rule)
    assert text(after) == "add(sigmoid(DimShuffle(v)), m)"
    value = {v: np.arange(3.0), m: np.ones((2, 3))}
    expected = 1 + 1 / (1 + np.exp(-np.arange(3.0)))
    np.testing.assert_allclose(evaluate([after], value)[0], [expected, expected])


def test_a_replacement_takes_the_shape_of_what_it_replaces():
    v, m = T.dvector("v"), T.dmatrix("m")
    (after,), _ = rewrite([(v * m) / m], ["cancel_in_quotient+shape"])
    assert after.type.ndim == 2 and after.type.broadcastable == (False, False)
    given = {v: np.arange(3.0), m: np.ones((2, 3))}
    np.testing.assert_array_equal(evaluate([after], given)[0], [np.arange(3.0)] * 2)


def test_what_is_known_of_a_shape_stays_known():
    v = T.dvector("v")
    known = T.tensor("float64", (3,), name="known")
    rule = Rule("r", x + y, lambda m: m.x, "g")
    (after,), _ = run([v + known], rule)
    assert after.type.shape == (3,)
    assert text(after) == "SpecifyShape(v)"


# The driver


def test_rules_apply_to_a_fixed_point_from_the_inputs_up():
    u = T.dvector("u")
    w = T.log(1 + 0 * u + 1 * T.exp(T.log(T.exp(u))))
    (after,), _ = rewrite([w])
    assert text(after) == "softplus(u)"


def test_rules_that_undo_each_other_are_named():
    there = Rule("there", exp(x), log(x), "g")
    back = Rule("back", log(x), exp(x), "g")
    with pytest.raises(RewriteError, match=r"back, there lead from .* back to itself"):
        run([T.exp(T.dvector("u"))], there, back)


def test_a_rule_that_contains_its_own_left_side_is_named():
    rule = Rule("nest", exp(x), lambda m: m.out * 1, "g")
    with pytest.raises(RewriteError, match=r"nest lead from .* back to itself"):
        run([T.exp(T.dvector("u"))], rule)


def test_a_rule_that_runs_away_is_named():
    rule = Rule("grow", log(x), lambda m: T.log(m.x + 1), "g")
    with pytest.raises(RewriteError, match=r"no end: the rule grow applied \d+ times"):
        run([T.log(T.dvector("u"))], rule)


def test_a_failing_rule_is_named_with_the_users_line():
    def fail(m):
        raise KeyError("what")

    rule = Rule("failing", log(x), fail, "g")
    with pytest.raises(RewriteError, match=r"rule failing failed on .*KeyError: 'what'") as error:
        run([T.log(T.dvector("u"))], rule)
    assert re.search(r"test_engine.py\", line \d+", str(error.value))
    assert isinstance(error.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda m: m.x.astype("float32"), "expected dtype float64, the replacement has float32"),
        (lambda m: m.x.sum(), "expected rank 1, the replacement has 0"),
        (lambda m: [m.x, m.x], "expected 1 replacements, got 2"),
    ],
)
def test_a_replacement_that_does_not_fit_is_an_error(make, message):
    with pytest.raises(RewriteError, match=f"rule bad on .*{message}"):
        run([T.log(T.dvector("u"))], Rule("bad", log(x), make, "g"))


def test_when_and_none_decline():
    u, f = T.dvector("u"), T.fvector("f")
    rule = Rule("r", log(x), x, "g", when=lambda m: m.out.type.dtype == "float32")
    assert run([T.log(f)], rule)[0] == [f]
    assert not run([T.log(u)], rule)[1].hits
    assert not run([T.log(u)], Rule("r", log(x), lambda m: None, "g"))[1].hits


def test_rules_of_an_op_class():
    class Twice(Op):
        __props__ = ()

        def make_node(self, v):
            return Apply(self, [v], [v.type(), v.type()])

    u = T.dvector("u")
    first, second = Twice().make_node(u).outputs
    rule = Rule("twice", op(Twice, x), lambda m: [m.x * 2, m.x * 3], "g")
    after, _ = run([second, first], rule)
    assert [text(v) for v in after] == ["mul(u, [3])", "mul(u, [2])"]


# Phases, flags, reports


def test_groups_are_phases():
    v = T.dmatrix("v")
    s = T.log(T.nnet.softmax(v))
    assert text(rewrite([s], ["stabilise"])[0][0]) == "LogSoftmax(v)"
    first = rewrite([s], ["expand", "stabilise"])[0][0]
    assert "LogSoftmax" not in text(first) and "log(" in text(first)
    assert text(rewrite([s], ())[0][0]) == "log(Softmax(v))"


@pytest.mark.parametrize("name", ["log1p", "stabilise"])
def test_excluding(name):
    v = T.dvector("v")
    w = T.log(1 + v)
    assert text(rewrite([w], excluding=[name])[0][0]) == "log(add([1.0], v))"
    with config.change_flags(optimizer_excluding=f"fusion:{name}"):
        assert text(rewrite([w])[0][0]) == "log(add([1.0], v))"
    assert text(rewrite([w])[0][0]) == "log1p(v)"


def test_including():
    v = T.dvector("v")
    w = T.log(1 + v)
    assert text(rewrite([w], ["expand"])[0][0]) == "log(add([1.0], v))"
    assert text(rewrite([w], ["expand"], including=["log1p"])[0][0]) == "log1p(v)"
    with config.change_flags(optimizer_including="log1p"):
        assert text(rewrite([w], ["expand"])[0][0]) == "log1p(v)"


def test_groups_name_what_is_there():
    groups = {r.group for r in (*pipeline_module.RULES, *pipeline_module.LOOP_RULES)}
    named = {g for p in (*FAST_RUN, *FAST_COMPILE) for g in re.split("[+:]", p)}
    assert groups - {"always"} == named


def test_the_report_tells_hits_and_times():
    v = T.dvector("v")
    _, report = rewrite([T.log(1 + v) + T.log(1 + 2 * v)])
    assert report.hits["log1p"] == 2
    assert report.seconds["log1p"] > 0
    assert [name for name, _ in report.phases] == [FAST_RUN[0], FAST_RUN[3]]
    assert re.search(r"2 +\d+\.\d\d  log1p \(stabilise\)", str(report))
    assert re.search(r"nodes became \d+ in \d+\.\d\d ms", str(report))


# Sizes


def test_shape_map_gives_sizes_over_the_inputs():
    v, w = T.dmatrix("v"), T.dmatrix("w")
    out = T.dot(T.exp(v), w)[1:] + 1
    (after,), _ = rewrite([out])
    shape_of = ShapeMap([after])
    rows, columns = shape_of(after)
    assert rows.owner.op.name == "maximum"
    assert columns.owner.op == Shape_i(1) and columns.owner.inputs == [w]
    given = {v: np.ones((4, 2)), w: np.ones((2, 3))}
    assert [int(n) for n in evaluate([rows, columns], given)] == [3, 3]
    again = [v for v in ancestors([after]) if v.owner and v.owner.op == T.exp.op]
    assert shape_of(again[0])[1].owner.inputs == [v]
    assert shape_of(after) is shape_of(after)


def test_shape_map_shares_equal_sizes():
    v, w = T.dmatrix("v"), T.dmatrix("w")
    joined = T.concatenate([v, w], axis=1)
    turned = T.concatenate([w, v], axis=1).T
    after, _ = rewrite([joined, turned])
    shape_of = ShapeMap(after)
    assert shape_of(after[0])[1] is shape_of(after[1])[0]
    assert [n.data for n in shape_of(T.zeros((2, 3)))] == [2, 3]


def test_shape_map_of_an_op_that_does_not_say():
    v = T.dvector("v")
    out = Plain()(v)
    (after,), _ = rewrite([out])
    (n,) = ShapeMap([after])(after)
    assert n.owner.op == Shape_i(0) and n.owner.inputs[0] is after


def test_shape_map_does_not_rewrite_the_graph():
    v = T.dvector("v")
    out = Plain()(v * 1)
    (after,), _ = rewrite([out], ())
    (n,) = ShapeMap([after])(after * 2)
    assert n.owner.inputs[0] is after
