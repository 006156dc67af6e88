"""Stores under masks."""

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.kernel import build as b
from croton.kernel.nodes import Buffer, For, Function, Load, Store, Var

N, J = Var("n"), Var("j")
LANES = 8


def masked(dtype="float32"):
    """``c[j] = a[j]`` for j below n, eight at a time."""
    a, c = Buffer("a", dtype), Buffer("c", dtype)
    mask = b.op("lt", b.ramp(J, LANES), b.broadcast(N, LANES))
    store = Store(c, J, Load(a, J, LANES), mask)
    loop = For(J, b.index(0), b.index(24), (store,), step=b.index(LANES))
    return Function("masked", (a, c), (N,), (loop,))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8", "bool"])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 23, 24])
def test_only_the_lanes_of_the_mask_are_stored(native, dtype, n):
    a = (np.arange(1, 25) % 2 if dtype == "bool" else np.arange(1, 25)).astype(dtype)
    c = np.zeros(24, dtype)
    native.run(masked(dtype), {"a": a, "c": c}, {"n": n})
    assert c.tolist() == [*a[:n].tolist(), *c[n:].tolist()] and not c[n:].any()


def test_whole_vectors_are_stored_plainly_where_masks_are_slow():
    levels = {
        level: llvm.render([masked()], cpu.named(level)) for level in ("x86-64-v3", "x86-64-v4")
    }
    for text in levels.values():
        assert "masked.store" in text
    assert "store <8 x float>" in levels["x86-64-v3"]
    assert "store <8 x float>" not in levels["x86-64-v4"]
