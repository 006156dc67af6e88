"""The rules for scans: what becomes of them, and that it means the same."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.config import config
from croton.gradient.numeric import evaluate
from croton.graph.traversal import toposort
from croton.loop import Scan, until
from croton.rewrite import rewrite
from croton.rewrite.loops import LOOP_RULES
from croton.tensor.product import Dot

RNG = np.random.default_rng(0)


def rewritten(outputs, *calls):
    """The graph after rewriting, which gives what the program as it was written gives."""
    new, report = rewrite(outputs)
    for known in calls:
        for a, b in zip(evaluate(new, known), evaluate(outputs, known), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    return new, report


def scans(outputs):
    return [n for n in toposort(outputs) if isinstance(n.op, Scan)]


def products(nodes):
    return [n for n in nodes if isinstance(n.op, Dot)]


def rows(*shape):
    return RNG.standard_normal(shape)


def network(steps=None):
    x, w, u = T.dtensor3("x"), T.dmatrix("w"), T.dmatrix("u")
    hs, _ = croton.scan(
        lambda xt, h: T.tanh(T.dot(xt, w) + T.dot(h, u)), [x], [T.zeros((2, 4))], n_steps=steps
    )
    known = {x: rows(6, 2, 3), w: rows(3, 4), u: rows(4, 4) / 3}
    return hs, known


def test_products_with_rows_of_sequences_come_before_the_loop():
    hs, known = network()
    new, report = rewritten([hs], known, {**known, next(iter(known)): rows(0, 2, 3)})
    (scan,) = scans(new)
    assert len(products(scan.op.inner.nodes)) == 1
    assert report.hits["products_before_loop"] == 1
    # A vector by a matrix, a matrix by a vector, and what is computed of a row before.
    x, w = T.dmatrix("x"), T.dmatrix("w")
    for step in (
        lambda xt, s: s + T.dot(xt, w),
        lambda xt, s: s + T.dot(w, xt),
        lambda xt, s: s * T.dot(w, T.exp(xt) * 2 + w[0]),
    ):
        ss, _ = croton.scan(step, [x], [T.zeros(3)])
        new, report = rewritten([ss], {x: rows(5, 3), w: rows(3, 3)})
        assert not products(scans(new)[0].op.inner.nodes)


def test_taps_and_fewer_steps_than_rows():
    x, w, n = T.dmatrix("x"), T.dmatrix("w"), T.lscalar("n")
    ss, _ = croton.scan(
        lambda a, b, s: s + T.dot(a, w) * T.dot(b, w),
        [{"input": x, "taps": [-2, 1]}], [T.zeros(3)], n_steps=n,
    )  # fmt: skip
    for k in (1, 3):
        new, _ = rewritten([ss], {x: rows(8, 3), w: rows(3, 3), n: k})
    assert not products(scans(new)[0].op.inner.nodes)


def test_the_gradient_of_a_weight_is_one_product_after_the_loop():
    hs, known = network()
    wanted = T.grad((hs**2).sum(), list(known))
    new, report = rewritten([hs, *wanted], known)
    forward, backward = scans(new)
    assert report.hits["sum_of_products_after_loop"] >= 1
    assert len(products(forward.op.inner.nodes)) == 1
    assert len(products(backward.op.inner.nodes)) == 1
    assert not any(s.history for s in backward.op.layout.states)
    assert len(backward.op.layout.states) == 1


def test_products_that_no_step_reads_come_after_the_loop():
    x, u, v = T.dtensor3("x"), T.dmatrix("u"), T.dmatrix("v")

    def step(xt, h):
        h = T.tanh(xt + T.dot(h, u))
        return h, T.nnet.sigmoid(T.dot(h, v) + xt[:, :2]), T.dot(v.T, h.T * 2)

    (hs, ys, zs), _ = croton.scan(step, [x], [T.zeros((4, 3)), None, None])
    known = {x: rows(6, 4, 3), u: rows(3, 3), v: rows(3, 2)}
    for wanted in ([hs, ys], [ys], [ys, zs], [T.grad((ys**2).sum(), u)]):
        new, report = rewritten(wanted, known)
        assert report.hits["products_after_loop"] >= 1
        assert len(products(scans(new)[0].op.inner.nodes)) == 1
    # A step that reads it computes it.
    (_, ys), _ = croton.scan(
        lambda xt, h: (lambda y: (T.tanh(y.sum() + h), y))(T.dot(h, u) * xt),
        [x],
        [T.zeros((4, 3)), None],
    )
    _, report = rewritten([ys], known)
    assert "products_after_loop" not in report.hits


def test_the_gradient_of_a_weight_of_a_vector():
    x, u = T.dmatrix("x"), T.dmatrix("u")
    hs, _ = croton.scan(lambda xt, h: T.tanh(xt + T.dot(h, u)), [x], [T.zeros(3)])
    _, report = rewritten([T.grad((hs**2).sum(), u)], {x: rows(6, 3), u: rows(3, 3)})
    assert report.hits["sum_of_products_after_loop"] == 1


def test_the_gradient_of_a_bias_is_one_sum_after_the_loop():
    x, u, b = T.dtensor3("x"), T.dmatrix("u"), T.dvector("b")
    hs, _ = croton.scan(lambda xt, h: T.tanh(xt + T.dot(h, u) + b), [x], [T.zeros((2, 3))])
    known = {x: rows(6, 2, 3), u: rows(3, 3), b: rows(3)}
    new, report = rewritten(T.grad((hs**2).sum(), list(known)), known)
    assert report.hits["sum_of_sums_after_loop"] == 1
    assert len(scans(new)[-1].op.layout.states) == 1


def test_sums_that_steps_read_stay_in_the_loop():
    x, s = T.dtensor3("x"), T.dmatrix("s")
    known = {x: rows(5, 3, 3), s: rows(3, 3)}
    for term in (lambda v: v * v, lambda v: T.dot(v, v.T), lambda v: v.sum() * v):
        (totals, halves), _ = croton.scan(
            lambda v, s, term=term: (lambda new: (new, new / 2))(s + term(v)), [x], [s, None]
        )
        _, report = rewritten([totals[-1], halves], known)
        assert not {"sum_of_sums_after_loop", "sum_of_products_after_loop"} & set(report.hits)


def test_a_sum_of_rows_is_no_loop():
    x, s = T.dmatrix("x"), T.dvector("s")
    total, _ = croton.foldl(lambda xt, s: s + xt**2, [x], s)
    integers = T.imatrix("integers")
    counted, _ = croton.foldl(lambda i, s: s + i.sum(), [integers], T.constant(np.int64(3)))
    known = {x: rows(6, 3), s: rows(3), integers: RNG.integers(0, 9, (4, 5)).astype("int32")}
    new, _ = rewritten([total, counted], known, known | {x: rows(1, 3)})
    assert len(scans(new)) == 0
    # Every step is wanted, or reads the sum so far.
    sums, _ = croton.scan(lambda xt, s: s + xt, [x], [s])
    read, _ = croton.foldl(lambda xt, s: s + xt * s.sum(), [x], s)
    new, report = rewritten([sums, read], known)
    assert len(scans(new)) >= 1
    assert "sum_of_sums_after_loop" not in report.hits


def test_what_would_have_to_be_kept_is_summed_in_the_loop():
    x = T.dtensor3("x")
    (_, total), _ = croton.scan(
        lambda xt, h, s: (lambda new: (new, s + new.sum(axis=0)))(T.tanh(xt + h.mean())),
        [x], [T.zeros((2, 3)), T.zeros(3)],
    )  # fmt: skip
    _, report = rewritten([total[-1]], {x: rows(6, 2, 3)})
    assert "sum_of_sums_after_loop" not in report.hits


def test_a_state_of_which_the_last_is_wanted_has_no_history():
    hs, known = network()
    for wanted in (hs[-1], hs[-1].sum(), 2 * hs[-1] + hs[-1] ** 2):
        new, report = rewritten([wanted], known)
        (scan,) = scans(new)
        assert not scan.op.layout.states[0].history
        assert report.hits["last_of_loop"] == 1
    for wanted in (hs[-2:].sum(), hs[0], hs):
        new, _ = rewritten([wanted], known)
        assert scans(new)[0].op.layout.states[0].history


def test_the_last_of_no_steps_is_an_error_all_the_same():
    n = T.lscalar("n")
    xs, _ = croton.scan(lambda x: x * 2, outputs_info=[T.ones(())], n_steps=n)
    new, _ = rewritten([xs[-1]], {n: 3}, {n: 1})
    assert not scans(new)[0].op.layout.states[0].history
    f = croton.function([n], xs[-1])
    assert f(4) == 16
    for call in (f, lambda k: evaluate(new, {n: k})):
        with pytest.raises(IndexError):
            call(0)


def test_two_states_back():
    n = T.lscalar("n")
    start = T.constant(np.array([1.0, 1.0]))
    xs, _ = croton.scan(
        lambda a, b: a + b, outputs_info=[{"initial": start, "taps": [-2, -1]}], n_steps=n
    )
    new, _ = rewritten([xs[-1], xs[-2]], {n: 2}, {n: 7})
    assert not scans(new)[0].op.layout.states[0].history


def test_loops_over_the_same_steps_are_one():
    x = T.dvector("x")
    up, _ = croton.scan(lambda v, s: s + v, [x], [T.zeros(())])
    again, _ = croton.scan(lambda v, s: s + v, [x], [T.zeros(())])
    other, _ = croton.scan(lambda v, s: s * v, [x], [T.ones(())])
    down, _ = croton.scan(lambda v, s: s + v, [x], [T.zeros(())], go_backwards=True)
    new, _ = rewritten([up, again, other, down], {x: rows(7)})
    (scan,) = scans(new)
    assert len(scan.op.layout.states) == 3
    # One that needs another stays apart.
    later, _ = croton.scan(lambda v, s: s + v, [up], [T.zeros(())])
    new, _ = rewritten([up, later], {x: rows(7)})
    assert len(scans(new)) == 2


def test_equal_steps_on_other_sequences_stay_apart():
    x, u = T.dmatrix("x"), T.dmatrix("u")
    step = lambda v, h: T.tanh(v + T.dot(h, u))
    forwards, _ = croton.scan(step, x, T.zeros(3))
    backwards, _ = croton.scan(step, x, T.zeros(3), go_backwards=True)
    known = {x: rows(5, 3), u: rows(3, 3)}
    new, _ = rewritten([forwards, backwards], known)
    (joined,) = scans(new)
    assert len(joined.op.layout.states) == 2
    wanted = T.grad((forwards * backwards).sum(), [x, u])
    rewritten(wanted, known)
    ended = [
        croton.scan(lambda v, h: (step(v, h), until(v.sum() > 9)), s, T.zeros(3))[0]
        for s in (x, x[::-1])
    ]
    new, _ = rewritten(ended, known)
    assert len(scans(new)) == 2


def test_states_that_only_begin_alike_stay_apart():
    n, start = T.lscalar("n"), T.dscalar("start")
    (a, b, c), _ = croton.scan(
        lambda a, b, c: (a * 2, b * 2, c * a), outputs_info=[start, start, start], n_steps=n
    )
    new, _ = rewritten([a, b, c], {n: 4, start: 1.5})
    (scan,) = scans(new)
    assert len(scan.op.layout.states) == 2


def test_states_that_are_made_alike_are_one():
    x, w = T.dvector("x"), T.dscalar("w")
    start = T.zeros(())
    step = lambda v, a, b, c, d: (v + a * w, w * b + v, c * w - v, v - d * w)
    (a, b, c, d), _ = croton.scan(step, [x], [start] * 4)
    # Sums and products commute, differences do not.
    new, _ = rewritten([a, b, c, d], {x: rows(5), w: 0.7})
    (scan,) = scans(new)
    assert len(scan.op.layout.states) == 3
    # Two that read one another are the same as long as nothing tells them apart.
    (a, b), _ = croton.scan(lambda v, a, b: (v + b * w, v + a * w), [x], [start, start])
    new, _ = rewritten([a, b], {x: rows(5), w: 0.7})
    assert len(scans(new)[0].op.layout.states) == 1

    # Neither are outputs of one application the same.
    def both(v, a, b):
        begin = v + a + b
        (up, down), _ = croton.scan(
            lambda p, q: (p * w, q - w), outputs_info=[begin, begin], n_steps=2
        )
        return up[-1], down[-1]

    (a, b), _ = croton.scan(both, [x], [start, start])
    new, _ = rewritten([a, b], {x: rows(4), w: 0.7})
    assert len(scans(new)[0].op.layout.states) == 2


def test_loops_of_constants_run_in_the_call_if_they_are_long():
    def count(steps):
        (value,) = rewrite([croton.fori_loop(0, steps, lambda i, c: c * 2, 1)])[0]
        return value

    # A step takes 100 microseconds when compiling, a nanosecond in the call.
    assert int(count(5).data) == 32
    assert len(scans([count(10**9)])) == 1
    for endless in (None, 10**9):
        value = croton.while_loop(lambda v: v < 2, lambda v: v / 2, 1.0, endless)
        assert len(scans(rewrite([value])[0])) == 1
    within = croton.fori_loop(0, 5, lambda i, c: croton.fori_loop(0, 10**9, lambda j, d: d, c), 0)
    assert len(scans(rewrite([within])[0])) == 1


def test_what_nobody_needs_is_not_computed():
    x, w = T.dvector("x"), T.dscalar("w")
    (a, _, c), _ = croton.scan(
        lambda v, a, b: (a + v, b * a + w, T.exp(b)), [x], [T.zeros(()), T.ones(()), None]
    )
    new, _ = rewritten([a], {x: rows(5), w: 2.0})
    (scan,) = scans(new)
    assert (len(scan.inputs), len(scan.outputs)) == (3, 1)
    new, _ = rewritten([c], {x: rows(5), w: 2.0})
    (scan,) = scans(new)
    assert [s.history for s in scan.op.layout.states] == [False, False]


def test_conditions_keep_their_steps():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    hs, _ = croton.scan(lambda xt, h: (T.dot(xt, w) + h, until(h.sum() > 3)), [x], [T.ones(2)])
    known = {x: rows(9, 2), w: rows(2, 2)}
    _, report = rewritten([hs, hs[-1]], known)
    assert "last_of_loop" not in report.hits
    _, report = rewritten([hs[-1]], known)
    assert report.hits["last_of_loop"] == 1


def test_products_of_loops_that_end_early():
    x, w, u = T.dtensor3("x"), T.dmatrix("w"), T.dmatrix("u")

    def step(xt, h, s):
        h = T.tanh(T.dot(xt, w) + T.dot(h, T.dot(u, u)))
        s = s + T.dot(xt.T, h)
        y = T.dot(h, w.T) * xt
        return [h, s, y], until(h.sum() < 0)

    start = [T.ones((2, 4)), T.zeros((3, 4)), None]
    (hs, ss, ys), _ = croton.scan(step, [x], start)
    values = {w: rows(3, 4), u: rows(4, 4) / 3}
    calls = [{x: rows(6, 2, 3) + k, **values} for k in (0, 1)]
    calls.append({x: rows(1, 2, 3), **values})
    for wanted in ([hs, ss[-1], ys], [ys, ss[-1]], [ss[-1], ys.shape[0]], T.grad(ys.sum(), [w, u])):
        new, report = rewritten(wanted, *calls)
        # What is the same in every step is computed once; what a row gives, while there are steps.
        assert report.hits["invariants_before_loop"] >= 1
        (scan,) = (n for n in scans(new) if n.op.layout.until)
        assert len(products(scan.op.inner.nodes)) == 2
    rewritten([hs, ys], {x: rows(0, 2, 3), **values})
    new, report = rewritten([hs, ss[-1], ys], calls[0])
    assert report.hits["sum_of_products_after_loop"] == 1
    assert report.hits["products_after_loop"] == 1


PUTS = {
    "an element": lambda i, h, x, m: h + x[i] * x[i],
    "several": lambda i, h, x, m: T.tanh(h) * x[i] + x[-i] * x[0] + x[i % 2],
    "a row": lambda i, h, x, m: h + T.exp(m[i]).sum() * m[0, i] * x[i],
    "an element of a row": lambda i, h, x, m: h * m[i, 1] + m[2, -1] * m[i - 1, 0],
}


@pytest.mark.parametrize("name", PUTS)
def test_gradients_of_what_steps_read_parts_of(name):
    k, x, m = T.lvector("k"), T.dvector("x"), T.dmatrix("m")
    step = PUTS[name]
    hs, _ = croton.scan(lambda i, h: step(i, h, x, m), k, T.constant(0.5, dtype="float64"))
    wanted = T.grad((hs**2).sum(), [x, m], disconnected_inputs="ignore")
    calls = [{k: np.array(places), x: rows(4), m: rows(4, 3)} for places in ([2, 0, 1, 2], [1])]
    new, report = rewritten([*wanted, hs], *calls)
    assert report.hits["sum_of_parts_after_loop"] >= 1
    # No step has to do with all of an array.
    for n in scans(new):
        assert all(v.type.ndim == 0 for v in n.op.inner.outputs[: len(n.op.layout.states)])


def test_numbers_that_are_counted():
    k, c, x = T.lvector("k"), T.lvector("c"), T.dvector("x")
    step = lambda i, n, s: (T.inc_subtensor(n[i], 1), T.inc_subtensor(s[i], x[i]))
    (ns, ss), _ = croton.scan(step, k, [c, T.zeros_like(x)])
    calls = [{k: np.array(p, "int64"), c: np.arange(4), x: rows(4)} for p in ([3, 1, 3, -1], [0])]
    new, report = rewritten([ns[-1], ss[-1]], *calls)
    assert report.hits["sum_of_parts_after_loop"] == 2
    assert not any(n.op.layout.states for n in scans(new))
    # Not where they are read on the way, or set.
    for step in (
        lambda i, n: T.inc_subtensor(n[i], n[0]),
        lambda i, n: T.set_subtensor(n[i], 7),
        lambda i, n: T.inc_subtensor(n[i:], 1),
        lambda i, n: (lambda m: T.inc_subtensor(m[1], m[0]))(T.inc_subtensor(n[i], 1)),
    ):
        ns, _ = croton.scan(step, k, c)
        _, report = rewritten([ns[-1]], *calls)
        assert "sum_of_parts_after_loop" not in report.hits
    (ns, us), _ = croton.scan(lambda i, n: (T.inc_subtensor(n[i], 1), n.sum()), k, [c, None])
    _, report = rewritten([ns[-1], us], *calls)
    assert "sum_of_parts_after_loop" not in report.hits


def test_a_sum_of_products_that_others_read_stays():
    x, w = T.dtensor3("x"), T.dmatrix("w")

    def step(xt, s):
        s = s + T.dot(xt, w)
        return s, s.sum()

    (s, sums), _ = croton.scan(step, [x], [T.zeros((2, 4)), None])
    _, report = rewritten([s[-1], sums], {x: rows(5, 2, 3), w: rows(3, 4)})
    assert "sum_of_products_after_loop" not in report.hits


def test_what_is_the_same_in_every_step_comes_before_the_loop():
    n, a, w = T.lscalar("n"), T.dscalar("a"), T.dmatrix("w")
    hs, _ = croton.scan(
        lambda h: T.tanh(T.dot(h, w.T) * T.exp(a)) + w[0], outputs_info=[T.ones((2, 3))], n_steps=n
    )
    new, report = rewritten([hs], {n: 4, a: 0.3, w: rows(3, 3)}, {n: 0, a: 0.3, w: rows(3, 3)})
    (scan,) = scans(new)
    names = [str(m.op) for m in scan.op.inner.nodes]
    assert not any("exp" in name or "DimShuffle{1,0}" in name for name in names)
    assert report.hits["invariants_before_loop"] >= 1
    # What is only looked at stays: its memory is there.
    assert any("Subtensor" in name for name in names)


def test_the_way_forwards_is_gone_once_if_it_ends_early():
    x, w = T.dvector("x"), T.dscalar("w")
    hs, _ = croton.scan(lambda v, h: (T.exp(h * w) + v, until(h > 2)), x, T.ones((), "float64"))
    calls = [{x: np.zeros(6), w: np.array(0.2)}, {x: np.ones(3), w: np.array(0.2)}]
    new, _ = rewritten([hs, T.grad(hs.sum(), w)], *calls)
    assert len(scans(new)) == 2


def test_loops_that_end_by_different_conditions_stay_apart():
    x = T.dvector("x")
    one, _ = croton.scan(lambda v, h: (h + v, until(h > 2)), x, T.ones((), "float64"))
    two, _ = croton.scan(lambda v, h: (h + v, until(h > 3)), x, T.ones((), "float64"))
    same, _ = croton.scan(lambda v, h: (h + v, until(h > 2)), x, T.ones((), "float64"))
    new, _ = rewritten([one, two, same, same.shape[0]], {x: np.ones(5)})
    assert len(scans(new)) == 2


def test_products_of_a_state_with_several_matrices_are_one():
    x, h = T.dtensor3("x"), T.dmatrix("h")
    weights = [T.tensor("float64", (3, n), name=f"w{n}") for n in (3, 4, 3)]

    def step(xt, h, a, b, c):
        wide = T.tanh(T.dot(h, b))
        return T.nnet.sigmoid(T.dot(h, a)) * T.tanh(T.dot(h, c) + xt) + wide[:, 1:]

    hs, _ = croton.scan(step, [x], h, weights)
    known = {x: rows(6, 2, 3), h: rows(2, 3)} | {w: rows(3, w.type.shape[1]) for w in weights}
    new, report = rewritten([hs[-1], *T.grad(hs.sum(), [h, *weights])], known)
    assert report.hits["products_together"] >= 1
    assert len(products(scans(new)[0].op.inner.nodes)) == 1


def test_products_of_several_matrices_with_a_state_are_one():
    v = T.dmatrix("v")
    a, b = (T.tensor("float64", (4, 4), name=name) for name in "ab")
    vs, _ = croton.scan(
        lambda v, a, b: (
            (lambda new: (new, croton.loop.until(new.sum() > 1e3)))(
                T.tanh(T.dot(a, v)) + T.dot(b, v)
            )
        ),
        outputs_info=v, non_sequences=[a, b], n_steps=5,
    )  # fmt: skip
    new, report = rewritten([vs], {v: rows(4, 3), a: rows(4, 4), b: rows(4, 4)})
    assert report.hits["products_together"] == 1
    assert len(products(scans(new)[0].op.inner.nodes)) == 1


def test_products_of_other_values_or_unknown_sizes_stay():
    x, h = T.dtensor3("x"), T.dmatrix("h")
    a, b = (T.tensor("float64", (3, 3), name=name) for name in "ab")
    unknown = T.dmatrix("unknown")
    chained, _ = croton.scan(
        lambda xt, h, a, b: T.tanh(T.dot(T.tanh(T.dot(h, a)), b) + xt), [x], h, [a, b]
    )
    open_, _ = croton.scan(
        lambda xt, h, a, u: T.tanh(T.dot(h, a)) * T.dot(h, u) + xt, [x], h, [a, unknown]
    )
    known = {x: rows(4, 2, 3), h: rows(2, 3), a: rows(3, 3), b: rows(3, 3), unknown: rows(3, 3)}
    _, report = rewritten([chained, open_], known)
    assert "products_together" not in report.hits


def test_each_can_be_left_out():
    hs, known = network()
    wanted = [hs[-1], *T.grad(hs[-1].sum(), list(known))]
    want = evaluate(wanted, known)
    names = [rule.name for rule in LOOP_RULES]
    for name in ("loops", *names):
        with config.change_flags(optimizer_excluding=name):
            new, report = rewrite(wanted)
        assert name not in report.hits
        if name == "loops":
            assert len(scans(new)) > 2
        for a, b in zip(evaluate(new, known), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
