"""The interpreter against NumPy, and its watch over bounds."""

import math
from fractions import Fraction

import numpy as np
import pytest

from croton.kernel import build as b
from croton.kernel.interpret import convert, interpret
from croton.kernel.nodes import Allocate, Buffer, For, Function, KernelError, Load, Op, Store, Var
from croton.kernel.ops import FUNCTIONS, OPS

A, C = Buffer("a", "float32"), Buffer("c", "float32")
N, ROW = Var("n"), Var("row")


def evaluate(value, **buffers):
    """What ``value`` is, in every lane."""
    out = Buffer("out", value.dtype)
    known = tuple(Buffer(name, str(array.dtype)) for name, array in buffers.items())
    function = Function("f", (*known, out), (), (Store(out, b.index(0), value),))
    memory = np.zeros(value.lanes, value.dtype)
    interpret(function, {**buffers, "out": memory})
    return memory if value.lanes > 1 else memory[0]


@pytest.mark.parametrize("index, lanes", [(5, 1), (-1, 1), (3, 4)])
def test_bounds_are_checked(index, lanes):
    a, c = np.zeros(5, np.float32), np.zeros(5, np.float32)
    good = Load(A, b.index(0), lanes)
    bad = Load(A, b.index(index), lanes)
    for store in (Store(C, b.index(0), bad), Store(C, b.index(index), good)):
        with pytest.raises(KernelError, match=r"touches [ac]\[.*\] of 5, in `c\["):
            interpret(Function("f", (A, C), (), (store,)), {"a": a, "c": c})


def test_masked_lanes_touch_nothing():
    mask = b.op("lt", b.ramp(b.index(0), 4), b.const(2, "int64", 4))
    store = Store(
        C, b.index(3), b.add(Load(A, b.index(3), 4, mask), b.const(1, "float32", 4)), mask
    )
    a, c = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    interpret(Function("f", (A, C), (), (store,)), {"a": a, "c": c})
    assert c.tolist() == [0, 0, 0, 4, 5]


def test_buffers_have_their_type():
    with pytest.raises(KernelError, match="'a' holds float64, not float32"):
        interpret(Function("f", (A,), (), ()), {"a": np.zeros(3)})


def test_scratch_is_bounded():
    part = Buffer("part", "float64")
    loop = For(ROW, b.index(0), N, (Store(part, ROW, b.const(1.0, "float64")),))
    function = Function("f", (), (N,), (Allocate(part, b.index(64)), loop))
    interpret(function, {}, {"n": 8}, scratch=128)
    with pytest.raises(KernelError, match=r"part\[8\] of 8"):
        interpret(function, {}, {"n": 9}, scratch=128)


def test_integers_wrap_and_divide_by_nothing():
    low = b.const(-(2**31), "int32")
    for name, x, y, wanted in [
        ("add", low, -1, 2**31 - 1),
        ("mul", low, 3, -(2**31)),
        ("floordiv", low, -1, -(2**31)),
        ("mod", low, -1, 0),
        ("floordiv", low, 0, 0),
        ("mod", low, 0, 0),
        ("floordiv", b.const(-7, "int32"), 2, -4),
        ("mod", b.const(-7, "int32"), 2, 1),
        ("mod", b.const(7, "int32"), -2, -1),
    ]:
        value = Op(name, (x, b.const(y, "int32")), "int32")
        assert evaluate(value) == wanted
        assert evaluate(b.op(name, x, b.const(y, "int32"))) == wanted


def test_casts_saturate():
    values = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 2.9, -2.9, -0.5, 300.0])
    for dtype, wanted in [
        ("int32", [0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 2, -2, 0, 300]),
        ("uint8", [0, 255, 0, 255, 0, 2, 0, 0, 255]),
        ("int64", [0, 2**63 - 1, -(2**63), 3 * 10**9, -3 * 10**9, 2, -2, 0, 300]),
        ("bool", [1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ]:
        assert convert(values, dtype).tolist() == wanted
    assert evaluate(b.cast(b.const(True, "bool", 4), "float32")).tolist() == [1.0] * 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_multiply_add_rounds_once(dtype):
    rng = np.random.default_rng(0)
    size = 300
    a, c = (rng.normal(size=size).astype(dtype) for _ in range(2))
    # Where the product nearly cancels the sum a second rounding would show.
    d = np.where(rng.random(size) < 0.5, -a * c, rng.normal(size=size) * 1e-8).astype(dtype)
    have = OPS["fma"].evaluate(a, c, d)
    exact = [
        Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        for x, y, z in zip(a, c, d, strict=True)
    ]
    if dtype == "float64":
        assert have.tolist() == [float(e) for e in exact]
    else:
        for got, want in zip(have, exact, strict=True):
            error = abs(Fraction(float(got)) - want)
            for other in (
                np.nextafter(got, np.float32(np.inf)),
                np.nextafter(got, -np.float32(np.inf)),
            ):
                assert error <= abs(Fraction(float(other)) - want)


def test_extremes_pass_nan_on():
    values = [1.0, math.nan, -math.inf]
    for x in values:
        for y in values:
            for name, numpy in (("maximum", np.maximum), ("minimum", np.minimum)):
                value = b.op(name, b.const(x, "float64"), b.const(y, "float64"))
                np.testing.assert_equal(evaluate(value), numpy(x, y))


def test_lanes():
    v = np.arange(8, dtype=np.float32)
    load = Load(Buffer("v", "float32"), b.index(0), 8)
    assert evaluate(b.shuffle(load, load, (7, 0, 9, 2)), v=v).tolist() == [7, 0, 1, 2]
    assert evaluate(b.extract(load, 3), v=v) == 3
    assert evaluate(b.broadcast(b.extract(load, 3), 4), v=v).tolist() == [3, 3, 3, 3]
    assert evaluate(b.ramp(b.const(2, "int32"), 4)).tolist() == [2, 3, 4, 5]
    for name, wanted in (("add", 28), ("mul", 0), ("max", 7), ("min", 0)):
        assert evaluate(b.reduce_lanes(name, load), v=v) == wanted


def test_every_operation_has_a_meaning():
    special = {"cast", "bitcast", "broadcast", "ramp", "shuffle", "extract"}
    assert all(info.evaluate is not None for name, info in OPS.items() if name not in special)
    assert set(OPS) >= FUNCTIONS
