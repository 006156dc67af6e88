"""What a caller of grad may ask for: constants, known gradients, disconnected inputs, markers."""

import warnings

import numpy as np
import pytest
from helpers import compute

import croton.tensor as T
from croton.gradient import (
    DisconnectedInputError,
    DisconnectedType,
    GradientError,
    Lop,
    NullType,
    NullTypeGradError,
    Rop,
    consider_constant,
    disconnected_grad,
    grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    numeric_grad,
    subgraph_grad,
    verify_grad,
    zero_grad,
)
from croton.graph import Apply, Op


def test_one_or_several_variables():
    x, y = T.dscalars("x", "y")
    cost = x**2 * y
    given = {x: 3.0, y: 5.0}
    assert compute(grad(cost, x), given) == 30
    both = grad(cost, [x, y])
    assert isinstance(both, list) and compute(both, given) == [30, 9]
    assert isinstance(grad(cost, (x,)), list) and grad(cost, []) == []


def test_gradients_of_what_is_computed():
    x = T.dvector("x")
    y = x * 2
    z = (y**3).sum()
    given = {x: [1.0, 2.0]}
    by_y, by_x, by_z = compute(grad(z, [y, x, z]), given)
    assert by_y.tolist() == [12, 48] and by_x.tolist() == [24, 96] and by_z == 1


def test_a_variable_that_is_used_often():
    x = T.dscalar("x")
    y = x
    for _ in range(6):
        y = y + y * x
    h = 1e-6
    f = lambda v: v * (1 + v) ** 6
    assert np.isclose(compute(grad(y, x), {x: 0.5}), (f(0.5 + h) - f(0.5 - h)) / (2 * h))


def test_long_chains():
    x = T.dscalar("x")
    y = x
    for _ in range(1500):
        y = y * 1.001
    g = grad(y, x)
    from croton.gradient.numeric import evaluate

    assert np.isclose(evaluate([g], {x: np.array(1.0)})[0], 1.001**1500)


def test_the_cost_is_a_float_scalar():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="scalar"):
        grad(x, x)
    with pytest.raises(TypeError, match="mean or sum"):
        grad(x * 2, x)
    with pytest.raises(TypeError, match="squeeze"):
        grad(T.TensorType("float64", (1,))("y") * 2, x)
    with pytest.raises(TypeError, match="float"):
        grad(x.argmax(), x)
    with pytest.raises(TypeError, match="symbolic"):
        grad(x.sum(), 3)
    with pytest.raises(ValueError, match="cost"):
        grad(None, x)
    with pytest.raises(TypeError, match=r"(?s)test_options\.py"):
        grad(x + 1, x)
    for option in ("disconnected_inputs", "return_disconnected", "null_gradients"):
        with pytest.raises(ValueError, match=option):
            grad(x.sum(), x, **{option: "maybe"})


def test_gradients_have_the_type_of_their_variable():
    x, y = T.fvector("x"), T.dvector("y")
    cost = (x * y).sum()
    assert [g.dtype for g in grad(cost, [x, y])] == ["float32", "float64"]
    h = T.TensorType("float16", (None,))("h")
    assert grad((h * 2.0).sum(), h).dtype == "float16"


def test_gradients_by_integers():
    # An integer counts as a number that happens to be whole.
    n, x = T.iscalar("n"), T.dscalar("x")
    by_n, by_x = grad(x * n, [n, x])
    given = {n: 3, x: 2.0}
    assert by_n.dtype == "float64" and compute(by_n, given) == 2 and compute(by_x, given) == 3
    # What is whole itself does not change a little.
    v = T.lvector("v")
    assert compute(grad((v * 2).sum() * x, v), {v: [1, 2], x: 2.0}).tolist() == [0, 0]


# -- disconnected ------------------------------------------------------------------------


def test_disconnected_inputs():
    x, y = T.dscalar("x"), T.dvector("y")
    with pytest.raises(DisconnectedInputError, match=r"(?s)does not depend on y.*test_options"):
        grad(x**2, y)
    with pytest.warns(UserWarning, match="does not depend on y"):
        grad(x**2, y, disconnected_inputs="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zeros = grad(x**2, y, disconnected_inputs="ignore")
    assert compute(zeros, {y: [1.0, 2.0]}).tolist() == [0, 0]
    none = grad(x**2, [x, y], disconnected_inputs="ignore", return_disconnected="None")
    assert none[1] is None and none[0] is not None
    marker = grad(x**2, y, disconnected_inputs="ignore", return_disconnected="disconnected")
    assert isinstance(marker.type, DisconnectedType)


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: (x > 0).sum() * 1.0,
        lambda x: x.shape[0] * 2.0,
        lambda x: T.arange(x.shape[0]).sum() * 1.0,
        lambda x: x.argmax() * 1.0,
        lambda x: disconnected_grad(x).sum(),
        lambda x: T.zeros_like(x).sum() * 1.0,
    ],
)
def test_what_disconnects(cost):
    x = T.dvector("x")
    gradient = grad(cost(x), x, disconnected_inputs="ignore")
    assert compute(gradient, {x: [1.0, -2.0]}).tolist() == [0, 0]


def test_positions_and_sizes_are_disconnected():
    x, i = T.dvector("x"), T.lscalar("i")
    for cost in (x[i], x[i:].sum(), x[T.stack([i])].sum(), x.reshape((i, 2)).sum()):
        with pytest.raises(DisconnectedInputError):
            grad(cost, i)
        grad(cost, x)


# -- constants and known gradients -------------------------------------------------------


def test_considered_constant():
    x, y = T.dscalars("x", "y")
    z = x * y
    cost = z**2 + x
    given = {x: 2.0, y: 3.0}
    assert compute(grad(cost, x), given) == 2 * 6 * 3 + 1
    assert compute(grad(cost, x, consider_constant=[z]), given) == 1
    with pytest.raises(DisconnectedInputError):
        grad(cost, y, consider_constant=[z])
    # Nothing flows through z, but to z it does, as in Theano.
    assert compute(grad(cost, z, consider_constant=[z]), given) == 12
    within = disconnected_grad(z) * x
    assert compute(grad(within, x), given) == 6
    assert consider_constant is disconnected_grad


def test_known_gradients():
    x, y = T.dvector("x"), T.dvector("y")
    hidden = x * y
    given = {x: [1.0, 2.0], y: [3.0, 4.0]}
    known = {hidden: T.constant([10.0, 100.0])}
    assert compute(grad(None, x, known_grads=known), given).tolist() == [30, 400]
    # What is given stands for all that flows into the variable; other paths still count.
    cost = (hidden**2).sum() + x.sum()
    assert compute(grad(cost, x, known_grads=known), given).tolist() == [31, 401]
    assert compute(grad(cost, hidden, known_grads=known), given).tolist() == [10, 100]
    both = grad(None, [x, y], known_grads={x: T.constant([1.0, 1.0]), hidden: known[hidden]})
    by_x, by_y = compute(both, given)
    assert by_x.tolist() == [1, 1] and by_y.tolist() == [10, 200]
    with pytest.raises(TypeError, match="rank 1"):
        grad(None, x, known_grads={hidden: T.constant(1.0)})
    with pytest.raises(DisconnectedInputError, match="no known gradient"):
        grad(None, T.dvector("z"), known_grads=known)


def test_known_gradients_of_the_cost():
    x = T.dscalar("x")
    cost = x**2
    assert compute(grad(None, x, known_grads={cost: T.constant(5.0)}), {x: 3.0}) == 30


def test_gradients_in_two_steps():
    x, w, v = T.dvector("x"), T.dmatrix("w"), T.dvector("v")
    hidden = T.tanh(T.dot(x, w))
    cost = (hidden * v).sum()
    rng = np.random.default_rng(1)
    given = {x: rng.standard_normal(3), w: rng.standard_normal((3, 4)), v: rng.standard_normal(4)}
    (by_v,), (by_hidden,) = subgraph_grad([v], [hidden], cost=cost)
    (by_w,), (by_x,) = subgraph_grad([w], [x], start={hidden: by_hidden})
    got = compute([by_v, by_w, by_x], given)
    want = compute(grad(cost, [v, w, x]), given)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b)


# -- markers -----------------------------------------------------------------------------


def test_gradients_changed_on_their_way():
    x = T.dvector("x")
    given = {x: [1.0, -3.0, 0.5]}
    cases = [
        (zero_grad(x), [0, 0, 0]),
        (grad_scale(x, -2.0), [-4, 12, -2]),
        (grad_clip(x, -1, 1), [1, -1, 1]),
    ]
    for y, want in cases:
        value, gradient = compute([y, grad((y**2).sum(), x)], given)
        assert value.tolist() == given[x] and gradient.tolist() == want
        assert gradient.dtype == np.float64
    with pytest.raises(ValueError, match="above"):
        grad_clip(x, 1, -1)


def test_markers_keep_narrow_dtypes():
    x = T.fvector("x")
    for mark in (zero_grad, lambda v: grad_scale(v, 0.1), lambda v: grad_clip(v, -0.1, 0.1)):
        assert grad((mark(x) ** 2).sum(), x).dtype == "float32"


class Undefined(Op):
    """Has no gradient by its second input."""

    __props__ = ("kind",)

    def __init__(self, kind):
        self.kind = kind

    def make_node(self, x, y):
        return Apply(self, [x, y], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0] * inputs[1]

    def grad(self, inputs, gradients):
        make = grad_undefined if self.kind == "undefined" else grad_not_implemented
        return [gradients[0] * inputs[1], make(self, 1, inputs[1], "by design")]


@pytest.mark.parametrize("kind", ["undefined", "missing"])
def test_gradients_that_do_not_exist(kind):
    x, y = T.dscalars("x", "y")
    z = Undefined(kind)(x, y)
    assert compute(grad(z, x), {x: 2.0, y: 3.0}) == 3
    with pytest.raises(NullTypeGradError, match="by design"):
        grad(z, y)
    marker = grad(z, y, null_gradients="return")
    assert isinstance(marker.type, NullType)
    # It spreads to all that depends on it.
    with pytest.raises(NullTypeGradError):
        grad(Undefined(kind)(x, y * 2), y)


def test_ops_without_a_gradient():
    class Plain(Op):
        __props__ = ()

        def make_node(self, x):
            return Apply(self, [x], [x.type()])

    x = T.dscalar("x")
    with pytest.raises(NotImplementedError, match=r"(?s)no gradient through Plain.*test_options"):
        grad(Plain()(x), x)
    with pytest.raises(NotImplementedError, match="Plain"):
        Rop(Plain()(x), x, x)


@pytest.mark.parametrize(
    "result, message",
    [
        (lambda g: [g, g], "2 terms for 1 inputs"),
        (lambda g: [g.dimshuffle("x")], "rank 1, expected 0"),
    ],
)
def test_ops_with_a_wrong_gradient(result, message):
    class Wrong(Op):
        __props__ = ()

        def make_node(self, x):
            return Apply(self, [x], [x.type()])

        def grad(self, inputs, gradients):
            return result(gradients[0])

    x = T.dscalar("x")
    with pytest.raises(ValueError, match=message):
        grad(Wrong()(x), x)


def test_ops_of_several_outputs():
    class Both(Op):
        __props__ = ()

        def make_node(self, x):
            return Apply(self, [x], [x.type(), x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0], outputs[1][0] = inputs[0] * 2, inputs[0] * 3

        def grad(self, inputs, gradients):
            total = None
            for g, factor in zip(gradients, (2, 3), strict=True):
                if not isinstance(g.type, DisconnectedType):
                    total = g * factor if total is None else total + g * factor
            return [total]

    x = T.dscalar("x")
    a, b = Both()(x)
    given = {x: 5.0}
    assert compute(grad(a, x), given) == 2
    assert compute(grad(b, x), given) == 3
    assert compute(grad(a * b, x), given) == 2 * 6 * 5


# -- other products ----------------------------------------------------------------------


def test_jacobian_products():
    x = T.dvector("x")
    y = T.stack([x[0] * x[1], T.sin(x[0]), x[1] ** 2])
    given = {x: [0.5, 2.0]}
    jacobian = np.array([[2.0, 0.5], [np.cos(0.5), 0], [0, 4.0]])
    left, right = np.array([1.0, 10, 100]), np.array([3.0, -1])
    np.testing.assert_allclose(compute(Lop(y, x, T.constant(left)), given), left @ jacobian)
    np.testing.assert_allclose(compute(Rop(y, x, T.constant(right)), given), jacobian @ right)
    pair = Rop([y, y.sum()], [x], [T.constant(right)])
    np.testing.assert_allclose(compute(pair[1], given), (jacobian @ right).sum())
    hessian_times = Rop(grad((y**2).sum(), x), x, T.constant(right))
    first = lambda v: compute(grad((y**2).sum(), x), {x: v})
    h = 1e-6
    want = (first(given[x] + h * right) - first(given[x] - h * right)) / (2 * h)
    np.testing.assert_allclose(compute(hessian_times, given), want, rtol=1e-6)


def test_jacobian_products_refuse():
    x, v = T.dvector("x"), T.dvector("v")
    with pytest.raises(ValueError, match="1 variables, but 2 directions"):
        Rop(x * 2, [x], [v, v])
    with pytest.raises(ValueError, match="rank 0"):
        Rop(x * 2, x, T.dscalar("d"))
    with pytest.raises(DisconnectedInputError):
        Rop(v * 2, x, v)
    assert compute(
        Rop(v * 2, x, x, disconnected_outputs="zero"), {x: [1.0], v: [2.0]}
    ).tolist() == [0]
    with pytest.raises(ValueError, match="2 outputs, but 1"):
        Lop([x, v], x, [v])


# -- checks ------------------------------------------------------------------------------


class Cube(Op):
    """The third power, with a gradient that is off by ``error``."""

    __props__ = ("error",)

    def __init__(self, error):
        self.error = error

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0] ** 3

    def grad(self, inputs, gradients):
        return [gradients[0] * 3 * inputs[0] ** 2 * (1 + self.error)]


def test_wrong_gradients_are_found():
    point = [np.array([[0.5, -1.0], [2.0, 3.0]])]
    verify_grad(Cube(0.0), point)
    verify_grad(Cube(1e-6), point)
    with pytest.raises(GradientError, match="gradient 0 at"):
        verify_grad(Cube(1e-2), point)
    with pytest.raises(GradientError):
        verify_grad(Cube(float("nan")), point)
    verify_grad(Cube(1e-2), point, abs_tol=1.0)
    verify_grad(Cube(0.0), [np.array([0.5, 2.0], "float32")])
    verify_grad(Cube(0.0), point, rng=np.random.RandomState(3), n_tests=1)
    with pytest.raises(TypeError, match="floats"):
        verify_grad(Cube(0.0), [np.array([1, 2])])


def test_numeric_gradients():
    f = lambda x, y: float((x**2).sum() * y)
    found = numeric_grad(f, [np.array([1.0, 2.0]), np.array(3.0)])
    np.testing.assert_allclose(found.gf[0], [6, 12], rtol=1e-6)
    np.testing.assert_allclose(found.gf[1], 5, rtol=1e-6)
    single = numeric_grad(lambda x: float((x**3).sum()), np.array([2.0]))
    np.testing.assert_allclose(single.gf, [12], rtol=1e-6)


def test_names():
    x, y = T.dscalar("x"), T.dscalar()
    cost = x**2 + y
    cost.name = "cost"
    by_x, by_y = grad(cost, [x, y])
    assert by_x.name == "(dcost/dx)" and by_y.name is None
    assert grad(cost, x, add_names=False).name is None


def test_where_the_power_of_zero_has_a_derivative():
    x = T.dvector("x")
    given = {x: [0.0, 2.0]}
    for exponent, want in [(0, [0, 0]), (1, [1, 1]), (2, [0, 4]), (0.0, [0, 0])]:
        assert compute(grad((x**exponent).sum(), x), given).tolist() == want, exponent
    n = T.dscalar("n")
    assert compute(grad((x**n).sum(), x), {**given, n: 1.0}).tolist() == [1, 1]
    assert compute(grad((x**n).sum(), x), {**given, n: 0.0}).tolist() == [0, 0]


def test_extremes_that_come_twice():
    x, y = T.dvectors("x", "y")
    given = {x: [1.0, 2.0], y: [1.0, 3.0]}
    by_x, by_y = compute(grad(T.maximum(x, y).sum(), [x, y]), given)
    assert by_x.tolist() == [1, 0] and by_y.tolist() == [0, 1]
    tied = compute(grad(x.max(), x), {x: [2.0, 1.0, 2.0]})
    assert tied.tolist() == [1, 0, 1]


def test_absolute_value_at_zero():
    x = T.dvector("x")
    assert compute(grad(abs(x).sum(), x), {x: [0.0, -0.0, 2.0]}).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"consider_constant": T.dscalar("c")}, "list of variables, got c"),
        ({"consider_constant": [3]}, "list of variables"),
        ({"known_grads": [3]}, "a dict of variables"),
        ({"known_grads": {"y": 1.0}}, "symbolic variables, got 'y'"),
    ],
)
def test_options_of_the_wrong_kind(options, message):
    x = T.dscalar("x")
    with pytest.raises(TypeError, match=message):
        grad(x**2, x, **options)
