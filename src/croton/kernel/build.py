"""Making kernel expressions: types inferred, scalars widened, integers folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from croton.kernel.nodes import Assign, Best, Const, Expr, Op
from croton.kernel.ops import OPS

_FOLD: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b if b else 0,
    "mod": lambda a, b: a % b if b else 0,
    "maximum": max,
    "minimum": min,
}


def const(value: Any, dtype: str, lanes: int = 1) -> Const:
    """A literal of ``dtype`` in every lane."""
    return Const(value, dtype, lanes)


def index(value: int) -> Const:
    """An int64 literal."""
    return Const(value, "int64")


def broadcast(value: Expr, lanes: int) -> Expr:
    """``value`` in every one of ``lanes`` lanes; a value that has them already stays."""
    if value.lanes == lanes:
        return value
    if value.lanes != 1:
        raise ValueError(f"cannot broadcast {value.lanes} lanes to {lanes}")
    if isinstance(value, Const):
        return Const(value.value, value.dtype, lanes)
    return Op("broadcast", (value,), value.dtype, lanes)


def ramp(base: Expr, lanes: int) -> Expr:
    """``base, base + 1, ..., base + lanes - 1``."""
    return base if lanes == 1 else Op("ramp", (base,), base.dtype, lanes)


def cast(value: Expr, dtype: str) -> Expr:
    """Convert every lane to ``dtype``."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Const) and not isinstance(value.value, complex):
        if dtype.startswith("float"):
            return Const(float(value.value), dtype, value.lanes)
        if dtype.startswith("int") and isinstance(value.value, int):
            return Const(int(value.value), dtype, value.lanes)
    return Op("cast", (value,), dtype, value.lanes)


def bitcast(value: Expr, dtype: str) -> Expr:
    """The same bits, read as ``dtype`` (of the same size)."""
    return value if value.dtype == dtype else Op("bitcast", (value,), dtype, value.lanes)


def op(name: str, *args: Expr) -> Expr:
    """Apply an operation of the table; scalar arguments are widened to the lanes of the others.

    Raises TypeError if the argument dtypes differ where they must not, and
    ValueError if the number of arguments is wrong.
    """
    info = OPS[name]
    if len(args) != info.arity:
        raise ValueError(f"{name} takes {info.arity} arguments, got {len(args)}")
    lanes = max([a.lanes for a in args])
    if lanes > 1:
        args = tuple([broadcast(a, lanes) for a in args])
    first = args[0].dtype
    if name == "select":
        if first != "bool" or args[1].dtype != args[2].dtype:
            raise TypeError(f"select of {[a.dtype for a in args]}")
    elif name != "ldexp":
        for a in args:
            if a.dtype != first:
                raise TypeError(f"{name} of {[a.dtype for a in args]}")
    if name in _FOLD:
        folded = _fold(name, args)
        if folded is not None:
            return folded
    dtype = info.result
    if dtype == "same":
        dtype = first
    elif dtype == "second":
        dtype = args[-1].dtype
    return Op(name, args, dtype, lanes)


def shuffle(a: Expr, b: Expr, pattern: tuple[int, ...]) -> Expr:
    """For each lane an index into the lanes of ``a`` followed by those of ``b``."""
    if len(pattern) == 1:
        (lane,) = pattern
        return extract(a, lane) if lane < a.lanes else extract(b, lane - a.lanes)
    return Op("shuffle", (a, b), a.dtype, len(pattern), pattern)


def extract(value: Expr, lane: int) -> Expr:
    """One lane of ``value``."""
    return value if value.lanes == 1 else Op("extract", (value,), value.dtype, 1, (lane,))


def philox(
    column: Expr, row: Expr, step: Expr, key: Expr, keep: int = 3, put: int = 0, turn: int = 0
) -> Expr:
    """32 random bits (see :mod:`croton.kernel.philox`); the arguments are int64.

    Behind ``keep``, ``put`` and ``turn`` the operation's attrs may say ``"aligned"``:
    its 16, 32 or 64 lanes are a row's neighbours, the first at a multiple of that.
    """
    result = op("philox", column, row, step, key)
    assert isinstance(result, Op)
    result.attrs = (keep, put, turn)
    return result


def reduce_lanes(name: str, value: Expr) -> Expr:
    """Combine the lanes of ``value`` (``name``: add, mul, max, min, and, or, xor)."""
    return value if value.lanes == 1 else Op("reduce_" + name, (value,), value.dtype, 1)


def best_assignments(best: Best, mask: Expr | None = None) -> tuple[Assign, Assign]:
    """What a ``Best`` does, said in assignments; lanes where ``mask`` is false do nothing."""
    value, var = best.value, best.var
    better = op("gt" if best.largest else "lt", value, var)
    if "float" in value.dtype:
        first_nan = op("and", op("ne", value, value), op("eq", var, var))
        better = op("or", better, first_nan)
    if mask is not None:
        better = op("and", better, mask)
    return (
        Assign(best.where, select(better, best.index, best.where)),
        Assign(var, select(better, value, var)),
    )


def _fold(name: str, args: tuple[Expr, ...]) -> Expr | None:
    """Integer index arithmetic on constants, and the identities of +, * and //."""
    if not args[0].dtype.startswith("int"):
        return None
    a, b = args
    if isinstance(a, Const) and isinstance(b, Const):
        half = 1 << int(a.dtype[3:]) - 1
        return Const((_FOLD[name](a.value, b.value) + half) % (2 * half) - half, a.dtype, a.lanes)
    if name in ("add", "mul") and isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const):
        if b.value == 0 and name in ("add", "sub"):
            return a
        if b.value == 1 and name in ("mul", "floordiv"):
            return a
        if (b.value, name) in ((0, "mul"), (1, "mod")):
            return Const(0, a.dtype, a.lanes)
    return None


def add(a: Expr, b: Expr) -> Expr:
    """``a + b``."""
    return op("add", a, b)


def sub(a: Expr, b: Expr) -> Expr:
    """``a - b``."""
    return op("sub", a, b)


def mul(a: Expr, b: Expr) -> Expr:
    """``a * b``."""
    return op("mul", a, b)


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    """``a`` where ``condition`` holds, else ``b``."""
    return op("select", condition, a, b)
