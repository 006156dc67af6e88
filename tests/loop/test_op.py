"""The op that repeats a step: its inputs and outputs, its sizes, its errors."""

import pickle

import numpy as np
import pytest
from helpers import compute, refuses

import croton
import croton.tensor as T
from croton.loop import Inner, Layout, Scan
from croton.loop.layout import Sequence, Source, State, Target
from croton.tensor.type import TensorType

rng = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _the_same_numbers():
    """Whatever test ran before."""
    rng.bit_generator.state = np.random.default_rng(3).bit_generator.state


def _row(dtype="float64", *shape, name=None):
    return TensorType(dtype, shape)(name)


def test_where_everything_belongs():
    layout = Layout(
        (Sequence((0, 2)), Sequence((1,))), (State((1,)), State((3, 1), False)), 2, 1, until=True
    )
    assert layout.sources == (
        Source("sequence", 0, 1, 0),
        Source("sequence", 0, 1, 2),
        Source("sequence", 1, 2, 1),
        Source("state", 0, 3, 1),
        Source("state", 1, 4, 3),
        Source("state", 1, 4, 1),
        Source("non_sequence", 0, 5, 0),
    )
    assert layout.targets == (
        Target("state", 0, 0),
        Target("state", 1, 1),
        Target("collected", 0, 2),
        Target("collected", 1, 3),
        Target("until", 0, 4),
    )
    assert (layout.n_inputs, layout.n_outputs) == (6, 5)
    assert (layout.sequence_input(1), layout.state_input(1), layout.non_sequence_input(0)) == (
        2, 4, 5,
    )  # fmt: skip
    assert (layout.first_of_state(0), layout.first_of_state(1)) == (3, 4)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_taps_lags_and_directions(backwards, history, steps):
    a, b, h3, h1, w = (_row("float64", None, name=n) for n in "a b h3 h1 w".split())
    new = a - 2 * b + 0.5 * h3 * w - h1
    layout = Layout((Sequence((0, 2)),), (State((3, 1), history),), 1, 1, backwards=backwards)
    op = Scan(Inner([a, b, h3, h1, w], [new, new * a]), layout)
    n = T.lscalar("n")
    x, start, weight = T.matrix("x"), T.matrix("start"), T.vector("w")
    given = {
        n: steps,
        x: rng.normal(size=(steps + 3, 4)),
        start: rng.normal(size=(3, 4)),
        weight: rng.normal(size=4),
    }
    found = compute(op(n, x, start, weight), given)
    rows = dict(enumerate(given[start], steps if backwards else -3))
    products = {}
    for t in range(steps - 1, -1, -1) if backwards else range(steps):
        back = 1 if backwards else -1
        rows[t] = (
            given[x][t] - 2 * given[x][t + 2] + 0.5 * rows[t + 3 * back] * given[weight]
            - rows[t + back]
        )  # fmt: skip
        products[t] = rows[t] * given[x][t]
    kept = sorted(rows)
    if not history:
        kept = kept[:3] if backwards else kept[-3:]
    np.testing.assert_allclose(found[0], [rows[t] for t in kept], rtol=1e-12)
    collected = np.array([products[t] for t in sorted(products)]).reshape(steps, 4)
    np.testing.assert_allclose(found[1], collected, rtol=1e-12)


@pytest.mark.parametrize(("limit", "steps"), [(0.5, 1), (10.0, 4), (1e9, 8)])
def test_a_loop_that_ends_early(limit, steps):
    h, bound = T.dscalars("h bound")
    op = Scan(
        Inner([h, bound], [2 * h, h, T.gt(2 * h, bound)]),
        Layout((), (State(),), 1, 1, until=True),
    )
    n, limits = T.lscalar(), T.dscalar()
    history, collected, count = op(n, T.constant([1.0]), limits)
    total = history.shape[0] + 10 * collected.shape[0]
    found = compute([history, collected, count, total], {n: 8, limits: limit})
    np.testing.assert_array_equal(found[0], 2.0 ** np.arange(steps + 1))
    np.testing.assert_array_equal(found[1], 2.0 ** np.arange(steps))
    assert found[2] == steps and found[3] == steps + 1 + 10 * steps


def test_sizes_follow_from_the_inputs():
    x_t, w = _row("float32", None, name="x_t"), _row("float32", None, None, name="w")
    op = Scan(Inner([x_t, w], [T.dot(x_t, w)]), Layout((Sequence(),), (), 1, 1))
    x, weights = T.fmatrix("x"), T.fmatrix("w")
    out = op(x.shape[0], x, weights)
    f = croton.function([x, weights], out.shape)
    for n in (0, 2):
        assert f(np.ones((n, 3), "float32"), np.ones((3, 5), "float32")).tolist() == [n, 5]
    # The sizes alone need no step.
    assert not any(isinstance(node.op, Scan) for node in f.maker.fgraph.toposort())
    given = {x: np.ones((0, 3), "float32"), weights: np.ones((3, 5), "float32")}
    assert compute(out, given).shape == (0, 5)


def test_known_sizes_are_part_of_the_types():
    h = _row("float32", 2, name="h")
    inner = Inner([h], [h + 1, h.sum()])
    start = T.constant(np.zeros((1, 2), "float32"))
    history, sums = Scan(inner, Layout((), (State(),), 1))(5, start)
    assert (history.type.shape, sums.type.shape) == ((6, 2), (5,))
    last, _ = Scan(inner, Layout((), (State(history=False),), 1))(T.lscalar(), start)
    assert last.type.shape == (1, 2)


def test_equal_steps_are_one():
    def step(factor):
        x, y = T.dscalars("x y")
        return Inner([x, y], [factor * x + y])

    layout = Layout((Sequence(),), (State(),))
    assert step(2) == step(2) and hash(step(2)) == hash(step(2)) and repr(step(2)) == repr(step(2))
    assert step(2) != step(3) and repr(step(2)) != repr(step(3))
    assert Scan(step(2), layout) == Scan(step(2), layout, name="other")
    assert Scan(step(2), layout) != Scan(step(2), layout._replace(backwards=True))
    x, y = T.dscalars("x y")
    assert Inner([x, y], [2 * x + y]) != Inner([y, x], [2 * x + y])
    op = Scan(step(2), layout)
    assert (op.inputs, op.outputs) == (list(op.inner.inputs), list(op.inner.outputs))
    again = pickle.loads(pickle.dumps(Scan(step(2), layout)))
    assert again == Scan(step(2), layout) and hash(again) == hash(Scan(step(2), layout))
    n, xs, start = T.lscalar(), T.dvector(), T.dvector()
    both = [Scan(step(2), layout)(n, xs, start), Scan(step(2), layout)(n, xs, start)]
    f = croton.function([n, xs, start], both)
    assert sum(isinstance(node.op, Scan) for node in f.maker.fgraph.toposort()) == 1


def test_a_step_needs_what_it_is_given():
    x, y = T.dscalars("x y")
    with pytest.raises(ValueError, match="needs y, which is not among its inputs"):
        Inner([x], [x + y])
    with pytest.raises(ValueError, match="given twice"):
        Inner([x, x], [x])
    with pytest.raises(ValueError, match="needs w"):
        Inner([x], [x + croton.shared(1.0, name="w")])


def test_an_intermediate_variable_may_be_an_input():
    x = T.dscalar("x")
    y = x * 2
    assert Inner([y], [y + 1]).run([np.array(5.0)]) == [6.0]


def test_what_does_not_fit_is_refused():
    x, y = T.dscalars("x y")
    h = T.dvector("h")
    with pytest.raises(ValueError, match="does not fit a layout"):
        Scan(Inner([x], [x]), Layout((Sequence(),), (State(),)))
    with pytest.raises(ValueError, match="taps are >= 0"):
        Scan(Inner([x], [x]), Layout((Sequence((-1,)),), (), 1))
    with pytest.raises(ValueError, match="lags are >= 1"):
        Scan(Inner([x], [x]), Layout((), (State((0,)),)))
    with pytest.raises(ValueError, match="runs forwards"):
        Scan(Inner([x], [x, x > 0]), Layout((), (State(),), until=True, backwards=True))
    with pytest.raises(TypeError, match=r"state 0: a step takes .*float64.* and gives .*float32"):
        Scan(Inner([x], [x.astype("float32")]), Layout((), (State(),)))
    with pytest.raises(TypeError, match="boolean scalar"):
        Scan(Inner([x], [x, x]), Layout((), (State(),), until=True))
    op = Scan(Inner([x, y], [x + y]), Layout((Sequence(),), (State(),)), "adding")
    with pytest.raises(ValueError, match=r"Scan\{adding\} takes 3 inputs, got 2"):
        op(3, h)
    with pytest.raises(TypeError, match="sequence 0 is x of type"):
        op(3, T.dscalar("x"), h)
    with pytest.raises(TypeError, match="state 0 is x of type"):
        op(3, h, T.fvector("x"))


def test_errors_of_a_call():
    x, h = T.dvectors("x h")
    add = Scan(Inner([x, h], [x + h]), Layout((Sequence((0,)),), (State((1,)),)), "adding")
    n, xs, start = T.lscalar("n"), T.matrix("xs"), T.matrix("start")
    out = add(n, xs, start)
    given = {n: 3, xs: np.ones((2, 2)), start: np.ones((1, 2))}
    refuses(out, given, ValueError, r"Scan\{adding\}.*sequence 0 has 2 rows, 3 steps need 3")
    refuses(out, given | {n: -1}, ValueError, "-1 steps")
    refuses(out, given | {n: 2, start: np.ones((2, 2))}, ValueError, "state 0 starts from 2 rows")
    grow = Scan(Inner([h], [T.concatenate([h, h])]), Layout((), (State(),)))
    refuses(
        grow(n, start), {n: 3, start: np.ones((1, 2))}, ValueError,
        r"state 0 changes its shape: expected \(2,\), step 0 gave \(4,\)[\s\S]*test_op",
    )  # fmt: skip
