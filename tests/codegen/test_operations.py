"""Every operation, on every kind of processor that this one can stand in for."""

import numpy as np
import pytest

from croton.codegen import llvm
from croton.codegen.targets import cpu
from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.nodes import Buffer, For, Function, Load, Op, Store, Var
from croton.kernel.ops import FUNCTIONS, OPS

SIGNED = ["int8", "int16", "int32", "int64"]
INTEGERS = [*SIGNED, "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]
ALL = [*INTEGERS, "float16", *FLOATS, "bool"]
NUMBERS = [*INTEGERS, "float16", *FLOATS]

DTYPES = {
    "div": FLOATS,
    "floordiv": INTEGERS,
    "mod": INTEGERS,
    "neg": NUMBERS,
    "abs": NUMBERS,
    "sub": NUMBERS,
    "fma": FLOATS,
    "maximum": ALL,
    "minimum": ALL,
    "mulhi": ["uint32"],
    "and": [*INTEGERS, "bool"],
    "or": [*INTEGERS, "bool"],
    "xor": [*INTEGERS, "bool"],
    "not": [*INTEGERS, "bool"],
    "shl": INTEGERS,
    "shr": INTEGERS,
    "reduce_and": [*INTEGERS, "bool"],
    "reduce_or": [*INTEGERS, "bool"],
    "reduce_xor": [*INTEGERS, "bool"],
    **dict.fromkeys(["sqrt", "floor", "ceil", "trunc", "rint", "round_half_away"], FLOATS),
    **dict.fromkeys(["copysign", "ldexp"], FLOATS),
    "add": ALL,
    "mul": ALL,
    "reduce_add": [*INTEGERS, *FLOATS],
    "reduce_mul": [*INTEGERS, *FLOATS],
}
LANES = [1, 4, 16, 32]
COUNT = 192


@pytest.fixture(scope="module", params=["host", "x86-64-v3", "x86-64-v2"])
def target(request):
    host = cpu.host()
    if request.param == "host":
        return host
    if not host.triple.startswith("x86_64"):
        pytest.skip("levels of x86-64")
    found = cpu.named(request.param)
    if not found.instructions <= host.instructions:
        pytest.skip(f"this processor is no {request.param}")
    return found


def edges(dtype, seed):
    """Values that matter, and some at random."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(COUNT) < 0.5
    if dtype.startswith("float"):
        info = np.finfo(dtype)
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, 0.5, -0.5]
        special += [
            info.smallest_subnormal,
            1.5,
            2.5,
            -2.5,
            1e3 + 0.5,
            2.0**31,
            -(2.0**40),
            0.49999,
        ]
        values = rng.normal(size=COUNT) * 10.0 ** rng.integers(-4, 4, COUNT)
        values[: len(special)] = special
    else:
        info = np.iinfo(dtype)
        special = [0, 1, info.max, info.min, info.min + 1, 2, 7]
        values = rng.integers(info.min, info.max, COUNT, dtype=dtype, endpoint=True)
        small = rng.integers(0 if info.min == 0 else -9, 9, COUNT).astype(dtype)
        values = np.where(rng.random(COUNT) < 0.5, values, small)
        values[: len(special)] = special
    rng.shuffle(values)
    with np.errstate(all="ignore"):
        return values.astype(dtype)


def arguments(name, dtype):
    """The inputs of ``name``."""
    count = OPS[name].arity
    kinds = [dtype] * count
    if name == "select":
        kinds[0] = "bool"
    if name == "ldexp":
        kinds[1] = "int32"
    values = [edges(kind, seed) for seed, kind in enumerate(kinds)]
    if name in ("shl", "shr"):
        values[1] = values[1] % np.array(np.dtype(dtype).itemsize * 8, dtype)
    if name == "ldexp":
        values[1] = np.random.default_rng(5).integers(-2200, 2200, COUNT).astype(np.int32) >> (
            np.arange(COUNT) % 8
        ).astype(np.int32)
    return kinds, values


def kernel(make, kinds, result, lanes, out_lanes=None):
    """A kernel that applies ``make`` to ``lanes`` elements at a time."""
    i = Var("i")
    inputs = [Buffer(f"a{k}", kind) for k, kind in enumerate(kinds)]
    out = Buffer("out", result)
    value = make(*(Load(x, i, lanes) for x in inputs))
    where = i if out_lanes is None else b.op("floordiv", i, b.index(lanes))
    loop = For(i, b.index(0), b.index(COUNT), (Store(out, where, value),), step=b.index(lanes))
    return Function(f"k{lanes}", (*inputs, out), (), (loop,))


def available(target, dtypes):
    """Those of ``dtypes`` that ``target`` has."""
    return [d for d in dtypes if d != "float16" or "half" in target.features]


def check(native, target, functions, values, result, exact=True, expected=None):
    for function in functions:
        native.vectorised(function)
    library = target.load(target.compile(llvm.render(functions, target)))
    for function in functions:
        names = [x.name for x in function.buffers]
        have = dict(zip(names, [*values, np.zeros(COUNT, result)], strict=True))
        assert native.call(library, function, have).code == 0
        want = {k: v.copy() for k, v in have.items()}
        want["out"][:] = 0
        interpret(function, want)
        reference = want["out"] if expected is None else expected
        note = f"{function.name} on {target.cpu}"
        if exact:
            np.testing.assert_array_equal(have["out"], reference, note)
        else:
            tolerance = 4 * np.finfo(result).eps
            np.testing.assert_allclose(have["out"], reference, rtol=tolerance, err_msg=note)


ELEMENTWISE = [
    name
    for name in OPS
    if name not in FUNCTIONS
    and not name.startswith("reduce_")
    and name not in ("cast", "bitcast", "broadcast", "ramp", "shuffle", "extract")
]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(native, target, name):
    for dtype in available(target, DTYPES.get(name, ALL)):
        kinds, values = arguments(name, dtype)
        result = "bool" if OPS[name].result == "bool" else dtype
        lanes = LANES if dtype in ("int32", "float32", "float64") else [1, 16]
        functions = [kernel(lambda *x: b.op(name, *x), kinds, result, n) for n in lanes]
        check(native, target, functions, values, result)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["floordiv", "mod"])
def test_division_by_literals(native, target, name, dtype):
    divisors = [0, 1, 2, 3, 8, 10, 127, *([-1, -2, -7] if dtype in SIGNED else [])]
    values = [edges(dtype, 3)]
    for divisor in divisors:
        functions = [
            kernel(lambda x, d=divisor: b.op(name, x, b.const(d, dtype)), [dtype], dtype, n)
            for n in (1, 16)
        ]
        check(native, target, functions, values, dtype)


@pytest.mark.parametrize("source", ALL)
def test_cast(native, target, source):
    values = [edges(source, 1)]
    if not available(target, [source]):
        pytest.skip("no float16")
    for result in available(target, ALL):
        functions = [
            kernel(lambda x, r=result: Op("cast", (x,), r, x.lanes), [source], result, n)
            for n in (1, 16)
        ]
        check(native, target, functions, values, result)


@pytest.mark.parametrize(
    "pair", [("float32", "int32"), ("float64", "uint64"), ("int16", "float16"), ("int8", "uint8")]
)
def test_bitcast(native, target, pair):
    if available(target, pair) != list(pair):
        pytest.skip("no float16")
    for source, result in (pair, pair[::-1]):
        functions = [
            kernel(lambda x, r=result: b.bitcast(x, r), [source], result, n) for n in (1, 8)
        ]
        check(native, target, functions, [edges(source, 2)], result)


@pytest.mark.parametrize("name", [n for n in OPS if n.startswith("reduce_")])
def test_reductions(native, target, name):
    for dtype in available(target, DTYPES.get(name, ALL)):
        values = [edges(dtype, 7)]
        functions = [
            kernel(lambda x: Op(name, (x,), x.dtype), [dtype], dtype, n, 1) for n in (2, 16, 64)
        ]
        check(native, target, functions, values, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "bool"])
def test_lanes(native, target, dtype):
    values = [edges(dtype, 7)]
    rng = np.random.default_rng(1)
    for lanes in (4, 16):
        pattern = tuple(int(p) for p in rng.integers(0, 2 * lanes, lanes))
        functions = [
            kernel(lambda x, p=pattern: b.shuffle(x, x, p), [dtype], dtype, lanes),
            kernel(lambda x: b.broadcast(b.extract(x, 3), x.lanes), [dtype], dtype, lanes),
        ]
        for function in functions:
            check(native, target, [function], values, dtype)
        if dtype != "bool":
            ramp = kernel(lambda x: b.ramp(b.extract(x, 1), x.lanes), [dtype], dtype, lanes)
            check(native, target, [ramp], values, dtype)


@pytest.mark.parametrize("name", sorted(FUNCTIONS - {"philox"}))
def test_functions(native, name):
    rng = np.random.default_rng(0)
    for dtype in FLOATS:
        values = [rng.uniform(0.05, 0.95, COUNT).astype(dtype) for _ in range(OPS[name].arity)]
        if name == "acosh":
            values[0] += 1
        wide = [v.astype(np.longdouble if name not in ("erf", "erfc") else float) for v in values]
        expected = OPS[name].evaluate(*wide).astype(dtype)
        functions = [kernel(lambda *x: b.op(name, *x), [dtype] * len(values), dtype, 16)]
        check(native, native.target, functions, values, dtype, exact=False, expected=expected)


def test_half_precision_functions(native):
    values = [np.linspace(-3, 3, COUNT).astype(np.float16)]
    function = kernel(lambda x: b.op("exp", x), ["float16"], "float16", 16)
    check(
        native,
        native.target,
        [function],
        values,
        "float16",
        exact=False,
        expected=np.exp(values[0].astype(float)).astype(np.float16),
    )
