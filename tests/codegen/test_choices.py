"""A further name for one of two buffers, and hints, in the interpreter and natively."""

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.nodes import (
    Assign,
    Buffer,
    Choose,
    For,
    Function,
    KernelError,
    Let,
    Load,
    Local,
    Prefetch,
    Store,
    Var,
)
from croton.kernel.text import text
from croton.kernel.verify import verify

A, B, C = Buffer("a", "float32"), Buffer("b", "float32"), Buffer("c", "float32")
X, N, J = Buffer("x", "float32"), Var("n"), Var("j")
ZERO, ONE = b.index(0), b.index(1)


def both(native, function, buffers, n):
    """Run ``function`` in the interpreter and natively; the buffers must agree."""
    want = {k: v.copy() for k, v in buffers.items()}
    interpret(function, want, {"n": n})
    native.run(function, buffers, {"n": n})
    for name, value in want.items():
        assert buffers[name].tolist() == value.tolist()
    return buffers


@pytest.mark.parametrize("n", [0, 1])
def test_a_choice_reads_and_writes_what_it_stands_for(native, n):
    body = (
        Choose(X, b.op("ne", N, ZERO), A, B),
        Store(C, ZERO, Load(X, ONE)),
        Store(X, ZERO, b.const(5.0, "float32")),
    )
    buffers = {"a": np.arange(2, dtype="f4"), "b": np.arange(2, dtype="f4") * 10}
    buffers = both(
        native, Function("f", (A, B, C), (N,), body), buffers | {"c": np.zeros(1, "f4")}, n
    )
    assert buffers["c"][0] == (1 if n else 10)
    assert buffers["a" if n else "b"][0] == 5


@pytest.mark.parametrize("n", [0, 1])
def test_what_is_written_by_one_name_is_read_by_the_other(native, n):
    before, through, after = (Var(name, "float32") for name in ("before", "through", "after"))
    body = (
        Let(before, Load(A, ZERO)),
        Choose(X, b.op("ne", N, ZERO), A, B),
        Let(through, Load(X, ZERO)),
        Store(A, ZERO, b.const(7.0, "float32")),
        Let(after, Load(X, ZERO)),
        Store(X, ZERO, b.const(9.0, "float32")),
        Store(C, ZERO, b.add(before, b.add(through, b.mul(after, Load(A, ZERO))))),
    )
    buffers = {name: np.full(1, v, "f4") for name, v in (("a", 2), ("b", 3), ("c", 0))}
    both(native, Function("f", (A, B, C), (N,), body), buffers, n)


def test_a_choice_made_in_a_loop(native):
    total = Var("total", "float32")
    body = (
        Local(total, b.const(0.0, "float32")),
        For(
            J,
            ZERO,
            N,
            (
                Choose(X, b.op("eq", b.op("mod", J, b.index(2)), ZERO), A, B),
                Assign(total, b.add(total, Load(A, ZERO))),
                Store(X, ZERO, b.add(Load(X, ZERO), b.const(1.0, "float32"))),
            ),
        ),
        Store(C, ZERO, total),
    )
    buffers = {name: np.zeros(1, "f4") for name in "abc"}
    buffers = both(native, Function("f", (A, B, C), (N,), body), buffers, 5)
    assert [buffers[name][0] for name in "abc"] == [3, 2, 0 + 1 + 1 + 2 + 2]


def test_a_variable_of_a_branch_is_its_own(native):
    total = Var("total", "float32")
    local = (Local(total, Load(A, J)), Assign(total, b.add(total, total)), Store(C, J, total))
    body = (For(J, ZERO, N, local), For(Var("k"), ZERO, N, (For(J, ZERO, N, local),)))
    buffers = {"a": np.arange(3, dtype="f4"), "c": np.zeros(3, "f4")}
    both(native, Function("f", (A, C), (N,), body), buffers, 3)


def test_the_text_of_a_choice():
    function = Function("f", (A, B), (N,), (Choose(X, b.op("lt", N, ONE), A, B),))
    assert "float32 *x = n < 1 ? a : b;" in text(function)


def test_a_choice_between_types_is_none():
    other = Buffer("b", "float64")
    with pytest.raises(KernelError, match="different types"):
        verify(Function("f", (A, other), (N,), (Choose(X, b.op("lt", N, ONE), A, other),)))
    with pytest.raises(KernelError, match="not bound"):
        verify(Function("f", (A,), (N,), (Choose(X, b.op("lt", N, ONE), A, B),)))


@pytest.mark.parametrize(("level", "hint"), [(1, "i32 3"), (2, "i32 2")])
def test_prefetches_name_a_cache(level, hint):
    function = Function("f", (A,), (), (Prefetch(A, ZERO, level=level),))
    verify(function)
    assert f"prefetch.p0(ptr %a, i32 0, {hint}, i32 1)" in llvm.render([function], cpu.host())
