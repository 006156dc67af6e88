"""What is known of processors, and objects for other ones than this."""

import subprocess
import sys

import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.kernel import build as b
from croton.kernel.nodes import Assign, Buffer, For, Function, KernelError, Load, Local, Store, Var
from croton.kernel.vectorise import vectorise

N, COL = Var("n"), Var("col")
A, C = Buffer("a", "float32"), Buffer("c", "float32")


def kernel(name="tanh"):
    total = Var("total", "float32")
    value = b.op(name, Load(A, COL))
    body = (Store(C, COL, value), Assign(total, b.add(total, value)))
    loop = For(COL, b.index(0), N, body, "vector")
    return Function("f", (A, C), (N,), (Local(total, b.const(0.0, "float32")), loop))


def test_the_host_has_plausible_sizes():
    machine = cpu.host().machine
    assert cpu.host() is cpu.host()
    assert machine.vector in (16, 32, 64)
    assert machine.registers in (16, 32)
    assert 1 << 12 <= machine.l1 <= machine.l2 <= 1 << 32
    assert machine.l3 >= 1 << 18
    assert machine.lanes(4) * 4 == machine.vector


@pytest.mark.parametrize(
    "name, vector, registers",
    [("x86-64", 16, 16), ("x86-64-v2", 16, 16), ("x86-64-v3", 32, 16), ("x86-64-v4", 64, 32)],
)
def test_levels_of_x86(name, vector, registers):
    target = cpu.named(name, "x86_64-unknown-linux-gnu")
    assert (target.machine.vector, target.machine.registers) == (vector, registers)
    function = vectorise(kernel("sqrt"), target.machine)
    assembly = target.assembly(llvm.render([function], target))
    assert ("%zmm" in assembly) == (vector == 64)
    assert ("%ymm" in assembly) == (vector == 32)


def test_which_processors_have_units_for_sums_alone():
    x86 = "x86_64-unknown-linux-gnu"
    caches = (32 << 10, 1 << 20, 8 << 20)
    for instructions, triple, adders in (
        (frozenset(("avx2", "fma")), x86, False),
        (frozenset(("avx2", "fma", "clzero")), x86, True),
        (frozenset(), "aarch64-unknown-linux-gnu", True),
    ):
        assert cpu.CpuTarget(triple, "", instructions, caches).machine.adders == adders


def test_which_processors_read_operands_from_memory_for_nothing():
    caches = (32 << 10, 1 << 20, 8 << 20)
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
    for instructions, embeds in (({"avx2"}, False), (wide, True), (wide | {"clzero"}, False)):
        target = cpu.CpuTarget("x86_64-unknown-linux-gnu", "", frozenset(instructions), caches)
        assert target.machine.embeds == embeds


@pytest.mark.parametrize(
    "name, triple, magic",
    [
        ("x86-64-v3", "x86_64-unknown-linux-gnu", b"\x7fELF"),
        ("cortex-a76", "aarch64-unknown-linux-gnu", b"\x7fELF"),
        ("generic", "wasm32-unknown-unknown", b"\0asm"),
        ("x86-64-v3", "x86_64-pc-windows-msvc", b"\x64\x86"),
        ("apple-m1", "arm64-apple-macosx", b"\xcf\xfa\xed\xfe"),
    ],
)
def test_objects_for_other_machines(name, triple, magic):
    target = cpu.named(name, triple)
    function = vectorise(kernel(), target.machine)
    assert target.compile(llvm.render([function], target)).startswith(magic)


def test_a_processor_without_half_precision_says_so():
    target = cpu.named("x86-64-v2", "x86_64-unknown-linux-gnu")
    half = Buffer("h", "float16")
    for function in (
        Function("f", (half,), (), ()),
        Function(
            "f", (A,), (), (Store(A, b.index(0), b.cast(b.cast(Load(A, N), "float16"), "float32")),)
        ),
    ):
        function = function._replace(sizes=(N,))
        with pytest.raises(KernelError, match="no float16"):
            llvm.render([function], target)


def test_printing_kernels_does_not_need_llvm():
    code = (
        "import sys, croton.codegen.llvm, croton.kernel.vectorise;"
        "sys.exit(any(name.startswith('llvmlite') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
