"""Cursors, which move along a buffer, and loads that are made again: interpreted and native."""

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.codegen.targets.nvptx import NvptxTarget
from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.nodes import (
    Advance,
    Assign,
    Buffer,
    Choose,
    Cursor,
    For,
    Function,
    If,
    KernelError,
    Let,
    Load,
    Local,
    Outlined,
    Part,
    Prefetch,
    Reload,
    Store,
    Var,
    While,
)
from croton.kernel.text import statement_text
from croton.kernel.vectorise import vectorise
from croton.kernel.verify import verify

A, C = Buffer("a", "float32"), Buffer("c", "float32")
X, Y = Buffer("x", "float32"), Buffer("y", "float32")
N, ROW, J = Var("n"), Var("i"), Var("j")
ZERO, ONE, TWO = b.index(0), b.index(1), b.index(2)
TOTAL = Var("total", "float32")
NIL = b.const(0.0, "float32")
SUM = Assign(TOTAL, b.add(TOTAL, Load(X, ZERO)))


def run(native, body, n):
    """What a kernel makes of ``c``, interpreted and natively, of ``a`` that counts from 0."""
    function = Function("f", (A, C), (N,), body)
    verify(function)
    found = []
    for how in (interpret, native.run):
        buffers = {"a": np.arange(64, dtype="f4"), "c": np.full(8, -1, "f4")}
        how(function, buffers, {"n": n})
        found.append(buffers["c"].tolist())
    assert found[0] == found[1]
    return found[1]


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_it_moves_along_a_loop_and_stays_where_it_is_behind_it(native, n):
    body = (
        Local(TOTAL, NIL),
        Cursor(X, A, ONE),
        For(J, ZERO, N, (SUM, Advance(X, b.index(3)))),
        Store(C, ZERO, TOTAL),
        Store(C, ONE, Load(X, ZERO)),
        Store(C, TWO, Load(X, TWO)),
    )
    places = [1 + 3 * j for j in range(n)]
    assert run(native, body, n)[:3] == [sum(places), 1 + 3 * n, 3 + 3 * n]


def test_it_moves_back_and_by_what_is_computed(native):
    body = (
        Cursor(X, A, b.index(40)),
        For(J, ZERO, N, (Advance(X, b.sub(J, b.index(4))),)),
        Store(C, ZERO, Load(X, ZERO)),
    )
    assert run(native, body, 5)[0] == 40 - 4 - 3 - 2 - 1


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_it_moves_where_a_condition_holds(native, n):
    moves = If(b.op("gt", N, J), (Advance(X, b.index(10)),), (Advance(X, ONE),))
    body = (
        Cursor(X, A, ZERO),
        For(J, ZERO, b.index(3), (moves,)),
        Store(C, ZERO, Load(X, ZERO)),
    )
    assert run(native, body, n)[0] == 10 * n + (3 - n)


def test_it_moves_in_a_loop_in_a_loop_and_while_something_holds(native):
    low = b.op("lt", Load(X, ZERO), b.const(20.0, "float32"))
    body = (
        Cursor(X, A, ZERO),
        For(ROW, ZERO, N, (For(J, ZERO, N, (Advance(X, ONE),)), Advance(X, TWO))),
        Store(C, ZERO, Load(X, ZERO)),
        While(low, (Advance(X, b.index(6)),)),
        Store(C, ONE, Load(X, ZERO)),
    )
    assert run(native, body, 3)[:2] == [15, 21]


def test_two_of_one_buffer_move_apart_and_begin_anew_in_each_round(native):
    body = (
        Local(TOTAL, NIL),
        For(
            J,
            ZERO,
            N,
            (
                Cursor(X, A, J),
                Cursor(Y, A, ZERO),
                Advance(X, b.index(8)),
                Assign(TOTAL, b.add(TOTAL, b.sub(Load(X, ONE), Load(Y, ONE)))),
            ),
        ),
        Store(C, ZERO, TOTAL),
    )
    assert run(native, body, 4)[0] == sum(8 + j for j in range(4))


def test_vectors_masks_and_places_of_vectors_are_read_from_where_it_is(native):
    lanes = 4
    mask = b.op("lt", b.ramp(ZERO, lanes), b.broadcast(N, lanes))
    apart = b.mul(b.ramp(ZERO, lanes), b.broadcast(TWO, lanes))
    body = (
        Cursor(X, A, ONE),
        Advance(X, TWO),
        Prefetch(X, b.index(16)),
        Store(C, ZERO, b.add(Load(X, ZERO, lanes, mask), Load(X, apart, lanes))),
    )
    assert run(native, body, 3)[:4] == [3 + 3, 4 + 5, 5 + 7, 9]


def test_one_of_an_outlined_body(native):
    inner = (Cursor(X, A, N), Advance(X, ONE), Store(C, ZERO, Load(X, ZERO)))
    assert run(native, (Outlined(inner),), 5)[0] == 6


def test_what_is_loaded_again_is_the_same_and_may_be_an_operand(native):
    twice = (
        Local(TOTAL, Load(A, ONE)),
        Reload(),
        Assign(TOTAL, b.add(TOTAL, b.mul(TOTAL, Load(A, ONE)))),
        Store(C, ZERO, TOTAL),
    )
    assert run(native, twice, 0)[0] == 2

    def loads(body):
        text = llvm.render([Function("f", (A, C), (N,), body)], cpu.host())
        return text.count("load float")

    assert loads(twice) == 2
    assert loads((twice[0], *twice[2:])) == 1


def test_elements_are_operands_of_the_instructions_that_multiply_with_them():
    target = cpu.named("sapphirerapids")
    target = cpu.CpuTarget(
        target.triple,
        target.cpu,
        frozenset("avx512f avx512bw avx512dq avx512vl fma".split()),
        (48 << 10, 2 << 20, 32 << 20),
    )
    assert target.machine.embeds
    lanes, columns = 16, [Var(f"y{v}", "float32", 16) for v in range(2)]
    sums = [[Var(f"s{r}_{v}", "float32", 16) for r in range(2)] for v in range(2)]
    places = [(s, b.index(16 * k)) for k, s in enumerate(sums[0] + sums[1])]

    def kernel(*between):
        first, second = (
            tuple(
                Assign(s, b.add(b.mul(b.broadcast(Load(X, b.index(r)), lanes), y), s))
                for r, s in enumerate(of_column)
            )
            for y, of_column in zip(columns, sums, strict=True)
        )
        vectors = (Let(y, Load(A, b.index(16 * v), lanes)) for v, y in enumerate(columns))
        step = (*vectors, *first, *between, *second, Advance(X, ONE))
        body = (
            *(Local(s, b.const(0.0, "float32", lanes)) for s, _ in places),
            Cursor(X, A, ZERO),
            For(J, ZERO, N, step),
            *(Store(C, at, s) for s, at in places),
        )
        function = Function("f", (A, C), (N,), body, contract=True)
        return target.assembly(llvm.render([function], target))

    assert kernel(Reload()).count("{1to16}") == 4
    assert kernel().count("{1to16}") == 0


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ((Cursor(X, A, ZERO), Store(X, ZERO, NIL)), "only read"),
        ((Cursor(X, A, ZERO), Part(Y, X, ZERO)), "only read"),
        ((Cursor(X, A, ZERO), Cursor(Y, X, ZERO)), "only read"),
        ((Cursor(X, A, ZERO), Choose(Y, b.op("lt", N, ONE), X, A)), "only read"),
        ((Part(X, A, ZERO), Advance(X, ONE)), "no cursor"),
        ((Advance(X, ONE),), "not bound"),
        ((Cursor(X, A, ZERO), Advance(X, NIL)), "the offset"),
        ((Cursor(Buffer("x", "int64"), A, ZERO),), "another type"),
        ((Cursor(X, A, ZERO), Outlined((Store(C, ZERO, Load(X, ZERO)),))), "not bound"),
        ((Cursor(X, A, ZERO), Outlined((Advance(X, ONE),))), "not bound"),
    ],
)
def test_what_is_wrong(body, wrong):
    with pytest.raises(KernelError, match=wrong):
        verify(Function("f", (A, C), (N,), body))


def test_a_name_is_free_again_behind_its_block():
    block = If(b.op("lt", N, ONE), (Cursor(X, A, ZERO), Advance(X, ONE)))
    verify(Function("f", (A, C), (N,), (block, Part(X, C, ZERO), Store(X, ZERO, NIL))))


def test_a_vector_loop_has_none():
    for inner in ((Cursor(X, A, ZERO),), (Reload(),)):
        body = (*inner, Store(C, J, Load(A, J)))
        loop = For(J, ZERO, N, body, kind="vector")
        made = vectorise(Function("f", (A, C), (N,), (loop,)), cpu.host().machine)
        buffers = {"a": np.arange(64, dtype="f4"), "c": np.zeros(8, "f4")}
        interpret(made, buffers, {"n": 8})
        assert buffers["c"].tolist() == list(range(8))


def test_they_read_like_what_they_are():
    assert statement_text(Cursor(X, A, N)) == "float32 *x = a + n;"
    assert statement_text(Advance(X, TWO)) == "x += 2;"
    assert statement_text(Reload()) == "reload();"


def test_a_gpu_has_other_registers():
    body = (Cursor(X, A, N), Advance(X, ONE), Store(C, ZERO, Load(X, ZERO)))
    found = llvm.render([Function("f", (A, C), (N,), body)], NvptxTarget())
    assert 'asm "", "=l,0"(ptr' in found
    assert NvptxTarget().compile(found)
