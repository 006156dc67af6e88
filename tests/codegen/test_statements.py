"""Control flow, memory and calls, run natively."""

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.native import check, symbols
from croton.kernel import build as b
from croton.kernel.interpret import Callee, interpret
from croton.kernel.nodes import (
    Aligned,
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
    Op,
    Prefetch,
    Store,
    Var,
    While,
)

N, ROW, COL = Var("n"), Var("row"), Var("col")
A, B, C = Buffer("a", "float32"), Buffer("b", "float32"), Buffer("c", "float32")
F32 = "float32"


def both(native, function, buffers, sizes=None, lo=0, hi=0, exact=True):
    """Run ``function`` in the interpreter and natively; the buffers must agree."""
    want = {k: v.copy() for k, v in buffers.items()}
    status = interpret(function, want, sizes, lo, hi)
    code = native.run(function, buffers, sizes, lo, hi)
    assert code.code == status.code
    for name, value in want.items():
        if exact:
            np.testing.assert_array_equal(buffers[name], value)
        else:
            np.testing.assert_allclose(buffers[name], value, rtol=1e-6)
    return status, code


@pytest.mark.parametrize("fails", [False, True])
def test_rounds_while_a_condition_holds(native, fails):
    """How often ``a`` is halved before it is below 1, and what is left of it."""
    x, k, total = Var("x", F32), Var("k"), Var("total", F32)
    rounds = (
        Let(Var("half", F32), b.op("mul", x, b.const(0.5, F32))),
        Assign(x, Var("half", F32)),
        Assign(k, b.add(k, b.index(1))),
        Store(B, ROW, b.op("add", Load(B, ROW), x)),
        *((If(b.op("lt", N, k), (Fail(7, (k,)),)),) if fails else ()),
    )
    item = (
        Local(x, Load(A, ROW)),
        Local(k, b.index(0)),
        While(b.op("le", b.const(1, F32), x), rounds),
        # What a round stored is not what was there before.
        Let(total, Load(B, ROW)),
        Store(C, ROW, b.op("add", b.op("add", x, total), b.cast(k, F32))),
    )
    body = (For(ROW, b.index(0), b.index(4), item),)
    function = Function("halve", (A, B, C), (N,), body)
    a = np.array([0.5, 1, 3, 100], F32)
    buffers = {"a": a, "b": np.zeros(4, F32), "c": np.zeros(4, F32)}
    _, code = both(native, function, buffers, {"n": 5})
    assert code.code == (7 if fails else 0)
    if not fails:
        rounds = np.array([0, 1, 2, 7])
        left = a / 2.0**rounds
        np.testing.assert_array_equal(buffers["c"], left + (a - left) + rounds)


def test_a_round_that_always_fails_and_a_condition_that_never_holds(native):
    forever = While(b.op("lt", b.index(0), N), (Store(C, b.index(0), Load(A, N)), Fail(3, (N,))))
    for n, want in ((0, 0), (2, 3)):
        buffers = {"a": np.arange(4, dtype=F32), "c": np.zeros(1, F32)}
        _, code = both(native, Function("once", (A, C), (N,), (forever,)), buffers, {"n": n})
        assert code.code == want and buffers["c"][0] == n


def test_parallel_items(native):
    loop = For(ROW, Var("lo"), Var("hi"), (Store(C, ROW, Load(A, ROW)),), "parallel")
    buffers = {"a": np.arange(9, dtype=F32), "c": np.zeros(9, F32)}
    both(native, Function("copy", (A, C), (), (loop,)), buffers, lo=2, hi=6)
    assert buffers["c"].tolist() == [0, 0, 2, 3, 4, 5, 0, 0, 0]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_nested_loops_carry_variables(native, n):
    total, part = Var("total", F32), Var("part", F32)
    inner = For(COL, b.index(0), ROW, (Assign(part, b.add(part, Load(A, COL))),))
    add = Assign(total, b.add(total, b.mul(part, part)))
    outer = For(ROW, b.index(0), N, (Local(part, b.const(0.0, F32)), inner, add))
    body = (Local(total, b.const(1.0, F32)), outer, Store(C, b.index(0), total))
    buffers = {"a": np.arange(8, dtype=F32), "c": np.zeros(1, F32)}
    both(native, Function("nest", (A, C), (N,), body), buffers, {"n": n})


def test_conditions_merge_variables(native):
    x, y = Var("x", F32), Var("y", F32)
    small = b.op("lt", ROW, b.index(3))
    even = b.op("eq", b.op("mod", ROW, b.index(2)), b.index(0))
    nested = If(even, (Assign(x, b.add(x, y)),), (Assign(y, b.const(9.0, F32)),))
    choice = If(small, (Assign(x, b.const(5.0, F32)), nested), (Assign(y, x),))
    only = If(even, (), (Assign(x, b.mul(x, y)),))
    body = (
        Local(x, Load(A, ROW)),
        Local(y, b.const(2.0, F32)),
        choice,
        only,
        Store(C, ROW, b.add(b.mul(x, b.const(10.0, F32)), y)),
    )
    loop = For(ROW, b.index(0), N, body)
    buffers = {"a": np.arange(8, dtype=F32), "c": np.zeros(8, F32)}
    both(native, Function("merge", (A, C), (N,), (loop,)), buffers, {"n": 8})


def test_unrolled_loops_have_constant_indices(native):
    square = b.mul(ROW, ROW)
    loop = For(
        ROW, b.index(1), b.index(10), (Store(C, square, Load(A, ROW)),), "unroll", b.index(3)
    )
    function = Function("spread", (A, C), (), (loop,))
    text = llvm.render([function], native.target)
    assert "phi" not in text
    assert "mul" not in text
    both(native, function, {"a": np.arange(10, dtype=F32), "c": np.zeros(64, F32)})


def test_a_store_ends_what_was_loaded(native):
    one = b.const(1.0, F32)
    body = (
        Store(A, b.index(0), b.add(Load(A, b.index(0)), one)),
        Store(A, b.index(1), b.add(Load(A, b.index(0)), one)),
        For(
            ROW,
            b.index(0),
            b.index(3),
            (Store(A, b.index(0), b.mul(Load(A, b.index(0)), Load(A, b.index(1)))),),
        ),
        Store(A, b.index(2), Load(A, b.index(0))),
        If(b.op("lt", Load(A, b.index(0)), one), (Store(A, b.index(1), one),)),
        Store(A, b.index(3), Load(A, b.index(1))),
    )
    both(native, Function("order", (A,), (), body), {"a": np.arange(4, dtype=F32)})


def test_equal_values_are_computed_once(native):
    def twice():
        return b.op("sqrt", b.add(Load(A, N), b.const(1.0, F32)))

    body = (
        Let(Var("x", F32), twice()),
        Store(C, b.index(0), b.mul(twice(), Var("x", F32))),
        If(b.op("lt", N, b.index(2)), (Store(C, b.index(1), twice()),)),
    )
    text = llvm.render([Function("once", (A, C), (N,), body)], native.target)
    assert text.count("call float @llvm.sqrt") == 1
    assert text.count("load float") == 1


def test_values_of_one_branch_are_not_used_in_another(native):
    def value():
        return b.mul(Load(A, N), b.const(3.0, F32))

    small = b.op("lt", N, b.index(2))
    body = (
        If(small, (Store(C, b.index(0), value()),), (Store(C, b.index(1), value()),)),
        Store(C, b.index(2), value()),
    )
    function = Function("branches", (A, C), (N,), body)
    for n in (1, 3):
        buffers = {"a": np.arange(8, dtype=F32), "c": np.zeros(3, F32)}
        both(native, function, buffers, {"n": n})


def test_failure_with_details(native):
    wrong = b.op("lt", Load(A, ROW), b.const(0.0, F32))
    loop = For(ROW, b.index(0), N, (If(wrong, (Fail(7, (ROW, N)),)), Store(C, ROW, Load(A, ROW))))
    function = Function("checked", (A, C), (N,), (loop,))
    buffers = {"a": np.array([1, 2, -3, 4], F32), "c": np.zeros(4, F32)}
    status, code = both(native, function, buffers, {"n": 4})
    assert (status.details, code.details) == ((2, 4), (2, 4))
    both(native, function, buffers, {"n": 2})


def test_failure_ends_a_body(native):
    after = Store(C, b.index(0), b.const(1.0, F32))
    for body in (
        (Fail(2), after),
        (For(ROW, b.index(0), b.index(3), (Fail(4, (ROW,)), after)), after),
        (For(ROW, b.index(0), N, (Fail(4, (ROW,)),)), after),
        (If(b.op("lt", N, b.index(5)), (Fail(1),), (Fail(2),)), after),
        (If(b.op("lt", N, b.index(5)), (), (Fail(2),)), after),
    ):
        for n in (0, 3, 9):
            function = Function("end", (C,), (N,), body)
            both(native, function, {"c": np.zeros(1, F32)}, {"n": n})


@pytest.mark.parametrize("n", [3, 16, 40, 75])
def test_failure_in_lanes(native, n):
    at = Buffer("at", "int64")
    found = Var("found")
    wrong = b.op("or", b.op("lt", found, b.index(0)), b.op("ge", found, N))
    body = (
        Let(found, Load(at, COL)),
        If(wrong, (Fail(5, (COL, found)),)),
        Store(C, COL, Load(A, found)),
    )
    function = Function("take", (at, A, C), (N,), (For(COL, b.index(0), N, body, "vector"),))
    report = []
    lanes = native.vectorised(function, report=report)
    assert not report
    rng = np.random.default_rng(n)
    buffers = {"at": rng.integers(0, n, n), "a": rng.random(n, F32), "c": np.zeros(n, F32)}
    both(native, lanes, buffers, {"n": n})
    np.testing.assert_array_equal(buffers["c"], buffers["a"][buffers["at"]])
    for bad in (0, n // 2, n - 1):
        buffers["at"][:] = 0
        buffers["at"][bad:] = -17
        status, code = both(native, lanes, buffers, {"n": n})
        assert (code.code, code.details) == (5, (bad, -17))
        assert status.details == code.details


def test_scratch(native):
    part, other = Buffer("part", F32), Buffer("other", "int64")
    fill = For(ROW, b.index(0), N, (Store(part, ROW, Load(A, ROW)), Store(other, ROW, ROW)))
    turn = b.sub(b.sub(N, b.index(1)), ROW)
    value = b.mul(Load(part, turn), b.cast(Load(other, ROW), F32))
    body = (
        Allocate(part, b.index(64)),
        Allocate(other, b.add(b.index(64), b.mul(N, b.index(8)))),
        fill,
        Barrier(),
        For(ROW, b.index(0), N, (Prefetch(A, ROW, True), Store(C, ROW, value))),
    )
    buffers = {"a": np.arange(6, dtype=F32), "c": np.zeros(6, F32)}
    both(native, Function("turn", (A, C), (N,), body), buffers, {"n": 6})
    assert buffers["c"].tolist() == [0, 4, 6, 6, 4, 0]


def test_calls_through_pointers(native):
    wrong = b.op("ge", ROW, N)
    scaled = b.mul(Load(A, ROW), b.const(2.0, F32))
    body = (If(wrong, (Fail(9, (ROW, N)),)), Store(C, ROW, scaled))
    callee = Function("double", (A, C), (N,), (For(ROW, Var("lo"), Var("hi"), body, "parallel"),))
    target, room = Buffer("target", "int64"), Buffer("room", "uint8")
    inner = For(
        COL, Var("lo"), Var("hi"), (Call(target, COL, b.add(COL, b.index(2)), room),), "parallel"
    )
    caller = Function("caller", (target,), (), (Allocate(room, b.index(128)), inner))
    arrays = {"a": np.arange(8, dtype=F32), "c": np.zeros(8, F32)}
    bound = native.binding(native.load(callee), callee, arrays, {"n": 6})
    outcome = native.run(caller, {"target": bound.words}, {}, 1, 4)
    assert outcome.code == 0
    assert arrays["c"].tolist() == [0, 2, 4, 6, 8, 0, 0, 0]
    outcome = native.run(caller, {"target": bound.words}, {}, 3, 7)
    assert (outcome.code, outcome.details) == (9, (6, 6))
    callees = {"target": Callee(callee, arrays, {"n": 6})}
    status = interpret(caller, {"target": bound.words}, {}, 3, 7, callees=callees)
    assert (status.code, status.details) == (9, (6, 6))


def test_nontemporal_stores_bypass_the_caches(native):
    loop = For(
        COL,
        b.index(0),
        N,
        (Store(C, COL, b.mul(Load(A, COL), b.const(2.0, F32)), None, True),),
        "vector",
    )
    function = native.vectorised(Function("stream", (A, C), (N,), (loop,)), interleave=1)
    if native.target.triple.startswith("x86_64"):
        assert "movnt" in native.target.assembly(llvm.render([function], native.target))
    memory = np.zeros(200, F32)
    start = -memory.ctypes.data % 64 // 4
    buffers = {"a": np.arange(100, dtype=F32), "c": memory[start : start + 100]}
    native.run(function, buffers, {"n": 100})
    np.testing.assert_array_equal(buffers["c"], 2 * buffers["a"])


@pytest.mark.parametrize("size", [4, 16, 64])
def test_kernels_know_how_a_buffer_is_aligned(native, size):
    aligned, out = Var("aligned", "bool"), Buffer("out", "int64")
    value = b.cast(aligned, "int64")
    body = (Aligned(aligned, A, size), Store(out, b.index(0), value))
    function = Function("alignment", (A, out), (), body)
    memory = np.zeros(200, F32)
    start = -memory.ctypes.data % 64 // 4
    for shift in (0, 1, 4, 8, 16):
        buffers = {"a": memory[start + shift :], "out": np.full(1, -1)}
        for run in (native.run, interpret):
            assert run(function, buffers, {}).code == 0
            assert buffers["out"] == [shift * 4 % size == 0]
            buffers["out"][:] = -1


def test_scalar_masks_protect_memory(native):
    inside = b.op("lt", ROW, N)
    body = (Store(C, ROW, Load(A, ROW, 1, inside), inside),)
    function = Function("part", (A, C), (N,), (For(ROW, b.index(0), b.index(6), body),))
    buffers = {"a": np.arange(3, dtype=F32), "c": np.full(3, -1, F32)}
    both(native, function, buffers, {"n": 3})
    assert buffers["c"].tolist() == [0, 1, 2]


def test_contract_fuses_only_where_it_may(native):
    if "fma" not in native.target.instructions:
        pytest.skip("no fused multiply-add")
    product = b.mul(Load(A, COL), Load(B, COL))
    exact = Op("mul", product.args, F32, 1, ("exact",))

    def assembly(value, contract):
        loop = For(COL, b.index(0), N, (Store(C, COL, b.add(value, Load(C, COL))),), "vector")
        function = Function("f", (A, B, C), (N,), (loop,), contract)
        return native.target.assembly(llvm.render([native.vectorised(function)], native.target))

    assert "vfmadd" in assembly(product, True)
    assert "vfmadd" not in assembly(product, False)
    assert "vfmadd" not in assembly(exact, True)


def test_deep_expressions(native):
    value = Load(A, COL)
    for k in range(3000):
        value = b.op("add" if k % 2 else "sub", value, b.const(float(k % 7), F32))
    loop = For(COL, b.index(0), N, (Store(C, COL, value),), "vector")
    function = Function("deep", (A, C), (N,), (loop,))
    lanes = native.vectorised(function)
    buffers = {"a": np.arange(40, dtype=F32), "c": np.zeros(40, F32)}
    both(native, lanes, buffers, {"n": 40})


def test_shared_expressions_cost_their_number(native):
    value = Load(A, COL)
    for _ in range(200):
        value = b.mul(value, b.sub(value, b.const(0.5, F32)))
    loop = For(COL, b.index(0), N, (Store(C, COL, value),), "vector")
    start = time.perf_counter()
    function = native.vectorised(Function("shared", (A, C), (N,), (loop,)))
    text = llvm.render([function], native.target)
    assert time.perf_counter() - start < 1
    assert text.count("fmul") == 2 * 200


def test_best_keeps_the_first(native):
    best, at = Var("best", F32), Var("at")
    for values in (
        [1, 5, 3, 5, 2],
        [np.nan] * 3,
        [1, np.nan, 7, np.nan],
        [-np.inf, -np.inf],
        [*range(50), *range(49, -1, -1)],
        [0.0] * 70,
        [*([1.0] * 35), 2.0, *([2.0] * 35)],
    ):
        a = np.array(values, F32)
        for largest in (True, False):
            start = b.const(-np.inf if largest else np.inf, F32)
            loop = For(COL, b.index(0), N, (Best(best, at, Load(A, COL), COL, largest),), "vector")
            where = Buffer("where", "int64")
            body = (
                Local(best, start),
                Local(at, b.index(0)),
                loop,
                Store(C, b.index(0), best),
                Store(where, b.index(0), at),
            )
            function = Function("best", (A, C, where), (N,), body)
            report = []
            lanes = native.vectorised(function, report=report)
            assert not report
            wanted = np.argmax(a) if largest else np.argmin(a)
            for form in (function, lanes):
                buffers = {"a": a, "c": np.zeros(1, F32), "where": np.zeros(1, np.int64)}
                both(native, form, buffers, {"n": len(a)})
                assert buffers["where"][0] == wanted
                np.testing.assert_equal(buffers["c"][0], a[wanted])


def test_bad_code_is_refused(native):
    with pytest.raises(KernelError, match="cannot read"):
        native.target.compile("define nonsense")
    with pytest.raises(KernelError, match="rejects"):
        check("define i32 @f() {\n %x = add i32 1, 2\n}")
    missing = "declare void @nowhere_at_all()\ndefine void @f() {\n"
    missing += " call void @nowhere_at_all()\n ret void\n}"
    code = native.target.compile(missing)
    assert symbols(code) == (["f"], ["nowhere_at_all"])
    with pytest.raises(KernelError, match="nowhere_at_all"):
        native.target.load(code)
    good = native.target.load(native.target.compile("define void @f() {\n ret void\n}"))
    assert good.address("f")
    with pytest.raises(KeyError, match="no function 'g'"):
        good.address("g")


def test_objects_with_the_same_names_live_side_by_side(native):
    code = "define i64 @same() {\n ret i64 %d\n}"
    libraries = [native.target.load(native.target.compile(code % k)) for k in range(5)]
    call = ctypes.CFUNCTYPE(ctypes.c_int64)
    assert [call(library.address("same"))() for library in libraries] == [0, 1, 2, 3, 4]
    del libraries[1:3]
    assert [call(library.address("same"))() for library in libraries] == [0, 3, 4]
    with pytest.raises(KernelError, match="no object file"):
        native.target.load(b"nothing of the kind")


def test_unbound_names_are_reported(native):
    for body, message in (
        ((Store(C, Var("nobody"), b.const(1.0, F32)),), "nobody"),
        ((Store(A, b.index(0), b.const(1.0, F32)),), "'a' is not bound"),
        ((Assign(Var("x", F32), b.const(1.0, F32)),), "no local variable"),
        ((For(COL, b.index(0), Var("lo"), (), "unroll"),), "its bounds vary"),
    ):
        with pytest.raises(KernelError, match=message):
            llvm.render([Function("f", (C,), (), body)], native.target)


def test_kernels_compile_side_by_side(native):
    texts = []
    for k in range(6):
        store = Store(C, b.index(0), b.const(float(k), F32))
        texts.append(llvm.render([Function(f"f{k}", (C,), (), (store,))], native.target))
    with ThreadPoolExecutor(3) as pool:
        objects = list(pool.map(native.target.compile, texts))
    assert objects == [native.target.compile(text) for text in texts]
    library = native.target.load(*objects)
    for k in range(6):
        out = np.zeros(1, F32)
        function = Function(f"f{k}", (C,), (), ())
        native.call(library, function, {"c": out})
        assert out[0] == k
