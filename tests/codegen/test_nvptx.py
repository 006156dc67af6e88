"""PTX for NVIDIA GPUs, judged by its text and, where it is installed, by ptxas."""

import shutil
import subprocess

import pytest

from croton.codegen import llvm
from croton.codegen.targets.nvptx import NvptxTarget
from croton.kernel import build as b
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Barrier,
    Best,
    Buffer,
    Call,
    Fail,
    For,
    Function,
    If,
    KernelError,
    Let,
    Load,
    Local,
    Prefetch,
    Store,
    Var,
)
from croton.kernel.verify import verify

N, ROW, COL = Var("n"), Var("row"), Var("col")


@pytest.fixture(scope="module")
def target():
    return NvptxTarget("sm_80")


def ptx(target, function, tmp_path):
    """The PTX of ``function``, which the assembler accepts if there is one."""
    verify(function)
    text = target.compile(llvm.render([function], target)).decode()
    assembler = shutil.which("ptxas")
    if assembler:
        source = tmp_path / "kernel.ptx"
        source.write_text(text)
        command = [assembler, f"-arch={target.capability}", "-o", "/dev/null", str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr + text
    return text


def rows(*body, before=()):
    """``body`` for each column of each row."""
    inner = For(COL, b.index(0), N, body, "vector")
    return For(ROW, Var("lo"), Var("hi"), (*before, inner), "parallel")


def place(buffer, column=COL):
    return Load(buffer, b.add(b.mul(ROW, N), column))


def test_threads_share_a_row(target, tmp_path):
    a, c = Buffer("a", "float32"), Buffer("c", "float32")
    value = b.op("exp", b.add(place(a), b.const(1.0, "float32")))
    loop = rows(Store(c, b.add(b.mul(ROW, N), COL), value))
    text = ptx(target, Function("shift", (a, c), (N,), (loop,)), tmp_path)
    assert ".entry shift" in text
    for needed in ("%tid.x", "%ntid.x", "%ctaid.x", "%nctaid.x", "ld.global", "st.global"):
        assert needed in text, needed
    assert "bar.sync" in text  # what was stored may be read by another thread afterwards


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "bool"])
@pytest.mark.parametrize("name", ["add", "maximum", "and"])
def test_accumulators_meet_in_shared_memory(target, tmp_path, name, dtype):
    if name == "and" and "float" in dtype:
        pytest.skip("no bits")
    a, c = Buffer("a", dtype), Buffer("c", dtype)
    total = Var("total", dtype)
    start = Local(total, b.const(0, dtype))
    loop = For(COL, b.index(0), N, (Assign(total, b.op(name, total, place(a))),), "vector")
    outer = For(ROW, Var("lo"), Var("hi"), (start, loop, Store(c, ROW, total)), "parallel")
    text = ptx(target, Function("sums", (a, c), (N,), (outer,)), tmp_path)
    words = 2 if dtype in ("float64", "int64") else 1
    assert text.count("shfl.sync.bfly") == 10 * words
    assert "st.shared" in text
    assert "ld.shared" in text


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32"])
def test_argmax(target, tmp_path, dtype):
    a, c, where = Buffer("a", dtype), Buffer("c", dtype), Buffer("where", "int64")
    best, at = Var("best", dtype), Var("at")
    start = [Local(best, b.const(0, dtype)), Local(at, b.index(0))]
    loop = For(COL, b.index(0), N, (Best(best, at, place(a), COL, False),), "vector")
    body = (*start, loop, Store(c, ROW, best), Store(where, ROW, at))
    outer = For(ROW, Var("lo"), Var("hi"), body, "parallel")
    text = ptx(target, Function("argmin", (a, c, where), (N,), (outer,)), tmp_path)
    assert "shfl.sync.bfly" in text


def test_softmax_uses_the_same_expansions(target, tmp_path):
    a, c = Buffer("a", "float32"), Buffer("c", "float32")
    scratch = Buffer("part", "float32")
    top, total, scale = (Var(name, "float32") for name in ("top", "total", "scale"))
    value = Var("value", "float32")
    shifted = b.op("exp", b.sub(place(a), top))
    body = (
        Local(top, b.const(float("-inf"), "float32")),
        For(COL, b.index(0), N, (Assign(top, b.op("maximum", top, place(a))),), "vector"),
        Local(total, b.const(0.0, "float32")),
        For(
            COL,
            b.index(0),
            N,
            (Let(value, shifted), Store(scratch, COL, value), Assign(total, b.add(total, value))),
            "vector",
        ),
        Barrier(),
        Let(scale, b.op("div", b.const(1.0, "float32"), total)),
        For(
            COL,
            b.index(0),
            N,
            (Store(c, b.add(b.mul(ROW, N), COL), b.mul(Load(scratch, COL), scale)),),
            "vector",
        ),
    )
    outer = For(ROW, Var("lo"), Var("hi"), body, "parallel")
    function = Function(
        "softmax", (a, c), (N,), (Allocate(scratch, b.index(64)), outer), contract=True
    )
    text = ptx(target, function, tmp_path)
    assert "fma.rn.f32" in text
    assert "max.NaN.f32" in text
    assert "call" not in text.replace("callseq", "")


def test_one_thread_stores_what_all_know(target, tmp_path):
    a = Buffer("a", "float32")
    half = b.mul(Load(a, b.index(0)), b.const(0.5, "float32"))
    text = ptx(target, Function("half", (a,), (), (Store(a, b.index(0), half),)), tmp_path)
    assert text.count("bar.sync") == 2
    assert text.count("st.global") == 1


def test_a_failure_claims_the_status(target, tmp_path):
    at, c = Buffer("at", "int64"), Buffer("c", "float32")
    found = Load(at, COL)
    wrong = b.op("ge", found, N)
    loop = rows(
        If(wrong, (Fail(3, (COL, found)),)),
        Prefetch(at, COL),
        Store(c, found, b.const(1.0, "float32")),
    )
    text = ptx(target, Function("put", (at, c), (N,), (loop,)), tmp_path)
    assert "cas" in text


def test_loops_that_depend_on_themselves_run_in_one_thread(target, tmp_path):
    a, c = Buffer("a", "float32"), Buffer("c", "float32")
    x = Var("x", "float32")
    body = (Assign(x, b.mul(b.add(x, Load(a, COL)), x)), Store(c, COL, x))
    loop = For(COL, b.index(0), N, body, "vector")
    function = Function("run", (a, c), (N,), (Local(x, b.const(1.0, "float32")), loop))
    text = ptx(target, function, tmp_path)
    assert "shfl" not in text


@pytest.mark.parametrize("name", ["ldexp", "round_half_away", "rint", "mulhi", "mod", "floordiv"])
def test_operations(target, tmp_path, name):
    kinds = {"ldexp": ("float64", "int32"), "mulhi": ("uint32", "uint32")}.get(name)
    kinds = kinds or (("int32", "int32") if name in ("mod", "floordiv") else ("float32",))
    inputs = [Buffer(f"a{k}", kind) for k, kind in enumerate(kinds)]
    out = Buffer("out", kinds[0])
    loop = rows(Store(out, COL, b.op(name, *(Load(x, COL) for x in inputs))))
    text = ptx(target, Function("one", (*inputs, out), (N,), (loop,)), tmp_path)
    assert ".extern" not in text


def test_a_call_is_refused(target):
    words = Buffer("words", "int64")
    call = Call(words, b.index(0), b.index(1), words)
    with pytest.raises(KernelError, match="cannot call"):
        llvm.render([Function("f", (words,), (), (call,))], target)
