"""Lines of random programs.

Each function here returns the text of an expression of what a program has so far, or None where
nothing fits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from random_data import FLOATS, INTEGERS, array

if TYPE_CHECKING:
    from random_graphs import Drawing


def _is_float(v: Any, x: Any) -> bool:
    return bool(x.dtype.kind == "f")


def _is_discrete(v: Any, x: Any) -> bool:
    return bool(x.dtype.kind != "f")


def _ranked(*ranks: int) -> Any:
    return lambda v, x: x.ndim in ranks


UNARY = (
    "neg abs_ sgn sqr sqrt reciprocal isnan isinf exp exp2 expm1 log log2 log10 log1p sigmoid "
    "softplus floor ceil trunc round_half_to_even round_half_away_from_zero erf erfc sin cos tan "
    "arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg identity invert "
    "nnet.relu nnet.elu nnet.selu nnet.softsign nnet.hard_sigmoid zeros_like ones_like "
    "nnet.ultra_fast_sigmoid round iround"
).split()
SAFE = (
    "T.tanh({})", "T.exp(T.tanh({}))", "T.log(T.sqr({}) + 1.5)", "T.sqrt(abs({}) + 0.25)",
    "1 / (1 + T.exp(-{}))", "T.log1p(T.sqr({}))", "T.switch({0} > 0.1, {0}, 0)",
    "T.clip({}, -0.75, 0.625)", "{} * 2 - 1", "{} ** 2", "{} ** 3", "2 ** T.clip({}, -3, 3)",
    "T.maximum({}, 0.1)", "{} / 3", "1.5 - {}", "T.nnet.relu({}, 0.1)",
)  # fmt: skip
BINARY = (
    "add sub mul add sub mul true_div int_div mod maximum minimum lt le gt ge eq ne arctan2 and_ "
    "or_ xor pow isclose"
).split()


def _unary(d: Drawing) -> str | None:
    x = d.some()
    name = d.one(UNARY)
    return f"T.{name}({x})"


def _safe(d: Drawing) -> str | None:
    return str(d.one(SAFE)).format(d.some(_is_float) or d.some())


def _fit(a: Any, b: Any, va: Any, vb: Any) -> bool:
    """Whether two values go together in an elementwise function."""
    k = min(a.ndim, b.ndim)
    for d in range(1, k + 1):
        if a.shape[-d] != b.shape[-d] and va.type.shape[-d] != 1 and vb.type.shape[-d] != 1:
            return False
    return True


def _partner(d: Drawing, x: str, fits: Any = None) -> str:
    a, va = d.value(x), d.names[x]
    other = d.some(lambda v, b: _fit(a, b, va, v) and (fits is None or fits(v, b)))
    return other or x


def _constant(d: Drawing, x: str) -> str:
    """A number, or an array that goes with ``x``."""
    a = d.value(x)
    shape = tuple(1 if d.chance(3) else n for n in a.shape) if d.chance(3) else ()
    if shape and math.prod(shape) <= 64:
        data = array(str(a.dtype), shape, d.number(0, 9), "grid")
        return f"np.array({data.tolist()}, {str(a.dtype)!r}).reshape({shape})"
    if a.dtype.kind == "f":
        return str(d.one([0.5, 0, 1, -1, 2, 3, 0.1, -0.0, 1.5, "np.float32(0.3)"]))
    return str(d.one([1, 0, 2, -1, 3, 100, 0.5, True]))


def _binary(d: Drawing) -> str | None:
    x = d.some()
    assert x is not None
    y = _constant(d, x) if d.chance(3) else _partner(d, x)
    if d.chance(2):
        x, y = y, x
    return f"T.{d.one(BINARY)}({x}, {y})"


def _ternary(d: Drawing) -> str | None:
    x = d.some()
    assert x is not None
    y = _constant(d, x) if d.chance(3) else _partner(d, x)
    kind = d.one(["switch", "clip", "where"])
    if kind == "clip":
        return f"T.clip({x}, {_constant(d, x)}, {y})"
    test = d.some(lambda v, b: b.dtype == bool and _fit(d.value(x), b, d.names[x], v))
    if test is None or d.chance(2):
        z = _partner(d, x)
        test = f"T.{d.one(['gt', 'le', 'eq'])}({z}, {_constant(d, z)})"
    return f"T.{kind}({test}, {x}, {y})"


def _cast(d: Drawing) -> str | None:
    dtype = d.one([*FLOATS, "int64", "bool", *INTEGERS])
    x = d.some()
    if np.dtype(dtype).kind in "iu" and _is_float(None, d.value(x)):  # type: ignore[arg-type]
        # What a number out of range becomes is not defined.
        low = 0 if dtype.startswith("u") else -100
        return f"T.clip({x}, {low}, 100).astype({dtype!r})"
    return f"{x}.astype({dtype!r})"


def _axes(d: Drawing, ndim: int) -> str:
    kind = d.one(["int", "none", "tuple"])
    if kind == "none" or not ndim:
        return "None"
    if kind == "int":
        return str(d.number(-ndim, ndim - 1))
    chosen = [a for a in range(ndim) if d.chance(2)]
    return str(tuple(a - ndim if d.chance(4) else a for a in chosen))


REDUCTIONS = "sum mean max min sum prod any all var std argmax argmin logsumexp".split()


def _reduce(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim > 0) or d.some()
    assert x is not None
    ndim = d.value(x).ndim
    name = d.one(REDUCTIONS)
    keep = ", keepdims=True" if d.chance(3) else ""
    axes = _axes(d, ndim)
    if name in ("argmax", "argmin") and axes.startswith("("):
        axes = "None"
    if name == "sum" and d.chance(6):
        # What a NaN or a number out of range becomes as an integer is not defined.
        given = [] if d.special and _is_float(None, d.value(x)) else ["int32", "int8"]
        keep += f", dtype={d.one(['float64', 'float32', *given])!r}"
    if name in ("sum", "mean") and d.chance(6):
        keep += ", acc_dtype='float64'"
    return f"T.{name}({x}, axis={axes}{keep})"


def _other_reduction(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim > 0)
    if x is None:
        return None
    axis = d.number(0, d.value(x).ndim - 1)
    return str(
        d.one(
            [
                f"T.ptp({x}, {axis})",
                f"T.norm({x}, 1, {axis})",
                f"T.norm({x}, 2)",
                f"T.max_and_argmax({x}, {axis})[0]",
                f"T.max_and_argmax({x}, {axis})[1]",
                f"{x} - {x}.mean({axis}, keepdims=True)",
                f"({x} - {x}.mean({axis}, keepdims=True)) / "
                f"T.sqrt({x}.var({axis}, keepdims=True) + 0.1)",
                f"T.exp({x} - {x}.max({axis}, keepdims=True))",
                f"T.sqr({x}).sum({axis})",
                f"T.sqr({x} - {x}.mean({axis}, keepdims=True)).sum({axis})",
                f"({x} - {x}.mean()) / T.sqrt({x}.var() + 0.1)",
            ]
        )
    )


def _reshape(d: Drawing) -> str | None:
    x = d.some()
    assert x is not None
    a = d.value(x)
    shape = a.shape
    options = [f"{x}.reshape((-1,))", f"{x}.ravel()", f"{x}.flatten({max(1, min(2, a.ndim))})"]
    if shape:
        options += [
            f"{x}.flatten({d.number(1, len(shape))})",
            f"{x}.reshape({tuple(reversed(shape))})",
            f"{x}.reshape(({x}.shape[0], -1))",
            f"{x}.reshape((*{x}.shape[1:], {x}.shape[0]), ndim={len(shape)})",
            f"{x}.reshape({x}.T.shape, ndim={len(shape)})",
            f"{x}.specify_shape({tuple(n if d.chance(2) else None for n in shape)})",
        ]
        for n in (2, 3, 4):
            if a.size and a.size % n == 0:
                options += [f"{x}.reshape((-1, {n}))", f"{x}.reshape(({n}, -1))"]
        if len(shape) > 1:
            merged = f"{x}.shape[0] * {x}.shape[1]"
            options.append(f"{x}.reshape(({merged}, *{x}.shape[2:]), ndim={len(shape) - 1})")
    return str(d.one(options))


def _dimshuffle(d: Drawing) -> str | None:
    x = d.some()
    assert x is not None
    v = d.names[x]
    order: list[Any] = [*d.order(v.ndim)]
    order = [a for a in order if not (v.type.shape[a] == 1 and d.chance(2))]
    while len(order) < 5 and d.chance(3):
        order.insert(d.number(0, len(order)), "x")
    plain = f"{x}.dimshuffle({', '.join(map(repr, order))})"
    options = [plain, plain, f"{x}.T", f"T.squeeze({x})"]
    if v.ndim > 1:
        options += [f"T.swapaxes({x}, 0, -1)", f"T.moveaxis({x}, 0, 1)", f"T.flatten({x}.T, 1)"]
    options += [f"T.transpose({x}, {d.order(v.ndim)})"]
    options += [
        f"T.shape_padaxis({x}, {d.number(0, v.ndim)})",
        f"T.shape_padleft({x})",
        f"T.shape_padright({x})",
        f"T.expand_dims({x}, 0)",
    ]
    ones = [a for a, n in enumerate(d.value(x).shape) if n == 1]
    if ones:
        options += [f"T.addbroadcast({x}, {', '.join(map(str, ones))})"]
        options += [f"T.unbroadcast({x}, {ones[0]})"]
    return str(d.one(options))


def _joins(a: Any, axis: int) -> Any:
    rest = np.delete(a.shape, axis).tolist()
    return lambda v, b: b.ndim == a.ndim and np.delete(b.shape, axis).tolist() == rest


def _join(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim > 0)
    if x is None:
        return None
    a = d.value(x)
    axis = d.number(0, a.ndim - 1)
    others = [x]
    for _ in range(d.number(1, 2)):
        others.insert(d.number(0, 1), d.some(_joins(a, axis)) or x)
    kind = d.one(["concatenate", "stack", "tile", "repeat", "split"])
    if kind == "stack":
        same = [o for o in others if d.value(o).shape == a.shape]
        return f"T.stack([{', '.join(same)}], axis={d.number(0, a.ndim)})"
    if kind == "tile":
        reps = tuple(d.number(1, 3) for _ in range(a.ndim))
        return f"T.tile({x}, {reps})"
    if kind == "repeat":
        return f"T.repeat({x}, {d.number(0, 3)}, axis={axis})"
    if kind == "split" and a.shape[axis] >= 1:
        first = d.number(0, a.shape[axis])
        return f"T.split({x}, [{first}, {a.shape[axis] - first}], 2, axis={axis})[1]"
    if d.chance(2):
        return f"T.concatenate([{', '.join(others)}], axis={axis - a.ndim})"
    return f"T.concatenate([{', '.join(others)}], axis={axis})"


def _size(d: Drawing) -> str:
    """An expression for a size."""
    x = d.some(lambda v, x: x.ndim > 0)
    if d.chance(6):
        # A size that only computing tells.
        y = d.some(lambda v, b: b.ndim > 0 and b.size > 0 and b.dtype.kind in "iu")
        if y is not None:
            return f"({y}.max().astype('int64') % 4)"
    if x is None or d.chance(3):
        return str(d.one([2, 3, 1, 0, 5]))
    axis = d.number(0, d.value(x).ndim - 1)
    n = f"{x}.shape[{axis}]"
    return str(d.one([n, n, f"{n} + 1", f"{n} // 2", f"T.maximum({n} - 2, 0)", f"{n} % 3 + 1"]))


def _create(d: Drawing) -> str | None:
    dtype = d.one(["float32", "float64", "int64", "bool", "float16", "int32"])
    kind = d.one(["alloc", "arange", "eye", "full", "tri", "fill", "like", "zeros", "step", "size"])
    if kind == "alloc":
        x = d.some(_ranked(0, 1))
        if x is None:
            return None
        own = f"{x}.shape[0]" if d.value(x).ndim else _size(d)
        return f"T.alloc({x}, {_size(d)}, {own})"
    if kind == "arange":
        return f"T.arange({_size(d)}).astype({dtype!r})"
    if kind == "step":
        return f"T.arange({_size(d)}, {_size(d)}, {d.one([1, 2, -1])})"
    if kind == "eye":
        return f"T.eye({_size(d)}, {_size(d)}, {d.one([0, 1, -1])}, dtype={dtype!r})"
    if kind == "full":
        return f"T.full(({_size(d)}, {_size(d)}), {d.one([0.5, -2, 0])}, dtype={dtype!r})"
    if kind == "tri":
        x = d.some(_ranked(2))
        return None if x is None else f"T.{d.one(['tril', 'triu'])}({x}, {d.one([0, 1, -1])})"
    if kind == "zeros":
        return f"T.zeros(({_size(d)}, {_size(d)}), dtype={dtype!r})"
    if kind == "size":
        x = d.some()
        return str(d.one([f"{x}.size * 0.5", f"T.cast({x}.size, {dtype!r})", _size(d)]))
    x = d.some()
    assert x is not None
    if kind == "fill":
        y = d.some(_ranked(0))
        return f"T.{d.one(['fill', 'full_like'])}({x}, {y or _constant(d, x)})"
    return f"T.{d.one(['zeros_like', 'ones_like'])}({x}, dtype={dtype!r})"


def _bound(d: Drawing, x: str, axis: int) -> str:
    n = d.value(x).shape[axis]
    kind = d.number(0, 5)
    if kind <= 1:
        return ""
    if kind == 5:
        return str(d.one([f"{x}.shape[{axis}] // 2", f"{x}.shape[{axis}] - 1", _size(d)]))
    return str(d.number(-n - 1, n + 1))


def _slices(d: Drawing, x: str, rank: int | None = None) -> str:
    """Entries of a basic index of ``x``."""
    a = d.value(x)
    entries = []
    for axis in range(a.ndim if rank is None else rank):
        n = a.shape[axis]
        kind = d.number(0, 6)
        if kind == 0:
            entries.append(":")
        elif kind == 1 and n:
            entries.append(str(d.number(-n, n - 1)))
        elif kind == 2 and n:
            scalar = d.some(lambda v, b: b.ndim == 0 and b.dtype.kind == "i")
            entries.append(f"{scalar} % {x}.shape[{axis}]" if scalar else "-1")
        else:
            step = d.one(["", ":2", ":-1", ":-2", ":3", ""])
            entries.append(f"{_bound(d, x, axis)}:{_bound(d, x, axis)}{step}")
    if d.chance(8):
        entries.insert(d.number(0, len(entries)), "None")
    return ", ".join(entries)


def _basic(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim > 0)
    return None if x is None else f"{x}[{_slices(d, x)}]"


def _positions(d: Drawing, n: int, size: str, like: tuple[int, ...] | None = None) -> str:
    """An index array for a dimension of size ``n`` (the text ``size``)."""
    found = d.some(lambda v, b: b.ndim in (1, 2) and b.dtype.kind == "i" and b.size <= 500)
    if like is None and found is not None and d.chance(2):
        return f"{found} % {size}"
    if d.chance(3) and like is None:
        return f"T.arange({size})"
    shape = like if like is not None else d.one([(3,), (1,), (2,), (0,), (2, 2)])
    rng = np.random.default_rng(d.number(0, 20))
    data = rng.integers(-n, max(n, 1), shape) if n else np.zeros(shape, int)
    dtype = d.one(["int64", "int32", "int8"])
    if not -128 <= -n < n <= 127:
        dtype = "int64"
    return f"np.array({data.tolist()}, {dtype!r})"


def _advanced_index(d: Drawing, x: str) -> str:
    a = d.value(x)
    first = d.number(0, a.ndim - 1)
    entries = [":" if d.chance(2) else f"{_bound(d, x, k)}:" for k in range(first)]
    if first + 1 < a.ndim and d.chance(2):
        shape = d.one([(3,), (2,), (1,), (2, 2)])
        size = f"{x}.shape[{first}]"
        entries.append(_positions(d, a.shape[first], size, shape))
        if first + 2 < a.ndim and d.chance(3):
            entries.append(":")
        k = len(entries)
        entries.append(_positions(d, a.shape[k], f"{x}.shape[{k}]", shape))
    else:
        entries.append(_positions(d, a.shape[first], f"{x}.shape[{first}]"))
    return ", ".join(entries)


def _advanced(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim > 0)
    if x is None:
        return None
    if d.chance(4):
        axis = d.number(0, d.value(x).ndim - 1)
        positions = _positions(d, d.value(x).shape[axis], f"{x}.shape[{axis}]")
        return f"T.take({x}, {positions}, axis={axis - d.value(x).ndim})"
    return f"{x}[{_advanced_index(d, x)}]"


def _assign(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim > 0)
    if x is None:
        return None
    index = _advanced_index(d, x) if d.chance(3) else _slices(d, x)
    verb = d.one(["set_subtensor", "inc_subtensor"])
    part = f"{x}[{index}]"
    region = d.add(part)
    if region is None:
        region = x
    v, a = d.names[region], d.value(region)
    wanted = str(d.value(x).dtype)
    other = d.some(lambda u, b: b.dtype == wanted and b.ndim <= a.ndim and _goes_into(b, u, a, v))
    value = d.one([f"{region} * 2", "1", "0", other or "0", other or "1"])
    return f"T.{verb}({part}, {value})"


def _goes_into(b: Any, u: Any, a: Any, v: Any) -> bool:
    return all(a.shape[-k] == b.shape[-k] or u.type.shape[-k] == 1 for k in range(1, b.ndim + 1))


def _product(d: Drawing) -> str | None:
    x = d.some(lambda v, x: 0 < x.ndim <= 3)
    if x is None:
        return None
    a = d.value(x)
    n = a.shape[-1]

    def meets(v: Any, b: Any) -> bool:
        return 0 < b.ndim <= 3 and bool(b.shape[max(b.ndim - 2, 0)] == n)

    y = d.some(meets)
    if a.ndim <= 2 and n * a.size <= 10_000 and d.chance(6):
        # With a constant, which may hold one number only.
        data = f"np.arange({3 * n}) % {d.one([7, 1])} - 2.5"
        return f"T.dot({x}, ({data}).reshape(({n}, 3)).astype({str(a.dtype)!r}))"
    if y is None or d.chance(4):
        y = f"{x}.T" if a.ndim <= 2 else f"{x}.dimshuffle(0, 2, 1)"
        ranks, columns = (a.ndim, a.ndim), a.shape[0]
    else:
        ranks, columns = (a.ndim, d.value(y).ndim), d.value(y).shape[-1]
    if ranks == (3, 3):
        return str(d.one([f"T.matmul({x}, {y})", f"T.batched_dot({x}, {y})"]))
    if max(ranks) == 3:
        return str(d.one([f"T.matmul({x}, {y})", f"T.dot({x}, {y})", f"T.tensordot({x}, {y}, 1)"]))
    options = [f"T.dot({x}, {y})", f"T.dot({x}, {y})", f"{x} @ {y}"]
    if ranks == (1, 1):
        options += [f"T.outer({x}, {y})", f"T.inner({x}, {y})"]
    if ranks == (2, 2):
        options += [f"T.dot({x}, {y}) + 1", f"T.tanh(T.dot({x}, {y}))"]
        options += [f"T.tensordot({x}, {x}, [[0, 1], [0, 1]])"]
        bias = d.some(lambda v, b: b.ndim == 1 and b.shape[0] == columns)
        if bias is not None:
            options += [f"T.nnet.relu(T.dot({x}, {y}) + {bias})"] * 2
    return str(d.one(options))


def _classifier(d: Drawing) -> str | None:
    x = d.some(lambda v, x: x.ndim in (2, 3) and x.dtype.kind == "f")
    if x is None:
        return None
    a = d.value(x)
    axis = d.number(-a.ndim, a.ndim - 1)
    options = [
        f"T.nnet.softmax({x}, axis={axis})", f"T.nnet.logsoftmax({x}, axis={axis})",
        f"T.log(T.nnet.softmax({x}, axis={axis}))", f"T.nnet.softmax({x})",
        f"T.nnet.binary_crossentropy(T.nnet.sigmoid({x}), {x} > 0)",
        f"T.nnet.sigmoid_binary_crossentropy({x}, {x} > 0)",
    ]  # fmt: skip
    if a.ndim == 2 and a.shape[1]:
        rng = np.random.default_rng(3)
        labels = f"np.array({rng.integers(0, a.shape[1], a.shape[0]).tolist()}, 'int64')"
        if a.shape[0] > 30:
            labels = f"T.arange({x}.shape[0]) % {x}.shape[1]"
        options += [
            f"T.nnet.categorical_crossentropy(T.nnet.softmax({x}), {labels})",
            f"T.nnet.categorical_crossentropy(T.nnet.softmax({x}), T.nnet.softmax({x} * 2))",
            f"T.nnet.logsoftmax({x})[T.arange({x}.shape[0]), {labels}]",
        ]
    return str(d.one(options))


def _python(d: Drawing) -> str | None:
    return f"doubled({d.some()})"


def _gradient(d: Drawing) -> str | None:
    y = d.some(_is_float)
    if y is None:
        return None
    weighted = str(d.one(["{0}.sum()", "T.sqr({0}).sum()", "{0}.mean()", "T.tanh({0}).sum()"]))
    dtype = str(d.value(y).dtype)
    x = d.some(lambda v, x: x.dtype == dtype and v is not d.names[y]) or d.some(_is_float)
    if d.chance(8):
        return f"T.Rop({y}, {x}, T.ones_like({x}), disconnected_outputs='ignore')"
    if d.chance(8):
        return f"T.Lop({y}, {x}, T.tanh({y}), disconnected_inputs='ignore')"
    gradient = f"T.grad({weighted.format(y)}, {x}, disconnected_inputs='ignore')"
    return d.one([gradient, gradient, f"{x} - 0.25 * {gradient}"])  # type: ignore[no-any-return]


KINDS = (
    _unary, _safe, _safe, _binary, _binary, _ternary, _cast, _reduce, _reduce, _other_reduction,
    _reshape, _dimshuffle, _dimshuffle, _join, _create, _basic, _basic, _advanced, _assign,
    _product, _classifier, _gradient, _gradient, _python,
)  # fmt: skip
