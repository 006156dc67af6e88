"""The readable form of kernels."""

from croton.kernel import build as b
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
    Let,
    Load,
    Local,
    Op,
    Prefetch,
    Store,
    Var,
    While,
)
from croton.kernel.text import expression_text, statement_text, text

A, C = Buffer("a", "float32"), Buffer("c", "float32")
N, ROW = Var("n"), Var("row")
X, Y, Z = (Var(name, "float32") for name in "xyz")
V = Var("v", "float32", 4)


def test_a_whole_kernel():
    body = (
        Local(X, b.const(0.1, "float32")),
        For(
            ROW,
            b.index(0),
            N,
            (
                Let(Y, Load(A, ROW)),
                If(
                    b.op("lt", Y, X),
                    (Assign(X, b.op("fma", Y, Y, X)),),
                    (Fail(3, (ROW, N)),),
                ),
            ),
            "vector",
        ),
        For(ROW, Var("lo"), Var("hi"), (Store(C, ROW, X),), "parallel", b.index(2)),
    )
    assert text(Function("norm", (A, C), (N,), body)) == (
        "kernel norm(float32 *a, float32 *c; n) {\n"
        "    float32 x = 0.1;\n"
        "    vector for (row = 0; row < n; ++row) {\n"
        "        const float32 y = a[row];\n"
        "        if (y < x) {\n"
        "            x = fma(y, y, x);\n"
        "        } else {\n"
        "            fail(3, row, n);\n"
        "        }\n"
        "    }\n"
        "    parallel for (row = lo; row < hi; row += 2) {\n"
        "        c[row] = x;\n"
        "    }\n"
        "}\n"
    )


def test_expressions():
    q = Var("q", "bool")
    for e, shown in [
        (b.mul(b.add(X, Y), Z), "(x + y) * z"),
        (b.add(b.mul(X, Y), Z), "x * y + z"),
        (b.sub(X, b.sub(Y, Z)), "x - (y - z)"),
        (b.sub(b.sub(X, Y), Z), "x - y - z"),
        (b.op("neg", b.add(X, Y)), "-(x + y)"),
        (b.op("not", q), "!q"),
        (b.op("not", N), "~n"),
        (b.op("shl", b.add(N, ROW), b.index(2)), "n + row << 2"),
        (b.op("and", N, b.op("or", ROW, N)), "n & (row | n)"),
        (b.select(q, X, b.add(X, Y)), "q ? x : x + y"),
        (b.mul(b.select(q, X, Y), Z), "(q ? x : y) * z"),
        (b.cast(b.add(N, ROW), "float64"), "float64(n + row)"),
        (b.bitcast(X, "int32"), "bits_as_int32(x)"),
        (b.op("exp", b.op("neg", X)), "exp(-x)"),
        (b.broadcast(X, 8), "all8(x)"),
        (b.ramp(N, 8), "ramp8(n)"),
        (b.shuffle(V, V, (7, 0)), "shuffle(v, [3, 0])"),
        (b.shuffle(V, Load(A, N, 4), (3, 4)), "shuffle(v, a[n:+4], [3, 4])"),
        (b.shuffle(V, V, tuple(range(7, -1, -1))), "shuffle(v, [3, 2, 1, 0, 3, 2, 1, 0])"),
        (b.shuffle(V, Load(A, N, 4), (7, 6, 5, 4, 3)), "shuffle(v, a[n:+4], [7, 6, ..., 3])"),
        (b.extract(V, 2), "extract(v, [2])"),
        (Op("reduce_add", (V,), "float32"), "reduce_add(v)"),
        (Load(A, ROW, 4), "a[row:+4]"),
        (Load(A, b.ramp(ROW, 4), 4), "a[ramp4(row)]"),
        (Load(A, ROW, 4, Var("m", "bool", 4)), "a[row:+4 if m]"),
        (b.const(True, "bool"), "true"),
        (b.const(-0.0, "float64"), "-0.0"),
        (b.const(float("inf"), "float32"), "inf"),
    ]:
        assert expression_text(e) == shown


def test_statements():
    room = Buffer("room", "uint8")
    for s, shown in [
        (Store(C, ROW, V), "c[row:+4] = v;"),
        (Aligned(Var("there", "bool"), C, 64), "const bool there = aligned(c, 64);"),
        (Store(C, ROW, X, None, True), "c[row] = x  /* nontemporal */;"),
        (Prefetch(A, ROW, True), "prefetch(a[row], write);"),
        (Allocate(room, b.index(64)), "uint8 *room = scratch + 64;"),
        (Call(Buffer("to", "int64"), b.index(0), N, room), "call to(0, n, room);"),
        (Barrier(), "barrier();"),
        (Best(X, ROW, Y, N, False), "(x, row) = smallest of (y, n);"),
        (If(Var("q", "bool"), ()), "if (q) {"),
        (While(Var("q", "bool"), ()), "while (q) {"),
    ]:
        assert statement_text(s) == shown


SOURCE, TARGET = Buffer("source", "float32"), Buffer("target", "float32")


def test_what_is_large_and_repeated_is_written_once():
    value = Load(SOURCE, N)
    for _ in range(40):
        value = b.add(b.mul(value, value), value)
    shown = text(Function("f", (SOURCE, TARGET), (N,), (Store(TARGET, N, value),)))
    assert len(shown) < 5000
    assert "const float32 _1 = " in shown and "target[n] = (_" in shown
    assert " where _1 = " in expression_text(value)
    assert statement_text(Store(TARGET, N, value)).startswith("target[n] = ")


def test_what_is_small_is_repeated():
    value = b.add(Load(SOURCE, N), Load(SOURCE, N))
    twice = b.mul(value, value)
    assert (
        statement_text(Store(TARGET, N, twice))
        == "target[n] = (source[n] + source[n]) * (source[n] + source[n]);"
    )


def test_long_chains_need_no_recursion():
    value = Load(SOURCE, N)
    for _ in range(5000):
        value = b.op("exp", value)
    shown = text(Function("f", (SOURCE, TARGET), (N,), (Store(TARGET, N, value),)))
    assert shown.count("exp(") == 5000
    assert max(map(len, shown.splitlines())) < 1000
