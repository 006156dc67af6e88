"""The instructions of each operation: arithmetic, bits, comparison, choice, conversion."""

from __future__ import annotations

import numpy as np

from croton.codegen.extremes import EXTREMES, extreme
from croton.codegen.integers import floordiv, mod
from croton.codegen.lanes import LANES
from croton.codegen.types import KIND, SIZE, constant, suffix_of, type_of
from croton.codegen.values import Rule, Value, Values
from croton.kernel.nodes import KernelError, Op

_BINARY = {
    "add": {"f": "fadd", "s": "add", "u": "add", "b": "or"},
    "sub": {"f": "fsub", "s": "sub", "u": "sub"},
    "mul": {"f": "fmul", "s": "mul", "u": "mul", "b": "and"},
    "div": {"f": "fdiv"},
    "and": {"s": "and", "u": "and", "b": "and"},
    "or": {"s": "or", "u": "or", "b": "or"},
    "xor": {"s": "xor", "u": "xor", "b": "xor"},
    "shl": {"s": "shl", "u": "shl"},
    "shr": {"s": "ashr", "u": "lshr"},
}

_COMPARE = {
    "eq": {"f": "fcmp oeq", "s": "icmp eq", "u": "icmp eq", "b": "icmp eq"},
    "ne": {"f": "fcmp une", "s": "icmp ne", "u": "icmp ne", "b": "icmp ne"},
    "lt": {"f": "fcmp olt", "s": "icmp slt", "u": "icmp ult", "b": "icmp ult"},
    "le": {"f": "fcmp ole", "s": "icmp sle", "u": "icmp ule", "b": "icmp ule"},
    "gt": {"f": "fcmp ogt", "s": "icmp sgt", "u": "icmp ugt", "b": "icmp ugt"},
    "ge": {"f": "fcmp oge", "s": "icmp sge", "u": "icmp uge", "b": "icmp uge"},
}

_INTRINSIC = {
    "sqrt": "sqrt",
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "rint": "rint",
    "round_half_away": "round",
    "copysign": "copysign",
    "fma": "fma",
}

_COMPARE_NUMBERS = {
    "eq": int.__eq__,
    "ne": int.__ne__,
    "lt": int.__lt__,
    "le": int.__le__,
    "gt": int.__gt__,
    "ge": int.__ge__,
}

_FOLD = {"add": int.__add__, "sub": int.__sub__, "mul": int.__mul__}


def undefined(op: Op) -> KernelError:
    """The error for an operation that has no meaning for its operands' type."""
    return KernelError(f"{op.name} is not defined for {op.args[0].dtype}")


def wrap(number: int) -> int:
    """What remains of ``number`` in an int64."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _binary(values: Values, op: Op, a: Value, b: Value) -> Value:
    kind = KIND[op.dtype]
    try:
        opcode = _BINARY[op.name][kind]
    except KeyError:
        raise undefined(op) from None
    if type(a) is int and type(b) is int and op.name in _FOLD:
        return wrap(_FOLD[op.name](a, b))
    if kind == "f" and values.fast and not op.attrs:
        opcode += values.fast
    return values.emit(f"{opcode} {type_of(op.dtype, op.lanes)} {a}, {b}")


def _compare(values: Values, op: Op, a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return "true" if _COMPARE_NUMBERS[op.name](a, b) else "false"
    arg = op.args[0]
    return values.emit(
        f"{_COMPARE[op.name][KIND[arg.dtype]]} {type_of(arg.dtype, op.lanes)} {a}, {b}"
    )


def _extreme(values: Values, op: Op, a: Value, b: Value) -> Value:
    return extreme(values, op.name, op.dtype, op.lanes, a, b)


def _negate(values: Values, op: Op, a: Value) -> Value:
    if type(a) is int:
        return wrap(-a)
    kind = type_of(op.dtype, op.lanes)
    if KIND[op.dtype] == "f":
        return values.emit(f"fneg {kind} {a}")
    if KIND[op.dtype] == "b":
        raise undefined(op)
    return values.emit(f"sub {kind} {constant(0, op.dtype, op.lanes)}, {a}")


def _invert(values: Values, op: Op, a: Value) -> Value:
    if KIND[op.dtype] == "f":
        raise undefined(op)
    ones = constant(True if op.dtype == "bool" else -1, op.dtype, op.lanes)
    return values.emit(f"xor {type_of(op.dtype, op.lanes)} {a}, {ones}")


def _absolute(values: Values, op: Op, a: Value) -> Value:
    kind = KIND[op.dtype]
    if kind == "f":
        return values.intrinsic("fabs", op.dtype, op.lanes, a)
    if kind != "s":
        return a
    full = f"abs.{suffix_of(op.dtype, op.lanes)}"
    return values.call(op.dtype, op.lanes, full, (type_of(op.dtype, op.lanes), a), ("i1", "false"))


def _intrinsic(values: Values, op: Op, *operands: Value) -> Value:
    if KIND[op.dtype] != "f":
        raise undefined(op)
    return values.intrinsic(_INTRINSIC[op.name], op.dtype, op.lanes, *operands)


def _select(values: Values, op: Op, c: Value, a: Value, b: Value) -> Value:
    if a == b:
        return a
    kind = type_of(op.dtype, op.lanes)
    return values.emit(f"select {type_of('bool', op.lanes)} {c}, {kind} {a}, {kind} {b}")


def _cast(values: Values, op: Op, a: Value) -> Value:
    return convert(values, a, op.args[0].dtype, op.dtype, op.lanes)


def convert(values: Values, a: Value, source: str, target: str, lanes: int) -> Value:
    """``a`` as ``target``; a float outside the range of an integer gives its nearest end."""
    if source == target:
        return a
    if "float16" in (source, target) and "half" not in values.features:
        raise KernelError("this processor has no float16")
    have, want = KIND[source], KIND[target]
    old, new = type_of(source, lanes), type_of(target, lanes)
    if want == "b":
        zero = constant(0, source, lanes)
        return values.emit(f"{'fcmp une' if have == 'f' else 'icmp ne'} {old} {a}, {zero}")
    if have == "b":
        if want == "f":
            one, zero = constant(1, target, lanes), constant(0, target, lanes)
            return values.emit(f"select {old} {a}, {new} {one}, {new} {zero}")
        return values.emit(f"zext {old} {a} to {new}")
    if "float16" in (source, target) and "float32" not in (source, target):
        # Every float16 is a float32, and what rounds does so once.
        if source == "float64":
            a = _to_odd(values, a, lanes)
        else:
            a = convert(values, a, source, "float32", lanes)
        return convert(values, a, "float32", target, lanes)
    if have == "f" and want == "f":
        wider = SIZE[target] > SIZE[source]
        return values.emit(f"{'fpext' if wider else 'fptrunc'} {old} {a} to {new}")
    if have == "f" and lanes > 1:
        return _to_integers(values, a, source, target, lanes)
    if have == "f":
        name = "fptosi" if want == "s" else "fptoui"
        full = f"{name}.sat.{suffix_of(target, lanes)}.{suffix_of(source, lanes)}"
        return values.call(target, lanes, full, (old, a))
    if want == "f":
        return values.emit(f"{'sitofp' if have == 's' else 'uitofp'} {old} {a} to {new}")
    if SIZE[source] == SIZE[target]:
        return str(a)
    if SIZE[source] > SIZE[target]:
        return values.emit(f"trunc {old} {a} to {new}")
    return values.emit(f"{'sext' if have == 's' else 'zext'} {old} {a} to {new}")


def _to_integers(values: Values, a: Value, source: str, target: str, lanes: int) -> Value:
    """Floats to integers, clamped first: LLVM does a saturating cast lane by lane."""
    bits = 8 * SIZE[target]
    signed = KIND[target] == "s"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    real = np.float32 if source == "float32" else np.float64
    top = real(high)
    if int(top) > high:
        top = np.nextafter(top, real(0))
    kind, mask = type_of(source, lanes), type_of("bool", lanes)
    bottom, most = (constant(v, source, lanes) for v in (low, top))
    # A NaN goes to the bottom.
    above = values.emit(f"fcmp ogt {kind} {a}, {bottom}")
    clamped = values.emit(f"select {mask} {above}, {kind} {a}, {kind} {bottom}")
    below = values.emit(f"fcmp olt {kind} {clamped}, {most}")
    clamped = values.emit(f"select {mask} {below}, {kind} {clamped}, {kind} {most}")
    word = target if bits >= 32 else "int32"
    cast = "fptosi" if signed or bits < 32 else "fptoui"
    whole = values.emit(f"{cast} {kind} {clamped} to {type_of(word, lanes)}")
    if word != target:
        whole = values.emit(f"trunc {type_of(word, lanes)} {whole} to {type_of(target, lanes)}")
    new = type_of(target, lanes)
    if int(top) != high:
        over = values.emit(f"fcmp ogt {kind} {a}, {most}")
        largest = constant(high, target, lanes)
        whole = values.emit(f"select {mask} {over}, {new} {largest}, {new} {whole}")
    nan = values.emit(f"fcmp uno {kind} {a}, {a}")
    nothing = constant(0, target, lanes)
    return values.emit(f"select {mask} {nan}, {new} {nothing}, {new} {whole}")


def _to_odd(values: Values, a: Value, lanes: int) -> Value:
    """A float64 as a float32 whose last bit tells that it is not exact (round to odd)."""
    wide, single = type_of("float64", lanes), type_of("float32", lanes)
    word, bits = type_of("uint32", lanes), type_of("bool", lanes)
    near = values.emit(f"fptrunc {wide} {a} to {single}")
    back = values.emit(f"fpext {single} {near} to {wide}")
    inexact = values.emit(f"fcmp one {wide} {back}, {a}")
    size, had = (values.intrinsic("fabs", "float64", lanes, v) for v in (back, a))
    above = values.emit(f"fcmp ogt {wide} {size}, {had}")
    number = values.emit(f"bitcast {single} {near} to {word}")
    # Towards zero first, then the last bit stands for all that is cut off.
    down = values.emit(f"zext {bits} {above} to {word}")
    cut = values.emit(f"sub {word} {number}, {down}")
    last = values.emit(f"zext {bits} {inexact} to {word}")
    odd = values.emit(f"or {word} {cut}, {last}")
    return values.emit(f"bitcast {word} {odd} to {single}")


def _bitcast(values: Values, op: Op, a: Value) -> Value:
    source = op.args[0].dtype
    if SIZE[source] != SIZE[op.dtype] or "bool" in (source, op.dtype):
        raise KernelError(f"bitcast from {source} to {op.dtype}: their sizes differ")
    old, new = type_of(source, op.lanes), type_of(op.dtype, op.lanes)
    return a if old == new else values.emit(f"bitcast {old} {a} to {new}")


def _multiply_high(values: Values, op: Op, a: Value, b: Value) -> Value:
    if op.dtype != "uint32":
        raise undefined(op)
    lanes = op.lanes
    narrow, wide = type_of("uint32", lanes), type_of("uint64", lanes)
    if lanes < 4 or lanes % 2 or "vector.x86" not in values.features:
        a, b = (values.emit(f"zext {narrow} {v} to {wide}") for v in (a, b))
        product = values.emit(f"mul {wide} {a}, {b}")
        high = values.emit(f"lshr {wide} {product}, {constant(32, 'uint64', lanes)}")
        return values.emit(f"trunc {wide} {high} to {narrow}")
    # pmuludq multiplies the even lanes; the odd ones are shifted down for a second one.
    half = lanes // 2
    pairs = type_of("uint64", half)
    low, shift = constant(0xFFFFFFFF, "uint64", half), constant(32, "uint64", half)
    a, b = (values.emit(f"bitcast {narrow} {v} to {pairs}") for v in (a, b))
    even = [values.emit(f"and {pairs} {v}, {low}") for v in (a, b)]
    odd = [values.emit(f"lshr {pairs} {v}, {shift}") for v in (a, b)]
    evens = values.emit(f"mul {pairs} {even[0]}, {even[1]}")
    odds = values.emit(f"mul {pairs} {odd[0]}, {odd[1]}")
    evens = values.emit(f"bitcast {pairs} {evens} to {narrow}")
    odds = values.emit(f"bitcast {pairs} {odds} to {narrow}")
    order = ", ".join(f"i32 {i + 1 if i % 2 == 0 else i + lanes}" for i in range(lanes))
    return values.emit(
        f"shufflevector {narrow} {evens}, {narrow} {odds}, <{lanes} x i32> <{order}>"
    )


def _ldexp(values: Values, op: Op, a: Value, n: Value) -> Value:
    if KIND[op.dtype] != "f" or op.args[1].dtype != "int32":
        raise KernelError(f"ldexp of {[e.dtype for e in op.args]}, not of a float and an int32")
    dtype, lanes = op.dtype, op.lanes
    kind, number = type_of(dtype, lanes), type_of("int32", lanes)
    if "ldexp" in values.features and dtype in ("float32", "float64"):
        full = f"ldexp.{suffix_of(dtype, lanes)}.{suffix_of('int32', lanes)}"
        return values.call(dtype, lanes, full, (kind, a), (number, n))
    if dtype == "float16":
        wide = Op("ldexp", op.args, "float32", lanes)
        single = _ldexp(values, wide, convert(values, a, dtype, "float32", lanes), n)
        return convert(values, single, "float32", dtype, lanes)
    return _scale(values, dtype, lanes, a, n)


def _scale(values: Values, dtype: str, lanes: int, a: Value, n: Value) -> Value:
    """``a * 2**n`` by products with powers of two, of which only the last one rounds."""
    kind, number, bits = (type_of(t, lanes) for t in (dtype, "int32", "bool"))
    fraction, bias, integer = (23, 127, "int32") if dtype == "float32" else (52, 1023, "int64")
    for _ in range(2):
        for step, compare in ((bias, "sgt"), (-(bias - 1) + fraction + 1, "slt")):
            limit = bias if step > 0 else -(bias - 1)
            over = values.emit(f"icmp {compare} {number} {n}, {constant(limit, 'int32', lanes)}")
            factor = constant(2.0**step, dtype, lanes)
            one = constant(1.0, dtype, lanes)
            chosen = values.emit(f"select {bits} {over}, {kind} {factor}, {kind} {one}")
            a = values.emit(f"fmul {kind} {a}, {chosen}")
            moved = values.emit(f"sub {number} {n}, {constant(step, 'int32', lanes)}")
            n = values.emit(f"select {bits} {over}, {number} {moved}, {number} {n}")
    n = values.intrinsic("smin", "int32", lanes, n, constant(bias, "int32", lanes))
    n = values.intrinsic("smax", "int32", lanes, n, constant(-(bias - 1), "int32", lanes))
    n = convert(values, n, "int32", integer, lanes)
    word = type_of(integer, lanes)
    n = values.emit(f"add {word} {n}, {constant(bias, integer, lanes)}")
    n = values.emit(f"shl {word} {n}, {constant(fraction, integer, lanes)}")
    power = values.emit(f"bitcast {word} {n} to {kind}")
    return values.emit(f"fmul {kind} {a}, {power}")


RULES: dict[str, Rule] = {
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_COMPARE, _compare),
    **dict.fromkeys(EXTREMES, _extreme),
    **dict.fromkeys(_INTRINSIC, _intrinsic),
    "neg": _negate,
    "not": _invert,
    "abs": _absolute,
    "select": _select,
    "cast": _cast,
    "bitcast": _bitcast,
    "mulhi": _multiply_high,
    "ldexp": _ldexp,
    "floordiv": floordiv,
    "mod": mod,
    **LANES,
}
