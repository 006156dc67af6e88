"""What ``scan`` means, against plain loops over NumPy arrays."""

import numpy as np
import pytest
from helpers import compute, refuses

import croton
import croton.tensor as T
from croton.loop import Scan, scan, until
from croton.tensor.shared_randomstreams import RandomStreams

rng = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _the_same_numbers():
    """Whatever test ran before."""
    rng.bit_generator.state = np.random.default_rng(5).bit_generator.state


def _scans(f):
    return [node for node in f.maker.fgraph.toposort() if isinstance(node.op, Scan)]


def test_a_running_sum():
    x = T.dmatrix("x")
    sums, updates = scan(lambda row, total: total + row, x, T.zeros_like(x[0]))
    assert not updates and sums.type.ndim == 2
    data = rng.normal(size=(6, 3))
    np.testing.assert_allclose(compute(sums, {x: data}), np.cumsum(data, axis=0), rtol=1e-14)


def test_arguments_come_in_order():
    seen = []

    def step(*rows):
        seen.extend(row.name for row in rows)
        return sum(rows[2:4]), rows[0]

    x, y, h, c = T.dvector("x"), T.dvector("y"), T.dvector("h"), T.dscalar("c")
    scan(step, [dict(input=x, taps=[-1, 2]), y], [dict(initial=h, taps=[-3, -1]), None], c)
    assert seen == ["x[t-1]", "x[t+2]", "y[t]", "h[t-3]", "h[t-1]", "c"]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "taps", [[0], [-1], [1], [-2, 0], [0, -2], [-3, -1], [1, 3], [-2, 0, 1], [-1, 1]]
)
def test_taps_of_sequences(taps, backwards):
    x = T.dvector("x")
    out, _ = scan(lambda *rows: T.stack(rows), dict(input=x, taps=taps), go_backwards=backwards)
    for size in (6, 4, 2):
        data = rng.normal(size=size)
        first = max(0, -min(taps))
        times = [t for t in range(first, size) if all(0 <= t + k < size for k in taps)]
        # Rows are counted from the first that has all taps, or from the last.
        want = [[data[t + k] for k in taps] for t in times]
        if max(taps) < 0:
            want = [[data[t + k] for k in taps] for t in range(first, size)]
        got = compute(out, {x: data})
        np.testing.assert_array_equal(
            got, np.reshape(want[::-1] if backwards else want, (-1, len(taps)))
        )


@pytest.mark.parametrize("taps", [[-1], [-2], [-1, -2], [-2, -1], [-4, -1, -3]])
def test_taps_of_outputs(taps):
    depth = -min(taps)
    h = T.dscalar("h") if taps == [-1] else T.dvector("h")
    n = T.iscalar("n")
    out, _ = scan(
        lambda *past: sum((k + 0.5) * p for k, p in enumerate(past)) + 1,
        outputs_info=dict(initial=h, taps=taps),
        n_steps=n,
    )
    start = rng.normal(size=() if taps == [-1] else depth + 1)
    for steps in (0, 1, 5):
        values = list(np.atleast_1d(start)[:depth])
        for _ in range(steps):
            values.append(sum((k + 0.5) * values[t] for k, t in enumerate(taps)) + 1)
        got = compute(out, {h: start, n: steps})
        np.testing.assert_allclose(got, values[depth:], rtol=1e-13)


def test_outputs_that_are_not_fed_back():
    x = T.dvector("x")
    (twice, total, square), _ = scan(
        lambda v, s: [2 * v, s + v, v * v],
        x,
        [None, T.constant(0.0, dtype="float64"), dict()],
    )
    data = rng.normal(size=5)
    found = compute([twice, total, square], {x: data})
    for got, want in zip(found, [2 * data, np.cumsum(data), data**2], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


def test_the_shortest_sequence_ends_the_loop():
    x, y = T.dvectors("x", "y")
    out, _ = scan(lambda a, b: a + b, [x, dict(input=y, taps=[2])])
    found = compute(out, {x: np.arange(5.0), y: np.arange(6.0)})
    np.testing.assert_array_equal(found, np.arange(4.0) + np.arange(2.0, 6.0))
    assert compute(out, {x: np.arange(5.0), y: np.arange(1.0)}).shape == (0,)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_fewer_steps_than_rows(steps):
    x = T.dvector("x")
    for n in (steps, T.constant(steps), np.int32(steps), float(steps)):
        forwards, _ = scan(lambda v: v, x, n_steps=n)
        backwards, _ = scan(lambda v: v, x, n_steps=n, go_backwards=True)
        found = compute([forwards, backwards], {x: np.arange(4.0)})
        np.testing.assert_array_equal(found[0], np.arange(4.0)[:steps])
        np.testing.assert_array_equal(found[1], np.arange(4.0)[::-1][:steps])


def test_a_negative_number_of_steps_goes_backwards():
    x = T.dvector("x")
    once, _ = scan(lambda v: v, x, n_steps=-3)
    twice, _ = scan(lambda v: v, x, n_steps=-3, go_backwards=True)
    found = compute([once, twice], {x: np.arange(4.0)})
    np.testing.assert_array_equal(found[0], [3, 2, 1])
    np.testing.assert_array_equal(found[1], [0, 1, 2])


def test_infinitely_many_steps_are_as_many_as_there_are_rows():
    x = T.dvector("x")
    out, _ = scan(lambda v: v, x, n_steps=np.inf)
    assert compute(out, {x: np.arange(4.0)}).shape == (4,)


def test_no_steps_have_the_sizes_of_some():
    x, w = T.fmatrices("x", "w")
    (h, y), _ = scan(
        lambda v, h: [T.tanh(T.dot(h, w) + v), T.dot(v, w)], x, [T.zeros_like(w[0]), None]
    )
    given = {x: np.zeros((0, 3), "float32"), w: np.zeros((3, 3), "float32")}
    assert [v.shape for v in compute([h, y, h.shape, y.shape], given)[:2]] == [(0, 3), (0, 3)]


def test_what_a_step_uses_is_found():
    x, scale = T.dvector("x"), T.dscalar("scale")
    w = croton.shared(3.0, name="w")
    calls = []

    def step(v):
        calls.append(v)
        return v * outer + w * T.sqr(scale)

    outer = T.exp(scale)
    out, updates = scan(step, x)
    assert len(calls) == 1 and not updates
    np.testing.assert_allclose(
        compute(out, {x: [1.0, 2.0], scale: 0.5}), np.array([1, 2]) * np.exp(0.5) + 0.75
    )
    # What was made outside is computed there, once.
    inner = out.owner.op.inner
    assert not any(getattr(node.op, "name", "") == "exp" for node in inner.nodes)
    w.set_value(0.0)
    np.testing.assert_allclose(compute(out, {x: [1.0], scale: 0.0}), [1.0])


def test_strict_loops_are_given_their_shared_variables():
    w, b = croton.shared(3.0, name="w"), croton.shared(1.0, name="b")
    x = T.dvector("x")
    out, _ = scan(lambda v, w: v * w, x, non_sequences=w, strict=True)
    np.testing.assert_array_equal(compute(out, {x: [1.0, 2.0]}), [3, 6])
    with pytest.raises(ValueError, match="uses the shared variable b"):
        scan(lambda v, w: v * w + b, x, non_sequences=w, strict=True)
    with pytest.raises(ValueError, match="uses the shared variable b"):
        c = b + 1
        scan(lambda v, w: v * w + c, x, non_sequences=w, strict=True)


def test_numbers_and_arrays_are_arguments():
    out, _ = scan(lambda v, h, a: h + v * a, np.arange(3.0), np.zeros(2), [np.array([1.0, 10.0])])
    np.testing.assert_array_equal(compute(out), [[0, 0], [1, 10], [3, 30]])


def test_updates_of_shared_variables():
    count, last = croton.shared(np.int64(5), "count"), croton.shared(0.0, "last")
    x = T.dvector("x")

    def step(v):
        return v * count, {count: count + 2, last: v}

    out, updates = scan(step, x)
    assert list(updates) == [count, last]
    f = croton.function([x], out, updates=updates)
    np.testing.assert_array_equal(f([1.0, 2.0, 3.0]), [5, 14, 27])
    assert count.get_value() == 11 and last.get_value() == 3
    f([])
    assert count.get_value() == 11 and last.get_value() == 3


def test_updates_by_numbers_and_lists():
    total, pair = croton.shared(np.float32(0), "total"), croton.shared(np.zeros(2), "pair")
    x = T.dvector("x")
    out, updates = scan(lambda v: (v, {total: 3, pair: [v, 2 * v]}), x)
    croton.function([x], out, updates=updates)([1.0, 4.0])
    assert total.get_value() == 3 and pair.get_value().tolist() == [4, 8]
    with pytest.raises(TypeError, match="the new value of the shared variable total: cannot make"):
        scan(lambda v: (v, {total: None}), x)


def test_updates_alone():
    a, b = croton.shared(1.0, "a"), croton.shared(1.0, "b")
    out, updates = scan(lambda: [(a, a + b), (b, a)], n_steps=10)
    assert out is None
    croton.function([], updates=updates)()
    assert (a.get_value(), b.get_value()) == (144, 89)


def test_variables_that_update_themselves():
    count = croton.shared(np.int64(0), "count")
    count.default_update = count + 1
    out, updates = scan(lambda: count * 10, n_steps=4)
    f = croton.function([], out, updates=updates)
    assert f().tolist() == [0, 10, 20, 30] and f().tolist() == [40, 50, 60, 70]
    assert count.get_value() == 8


def test_forms_of_what_a_step_returns():
    s = croton.shared(0.0, "s")
    x = T.dvector("x")
    for back in (
        lambda v: (v * 2, {s: v}),
        lambda v: ([v * 2], [(s, v)]),
        lambda v: ({s: v}, v * 2),
        lambda v: ({s: v}, [v * 2]),
        lambda v: ([v * 2], {s: v}, until(v > 1e9)),
        lambda v: (v * 2, until(v > 1e9), {s: v}),
    ):
        out, updates = scan(back, x)
        f = croton.function([x], out, updates=updates)
        np.testing.assert_array_equal(f([1.0, 4.0]), [2, 8])
        assert s.get_value() == 4
    (out,), updates = scan(lambda v: ([v], {}), x, return_list=True)
    assert not updates
    (out,), updates = scan(lambda v: ([v], []), x, return_list=True)
    assert scan(lambda v: (v, v), x, return_list=False)[0][1] is not None


def test_random_numbers_are_new_in_every_step_and_call():
    streams = RandomStreams(3)
    out, updates = scan(lambda: streams.uniform((2,)), n_steps=5)
    assert len(updates) == 1
    f = croton.function([], out, updates=updates)
    drawn = np.array([f(), f()])
    assert drawn.shape == (2, 5, 2) and len(np.unique(drawn)) == 20
    # As they are drawn without a loop.
    again = RandomStreams(3)
    g = croton.function([], again.uniform((2,)))
    np.testing.assert_array_equal(drawn.reshape(10, 2), [g() for _ in range(10)])
    # A function advances them whether or not it is given the updates.
    streams.seed(3)
    h = croton.function([], out)
    np.testing.assert_array_equal([h(), h()], drawn)


def test_what_is_drawn_outside_is_the_same_in_every_step():
    noise = RandomStreams(3).uniform((2,))
    out, updates = scan(lambda: noise * 1, n_steps=3)
    assert not updates
    found, expected = croton.function([], [out, noise])()
    np.testing.assert_array_equal(found, [expected] * 3)


@pytest.mark.parametrize(("limit", "steps"), [(0.0, 1), (7.0, 3), (1e9, 6)])
def test_until(limit, steps):
    x, bound = T.dvector("x"), T.dscalar("bound")
    (total, twice), _ = scan(
        lambda v, total: ([total + v, 2 * v], until(total + v > bound)),
        x,
        [T.constant(0.0, dtype="float64"), None],
        n_steps=None,
    )
    data = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])[:6]
    steps = int(np.argmax(np.cumsum(data) > limit)) + 1 if limit < 1e9 else 6
    given = {x: data, bound: limit}
    found = compute([total, twice, total.shape[0], total[-1]], given)
    np.testing.assert_array_equal(found[0], np.cumsum(data)[:steps])
    np.testing.assert_array_equal(found[1], 2 * data[:steps])
    assert found[2] == steps and found[3] == np.cumsum(data)[steps - 1]


def test_until_takes_integers_that_are_not_zero():
    x = T.ivector("x")
    out, _ = scan(lambda v: (v, until(v)), x)
    np.testing.assert_array_equal(compute(out, {x: [0, 0, 2, 0]}), [0, 0, 2])


def test_nested_loops():
    a, x = T.dmatrix("a"), T.dvector("x")
    # A matrix times a vector, the long way.
    rows, _ = scan(
        lambda row, x: scan(lambda v, w, total: total + v * w, [row, x], T.zeros((), "float64"))[0][
            -1
        ],
        a,
        non_sequences=x,
    )
    given = {a: rng.normal(size=(3, 4)), x: rng.normal(size=4)}
    np.testing.assert_allclose(compute(rows, given), given[a] @ given[x], rtol=1e-13)


def test_nested_loops_with_random_numbers_and_counts():
    streams, count = RandomStreams(1), croton.shared(np.int64(0), "count")

    def inside():
        return streams.uniform(()), {count: count + 1}

    def outside():
        draws, updates = scan(inside, n_steps=3)
        return draws, updates

    out, updates = scan(outside, n_steps=2)
    f = croton.function([], out, updates=updates)
    first, second = f(), f()
    assert len(np.unique([first, second])) == 12 and count.get_value() == 12


def test_one_step_is_a_loop_too():
    x = T.dmatrix("x")
    out, _ = scan(lambda v, h: v + h, x, T.zeros((2,), "float64"), n_steps=1)
    assert isinstance(out.owner.inputs[0].owner.op, Scan) and out.type.shape[0] == 1
    np.testing.assert_array_equal(compute(out, {x: np.ones((3, 2))}), [[1, 1]])


def test_equal_loops_run_once():
    x = T.dvector("x")

    def build():
        return scan(lambda v, h: T.tanh(v + h), x, T.zeros((), "float64"), name="a")[0]

    f = croton.function([x], [build(), build() * 2])
    assert len(_scans(f)) == 1
    np.testing.assert_allclose(f([1.0, 2.0])[1], 2 * f([1.0, 2.0])[0])


def test_other_sizes_do_not_compile_again():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    h, _ = scan(lambda v, h: T.tanh(v + T.dot(h, w)), x, T.zeros_like(x[0]))
    f = croton.function([x, w], h)
    for length, size in ((1, 1), (5, 2), (3, 4)):
        data, weights = rng.normal(size=(length, size)), rng.normal(size=(size, size))
        state = np.zeros(size)
        want = [state := np.tanh(v + state @ weights) for v in data]
        np.testing.assert_allclose(f(data, weights), want, rtol=1e-12)


def test_a_constant_state_takes_the_dtype_of_the_loop():
    h = T.fscalar("h")
    out, _ = scan(lambda h: T.constant(2), outputs_info=h, n_steps=2)
    assert out.type.dtype == "float32" and compute(out, {h: 1.0}).tolist() == [2, 2]


def _line(function):
    return f"line {function.__code__.co_firstlineno + 1}, in {function.__name__}"


def test_states_that_change_are_errors_of_the_step():
    x = T.fmatrix("x")
    h = T.constant(np.zeros(3, "float32"), "h")

    def dtype_step(v, h):
        return (v + h).astype("float64")

    def rank_step(v, h):
        return T.outer(v, h)

    def shape_step(v, h):
        return T.concatenate([h, h])

    for step, text in (
        (dtype_step, r"output 0 \(h\) changes its dtype.*begins as float32.*makes float64"),
        (rank_step, r"output 0 \(h\) changes its rank"),
        (shape_step, r"output 0 \(h\) changes its shape.*begins with \(3,\).*makes \(6,\)"),
    ):
        with pytest.raises(TypeError, match=text) as caught:
            scan(step, x, h)
        assert _line(step) in str(caught.value)


def test_a_state_whose_size_changes_in_a_call():
    x = T.dvector("x")

    def grow(h):
        return T.concatenate([h, h])

    out, _ = scan(grow, outputs_info=x, n_steps=2)
    refuses(out, {x: np.ones(2)}, ValueError, r"expected \(2,\), step 0 gave \(4,\)")


def test_errors_of_shared_variables_in_a_step():
    s = croton.shared(np.float32(0), "s")
    x = T.dvector("x")
    with pytest.raises(TypeError, match="the shared variable s changes its dtype"):
        scan(lambda v: (v, {s: v}), x)
    with pytest.raises(TypeError, match="updates shared variables, not x"):
        scan(lambda v: (v, {x: v}), x)
    with pytest.raises(ValueError, match="s is updated twice"):
        scan(lambda v: (v, [(s, s + 1), (s, s + 2)]), x)


def test_wrong_arguments():
    x, y = T.dvector("x"), T.dscalar("y")
    identity = lambda *rows: rows[0]
    with pytest.raises(TypeError, match="a function of one step"):
        scan(x, x)
    with pytest.raises(ValueError, match="needs n_steps, or a sequence"):
        scan(lambda: T.constant(1))
    with pytest.raises(TypeError, match=r"n_steps is an integer, got 2\.5"):
        scan(identity, x, n_steps=2.5)
    with pytest.raises(TypeError, match="n_steps is an integer scalar, got y"):
        scan(identity, x, n_steps=y)
    with pytest.raises(TypeError, match="sequence 0: y is a scalar"):
        scan(identity, y)
    with pytest.raises(ValueError, match="'input' and 'taps'"):
        scan(identity, dict(input=x, tap=[1]))
    with pytest.raises(ValueError, match="there must be a tap"):
        scan(identity, dict(input=x, taps=[]))
    with pytest.raises(ValueError, match="a tap is given twice"):
        scan(identity, dict(input=x, taps=[1, 1]))
    with pytest.raises(TypeError, match=r"taps are integers, got 0\.5"):
        scan(identity, dict(input=x, taps=[0.5]))
    with pytest.raises(ValueError, match="taps are < 0"):
        scan(identity, x, dict(initial=x, taps=[-1, 0]))
    with pytest.raises(ValueError, match=r"has taps \[-1\], but no initial state"):
        scan(identity, x, dict(taps=[-1]))
    with pytest.raises(ValueError, match="'return_steps' is not understood"):
        scan(identity, x, dict(initial=y, return_steps=1))
    with pytest.raises(TypeError, match="y is a scalar"):
        scan(identity, x, dict(initial=y, taps=[-2]))
    with pytest.raises(ValueError, match="needs 3 rows"):
        scan(identity, x, dict(initial=np.zeros(2), taps=[-3]))
    with pytest.raises(ValueError, match="returned 1 outputs, but outputs_info tells of 2"):
        scan(identity, x, [None, y])
    with pytest.raises(ValueError, match="truncate_gradient"):
        scan(identity, x, truncate_gradient=-2)


def test_wrong_results_of_a_step():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="None cannot be an output of a step"):
        scan(lambda v: None, x)
    with pytest.raises(TypeError, match="outputs were returned twice"):
        scan(lambda v: ([v], [v]), x)
    with pytest.raises(TypeError, match="updates were returned twice"):
        scan(lambda v: ({}, {}), x)
    with pytest.raises(TypeError, match="until was returned twice"):
        scan(lambda v: (v, until(v > 0), until(v > 0)), x)

    def ends(v):
        return v, until(v * 2)

    with pytest.raises(TypeError, match=r"until takes a boolean scalar, got .*float64") as caught:
        scan(ends, x)
    assert _line(ends) in str(caught.value)


def test_errors_of_a_call_name_the_step():
    x = T.dvector("x")

    def pick(v, k):
        return v[k]

    out, _ = scan(lambda k: pick(x, k), T.arange(4))
    f = croton.function([x], out)
    with pytest.raises(IndexError) as caught:
        f([1.0, 2.0])
    assert "index 2 is out of bounds" in str(caught.value) and _line(pick) in str(caught.value)
    n = T.lscalar("n")
    short, _ = scan(lambda v: v, x, n_steps=n)
    refuses(short, {x: [1.0, 2.0], n: 3}, ValueError, "sequence 0 has 2 rows, 3 steps need 3")
    refuses(short, {x: [1.0, 2.0], n: -1}, ValueError, "-1 steps")


def test_a_number_as_a_state_takes_the_dtype_of_the_loop():
    x, single = T.dvector("x"), T.fvector("single")
    for start in (0, 0.0):
        total, _ = scan(lambda v, h: h + v, x, start)
        assert total.type.dtype == "float64"
        np.testing.assert_array_equal(compute(total, {x: [1.0, 2.5]}), [1.0, 3.5])
    # Two states of which the second one follows from the first.
    (_, last), _ = scan(lambda v, a, b: (a + v, b + a), x, [0, 0])
    np.testing.assert_array_equal(compute(last, {x: [1.0, 2.5, 0.5]}), [0, 1, 4.5])
    same, _ = scan(lambda v, h: (h + v).astype("float32"), single, 0.0)
    assert same.type.dtype == "float32"
    counts, _ = scan(lambda k: k + 1, outputs_info=0, n_steps=300)
    assert compute(counts[-1]) == 300 and counts.type.dtype == "int64"
    kept, _ = scan(lambda h: h / 3, outputs_info=1.0, n_steps=2)
    np.testing.assert_allclose(compute(kept), [1 / 3, 1 / 9], rtol=1e-15)
    with pytest.raises(TypeError, match=r"begins as float64.*makes int64"):
        scan(lambda h: (h * 2).astype("int64"), outputs_info=0.5, n_steps=2)
    with pytest.raises(TypeError, match="changes its rank"):
        scan(lambda v, h: h + x, x, 0)
