"""What vector math expands into: primitive operations that every evaluator agrees on."""

from __future__ import annotations

import mathlab
import numpy as np
import pytest

from croton.codegen.math import expand
from croton.kernel.build import op
from croton.kernel.interpret import interpret
from croton.kernel.nodes import Expr, KernelError, Op, Var
from croton.kernel.ops import FUNCTIONS, OPS
from croton.kernel.verify import verify

NAMES = sorted(FUNCTIONS - {"philox"})


def expansion(name: str, *arguments: Expr) -> Expr:
    """``name`` of ``arguments``, expanded."""
    call = op(name, *arguments)
    assert isinstance(call, Op)
    return expand(call)


def operations(root: Expr) -> set[str]:
    """The names of all operations below ``root``."""
    seen: dict[int, Expr] = {}
    stack = [root]
    while stack:
        expr = stack.pop()
        if id(expr) not in seen:
            seen[id(expr)] = expr
            stack.extend(expr.args if isinstance(expr, Op) else ())
    return {e.name for e in seen.values() if isinstance(e, Op)}


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_only_primitive_operations_of_the_right_type(name: str, dtype: str, lanes: int) -> None:
    arguments = [Var(f"x{k}", dtype, lanes) for k in range(OPS[name].arity)]
    result = expansion(name, *arguments)
    assert (result.dtype, result.lanes) == (dtype, lanes)
    assert not operations(result) & FUNCTIONS


@pytest.mark.parametrize("name", ["exp", "sin", "pow"])
def test_other_dtypes_are_refused(name: str) -> None:
    arguments = [Var(f"x{k}", "float16") for k in range(OPS[name].arity)]
    with pytest.raises(KernelError, match="float32 and float64, not for float16"):
        expansion(name, *arguments)


def test_other_operations_are_refused() -> None:
    with pytest.raises(KernelError, match="sqrt is not a function"):
        expansion("sqrt", Var("x", "float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_interpreted_and_native_agree(name: str, dtype: str) -> None:
    def formula(*arguments: Expr) -> Expr:
        return expansion(name, *arguments)

    arity = OPS[name].arity
    function = mathlab.loop(f"f_{name}", dtype, 8, formula, arity)
    verify(function)
    special = mathlab.specials(dtype)
    values = np.concatenate([special, mathlab.floats(dtype, 64 - special.size)])
    inputs = [values, np.roll(values[::-1], 5)][:arity]
    buffers = {f"in{k}": a for k, a in enumerate(inputs)}
    buffers["out"] = np.zeros(64, dtype)
    with np.errstate(all="ignore"):
        interpret(function, buffers, {"times": 1}, 0, 64)
    got, want = mathlab.native(name, dtype)(*inputs), buffers["out"]
    # In the interpreter a double's fma has 64 bits: not enough for a large quotient's remainder.
    close = np.isclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=0, equal_nan=True)
    if name == "fmod" and dtype == "float64":
        with np.errstate(all="ignore"):
            close |= np.abs(inputs[0] / inputs[1]) > 2**10
    assert close.all(), [(*(a[i] for a in inputs), got[i], want[i]) for i in np.flatnonzero(~close)]
