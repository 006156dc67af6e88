"""Kernels that break a rule are named with the statement that breaks it."""

import pytest

from croton.kernel import build as b
from croton.kernel.nodes import (
    Aligned,
    Allocate,
    Assign,
    Barrier,
    Best,
    Buffer,
    Call,
    Const,
    Expr,
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
    Stmt,
    Store,
    Var,
    While,
)
from croton.kernel.verify import verify

A, C = Buffer("a", "float32"), Buffer("c", "float32")
WORDS = Buffer("words", "int64")
N, ROW = Var("n"), Var("row")
X = Var("x", "float32")
ONE = b.const(1.0, "float32")
ZERO = b.index(0)


def function(*body):
    return Function("f", (A, C, WORDS), (N,), body)


def test_every_statement_is_accepted():
    room = Buffer("room", "uint8")
    verify(
        function(
            Allocate(room, b.index(64)),
            Local(X, ONE),
            Local(Var("at"), ZERO),
            Let(Var("v", "float32", 4), Load(A, ZERO, 4)),
            For(
                ROW,
                ZERO,
                N,
                (
                    If(b.op("lt", ROW, N), (Assign(X, b.add(X, Load(A, ROW))),), (Fail(1, (N,)),)),
                    Prefetch(A, ROW),
                    Best(X, Var("at"), Load(A, ROW), ROW),
                ),
                "vector",
            ),
            # The same names again, where the first ones are gone.
            For(ROW, ZERO, b.index(4), (Let(Var("y", "float32"), X),), "unroll"),
            For(ROW, ZERO, N, (Let(Var("y", "float32"), X),), "parallel", b.index(3)),
            While(b.op("lt", X, ONE), (Let(Var("y", "float32"), X), Assign(X, ONE))),
            Store(C, b.ramp(ZERO, 4), Var("v", "float32", 4), b.const(True, "bool", 4)),
            Barrier(),
            Call(WORDS, ZERO, N, room),
        )
    )


BAD = {
    "'y' is not bound": Let(X, Var("y", "float32")),
    "is a float32, used as a int32": (Local(X, ONE), Let(Var("i", "int32"), Var("x", "int32"))),
    "bound already": (Let(X, ONE), Let(X, ONE)),
    "the name 'n' is bound already": For(N, ZERO, ZERO, ()),
    "no local variable": (Let(X, ONE), Assign(X, ONE)),
    "value of 'x' is a int64, not a float32": Local(X, N),
    "the value of 'x' is a float32x4": Let(X, b.broadcast(ONE, 4)),
    "index into 'a' is a float32": Let(X, Load(A, ONE)),
    "index into 'a' is a int32": Let(X, Load(A, b.const(0, "int32"))),
    "2 indices for 4 lanes": Store(C, b.ramp(ZERO, 2), b.broadcast(ONE, 4)),
    "the mask is a boolx2": Let(X, Load(A, ZERO, 1, b.const(True, "bool", 2))),
    "stored value is a int64": Store(C, ZERO, N),
    "'z' is not bound": Store(Buffer("z", "float32"), ZERO, ONE),
    "holds float32, not float64": Let(Var("w", "float64"), Load(Buffer("a", "float64"), ZERO)),
    "power of two": Aligned(Var("there", "bool"), C, 48),
    "cannot be nontemporal": Store(C, ZERO, ONE, b.const(True, "bool"), True),
    "must be a constant": For(ROW, ZERO, N, (), "unroll"),
    "step of a loop must be positive": For(ROW, ZERO, N, (), "serial", ZERO),
    "step of a vector loop must be 1": For(ROW, ZERO, N, (), "vector", b.index(2)),
    "kind 'sideways'": For(ROW, ZERO, N, (), "sideways"),
    "is no int64": For(Var("r", "int32"), ZERO, N, ()),
    "stop of the loop is a float32": For(ROW, ZERO, ONE, ()),
    "the condition is a int64": If(N, ()),
    "the condition is a float32": While(ONE, ()),
    "'inner' is not bound": While(Var("inner", "bool"), (Let(Var("inner", "bool"), ONE),)),
    "first 64 bytes": Allocate(Buffer("s", "float32"), b.index(8)),
    "no known dtype: 'complex64'": Allocate(Buffer("s", "complex64"), b.index(64)),
    "the buffer 'a' is bound already": Allocate(A, b.index(64)),
    "code other than 0": Fail(0),
    "a detail is a float32": Fail(1, (ONE,)),
    "no operation 'frobnicate'": Let(X, Op("frobnicate", (ONE,), "float32")),
    "takes 2 arguments, not 1": Let(X, Op("add", (ONE,), "float32")),
    "add of float32, int64": Let(X, Op("add", (ONE, N), "float32")),
    "select of int64": Let(X, Op("select", (N, ONE, ONE), "float32")),
    "sqrt is not defined for int64": Let(ROW, Op("sqrt", (N,), "int64")),
    "mod is not defined for float32": Let(X, Op("mod", (ONE, ONE), "float32")),
    "xor is not defined for float32": Let(X, Op("xor", (ONE, ONE), "float32")),
    "neg is not defined for bool": Let(
        Var("q", "bool"), Op("neg", (b.const(True, "bool"),), "bool")
    ),
    "mulhi is not defined for int64": Let(ROW, Op("mulhi", (N, N), "int64")),
    "is said to be a float64": Let(Var("w", "float64"), Op("add", (ONE, ONE), "float64")),
    "add of 1, 4 lanes": Let(
        Var("v", "float32", 4), Op("add", (ONE, b.broadcast(ONE, 4)), "float32", 4)
    ),
    "shuffle of 4, 4 lanes": Let(
        Var("v", "float32", 2), b.shuffle(b.broadcast(ONE, 4), b.broadcast(ONE, 4), (0, 8))
    ),
    "extract of 4 lanes": Let(X, b.extract(b.broadcast(ONE, 4), 4)),
    "reduce_add of 3 lanes": Let(X, b.reduce_lanes("add", b.broadcast(ONE, 3))),
    "constant 300 is no uint8": Let(Var("u", "uint8"), Const(300, "uint8")),
    "constant of type 'text'": Let(X, Const("?", "text")),
    "not an expression": Let(X, Expr.__new__(Expr)),
    "not a statement": Stmt(),
}


@pytest.mark.parametrize("message", BAD)
def test_broken_rules(message):
    body = BAD[message]
    if message == "not an expression":
        body.value.dtype, body.value.lanes = "float32", 1
    with pytest.raises(KernelError) as caught:
        verify(function(*(body if isinstance(body, tuple) else (body,))))
    assert message in str(caught.value)
    assert str(caught.value).startswith("kernel f: ")


def test_the_statement_is_named():
    bad = Store(C, ROW, b.add(Load(A, ROW), Var("lost", "float32")))
    with pytest.raises(KernelError) as caught:
        verify(function(For(ROW, ZERO, N, (bad,))))
    assert str(caught.value) == (
        "kernel f: the name 'lost' is not bound, in `c[row] = a[row] + lost;`"
    )


def test_names_end_with_their_block():
    inner = If(b.op("lt", ZERO, N), (Let(X, ONE),))
    with pytest.raises(KernelError, match="'x' is not bound"):
        verify(function(inner, Store(C, ZERO, X)))
    with pytest.raises(KernelError, match="'row' is not bound"):
        verify(function(For(ROW, ZERO, N, ()), Fail(1, (ROW,))))


def test_sizes_and_buffers_of_a_function():
    with pytest.raises(KernelError, match="the size 's' is no int64"):
        verify(Function("f", (), (Var("s", "int32"),), ()))
    with pytest.raises(KernelError, match="'a' is bound already"):
        verify(Function("f", (A, A), (), ()))
