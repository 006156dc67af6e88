"""What only one branch of ``ifelse`` needs is computed if that branch is taken."""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.gradient import grad
from croton.loop import Scan, ifelse, scan
from croton.loop.choosing import IfElse
from croton.runtime import program as p

x, y = T.dvectors("x", "y")
ONE, OTHER = [np.array([1.0, 2.0]), np.array([-3.0, 1.0])]


class Noted(croton.Op):
    """Twice its input; notes that it was computed."""

    __props__ = ("name",)
    done: list[str] = []  # noqa: RUF012

    def __init__(self, name):
        self.name = name

    def make_node(self, v):
        return croton.Apply(self, [v], [v.type()])

    def perform(self, node, inputs, outputs):
        self.done.append(self.name)
        outputs[0][0] = inputs[0] * 2

    def infer_shape(self, node, shapes):
        return shapes

    def L_op(self, inputs, outputs, gradients):
        return [Noted(f"d{self.name}")(gradients[0])]


def noted(f, *args):
    Noted.done.clear()
    return f(*args), sorted(Noted.done)


def is_python(f):
    return any(isinstance(i, p.Host) for i in f.program.instructions)


def test_one_branch_is_computed():
    a, b, c = (Noted(name) for name in "abc")
    both = c(x)
    f = croton.function([x, y], ifelse(x.sum() > 0, a(both) + 1, b(T.concatenate([y, both]))))
    found, done = noted(f, ONE, ONE)
    assert found.tolist() == [5, 9] and done == ["a", "c"]
    found, done = noted(f, OTHER, ONE)
    assert found.tolist() == [2, 4, -12, 4] and done == ["b", "c"]


def test_what_is_read_elsewhere_is_computed_anyway():
    shared = Noted("a")(x)
    f = croton.function([x], [ifelse(x.sum() > 0, shared, x), shared])
    assert noted(f, OTHER)[1] == ["a"]
    f = croton.function([x], ifelse(shared.sum() > 0, shared, x))
    assert noted(f, OTHER)[1] == ["a"]


def test_choices_by_one_condition_are_one():
    condition = x.sum() > 0
    common = Noted("a")(x)
    first, second = ifelse(condition, common, x), ifelse(condition, common + 1, y)
    f = croton.function([x, y], [first, second])
    assert noted(f, ONE, ONE)[1] == ["a"]
    assert noted(f, OTHER, ONE)[1] == []
    # Unless one needs the other.
    then = ifelse(condition, Noted("b")(first), first)
    f = croton.function([x], then)
    assert noted(f, ONE)[1] == ["a", "b"] and noted(f, OTHER)[1] == []


def test_choices_in_branches():
    inner = ifelse(y.sum() > 0, Noted("a")(x), Noted("b")(x))
    f = croton.function([x, y], ifelse(x.sum() > 0, inner, y))
    assert noted(f, ONE, ONE)[1] == ["a"]
    assert noted(f, ONE, OTHER)[1] == ["b"]
    assert noted(f, OTHER, ONE)[1] == []


def test_choices_in_loops():
    out, _ = scan(
        lambda v, h: ifelse(v > 0, Noted("a")(h + v), h), x, T.constant(1.0, dtype="float64")
    )
    f = croton.function([x], out)
    found, done = noted(f, np.array([1.0, -1.0, 0.5]))
    assert found.tolist() == [4, 4, 9] and done == ["a", "a"]


def flows(then, other, **more):
    """A function that gives a cost with one of two branches, and its gradients."""
    cost = (ifelse(x.sum() > 0, then, other) ** 2).sum()
    return croton.function([x, y], [cost, *grad(cost, [x, y], **more)], on_unused_input="ignore")


def test_gradients_flow_back_through_one_branch():
    a, b = Noted("a"), Noted("b")
    f = flows(a(x).sum(), (b(x) * y).sum())
    (cost, by_x, by_y), done = noted(f, ONE, OTHER)
    assert done == ["a", "da"] and (float(cost), by_x.tolist()) == (36, [24, 24])
    assert by_y.tolist() == [0, 0]
    (cost, by_x, by_y), done = noted(f, OTHER, ONE)
    assert done == ["b", "db"] and (float(cost), by_x.tolist()) == (4, [-8, -16])
    assert by_y.tolist() == [24, -8]
    # In vectors of two sizes as well, and where both branches need the same.
    common = Noted("c")(x)
    f = flows(a(common), T.concatenate([b(common), y]))
    (cost, by_x, by_y), done = noted(f, ONE, ONE)
    assert done == ["a", "c", "da", "dc"] and by_x.tolist() == [32, 64]
    (cost, by_x, by_y), done = noted(f, OTHER, ONE)
    assert done == ["b", "c", "db", "dc"] and (by_x.tolist(), by_y.tolist()) == ([-96, 32], [2, 4])


def test_gradients_of_choices_in_choices_and_loops():
    a, b, c = map(Noted, "abc")
    f = flows(ifelse(y.sum() > 0, a(x), b(x)), c(y))
    for given, want in (((ONE, ONE), "a"), ((ONE, OTHER), "b"), ((OTHER, ONE), "c")):
        assert noted(f, *given)[1] == [want, "d" + want]
    # Of one condition.
    again = ifelse(x.sum() > 0, a(x), b(x))
    f = flows(c(again), Noted("d")(again), disconnected_inputs="ignore")
    (_, by_x, _), done = noted(f, ONE, ONE)
    assert done == ["a", "c", "da", "dc"] and by_x.tolist() == [32, 64]
    (_, by_x, _), done = noted(f, OTHER, ONE)
    assert done == ["b", "d", "db", "dd"] and by_x.tolist() == [-96, 32]

    def step(v, h):
        return ifelse(v > 0, a(h) * v, b(h * v))

    out, _ = scan(step, x, T.constant(1.0, dtype="float64"))
    f = croton.function([x], grad(out[-1], x))
    found, done = noted(f, np.array([3.0, -1.0, 0.5]))
    np.testing.assert_allclose(found, [-4, 12, -24])
    assert done == ["a", "a", "b", "da", "da", "db"]


def test_gradients_of_second_order_flow_back_through_one_branch():
    a, b = Noted("a"), Noted("b")
    cost = ifelse(x.sum() > 0, (a(x) ** 3).sum(), (b(x) ** 2 * y).sum())
    second = grad((grad(cost, x) ** 2).sum(), [x, y])
    f = croton.function([x, y], second)
    (by_x, by_y), done = noted(f, ONE, ONE)
    # The derivative of 8 x**3 is 24 x**2, and that of its square 2 * 24 * 48 * x**3.
    assert by_x.tolist() == [2304, 18432] and by_y.tolist() == [0, 0]
    assert {name[-1] for name in done} == {"a"}
    assert {name[-1] for name in noted(f, OTHER, ONE)[1]} == {"b"}


def test_nothing_flows_back_through_what_is_not_a_number():
    # As it does where infinity is multiplied with a gradient of zero.
    f = flows(T.sqrt(y).sum(), x.sum())
    _, by_x, by_y = f(np.array([-1.0, 0.5]), np.array([0.0, -1.0]))
    assert by_x.tolist() == [-1, -1] and by_y.tolist() == [0, 0]


def test_gradients_of_what_a_branch_is_made_of():
    w = T.dmatrix("w")
    inside = T.tanh(T.dot(w, x))
    out = ifelse(x.sum() > 0, (inside**2).sum(), T.exp(x).sum())
    outputs = [out, *grad(out**2, [inside, w, x])]
    f = croton.function([w, x], outputs)
    plain = croton.function([w, x], outputs, mode="reference")
    for given in (ONE, OTHER):
        for got, want in zip(f(np.eye(3, 2), given), plain(np.eye(3, 2), given), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_what_takes_few_numbers_is_computed_in_both_cases():
    out, _ = scan(
        lambda v, h: ifelse(v > 0, T.exp(-h) * v, T.sqrt(h) + 1),
        x,
        T.constant(1.0, dtype="float64"),
    )
    f = croton.function([x], [out, grad(out[-1], x)])
    assert not any(isinstance(i, p.Loop) for i in f.program.instructions)
    (found, slope), h = f(np.array([1.0, -2.0, 3.0])), [1.0]
    for v in (1.0, -2.0, 3.0):
        h.append(np.exp(-h[-1]) * v if v > 0 else np.sqrt(h[-1]) + 1)
    np.testing.assert_allclose(found, h[1:], rtol=1e-14)
    by_first = -3 * np.exp(-h[2]) * 0.5 / np.sqrt(h[1]) * np.exp(-h[0])
    np.testing.assert_allclose(slope, [by_first, 0, np.exp(-h[2])], rtol=1e-14)
    a = T.dscalar("a")
    cost = ifelse(a > 0, T.exp(a) * a, T.sin(a)) ** 2
    f = croton.function([a], [cost, grad(cost, a)])
    assert not any(isinstance(i, p.Loop) for i in f.program.instructions)
    np.testing.assert_allclose(f(1.0), [np.exp(2), 4 * np.exp(2)], rtol=1e-14)
    np.testing.assert_allclose(f(-1.0), [np.sin(1) ** 2, -np.sin(2)], rtol=1e-14)
    # Nothing flows back from what is not a number in the other case.
    v = T.dscalar("v")
    g = croton.function([v], grad(ifelse(v > 0, T.sqrt(v), v), v))
    assert (float(g(4.0)), float(g(-4.0)), float(g(0.0))) == (0.25, 1, 1)


def test_errors_of_the_other_branch_do_not_happen():
    k = T.lscalar("k")
    f = croton.function([x, k], ifelse(k < x.shape[0], x[k], x[0] * 3))
    assert f(ONE, 1) == 2 and f(ONE, 2) == 3
    f = croton.function([x, k], ifelse(k < x.shape[0], T.exp(x)[k], T.exp(x.sum())))
    assert f(ONE, 1) == pytest.approx(np.exp(2)) and f(ONE, 2) == pytest.approx(np.exp(3))


@pytest.mark.parametrize(
    ("then", "other"),
    [
        (lambda: T.exp(x), lambda: T.tanh(x)),
        (lambda: T.exp(x).sum(), lambda: T.dot(y, y)),
        (lambda: T.exp(x), lambda: T.tanh(y)),
        (lambda: T.outer(x, y), lambda: T.tanh(T.outer(y, x))),
        (lambda: x, lambda: T.constant(np.zeros(3))),
        (lambda: x * 2, lambda: x - 1),
        (lambda: T.dot(T.outer(x, y), y), lambda: x),
    ],
)
def test_native_code_runs_it(then, other):
    a, b = then(), other()
    out = ifelse(x.sum() > 0, a, b)
    cost = ifelse(x.sum() > 0, [(a**2).sum(), a.sum()], [b.sum(), (b**3).sum()])[0]
    of_squares = (out**2).sum() ** 2 + cost
    outputs = [out, out.shape.sum(), cost]
    for c in (cost, of_squares):
        outputs += grad(c, [x, y], disconnected_inputs="ignore")
    f = croton.function([x, y], outputs, on_unused_input="ignore")
    plain = croton.function([x, y], outputs, mode="reference", on_unused_input="ignore")
    assert not is_python(f)
    assert not any(isinstance(n.op, IfElse) for n in f.maker.fgraph.toposort())
    for given in (ONE, OTHER, np.array([-1.0]), np.zeros(0)):
        for more in (ONE, np.array([0.5])):
            for got, want in zip(f(given, more), plain(given, more), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12)


def test_what_is_cheap_is_chosen_element_by_element():
    f = croton.function([x], ifelse(x.sum() > 0, x * 2, 1 - x))
    assert not any(isinstance(n.op, Scan) for n in f.maker.fgraph.toposort())
    assert f(ONE).tolist() == [2, 4] and f(OTHER).tolist() == [4, 0]
    cost = ifelse(x.sum() > 0, (x * 2 * y) ** 2, 1 - x).sum()
    f = croton.function([x, y], grad(cost, [x, y]))
    assert not any(isinstance(n.op, Scan) for n in f.maker.fgraph.toposort())
    assert [g.tolist() for g in f(ONE, ONE)] == [[8, 64], [8, 64]]
    assert [g.tolist() for g in f(OTHER, ONE)] == [[-1, -1], [0, 0]]


def test_nothing_of_a_branch_comes_before_it():
    w = T.dmatrix("w")
    f = croton.function([w], ifelse(w.sum() > 0, T.exp(T.dot(T.dot(w, w), w)), w))
    inside, lazy = 0, False
    for i in f.program.instructions:
        lazy = i.lazy if isinstance(i, p.Loop) else lazy and not isinstance(i, p.Next)
        inside += lazy and isinstance(i, p.Launch)
    assert inside >= 2
    data = np.array([[1.0, 0.5], [0.25, 1.0]])
    np.testing.assert_allclose(f(data), np.exp(data @ data @ data), rtol=1e-12)
    again = croton.function([w], ifelse(w.sum() > 0, T.exp(T.dot(T.dot(w, w), w)), w))
    assert "cache" in again.seconds
    np.testing.assert_array_equal(again(-data), -data)
