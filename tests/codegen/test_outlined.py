"""Parts of buffers and bodies that are functions of their own, interpreted and native."""

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.codegen.targets.nvptx import NvptxTarget
from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.machine import Machine
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Barrier,
    Buffer,
    Call,
    Choose,
    Fail,
    For,
    Function,
    KernelError,
    Let,
    Load,
    Local,
    Outlined,
    Part,
    Prefetch,
    Store,
    Var,
)
from croton.kernel.text import text
from croton.kernel.vectorise import vectorise
from croton.kernel.verify import verify

A, B, C = Buffer("a", "float32"), Buffer("b", "float32"), Buffer("c", "float32")
X, Y = Buffer("x", "float32"), Buffer("y", "float32")
N, ROW, J = Var("n"), Var("i"), Var("j")
ZERO, ONE = b.index(0), b.index(1)
TOTAL = Var("total", "float32")
NIL = b.const(0.0, "float32")


def both(native, body, buffers, n):
    """Run a kernel in the interpreter and natively; the buffers must agree."""
    function = Function("f", (A, B, C), (N,), body)
    verify(function)
    want = {k: v.copy() for k, v in buffers.items()}
    interpret(function, want, {"n": n})
    native.run(function, buffers, {"n": n})
    for name, value in want.items():
        assert buffers[name].tolist() == value.tolist()
    return buffers


def some():
    rng = np.random.default_rng(0)
    return {name: rng.integers(-9, 9, 64).astype("f4") for name in "abc"}


def sums(target=C, start=ROW):
    """``target[i]`` becomes the sum of ``a[start:n]`` times ``b``'s first element."""
    step = Assign(TOTAL, b.add(TOTAL, b.mul(Load(A, J), Load(B, ZERO))))
    return (Local(TOTAL, NIL), For(J, start, N, (step,)), Store(target, ROW, TOTAL))


@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_a_part_begins_where_it_says(native, n):
    body = (
        Part(X, A, b.mul(N, b.index(1))),
        Part(Y, X, ONE),
        Store(C, ZERO, Load(X, ZERO)),
        Store(C, ONE, Load(Y, b.index(2))),
        Store(Y, ZERO, Load(B, N)),
    )
    buffers = some()
    before = {k: v.copy() for k, v in buffers.items()}
    both(native, body, buffers, n)
    assert buffers["c"][0] == before["a"][n] and buffers["c"][1] == before["a"][n + 3]
    assert buffers["a"][n + 1] == before["b"][n]


def test_what_is_written_to_a_part_is_read_from_the_whole_and_back(native):
    before, after = Var("before", "float32"), Var("after", "float32")
    body = (
        Part(X, A, ONE),
        Let(before, Load(A, ONE)),
        Store(X, ZERO, b.add(before, b.const(1.0, "float32"))),
        Let(after, Load(A, ONE)),
        Store(A, ONE, b.mul(after, b.const(2.0, "float32"))),
        Store(C, ZERO, b.add(Load(X, ZERO), after)),
    )
    both(native, body, some(), 0)


def test_a_part_that_a_loop_writes_to_is_read_anew_behind_it(native):
    found = Var("found", "float32")
    body = (
        Let(found, Load(A, ONE)),
        For(J, ZERO, N, (Part(X, A, J), Store(X, ONE, b.add(Load(X, ONE), found)))),
        Store(C, ZERO, b.add(Load(A, ONE), found)),
    )
    both(native, body, some(), 3)


@pytest.mark.parametrize("n", [0, 1, 5, 33])
def test_an_outlined_body_does_what_it_does_in_its_place(native, n):
    body = (For(ROW, ZERO, b.index(9), (Outlined(sums()),)),)
    plain, apart = some(), some()
    both(native, (For(ROW, ZERO, b.index(9), sums()),), plain, n)
    both(native, body, apart, n)
    assert plain["c"].tolist() == apart["c"].tolist()


def test_it_takes_vectors_masks_conditions_and_literals_along(native):
    lanes = 8
    mask, scale = Var("mask", "bool", lanes), Var("scale", "float32", lanes)
    flag, two, local = Var("flag", "bool"), Var("two"), Var("local")
    value = b.mul(Load(A, two, lanes, mask), scale)
    inner = (
        Store(C, b.add(two, local), b.select(b.broadcast(flag, lanes), value, scale), mask),
        Prefetch(B, two),
    )
    body = (
        Let(mask, b.op("lt", b.ramp(ZERO, lanes), b.broadcast(N, lanes))),
        Let(scale, b.broadcast(Load(B, ONE), lanes)),
        Let(flag, b.op("gt", N, ONE)),
        Let(two, b.index(2)),
        Local(local, N),
        Assign(local, b.add(local, ONE)),
        Outlined(inner),
    )
    for n in (0, 1, 2, 5, 8):
        both(native, body, some(), n)


def test_what_it_stores_is_seen_behind_it(native):
    found = Var("found", "float32")
    choice = Choose(X, b.op("lt", N, ONE), A, B)
    body = (
        Let(found, b.add(Load(A, ZERO), Load(B, ZERO))),
        Outlined((choice, Store(X, ZERO, b.const(3.0, "float32")))),
        Store(C, ZERO, b.add(found, b.add(Load(A, ZERO), Load(B, ZERO)))),
    )
    for n in (0, 1):
        both(native, body, some(), n)


def test_equal_bodies_are_one_function():
    body = (
        For(ROW, ZERO, ONE, (Outlined(sums()),)),
        For(ROW, ONE, N, (Outlined(sums()),)),
        For(ROW, ONE, N, (Outlined(sums(A)),)),
    )
    rendered = llvm.render([Function("f", (A, B, C), (N,), body)], cpu.host())
    # The first loop runs once, so that its variable is a literal.
    assert rendered.count("define internal void @f.part") == 3
    body = (For(ROW, ONE, N, (Outlined(sums()),)), For(ROW, ONE, N, (Outlined(sums()),)))
    rendered = llvm.render([Function("f", (A, B, C), (N,), body)], cpu.host())
    assert rendered.count("define internal void @f.part") == 1


def test_on_a_gpu_it_stays_in_its_place():
    function = Function("f", (A, B, C), (N,), (For(ROW, ZERO, N, (Outlined(sums()),)),))
    assert ".part" not in llvm.render([function], NvptxTarget())


def test_a_vector_loop_in_it_runs_in_lanes(native):
    loop = For(J, ZERO, N, (Store(C, J, b.mul(Load(A, J), Load(B, J))),), "vector")
    function = Function("f", (A, B, C), (N,), (Outlined((loop,)),))
    wide = vectorise(function, Machine("some", 32, 16, 1 << 15, 1 << 19, 1 << 23))
    assert "c[j:+8 if rest]" in text(wide)
    both(native, wide.body, some(), 37)


@pytest.mark.parametrize(
    "statement",
    [
        Assign(TOTAL, NIL),
        Fail(3),
        Allocate(X, b.index(64)),
        Barrier(),
        Call(Buffer("callee", "int64"), ZERO, ONE, A),
    ],
)
def test_what_cannot_be_outlined(statement):
    body = (Local(TOTAL, NIL), Outlined((statement,)))
    with pytest.raises(KernelError, match=r"outlined|assigned"):
        verify(Function("f", (A, Buffer("callee", "int64")), (N,), body))


def test_a_part_has_the_dtype_of_its_buffer():
    other = Buffer("other", "int64")
    with pytest.raises(KernelError, match="another type"):
        verify(Function("f", (A,), (N,), (Part(other, A, N),)))
    with pytest.raises(KernelError, match="not bound"):
        verify(Function("f", (A,), (N,), (Part(X, B, N),)))


def test_they_read_like_what_they_are():
    shown = text(Function("f", (A, B, C), (N,), (Part(X, A, N), Outlined((Store(X, N, NIL),)))))
    assert "float32 *x = a + n;" in shown
    assert "outlined {\n        x[n] = 0;\n    }" in shown
