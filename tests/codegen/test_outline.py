"""What a kernel seldom computes stands in it once, and is right in every lane."""

from __future__ import annotations

import mathlab
import numpy as np
import pytest

from croton.codegen.llvm import render
from croton.codegen.native import check
from croton.codegen.targets import cpu
from croton.kernel import build as b
from croton.kernel.nodes import Buffer, Expr, Function, Load, Store

A, C = Buffer("a", "float64"), Buffer("c", "float64")


def text(*values: Expr) -> str:
    """LLVM IR of a kernel that stores ``values``."""
    body = tuple(Store(C, b.index(64 * k), value) for k, value in enumerate(values))
    return render([Function("f", (A, C), (), body)], cpu.named("x86-64-v4"))


def test_vectors_of_several_widths_share_a_function() -> None:
    code = text(*(b.op("sin", Load(A, b.index(64), lanes)) for lanes in (32, 16, 8)))
    check(code)
    assert code.count("define internal <8 x double>") == code.count("define internal") == 1
    assert code.count("call <8 x double> @f.rare0(") == 4 + 2 + 1


def test_a_literal_argument_makes_the_function_another_one() -> None:
    half, third = (b.const(v, "float64", 8) for v in (0.5, 1 / 3))
    first, second = (Load(A, b.index(i), 8) for i in (0, 64))
    code = text(*(b.op("pow", x, y) for x, y in ((first, half), (second, half), (first, third))))
    check(code)
    assert code.count("define internal") == 2


def test_what_is_short_stays_in_its_place() -> None:
    code = text(b.op("exp", Load(A, b.index(0), 8)))
    assert "define internal" not in code


@pytest.mark.parametrize("lanes", [1, 2, 4, 16, 32])
@pytest.mark.parametrize("name", ["sin", "tan", "pow", "fmod"])
def test_lanes_that_need_it_among_others(name: str, lanes: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(-9, 9, 960) * 10.0 ** rng.choice([0, 0, 0, 40, 300], 960)
    y = rng.uniform(-9, 9, 960) * 10.0 ** rng.choice([0, 0, 0, -40, 3], 960)
    arrays = (x, y)[: 2 if name in ("pow", "fmod") else 1]
    got = mathlab.native(name, "float64", lanes)(*arrays)
    assert np.array_equal(got, mathlab.native(name, "float64")(*arrays), equal_nan=True)
    error, where = mathlab.worst(name, "float64", got, *arrays)
    assert error <= 2, where
