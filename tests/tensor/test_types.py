"""TensorType, constructors, conversion of values, variables and constants."""

import numpy as np
import pytest

import croton.tensor as T
from croton.config import config
from croton.graph import Apply, Op
from croton.graph.traversal import toposort
from croton.tensor import TensorType

REAL = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64",
]  # fmt: skip


def test_types_are_compared_by_value():
    a, b = TensorType("float32", (None, 3)), TensorType("float32", (None, 3))
    assert a == b and hash(a) == hash(b)
    assert a != TensorType("float64", (None, 3)) and a != TensorType("float32", (None, None))
    assert a != TensorType("float32", (3, None)) and a != "float32"
    assert a.ndim == 2 and a.broadcastable == (False, False) and a.numpy_dtype == np.float32


@pytest.mark.parametrize(
    "shape, meant",
    [
        ((), ()),
        ((None, 1), (None, 1)),
        ((False, True), (None, 1)),
        ([3, None], (3, None)),
        ((np.int64(4), np.True_), (4, 1)),
        ((0,), (0,)),
    ],
)
def test_shapes_of_types(shape, meant):
    assert TensorType("int8", shape).shape == meant
    assert TensorType("int8", broadcastable=(True, False)).shape == (1, None)


@pytest.mark.parametrize("shape", [(-1,), (2.0,), ("3",)])
def test_what_is_no_dimension(shape):
    with pytest.raises(TypeError, match="dimension"):
        TensorType("int8", shape)


@pytest.mark.parametrize("dtype", ["complex64", "object", "S3", "nonsense", "datetime64[s]"])
def test_what_is_no_dtype(dtype):
    with pytest.raises(TypeError, match="dtype"):
        TensorType(dtype, ())


def test_dtypes_may_be_numpys(monkeypatch):
    for dtype in (np.float32, np.dtype("float32"), "f4", "float32"):
        assert TensorType(dtype, ()).dtype == "float32"
    assert TensorType(float, ()).dtype == "float64" and TensorType(bool, ()).dtype == "bool"
    monkeypatch.setattr(config, "floatX", "float16")
    assert TensorType("floatX", ()).dtype == "float16"


def test_which_types_hold_the_values_of_others():
    wide = TensorType("float32", (None, None))
    narrow = TensorType("float32", (2, 1))
    assert wide.is_super(narrow) and not narrow.is_super(wide) and wide.is_super(wide)
    assert not wide.is_super(TensorType("float64", (2, 1)))
    assert not wide.is_super(TensorType("float32", (2,)))
    assert wide.in_same_class(TensorType("float32", (2, 3))) and not wide.in_same_class(narrow)
    assert wide.filter_variable(narrow("x")).name == "x"
    with pytest.raises(TypeError, match="expected a variable of type"):
        narrow.filter_variable(wide("x"))
    assert narrow.clone(dtype="int8") == TensorType("int8", (2, 1))
    assert narrow.clone(shape=(None, 4)) == TensorType("float32", (None, 4))


@pytest.mark.parametrize("dtype", REAL)
def test_values_that_fit(dtype):
    kind = TensorType(dtype, (None, None))
    value = np.array([[1, 0], [0, 1]], dtype)
    got = kind.filter(value)
    assert got is value
    turned = kind.filter(np.asfortranarray(value))
    assert turned.flags.c_contiguous and np.array_equal(turned, value)
    assert kind.filter(value[::-1]).flags.c_contiguous
    assert kind.filter([[1, 0], [0, 1]]).dtype == dtype
    assert kind.is_valid_value(value) and not kind.is_valid_value([[1, 0]])
    assert not kind.is_valid_value(value[0])


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("float32", np.array(1.5)),
        ("int8", np.array(1)),
        ("int32", np.array(1, "int64")),
        ("uint8", np.array(1, "int8")),
        ("float32", np.array(1, "int32")),
        ("bool", np.array(1, "int8")),
        ("int8", 200),
        ("int8", 1.5),
        ("uint8", -1),
        ("int64", 0.5),
        ("float32", "text"),
        ("float32", 1j),
        ("float32", None),
    ],
)
def test_values_that_would_lose_something(dtype, value):
    with pytest.raises((TypeError, OverflowError), match=r"precision|expected|array|dtype|out of"):
        TensorType(dtype, ()).filter(value)


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("float64", np.array(1.5, "float32")),
        ("int64", np.array(1, "int8")),
        ("float64", np.array(1, "int32")),
        ("float32", np.array(1, "int16")),
        ("int8", True),
        ("float32", 3),
        ("int8", 100),
        ("uint8", 200),
        ("int64", 3.0),
        ("float16", 0.5),
    ],
)
def test_values_that_convert(dtype, value):
    got = TensorType(dtype, ()).filter(value)
    assert got.dtype == dtype and got == value


def test_python_floats_follow_float_x(monkeypatch):
    monkeypatch.setattr(config, "floatX", "float32")
    assert TensorType("float32", ()).filter(0.1) == np.float32(0.1)
    with pytest.raises(TypeError, match="precision"):
        TensorType("float32", ()).filter(0.1, allow_downcast=False)
    monkeypatch.setattr(config, "floatX", "float64")
    with pytest.raises(TypeError, match="precision"):
        TensorType("float32", ()).filter(0.1)
    assert TensorType("float32", ()).filter(0.1, allow_downcast=True) == np.float32(0.1)
    assert TensorType("int8", ()).filter(np.array(300), allow_downcast=True) == 44


def test_values_of_another_shape():
    matrix = TensorType("float64", (None, 3))
    with pytest.raises(TypeError, match="number of dimensions: expected 2"):
        matrix.filter(np.zeros(3))
    with pytest.raises(TypeError, match="wrong shape"):
        matrix.filter(np.zeros((2, 4)))
    with pytest.raises(TypeError, match="symbolic"):
        matrix.filter(T.dmatrix("x"))
    with pytest.raises(TypeError, match="array"):
        matrix.filter([[1, 2], [3]])
    strict = matrix.filter(np.zeros((2, 3)), strict=True)
    assert strict.shape == (2, 3)
    with pytest.raises(TypeError, match="NumPy array"):
        matrix.filter([[1.0, 2, 3]], strict=True)
    with pytest.raises(TypeError, match="dtype"):
        matrix.filter(np.zeros((2, 3), "float32"), strict=True)


def test_comparing_values():
    kind = TensorType("float32", (None,))
    a = np.array([1, np.nan], "float32")
    assert kind.values_eq(a, a.copy()) and kind.values_eq_approx(a, a * np.float32(1 + 1e-6))
    assert not kind.values_eq(a, a.astype("float64")) and not kind.values_eq(a, a[:1])
    assert not kind.values_eq_approx(a, a + 1)
    assert not kind.values_eq(a, np.array([1, 2], "float32"))


def test_texts():
    assert str(TensorType("float32", (None, None))) == "TensorType(float32, matrix)"
    assert str(TensorType("float32", ())) == "TensorType(float32, scalar)"
    assert repr(TensorType("int8", (2, None))) == "TensorType(int8, (2, ?))"
    assert str(TensorType("int8", (2,), name="mine")) == "mine"
    x = T.dvector()
    assert "float64" in str(x) and str(T.dvector("x")) == "x"
    assert str(x + 1) == "Elemwise{add,no_inplace}.0"
    assert "3" in str(T.constant(3)) and len(str(T.constant(np.arange(1000)))) < 60


# -- constructors ------------------------------------------------------------------------

RANKS = {"scalar": 0, "vector": 1, "matrix": 2, "tensor3": 3, "tensor4": 4, "row": 2, "col": 2}
LETTERS = {
    "b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64",
}  # fmt: skip


@pytest.mark.parametrize("kind", RANKS)
def test_constructors(kind, monkeypatch):
    monkeypatch.setattr(config, "floatX", "float32")
    for letter, dtype in [("", "float32"), *LETTERS.items()]:
        x = getattr(T, letter + kind)("name")
        assert x.name == "name" and x.dtype == dtype and x.ndim == RANKS[kind]
        assert x.broadcastable == {"row": (True, False), "col": (False, True)}.get(
            kind, (False,) * RANKS[kind]
        )
    assert getattr(T, kind)("x", dtype="int16").dtype == "int16"
    assert getattr(T, kind)().name is None


def test_plural_constructors():
    assert [v.name for v in T.dscalars("a", "b")] == ["a", "b"]
    assert [v.name for v in T.dscalars("abc")] == ["a", "b", "c"]
    assert [v.name for v in T.fmatrices("x y z")] == ["x", "y", "z"]
    assert len(T.ivectors(3)) == 3
    a, b = T.matrices("a", "b")
    assert a.type == b.type and a is not b
    (only,) = T.dscalars(1) if isinstance(T.dscalars(1), list) else (T.dscalars(1),)
    assert only.ndim == 0


def test_tensor():
    assert T.tensor("float32", (None, 3)).type.shape == (None, 3)
    assert T.tensor("float32", [False, True], name="x").broadcastable == (False, True)
    assert T.tensor("int8", broadcastable=(False,)).ndim == 1
    assert T.tensor("x", shape=(2,)).name == "x"
    with pytest.raises(TypeError, match="shape"):
        T.tensor("float32")


# -- constants ---------------------------------------------------------------------------


def test_constants():
    c = T.constant([[1, 2], [3, 4]], name="c")
    assert c.type.shape == (2, 2) and c.dtype == "int64" and c.name == "c"
    assert np.array_equal(c.value, [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="read-only"):
        c.data[0, 0] = 5
    assert T.constant(1.5, dtype="float32").dtype == "float32"
    assert T.constant(3, ndim=2).type.shape == (1, 1)
    with pytest.raises(ValueError, match="at most 1"):
        T.constant([[1]], ndim=1)
    with pytest.raises(TypeError, match="constant"):
        T.constant("text")
    with pytest.raises(TypeError, match="constant"):
        T.constant([object()])


def test_a_constant_keeps_its_value_when_the_array_changes():
    value = np.zeros(3)
    c = T.as_tensor_variable(value)
    value[0] = 1
    assert c.data[0] == 0


def test_equal_constants_have_equal_signatures():
    assert T.constant([1.0, np.nan]).signature() == T.constant([1.0, np.nan]).signature()
    assert T.constant(0.0).signature() != T.constant(-0.0).signature()
    assert T.constant(1).signature() != T.constant(1.0).signature()
    assert T.constant([1]).signature() != T.constant([[1]]).signature()


def test_as_tensor_variable():
    x = T.dvector("x")
    assert T.as_tensor_variable(x) is x and T.as_tensor_variable(x, ndim=1) is x
    assert T.as_tensor_variable(x, ndim=3).type.shape == (1, 1, None)
    with pytest.raises(ValueError, match="at most 0"):
        T.as_tensor_variable(x, ndim=0)
    assert T.as_tensor_variable(np.float32(2)).dtype == "float32"
    assert T.as_tensor_variable(np.int64(2)).dtype == "int64"
    assert T.as_tensor_variable(True).dtype == "bool"
    assert T.as_tensor_variable([]).type.shape == (0,)
    for bad in (None, "a", {}, object()):
        with pytest.raises(TypeError):
            T.as_tensor_variable(bad)


def test_negative_zero_is_not_zero():
    assert np.signbit(T.as_tensor_variable(-0.0).data)
    assert not np.signbit(T.as_tensor_variable(0.0).data)


# -- variables ---------------------------------------------------------------------------


def test_variables_can_be_kept_in_dicts():
    x, y = T.dscalars("x", "y")
    table = {x: 1, y: 2}
    assert table[x] == 1 and x != y and x == x and x in [y, x]


def test_variables_remember_who_made_them():
    x = T.dvector("x")
    y = x + 1
    assert "test_types.py" in str(y.made_at[0]) and "test_variables_remember" in str(y.made_at[0])
    with pytest.raises(ValueError, match=r"(?s)test_types\.py"):
        T.TensorType("float64", (2,))("a") + T.TensorType("float64", (3,))("b")


def test_copies_and_clones():
    x = T.dvector("x")
    y = x.copy(name="y")
    assert y.name == "y" and y.owner.inputs == [x]
    z = x.clone()
    assert z is not x and z.type == x.type and z.owner is None
    assert T.constant(3).clone().data == 3


def test_an_op_of_ones_own():
    class Double(Op):
        __props__ = ()

        def make_node(self, x):
            x = T.as_tensor_variable(x)
            return Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = inputs[0] * 2

        def grad(self, inputs, gradients):
            return [gradients[0] * 2]

    from helpers import compute

    x = T.dvector("x")
    y = Double()(x, name="y")
    assert y.name == "y" and Double() == Double() and hash(Double()) == hash(Double())
    assert compute(y + 1, {x: [1.0, 2]}).tolist() == [3, 5]
    from croton.gradient import grad

    assert compute(grad(y.sum(), x), {x: [1.0, 2]}).tolist() == [2, 2]


def test_ops_are_told_apart_by_their_props():
    class Power(Op):
        __props__ = ("exponent",)

        def __init__(self, exponent):
            self.exponent = exponent

    class Own(Op):
        pass

    assert Power(2) == Power(2) != Power(3) and hash(Power(2)) == hash(Power(2))
    assert str(Power(2)) == "Power{exponent=2}"
    own = Own()
    assert own == own and own != Own()
    assert len({Power(2), Power(2), Power(3)}) == 2


def test_typed_ops():
    class Add(Op):
        __props__ = ()
        itypes = [TensorType("float64", ()), TensorType("float64", ())]  # noqa: RUF012
        otypes = [TensorType("float64", ())]  # noqa: RUF012

    x, y = T.dscalars("x", "y")
    assert Add()(x, y).type == x.type
    with pytest.raises(ValueError, match="takes 2 inputs, got 1"):
        Add()(x)
    with pytest.raises(TypeError, match="expected a variable"):
        Add()(x, T.fscalar("z"))


def test_order_of_a_graph():
    x = T.dscalar("x")
    y = x
    for _ in range(3000):
        y = y * x + 1
    nodes = toposort([y])
    assert len(nodes) == 6000
    place = {n: k for k, n in enumerate(nodes)}
    assert all(v.owner is None or place[v.owner] < place[n] for n in nodes for v in n.inputs)


def test_names_are_strings():
    for make in (T.dmatrix, T.scalar, lambda name: T.dscalars("a", name), T.dvector().type):
        with pytest.raises(TypeError, match="name of a variable is a string, got 3"):
            make(3)


def test_what_looks_like_a_dtype_is_no_name():
    assert T.tensor("x", shape=(None,)).name == "x"
    assert T.tensor("float32", (None,)).dtype == "float32"
    assert T.tensor("int", ()).dtype == "int64"
    for wrong in ("float31", "complex64", "uint128"):
        with pytest.raises(TypeError, match=wrong):
            T.tensor(wrong, (None,))


def test_numpy_scalars_keep_their_dtype():
    x = T.fvector("x")
    assert (x * 2.0).dtype == (x * np.float32(2)).dtype == (x * np.float16(0.1)).dtype == "float32"
    assert (x * np.float64(2)).dtype == (np.float64(2) * x).dtype == "float64"
    with config.change_flags(floatX="float32"):
        assert (x * 0.1).dtype == "float32"
        assert (x * np.float64(0.1)).dtype == "float64"


def test_a_range_of_float32():
    s = T.fscalar("s")
    assert T.arange(s).dtype == T.arange(0.5, s).dtype == T.arange(0, s, 0.5).dtype == "float32"
    assert T.arange(0.0, 1.0, 0.25).dtype == config.floatX
    assert T.arange(np.float32(3)).dtype == "float32"
    assert T.arange(T.lscalar("n"), 5.5).dtype == "float64"


def test_sums_and_products_of_many():
    x, y, z = T.dvectors("x", "y", "z")
    given = {x: [1.0, 2.0], y: [3.0, 4.0], z: [5.0, 6.0]}
    assert T.add(x, y, z, 1).eval(given).tolist() == [10, 13]
    assert T.mul(x, y, z).eval(given).tolist() == [15, 48]
    with pytest.raises(TypeError, match="takes 2 arguments, got 3"):
        T.sub(x, y, z)


def test_expressions_cannot_be_written_to():
    x = T.dvector("x")
    with pytest.raises(TypeError, match="set_subtensor"):
        x[0] = 1


def test_integers_of_more_than_64_bits():
    with pytest.raises(OverflowError, match="64 bits"):
        T.dvector("x") + 2**64
    with pytest.raises(OverflowError, match="64 bits"):
        T.dvector("x") + -(2**63) - 1 - 2**65


def test_a_shape_that_is_none():
    with pytest.raises(TypeError, match=r"tuple of dimensions.* got 3"):
        TensorType("float32", 3)
