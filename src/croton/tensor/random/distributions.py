"""Distributions: expressions over the random bits of a state.

Each takes the state first.  ``size`` is a tuple of numbers or symbolic integers
(or a symbolic vector of known length); None takes the sizes of the parameters,
which broadcast as in every expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph.variable import Variable
from croton.tensor import dtypes
from croton.tensor.axes import shape_padright
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.creation import alloc, arange
from croton.tensor.elementwise import cast, clip, eq, log, lt
from croton.tensor.elementwise.op import broadcast_shape
from croton.tensor.random.bits import RandomBits
from croton.tensor.random.convert import BELOW, BERNOULLI, FRACTION, NORMAL
from croton.tensor.random.order import PoissonCount, RandomOrder
from croton.tensor.random.quantile import quantile
from croton.tensor.reduction import argmin
from croton.tensor.reduction import max as tensor_max
from croton.tensor.reduction import sum as tensor_sum
from croton.tensor.shapes import (
    as_size,
    as_sizes,
    known_size,
    product,
    reshape,
    shape_tuple,
)

_ONE = constant(np.int64(1))


def sizes_of(size: Any, ndim: int | None, parameters: Sequence[Any]) -> list[Any]:
    """The sizes of a draw as int64 scalars: ``size``, or what the parameters broadcast to.

    Raises ValueError if they contradict ``ndim`` or are negative.
    """
    rank = max([p.type.ndim for p in parameters], default=0)
    if size is None:
        if ndim is not None and ndim < rank:
            raise ValueError(f"ndim is {ndim}, but a parameter has rank {rank}")
        return _common_sizes(parameters, rank if ndim is None else ndim)
    if isinstance(size, Variable) and ndim is not None and size.type.ndim == 1:  # type: ignore[attr-defined]
        sizes = [as_size(size[k]) for k in range(ndim)]  # type: ignore[index]
    else:
        sizes = as_sizes(size)
    if ndim is not None and ndim != len(sizes):
        raise ValueError(f"ndim is {ndim}, but the size {size} has {len(sizes)} entries")
    if rank > len(sizes):
        raise ValueError(f"a parameter has rank {rank}, but the size {size} {len(sizes)} entries")
    known = [known_size(s) for s in sizes]
    if any(n is not None and n < 0 for n in known):
        raise ValueError(f"a size cannot be negative: {known}")
    return sizes


def _common_sizes(parameters: Sequence[Any], rank: int) -> list[Any]:
    wide = [as_tensor_variable(p, ndim=rank) for p in parameters]
    static = broadcast_shape([p.type.shape for p in wide])
    sizes: list[Any] = []
    for d, n in enumerate(static):
        if n is not None:
            sizes.append(constant(np.int64(n)))
        else:
            sizes.append(next(shape_tuple(p)[d] for p in wide if p.type.shape[d] is None))
    return sizes


def _bits(state: Any, sizes: Sequence[Any], stream: int = 0, word: str = "own") -> Any:
    return RandomBits(len(sizes), stream, word)(state, *sizes)


def fraction(state: Any, sizes: Sequence[Any], dtype: str, open_ends: bool = False) -> Any:
    """Uniform in [0, 1), with every digit that ``dtype`` has; ``open_ends``: never 0 either."""
    count = 2 if dtype == "float64" else 1
    return FRACTION[dtype, open_ends](*(_bits(state, sizes, k) for k in range(count)))


def _float_dtype(dtype: Any, parameters: Sequence[Any]) -> str:
    if dtype is None:
        return dtypes.upcast(dtypes.check("floatX"), *(p.type.dtype for p in parameters))
    name = dtypes.check(dtype)
    if name not in dtypes.FLOATS:
        raise TypeError(f"this distribution is one of floats, got dtype {name}")
    return name


def uniform(
    state: Any,
    size: Any = None,
    low: Any = 0.0,
    high: Any = 1.0,
    ndim: int | None = None,
    dtype: Any = None,
    open_ends: bool = False,
) -> Any:
    """Uniform in [low, high) (``open_ends``: in (low, high)).

    As in NumPy, ``high`` itself may come out where ``low + u * (high - low)`` rounds to it.
    """
    low, high = as_tensor_variable(low), as_tensor_variable(high)
    kind = _float_dtype(dtype, (low, high))
    u = fraction(state, sizes_of(size, ndim, (low, high)), kind, open_ends)
    if _is_number(low, 0) and _is_number(high, 1):
        return u
    low, high = cast(low, kind), cast(high, kind)
    scaled = u * (high - low)
    return scaled if _is_number(low, 0) else scaled + low


def _is_number(x: Any, value: float) -> bool:
    data = getattr(x, "data", None)
    return data is not None and data.ndim == 0 and float(data) == value


def normal(
    state: Any,
    size: Any = None,
    avg: Any = 0.0,
    std: Any = 1.0,
    ndim: int | None = None,
    dtype: Any = None,
) -> Any:
    """Normal with mean ``avg`` and standard deviation ``std``."""
    avg, std = as_tensor_variable(avg), as_tensor_variable(std)
    kind = _float_dtype(dtype, (avg, std))
    sizes = sizes_of(size, ndim, (avg, std))
    wide = "float64" if kind == "float64" else "float32"
    streams = (0, 1) if wide == "float64" else (0,)
    words = [_bits(state, sizes, s, w) for w in ("radius", "angle") for s in streams]
    z = cast(NORMAL[wide](*words), kind)
    if not _is_number(std, 1):
        z = z * cast(std, kind)
    return z if _is_number(avg, 0) else z + cast(avg, kind)


def bernoulli(state: Any, sizes: Sequence[Any], p: Any) -> Any:
    """True with probability ``p``, which broadcasts to ``sizes``."""
    return BERNOULLI(_bits(state, sizes), p)


def binomial(
    state: Any,
    size: Any = None,
    n: Any = 1,
    p: Any = 0.5,
    ndim: int | None = None,
    dtype: Any = "int64",
) -> Any:
    """How many of ``n`` events of probability ``p`` happen; the work grows with ``n``."""
    p = _probabilities(p)
    kind = dtypes.check(dtype)
    if isinstance(n, int | np.integer) and n == 1:
        return cast(bernoulli(state, sizes_of(size, ndim, (p,)), p), kind)
    n = as_tensor_variable(n)
    if n.type.dtype not in dtypes.INTEGERS:
        raise TypeError(f"the number of events is an integer, got {n} of dtype {n.type.dtype}")
    sizes = sizes_of(size, ndim, (n, p))
    most = as_size(n if n.type.ndim == 0 else tensor_max(n))
    happened = bernoulli(state, [most, *sizes], p)
    if n.type.ndim:
        number = shape_padright(arange(most), len(sizes))
        happened = happened & lt(number, as_tensor_variable(n, ndim=len(sizes)))
    return cast(tensor_sum(happened, axis=0), kind)


def _probabilities(p: Any) -> Any:
    p = as_tensor_variable(p)
    if p.type.dtype not in dtypes.REAL:
        raise TypeError(f"a probability is a real number, got dtype {p.type.dtype}")
    return p


def categorical(state: Any, sizes: Sequence[Any], pvals: Any) -> Any:
    """Positions in the last dimension of ``pvals``, each with the probability that stands there.

    ``sizes`` are those of the result; the probabilities need not add up to 1.  The
    winner is the smallest of exponential waiting times, so there is no running
    sum in which small probabilities get lost.
    """
    pvals = _probabilities(pvals)
    kind = pvals.type.dtype if pvals.type.dtype in dtypes.FLOATS else "float64"
    wide = "float64" if kind == "float64" else "float32"
    pvals = cast(pvals, wide)
    count = shape_tuple(pvals)[-1]
    waited = -log(fraction(state, [*sizes, count], wide, open_ends=True)) / pvals
    return argmin(waited, axis=-1)


def multinomial(
    state: Any,
    size: Any = None,
    n: Any = 1,
    pvals: Any = (0.5, 0.5),
    ndim: int | None = None,
    dtype: Any = "int64",
) -> Any:
    """How often each position comes up in ``n`` draws with the probabilities ``pvals``.

    The last dimension of ``pvals`` is that of the result; ``size`` gives the others.
    """
    pvals = _probabilities(pvals)
    if pvals.type.ndim == 0:
        raise ValueError("expected a vector of probabilities (or rows of them), got a scalar")
    rows = shape_tuple(pvals)[:-1]
    sizes = _leading_sizes(size, ndim, rows, pvals.type.ndim - 1)
    position = arange(shape_tuple(pvals)[-1])
    single = isinstance(n, int | np.integer) and n == 1
    drawn = categorical(state, sizes if single else [as_size(n), *sizes], pvals)
    hits = eq(shape_padright(drawn), position)
    return cast(hits if single else tensor_sum(hits, axis=0), dtypes.check(dtype))


def _leading_sizes(size: Any, ndim: int | None, rows: Sequence[Any], rank: int) -> list[Any]:
    if size is None:
        if ndim is not None and ndim != rank:
            raise ValueError(f"ndim is {ndim}, but the probabilities have {rank} leading sizes")
        return list(rows)
    sizes = sizes_of(size, ndim, ())
    if len(sizes) < rank:
        raise ValueError(f"the probabilities have {rank} leading sizes, but size {size} is shorter")
    return sizes


def random_integers(
    state: Any,
    size: Any = None,
    low: Any = 0,
    high: Any = 1,
    ndim: int | None = None,
    dtype: Any = "int64",
) -> Any:
    """Integers from ``low`` to ``high``, both included."""
    low, high = as_tensor_variable(low), as_tensor_variable(high)
    for v in (low, high):
        if v.type.dtype not in dtypes.INTEGERS:
            raise TypeError(f"a bound is an integer, got {v} of dtype {v.type.dtype}")
    sizes = sizes_of(size, ndim, (low, high))
    low, high = cast(low, "int64"), cast(high, "int64")
    count = cast(high - low + np.int64(1), "uint64")
    below = BELOW(_bits(state, sizes), _bits(state, sizes, 1), count)
    return cast(below + low, dtypes.check(dtype))


def choice(
    state: Any,
    size: Any = None,
    a: Any = 2,
    replace: bool = True,
    p: Any = None,
    ndim: int | None = None,
    dtype: Any = "int64",
) -> Any:
    """Elements of the vector ``a`` (a number: of ``arange(a)``), with probabilities ``p``.

    Without ``replace`` no position is taken twice, and ``size`` is one number.
    Rows of probabilities give rows of choices, of ``size`` positions each.
    """
    p = None if p is None else _probabilities(p)
    if p is not None and p.type.ndim not in (1, 2):
        raise ValueError(f"the probabilities are a vector or rows of them, got {p.type}")
    sizes = sizes_of(() if size is None else size, ndim, ())
    if p is not None and p.type.ndim == 2:
        return cast(_choice_by_row(state, sizes, replace, p), dtypes.check(dtype))
    a = as_tensor_variable(a)
    if a.type.ndim > 1:
        raise ValueError(f"expected a number or a vector to choose from, got {a.type}")
    count = as_size(a) if a.type.ndim == 0 else shape_tuple(a)[0]
    if not replace:
        if len(sizes) > 1:
            raise ValueError(f"without replacement the size is one number, got {size}")
        weights = alloc(np.float64(1), count) if p is None else p
        place = RandomOrder(0)(state, weights)
        place = _first(place, sizes[0]) if sizes else place[0]
    elif p is None:
        place = random_integers(state, sizes, constant(np.int64(0)), count - _ONE)
    else:
        place = categorical(state, sizes, p)
    return cast(place, dtypes.check(dtype)) if a.type.ndim == 0 else a[place]


def _choice_by_row(state: Any, sizes: Sequence[Any], replace: bool, p: Any) -> Any:
    if len(sizes) > 1:
        raise ValueError("with rows of probabilities the size is one number")
    count = sizes[0] if sizes else _ONE
    rows = shape_tuple(p)[0]
    if not replace:
        return _first(RandomOrder(1)(state, p, rows), count)
    return categorical(state, [rows, count], p.dimshuffle(0, "x", 1))


def _first(order: Any, count: Any) -> Any:
    """The first ``count`` positions of each row; ValueError if there are not so many."""
    taken = order[..., :count]
    rank, known = order.type.ndim, known_size(count)
    if known is not None:
        return taken.specify_shape([None] * (rank - 1) + [known])
    return reshape(taken, [*shape_tuple(order)[:-1], count])


def permutation(
    state: Any, size: Any = None, n: Any = 1, ndim: int | None = None, dtype: Any = "int64"
) -> Any:
    """The numbers of 0 ... n - 1 in random order, in rows of the given sizes."""
    sizes = sizes_of(() if size is None else size, ndim, ())
    weights = alloc(np.float64(1), as_size(n))
    return cast(RandomOrder(len(sizes))(state, weights, *sizes), dtypes.check(dtype))


def shuffle_row_elements(state: Any, input: Any) -> Any:
    """``input`` with the elements along its last dimension in random order, row by row."""
    x = as_tensor_variable(input)
    if x.type.ndim == 0:
        raise ValueError(f"cannot shuffle the elements of the scalar {x}")
    sizes = shape_tuple(x)
    rows = product(sizes[:-1])
    order = RandomOrder(1)(state, alloc(np.float64(1), sizes[-1]), rows)
    flat = reshape(x, [rows, sizes[-1]])
    return reshape(flat[shape_padright(arange(rows)), order], list(sizes))


def poisson(
    state: Any, size: Any = None, lam: Any = 1.0, ndim: int | None = None, dtype: Any = "int64"
) -> Any:
    """How many events of a rate happen, of which ``lam`` are expected."""
    lam = as_tensor_variable(1.0 if lam is None else lam)
    u = fraction(state, sizes_of(size, ndim, (lam,)), "float64")
    return cast(PoissonCount()(u, lam), dtypes.check(dtype))


#: What lies below two standard deviations.
_BELOW_TWO = 0.022750131948179207


def truncated_normal(
    state: Any,
    size: Any = None,
    avg: Any = 0.0,
    std: Any = 1.0,
    ndim: int | None = None,
    dtype: Any = None,
) -> Any:
    """Normal, of which only what is within two standard deviations is drawn."""
    avg, std = as_tensor_variable(avg), as_tensor_variable(std)
    kind = _float_dtype(dtype, (avg, std))
    wide = "float64" if kind == "float64" else "float32"
    u = fraction(state, sizes_of(size, ndim, (avg, std)), wide, open_ends=True)
    span, low = (np.dtype(wide).type(v) for v in (1 - 2 * _BELOW_TWO, _BELOW_TWO))
    z = cast(clip(quantile(u * span + low), np.int8(-2), np.int8(2)), kind)
    return z * cast(std, kind) + cast(avg, kind)
