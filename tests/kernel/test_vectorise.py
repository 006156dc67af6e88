"""What the vectoriser makes of loops, and that it means the same."""

import numpy as np
import pytest

from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.machine import Machine
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Barrier,
    Buffer,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Store,
    Var,
    While,
    walk_statements,
)
from croton.kernel.text import text
from croton.kernel.vectorise import vectorise
from croton.kernel.verify import verify

WIDE = Machine("wide", 64, 32, 1 << 15, 1 << 20, 1 << 23)
A, B, C = Buffer("a", "float32"), Buffer("b", "float32"), Buffer("c", "float32")
N, M, COL = Var("n"), Var("m"), Var("col")
ZERO = b.index(0)


def loop(*body, stop=N, start=ZERO):
    return For(COL, start, stop, body, "vector")


def lanes(*body, buffers=(A, B, C), sizes=(N, M), machine=WIDE, **options):
    """The kernel in lanes, its text, and what the vectoriser reports."""
    function = Function("f", buffers, sizes, body)
    verify(function)
    report = []
    result = vectorise(function, machine, report=report, **options)
    verify(result)
    return result, text(result), report


def agree(function, result, sizes, **buffers):
    """Both forms of a kernel do the same to ``buffers``."""
    want = {k: v.copy() for k, v in buffers.items()}
    have = {k: v.copy() for k, v in buffers.items()}
    assert interpret(function, want, sizes) == interpret(result, have, sizes)
    for name in want:
        np.testing.assert_array_equal(have[name], want[name])


@pytest.mark.parametrize(
    "types, width",
    [
        (("float32", "float32"), 16),
        (("float64", "float64"), 8),
        (("float32", "float64"), 16),
        (("float16", "float32"), 16),
        (("float16", "float16"), 32),
        (("int8", "float32"), 16),
        (("int64", "float32"), 16),
        (("uint8", "int32"), 16),
        (("uint8", "uint8"), 64),
        (("bool", "bool"), 64),
        (("int64", "int64"), 8),
        (("int16", "int8"), 32),
    ],
)
def test_width_follows_the_types(types, width):
    source, target = (Buffer(name, dtype) for name, dtype in zip("st", types, strict=True))
    value = b.cast(Load(source, COL), target.dtype)
    for interleave in (1, 2):
        _, shown, _ = lanes(
            loop(Store(target, COL, value)), buffers=(source, target), interleave=interleave
        )
        assert f"t[col:+{width * interleave}] =" in shown


def test_constant_bounds_need_no_tail():
    for stop, stores, width in ((64, 1, 32), (70, 2, 32), (8, 1, 8), (5, 1, 8), (1, 1, 1)):
        function, shown, _ = lanes(loop(Store(C, COL, Load(A, COL)), stop=b.index(stop)))
        found = [s for s in walk_statements(function.body) if isinstance(s, Store)]
        assert len(found) == stores
        assert found[0].value.lanes == width
        assert ("if rest" in shown) == (stop % width != 0)
    function, shown, _ = lanes(loop(Store(C, COL, Load(A, COL)), stop=ZERO))
    assert function.body == ()


def test_indices():
    row = Var("row")
    base = b.mul(M, b.index(3))
    _, shown, _ = lanes(
        Let(row, M),
        loop(
            Let(Var("left"), b.add(b.mul(row, N), COL)),
            Store(C, b.add(base, COL), Load(A, Var("left"))),
            Store(C, b.sub(N, COL), Load(A, b.add(Var("left"), COL))),
            Store(B, COL, Load(A, b.mul(COL, M))),
        ),
    )
    assert "left = fixed" in shown.replace("const int64 ", "")
    assert "a[left:+32]" in shown
    assert "a[all16(left + col) + ramp16(0) * 2 if rest]" in shown
    assert "shuffle(a[left + col:+32], [0, 2, 4" in shown
    assert "a[left + col + 31:+32]" in shown
    assert "shuffle(a[" in shown
    assert "c[n - col - 31:+32]" in shown
    assert "ramp32(0) * all32(m)" in shown


def test_what_does_not_change_stands_before_the_loop():
    function, shown, _ = lanes(
        loop(
            Let(Var("scale", "float32"), b.op("sqrt", Load(B, M))),
            Store(C, COL, b.mul(Load(A, COL), b.add(Var("scale", "float32"), Load(B, ZERO)))),
        )
    )
    head = shown[: shown.index("for (")]
    assert "sqrt(b[m])" in head
    assert "scale + b[0]" in head
    assert "b[" not in shown[len(head) :]
    # An empty loop must not read it.
    interpret(function, {n: np.zeros(0, np.float32) for n in "abc"}, {"n": 0, "m": 0})


def test_what_is_stored_in_the_loop_is_loaded_in_the_loop():
    _, shown, _ = lanes(loop(Store(C, b.add(COL, b.index(1)), Load(C, ZERO))))
    assert "c[0]" in shown[shown.index("for (") :]


def test_conditional_loads_stay_conditional():
    inside = b.op("lt", M, N)
    body = If(inside, (Store(C, COL, Load(B, M)),))
    function, _, _ = lanes(loop(body))
    buffers = {"a": np.zeros(0, np.float32), "b": np.ones(2, np.float32)}
    interpret(function, {**buffers, "c": np.zeros(40, np.float32)}, {"n": 3, "m": 9})


@pytest.mark.parametrize("family", ["add", "mul", "maximum", "minimum"])
def test_accumulators(family):
    total = Var("total", "int32")
    a = Buffer("a", "int32")
    start = {"add": 5, "mul": 3, "maximum": -7, "minimum": 7}[family]
    body = (
        Local(total, b.const(start, "int32")),
        loop(Assign(total, b.op(family, Load(a, COL), total))),
        Store(a, ZERO, total),
    )
    function = Function("f", (a,), (N,), body)
    for interleave in (1, 2):
        result = vectorise(function, WIDE, interleave=interleave)
        verify(result)
        for n in [*range(0, 140, 7), 31, 32, 33, 64, 65]:
            values = np.random.default_rng(n).integers(-9, 9, max(n, 1)).astype(np.int32)
            agree(function, result, {"n": n}, a=values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 100, 5000, 70000])
def test_sums_are_at_least_as_exact_as_pairwise_ones(dtype, n):
    total = Var("total", dtype)
    a, out = Buffer("a", dtype), Buffer("out", dtype)
    body = (
        Local(total, b.const(0.0, dtype)),
        loop(Assign(total, b.add(total, Load(a, COL)))),
        Store(out, ZERO, total),
    )
    narrow = Machine("narrow", 16, 32, 1 << 15, 1 << 20, 1 << 23)
    result = vectorise(Function("f", (a, out), (N,), body), narrow, interleave=1)
    values = np.random.default_rng(n).random(n).astype(dtype)
    exact = values.astype(np.longdouble).sum()
    have = {"a": values, "out": np.zeros(1, dtype)}
    interpret(result, have, {"n": n})
    unit = np.spacing(np.dtype(dtype).type(exact))
    ours, numpys = (abs(np.longdouble(x) - exact) / unit for x in (have["out"][0], values.sum()))
    assert ours <= max(numpys, 2)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 1500, 2999])
def test_sums_of_what_is_not_finite(special, place):
    total = Var("total", "float32")
    out = Buffer("out", "float32")
    body = (
        Local(total, b.const(0.0, "float32")),
        loop(Assign(total, b.add(total, Load(A, COL)))),
        Store(out, ZERO, total),
    )
    machine = Machine("narrow", 16, 32, 1 << 15, 1 << 20, 1 << 23)
    result = vectorise(Function("f", (A, out), (N,), body), machine)
    values = np.ones(3000, np.float32)
    values[place] = special
    have = {"a": values, "out": np.zeros(1, np.float32)}
    interpret(result, have, {"n": 3000})
    np.testing.assert_equal(have["out"][0], special)


def test_minus_zero_is_the_sum_of_minus_zeros():
    total = Var("total", "float32")
    body = (
        Local(total, b.const(-0.0, "float32")),
        loop(Assign(total, b.add(total, Load(A, COL)))),
        Store(C, ZERO, total),
    )
    result, _, _ = lanes(*body)
    for n in (0, 3, 64, 3000):
        have = {k: np.full(max(n, 1), -0.0, np.float32) for k in "abc"}
        interpret(result, have, {"n": n, "m": 0})
        assert np.signbit(have["c"][0])


@pytest.mark.parametrize("step", [2, 3, 4, 5, -2])
def test_strides(step):
    where = b.add(b.mul(COL, b.index(step)), M)
    body = loop(Store(C, COL, Load(A, where)))
    function = Function("f", (A, C), (N, M), (body,))
    result = vectorise(function, WIDE)
    verify(result)
    for n in (3, 32, 50, 64):
        size = abs(step) * (n - 1) + 1
        data = {"a": np.arange(size, dtype=np.float32), "c": np.zeros(n, np.float32)}
        agree(function, result, {"n": n, "m": 0 if step > 0 else size - 1}, **data)


def test_inner_loops_run_in_every_lane():
    k, total = Var("k"), Var("total", "float32")
    inner = For(k, ZERO, M, (Assign(total, b.add(total, Load(A, b.add(b.mul(k, N), COL)))),))
    body = loop(Local(total, b.const(0.0, "float32")), inner, Store(C, COL, total))
    result, shown, report = lanes(body)
    assert not report
    assert "float32x32 total = 0;" in shown
    function = Function("f", (A, B, C), (N, M), (body,))
    for n in (1, 20, 45):
        data = {"a": np.random.default_rng(n).random(n * 3).astype(np.float32)}
        agree(
            function,
            result,
            {"n": n, "m": 3},
            b=np.zeros(0, np.float32),
            c=np.zeros(n, np.float32),
            **data,
        )


REFUSED = {
    "depends on earlier iterations": (
        Local(Var("x", "float32"), b.const(1.0, "float32")),
        loop(Assign(Var("x", "float32"), Load(A, COL))),
    ),
    "is read before the loop is over": (
        Local(Var("x", "float32"), b.const(1.0, "float32")),
        loop(
            Assign(Var("x", "float32"), b.add(Var("x", "float32"), Load(A, COL))),
            Store(C, COL, Var("x", "float32")),
        ),
    ),
    "differ between lanes": (loop(For(Var("k"), ZERO, COL, (Store(C, COL, Load(A, Var("k"))),))),),
    "a While cannot run in lanes": (
        loop(While(b.op("lt", M, ZERO), ()), Store(C, COL, Load(A, COL))),
    ),
    "a Barrier cannot run in lanes": (loop(Barrier(), Store(C, COL, Load(A, COL))),),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_loops_that_stay_serial(reason):
    body = REFUSED[reason]
    result, shown, report = lanes(*body)
    assert len(report) == 1
    assert reason in report[0]
    assert "vector" not in shown
    function = Function("f", (A, B, C), (N, M), body)
    data = {k: np.random.default_rng(1).random(40).astype(np.float32) for k in "abc"}
    agree(function, result, {"n": 20, "m": 2}, **data)


def test_an_inner_vector_loop_is_tried_when_the_outer_one_fails():
    x = Var("x", "float32")
    inner = For(Var("k"), ZERO, M, (Store(C, Var("k"), Load(A, Var("k"))),), "vector")
    _, shown, report = lanes(
        Local(x, b.const(1.0, "float32")),
        loop(inner, Assign(x, Load(A, COL)), Store(B, COL, x)),
    )
    assert "serial" in report[0]
    assert "c[k:+32]" in shown


def test_branches_with_the_same_names():
    y = Var("y", "float32")
    positive = b.op("gt", Load(A, COL), b.const(0.0, "float32"))
    body = loop(
        If(
            positive,
            (Let(y, b.mul(Load(A, COL), Load(B, M))), Store(C, COL, y)),
            (Let(y, Load(B, COL)), Store(C, COL, y)),
        ),
        For(Var("k"), ZERO, b.index(2), (Let(Var("z", "float32"), Load(B, ZERO)),)),
        For(Var("k"), ZERO, b.index(2), (Let(Var("z", "float32"), Load(B, M)),)),
    )
    bodies = body, loop(Let(y, Load(B, M)), Store(C, COL, b.add(y, Load(C, COL))))
    result, _, report = lanes(*bodies)
    assert not report
    function = Function("f", (A, B, C), (N, M), bodies)
    rng = np.random.default_rng(2)
    data = {k: rng.normal(size=50).astype(np.float32) for k in "abc"}
    agree(function, result, {"n": 41, "m": 2}, **data)


def test_functions_spare_the_registers():
    narrow = Machine("narrow", 32, 16, 1 << 15, 1 << 20, 1 << 23)
    for name, width in (("exp", 8), ("sqrt", 16)):
        _, shown, _ = lanes(loop(Store(C, COL, b.op(name, Load(A, COL)))), machine=narrow)
        assert f"c[col:+{width}]" in shown


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("kept", "start"), [("float32", 0), ("float64", 0), ("float32", 1)])
def test_the_last_line_of_padded_scratch_is_written_whole(kept, start, padded):
    row = Buffer("row", kept, 64)
    value = b.cast(Load(A, COL), kept)
    # Beside a place that is no multiple of a vector there may be something else.
    whole = padded and kept == "float32" and start == 0
    body = (
        Allocate(row, b.index(64), padded),
        loop(Store(row, b.add(COL, b.index(start)), value)),
        loop(Store(C, COL, b.cast(Load(row, b.add(COL, b.index(start))), "float32"))),
    )
    result, shown, _ = lanes(*body)
    place = "col" if start == 0 else "col + 1"
    targets = [s.split(" = ")[0] for s in shown.splitlines()]
    (target,) = [s for s in targets if f"row[{place}:+16" in s]
    assert ("rest" in target) != whole
    function = Function("f", (A, B, C), (N, M), body)
    data = {k: np.arange(50, dtype=np.float32) for k in "abc"}
    agree(function, result, {"n": 41, "m": 2}, **data)
