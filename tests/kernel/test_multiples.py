"""What is known to divide index expressions."""

from croton.kernel.build import add, index, mul, op, sub
from croton.kernel.multiples import Multiples
from croton.kernel.nodes import Assign, Buffer, For, Function, Let, Load, Local, Store, Var

A, B, J, N = Var("a"), Var("b"), Var("i"), Var("n")
DATA = Buffer("data", "int64")


def multiples(*body):
    return Multiples(Function("f", (DATA,), (N,), tuple(body)))


def test_expressions():
    known = multiples(Let(A, mul(N, index(64))), Let(B, mul(index(6), Load(DATA, N))))
    assert known.of(A) == 64 and known.of(B) == 6
    assert known.of(add(A, B)) == 2
    assert known.of(sub(A, index(32))) == 32
    assert known.of(mul(A, B)) == 384
    assert known.of(op("minimum", A, mul(N, index(48)))) == 16
    assert known.of(index(0)) == 0 and known.of(mul(A, Load(DATA, N))) == 64
    assert known.of(op("mod", A, B)) == 1
    assert known.of(Var("unknown")) == 1


def test_loops():
    store = Store(DATA, J, J)
    assert multiples(For(J, index(0), N, (store,), step=index(32))).of(J) == 32
    assert multiples(For(J, index(48), N, (store,), step=index(32))).of(J) == 16
    assert multiples(For(J, index(0), N, (store,), "parallel", index(32))).of(J) == 1


def test_a_name_of_several_meanings():
    loops = [For(J, index(0), N, (Let(A, mul(J, index(k))),)) for k in (64, 48)]
    assert multiples(*loops).of(A) == 16


def test_what_changes_is_not_known():
    assert multiples(Local(A, index(64)), Assign(A, index(3))).of(A) == 1


def test_assumptions():
    known = multiples()
    known.assume("i", 64)
    assert known.of(add(J, index(128))) == 64
