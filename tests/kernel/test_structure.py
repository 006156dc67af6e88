"""What tells kernels apart: everything in them but their names and who shares what."""

import numpy as np
import pytest

from croton.kernel import build as b
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Buffer,
    Const,
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
)
from croton.kernel.structure import structure

A, C = Buffer("a", "float32"), Buffer("c", "float32")
K, N, V = Var("i"), Var("n"), Var("v", "float32")


def kernel(*body, name="f", buffers=(A, C), **options):
    return Function(name, buffers, (N,), body, **options)


def store(value, **options):
    return kernel(For(K, b.index(0), N, (Store(C, K, value),)), **options)


def element():
    return Load(A, Var("i"))


def added(x, y, attrs=()):
    return Op("add", (x, y), "float32", 1, attrs)


def test_sharing_and_names_do_not_count():
    one = element()
    twice = added(one, one)
    apart = added(added(element(), element()), added(element(), element()))
    assert structure(store(added(twice, twice))) == structure(store(apart))
    assert structure(store(one)) == structure(store(one, name="other"))


DIFFERENT = {
    "a load": store(element()),
    "another buffer": store(Load(C, K)),
    "another index": store(Load(A, N)),
    "a mask": store(Load(A, K, 1, b.const(True, "bool"))),
    "a sum": store(added(element(), element())),
    "an exact sum": store(added(element(), element(), ("exact",))),
    "a sum of sums": store(added(added(element(), element()), element())),
    "the other way round": store(added(element(), added(element(), element()))),
    "zero": store(b.const(0.0, "float32")),
    "minus zero": store(b.const(-0.0, "float32")),
    "nan": store(b.const(np.nan, "float32")),
    "one": store(Const(1, "float32")),
    "true": store(Const(True, "float32")),
    "a name": store(V),
    "a name of another type": store(Var("v", "float64")),
    "aligned": store(element(), buffers=(A._replace(align=64), C)),
    "contracted": store(element(), contract=True),
    "a vector loop": kernel(For(K, b.index(0), N, (Store(C, K, element()),), "vector")),
    "a step": kernel(For(K, b.index(0), N, (Store(C, K, element()),), step=b.index(2))),
    "a condition": kernel(If(b.op("lt", N, K), (Store(C, K, element()),))),
    "a condition's other side": kernel(If(b.op("lt", N, K), (), (Store(C, K, element()),))),
    "let": kernel(Let(V, element()), Store(C, K, V)),
    "local": kernel(Local(V, element()), Store(C, K, V)),
    "assigned": kernel(Local(V, element()), Assign(V, element()), Store(C, K, V)),
    "a line": kernel(Prefetch(A, K)),
    "a line of the second cache": kernel(Prefetch(A, K, level=2)),
    "a line to write": kernel(Prefetch(A, K, write=True)),
    "scratch": kernel(Allocate(A, b.index(64))),
    "padded scratch": kernel(Allocate(A, b.index(64), padded=True)),
    "a failure": kernel(Fail(1)),
    "another failure": kernel(Fail(2, (K,))),
}


def test_all_else_does():
    assert len(set(map(structure, DIFFERENT.values()))) == len(DIFFERENT)


def test_deep_expressions():
    value = element()
    for _ in range(5000):
        value = added(value, element())
    assert structure(store(value)) == structure(store(value))


def test_what_is_no_expression():
    class Other(Var.__base__):
        dtype, lanes = "float32", 1

    with pytest.raises(TypeError, match="no expression"):
        structure(store(Other()))
