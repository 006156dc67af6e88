"""Kernels as text, in lanes and as LLVM IR, kept in files to be read and compared.

After a change that is meant, ``CROTON_UPDATE_GOLDEN=1 pytest tests/golden`` writes
them anew; the difference is then part of the change.
"""

import os
from pathlib import Path

import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.codegen.targets.nvptx import NvptxTarget
from croton.kernel import build as b
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Best,
    Buffer,
    Fail,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Prefetch,
    Store,
    Var,
)
from croton.kernel.text import text
from croton.kernel.vectorise import vectorise
from croton.kernel.verify import verify

FILES = Path(__file__).parent / "kernels"
A, B, C = Buffer("a", "float32"), Buffer("b", "float32"), Buffer("c", "float32")
N, ROW, COL, K = Var("n"), Var("row"), Var("col"), Var("k")
ZERO = b.index(0)


def place(column=COL):
    return b.add(b.mul(ROW, N), column)


def rows(*body):
    return For(ROW, Var("lo"), Var("hi"), body, "parallel")


def columns(*body, start=ZERO, stop=N):
    return For(COL, start, stop, body, "vector")


def axpy():
    value = b.add(b.mul(Load(A, COL), Load(B, ZERO)), Load(C, COL))
    return Function("axpy", (A, B, C), (N,), (columns(Store(C, COL, value)),), True)


def row_sums():
    total = Var("total", "float32")
    loop = columns(Assign(total, b.add(total, Load(A, place()))))
    body = (Local(total, b.const(0.0, "float32")), loop, Store(C, ROW, total))
    return Function("row_sums", (A, C), (N,), (rows(*body),))


def argmax():
    top, at, where = Var("top", "float64"), Var("at"), Buffer("where", "int64")
    a = Buffer("a", "float64")
    loop = columns(Best(top, at, Load(a, COL), COL), stop=b.index(16))
    start = Local(top, b.const(float("-inf"), "float64"))
    body = (start, Local(at, ZERO), loop, Store(where, ZERO, at))
    return Function("argmax", (a, where), (), body)


def take():
    at, found = Buffer("at", "int64"), Var("found")
    wrong = b.op("or", b.op("lt", found, ZERO), b.op("ge", found, N))
    body = (
        Let(found, Load(at, COL)),
        If(wrong, (Fail(5, (COL, found)),)),
        Store(C, COL, Load(A, found)),
    )
    return Function("take", (at, A, C), (N,), (columns(*body),))


def masked():
    q = Buffer("q", "bool")
    x = Var("x", "float32")
    positive = b.op("gt", x, b.const(0.0, "float32"))
    body = (
        Let(x, Load(A, b.sub(N, COL))),
        If(positive, (Store(C, COL, x),), (Store(C, COL, Load(B, b.mul(COL, b.index(2)))),)),
        Store(q, COL, positive),
    )
    return Function("masked", (A, B, C, q), (N,), (columns(*body),))


def blocks():
    part = Buffer("part", "float32")
    fill = For(K, ZERO, b.index(3), (Store(part, K, Load(A, b.add(place(ZERO), K))),), "unroll")
    scale = b.cast(b.op("mod", ROW, N), "float32")
    use = columns(Store(C, place(), b.mul(Load(part, ZERO), scale)))
    body = (Allocate(part, b.index(64)), Prefetch(A, place(ZERO)), fill, use)
    return Function("blocks", (A, C), (N,), (rows(*body),))


KERNELS = [axpy, row_sums, argmax, take, masked, blocks]


def compare(name, have):
    path = FILES / name
    if os.environ.get("CROTON_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(have)
    want = path.read_text() if path.exists() else ""
    assert have == want, f"{path.name} differs; see this file's head if that is meant"


@pytest.mark.parametrize("make", KERNELS, ids=lambda make: make.__name__)
def test_text(make):
    function = make()
    verify(function)
    report = []
    lanes = vectorise(function, cpu.named("x86-64-v4").machine, report=report)
    verify(lanes)
    notes = "".join(f"/* {line} */\n" for line in report)
    compare(f"{function.name}.txt", f"{text(function)}\n{notes}{text(lanes)}")


@pytest.mark.parametrize("make", KERNELS, ids=lambda make: make.__name__)
def test_llvm(make):
    target = cpu.named("x86-64-v4", "x86_64-unknown-linux-gnu")
    function = vectorise(make(), target.machine)
    compare(f"{function.name}.ll", llvm.render([function], target))


def test_llvm_for_a_gpu():
    compare("row_sums.nvptx.ll", llvm.render([row_sums()], NvptxTarget("sm_80")))


def test_every_file_has_a_kernel():
    names = {f"{make.__name__}.{kind}" for make in KERNELS for kind in ("txt", "ll")}
    assert {path.name for path in FILES.iterdir()} == names | {"row_sums.nvptx.ll"}
