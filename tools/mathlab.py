"""What the measurements and tests of vector math share: native loops, oracles, errors in ULP."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.build import index, op
from croton.kernel.nodes import Buffer, Expr, For, Function, Load, Store, Var
from croton.kernel.ops import OPS

Array = np.ndarray[Any, Any]

_KERNEL = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
)

#: Distance in elements that a loop step covers.
STEP = {"float32": 32, "float64": 16}


def loop(name: str, dtype: str, lanes: int, formula: Callable[..., Expr], arity: int) -> Function:
    """A kernel that applies ``formula`` to ``arity`` buffers, ``lanes`` elements at a time."""
    buffers = [Buffer(f"in{k}", dtype) for k in range(arity)]
    out = Buffer("out", dtype)
    i = Var("i")
    value = formula(*(Load(b, i, lanes) for b in buffers))
    body = (Store(out, i, value),)
    step = For(i, Var("lo"), Var("hi"), body, step=index(lanes))
    times = Var("times")
    again = For(Var("repeat"), index(0), times, (step,))
    return Function(name, (*buffers, out), (times,), (again,))


class Native:
    """A formula as native code over whole arrays."""

    def __init__(
        self, name: str, dtype: str, formula: Callable[..., Expr], arity: int, lanes: int = 0
    ) -> None:
        self.dtype = dtype
        self.arity = arity
        self.lanes = lanes or STEP[dtype]
        self.function = loop(name, dtype, self.lanes, formula, arity)
        text = render([self.function], host())
        self._library = host().load(host().compile(text))
        self._entry = _KERNEL(self._library.address(name))
        self._scratch = np.zeros(64, np.uint8)

    def assembly(self) -> str:
        """What the loop became."""
        return host().assembly(render([self.function], host()))

    def call(self, pointers: Any, count: int, times: int = 1) -> None:
        """Run on ``count`` elements of the buffers whose addresses ``pointers`` holds."""
        sizes = (ctypes.c_int64 * 1)(times)
        table = ctypes.addressof(pointers)
        self._entry(table, ctypes.addressof(sizes), 0, count, self._scratch.ctypes.data)

    def __call__(self, *arrays: Array) -> Array:
        """The formula's value for each element."""
        size = arrays[0].size
        padded = -(-size // self.lanes) * self.lanes
        inputs = []
        for a in arrays:
            full = np.ones(padded, self.dtype)
            full[:size] = np.broadcast_to(a, arrays[0].shape).ravel()
            inputs.append(full)
        out = np.empty(padded, self.dtype)
        pointers = (ctypes.c_void_p * (self.arity + 1))(*(a.ctypes.data for a in (*inputs, out)))
        self.call(pointers, padded)
        return out[:size].reshape(arrays[0].shape)


@cache
def native(name: str, dtype: str, lanes: int = 0) -> Native:
    """The function ``name`` of the kernel language as native code."""
    return Native(f"f_{name}", dtype, lambda *a: op(name, *a), OPS[name].arity, lanes)


# -- oracles ---------------------------------------------------------------------------

_libm = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")


class _LongDouble(ctypes.c_longdouble):
    """A result that stays what it is: of one of the class itself ctypes makes a float."""


def _long(name: str) -> Callable[[Array], Array]:
    """libm's function for long double; on x86 its results have 11 more bits than a double's."""
    function: Any = getattr(_libm, name + "l")
    function.argtypes = [ctypes.c_longdouble]
    function.restype = _LongDouble

    def call(x: Array) -> Array:
        found = (np.frombuffer(function(float(v)), np.longdouble)[0] for v in x.ravel())
        return np.fromiter(found, np.longdouble, x.size).reshape(x.shape)

    return call


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e / (1 + e), 1 / (1 + e))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


WIDE: dict[str, Callable[..., Array]] = {
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "pow": np.power,
    "erf": _long("erf"),
    "erfc": _long("erfc"),
}


def wide(name: str, *arrays: Array) -> Array:
    """``name`` in long double."""
    function = WIDE.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):
        return function(*(a.astype(np.longdouble) for a in arrays))


def _mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _mp_softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x))


MP: dict[str, Callable[..., Any]] = {
    "sigmoid": _mp_sigmoid,
    "softplus": _mp_softplus,
    "pow": mpmath.power,
    "exp2": lambda x: mpmath.power(2, x),
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "fmod": lambda x, y: mpmath.sign(x) * mpmath.fmod(abs(x), abs(y)),
}


def exact(name: str, *arguments: float) -> Any:
    """``name`` at one point, to 60 digits and more than what cancels."""
    function = MP.get(name) or getattr(mpmath, name)
    with mpmath.workdps(400 if name in ("sin", "cos", "tan") else 60):
        return function(*(mpmath.mpf(float(a)) for a in arguments))


# -- errors ----------------------------------------------------------------------------


def spacing(values: Array, dtype: str) -> Array:
    """The distance between neighbours of ``dtype`` around each of the long double ``values``."""
    info = np.finfo(dtype)
    _, exponent = np.frexp(np.abs(values))
    least = info.minexp - info.nmant
    distance: Array = np.ldexp(np.longdouble(1), np.maximum(exponent - 1 - info.nmant, least))
    return distance


def errors(got: Array, want: Array, dtype: str) -> Array:
    """``|got - want|`` in ULP of ``want``; agreement of NaN and infinity counts as 0."""
    info = np.finfo(dtype)
    limit = np.longdouble(info.max) * (1 + np.longdouble(info.eps) / 4)
    with np.errstate(all="ignore"):
        got_l = got.astype(np.longdouble)
        beyond = np.abs(want) >= limit
        want = np.where(beyond, np.copysign(np.longdouble(np.inf), want), want)
        # A result that overflowed is judged as the power of two behind the largest number.
        ends = np.isinf(got_l) != np.isinf(want)
        top = np.ldexp(np.longdouble(1), info.maxexp)
        got_f = np.where(np.isinf(got_l) & ends, np.copysign(top, got_l), got_l)
        want_f = np.where(np.isinf(want) & ends, np.copysign(top, want), want)
        error = np.abs(got_f - want_f) / spacing(want_f, dtype)
        same = (np.isnan(got_l) & np.isnan(want)) | (np.isinf(want) & (got_l == want))
        error = np.where(same, 0, error)
        return np.where(np.isnan(error), np.inf, error).astype(np.float64)


def exact_error(name: str, dtype: str, got: float, *arguments: float) -> float:
    """The error at one point against mpmath, in ULP."""
    want = exact(name, *arguments)
    if isinstance(want, mpmath.mpc):
        return 0.0 if np.isnan(got) else float("inf")
    if not mpmath.isfinite(want) or not np.isfinite(got):
        rounded = np.array([float(want)], np.longdouble)
        return float(errors(np.array([got], dtype), rounded, dtype)[0])
    info = np.finfo(dtype)
    exponent = mpmath.frexp(want)[1] if want else -(10**6)
    unit = mpmath.ldexp(1, max(exponent - 1 - info.nmant, info.minexp - info.nmant))
    with mpmath.workdps(60):
        return float(abs(mpmath.mpf(float(got)) - want) / unit)


def worst(name: str, dtype: str, got: Array, *arrays: Array, checks: int = 12) -> tuple[float, Any]:
    """The largest error of ``got`` and where: a sieve in long double, mpmath for the worst."""
    error = errors(got, wide(name, *arrays), dtype)
    order = np.argsort(error)[::-1][:checks]
    best: tuple[float, Any] = (0.0, None)
    for k in order:
        point = tuple(float(a[k]) for a in arrays)
        finite = all(np.isfinite(point))
        e = exact_error(name, dtype, float(got[k]), *point) if finite else float(error[k])
        if best[1] is None or e > best[0]:
            best = (e, point)
    return best


def floats(dtype: str, count: int, seed: int = 0) -> Array:
    """Random bit patterns: every exponent, both signs, NaN and infinity among them."""
    rng = np.random.default_rng(seed)
    size = np.dtype(dtype).itemsize
    return rng.integers(0, 256, count * size, dtype=np.uint8).view(dtype)


DOUBLE: dict[str, Callable[[Array], Array]] = {
    **{name: function for name, function in WIDE.items() if name not in ("pow", "atan2")},
    "erf": lambda x: _special().erf(x),
    "erfc": lambda x: _special().erfc(x),
}


def _special() -> Any:
    from scipy import special

    return special


def every(name: str, step: int = 1) -> tuple[float, tuple[float, ...]]:
    """The largest error of ``name`` on all of float32 (or each ``step``-th number), and where.

    A double has 29 bits more: its functions are right enough to judge by.
    """
    function, reference = native(name, "float32"), DOUBLE.get(name) or getattr(np, name)
    count = 1 << 16
    worst_error, where = 0.0, 0.0
    for start in range(0, 1 << 32, count * step):
        bits = np.arange(start, min(start + count * step, 1 << 32), step, dtype=np.int64)
        x = bits.astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            got, want = function(x), reference(x.astype(np.float64))
            exponent = (want.view(np.int64) >> 52) & 0x7FF
            unit = np.ldexp(1.0, np.maximum(exponent - 1023, -126) - 23)
            error = np.abs(got - want) / unit
            rounded = want.astype(np.float32)
        same = (np.isnan(got) & np.isnan(rounded)) | (got == rounded)
        error = np.where(same & ~np.isfinite(error), 0, error)
        error = np.where(np.isnan(error), np.inf, error)
        k = int(np.argmax(error))
        if error[k] > worst_error:
            worst_error, where = float(error[k]), float(x[k])
    return worst_error, (where,)


SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    0.5,
    -0.5,
    np.inf,
    -np.inf,
    np.nan,
]


def specials(dtype: str) -> Array:
    """Zeros, ones, infinities, NaN, and the ends of the normal and subnormal numbers."""
    info = np.finfo(dtype)
    ends = [info.max, info.tiny, info.smallest_subnormal, info.tiny - info.smallest_subnormal]
    more: list[Any] = [1 + info.eps, 1 - info.epsneg, 1e-5, 0.1, 3.0, 10.0, 100.0, 1e4]
    both = [s * v for v in (*ends, *more) for s in (1, -1)]
    return np.array([*SPECIAL, *both], dtype)
