"""Instructions: each against Python's or NumPy's meaning, and what happens when they fail."""

import gc
import operator
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from by_hand import Builder, multiply
from hypothesis import given, settings
from hypothesis import strategies as st
from native_kernels import address

from croton.runtime.executable import load
from croton.runtime.program import Allocate, Compute, Keep, Launch
from croton.runtime.serial import dumps, loads

INT64 = st.one_of(st.integers(-9, 9), st.integers(-(2**63), 2**63 - 1))
MEANING = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": lambda a, b: a // b if b else 0,
    "mod": lambda a, b: a % b if b else 0,
    "ceildiv": lambda a, b: -(-a // b) if b else 0,
    "minimum": min,
    "maximum": max,
    "neg": lambda a, b: -a,
    "abs": lambda a, b: abs(a),
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "and": lambda a, b: bool(a and b),
    "or": lambda a, b: bool(a or b),
    "not": lambda a, b: not a,
}


def calculator(operation, operands=2):
    """``f(a, b, c)`` on int64 scalars, through registers: the result as an error's value."""
    b = Builder("calculator")
    zero = b.register(0)
    names = "abc"[:operands]
    values = [b.item(b.input(name, "int64"), zero) for name in names]
    result = b.compute(operation, *values)
    b.check(zero, "LookupError", "{0}", (result,))
    f = b.load()

    def call(*args):
        with pytest.raises(LookupError) as raised:
            f(*args)
        return int(raised.value.args[0])

    return call


def wrapped(value):
    return (int(value) + 2**63) % 2**64 - 2**63


@pytest.mark.parametrize("operation", sorted(MEANING))
def test_computations_mean_what_python_means(operation):
    arity = 1 if operation in ("neg", "abs", "not") else 2
    compute = calculator(operation, arity)

    @given(INT64, INT64)
    @settings(max_examples=100, deadline=None)
    def check(a, b):
        expected = int(MEANING[operation](a, b))
        if operation in ("add", "sub", "mul") and not -(2**63) <= expected < 2**63:
            with pytest.raises(ValueError, match="too large"):
                compute(a, b)
        else:
            assert compute(*(a, b)[:arity]) == wrapped(expected)

    check()


def test_select():
    select = calculator("select", 3)
    assert select(1, 5, 6) == 5 and select(0, 5, 6) == 6 and select(-1, 5, 6) == 5


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_items_of_every_integer_type(dtype):
    b = Builder()
    zero = b.register(0)
    vector, index = b.input("v", dtype, (None,)), b.input("i", "int64")
    b.check(zero, "LookupError", "{0}", (b.item(vector, b.item(index, zero)),))
    f = b.load()
    info = [0, 1] if dtype == "bool" else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    values = np.array([*info, 1], dtype)
    for i, value in enumerate(values):
        with pytest.raises(LookupError, match=f"^{int(value)}$"):
            f(values, i)
    for outside in (-1, 3, 2**62):
        with pytest.raises(IndexError, match=f"index {outside} is outside of 3"):
            f(values, outside)


def test_chain_of_temporaries_sharing_a_slot():
    b = Builder()
    x = b.input("x", "float64", (None, None))
    t = b.binary("mul_f64", x, x, kind="temporary", slot=0)
    u = b.binary("add_f64", t, x, kind="temporary", slot=1)
    v = b.binary("mul_f64", u, u, kind="temporary", slot=0)
    b.output(b.binary("add_f64", v, u))
    f = b.load()
    rng = np.random.default_rng(1)
    for shape in [(3, 4), (100, 200), (1, 1), (0, 5), (500, 500), (2, 2)]:
        x = rng.standard_normal(shape)
        u = x * x + x
        np.testing.assert_allclose(f(x), u * u + u, rtol=1e-15)


def test_copy_and_constants():
    b = Builder()
    c = b.constant("c", "float32", (None,))
    n = b.shapes[c][0]
    target = b.allocate("float32", (n,))
    b.copy(target, c, n)
    b.output(target)
    b.output(c)
    values = np.arange(10, dtype="f4")
    f = b.load(constants=[values[::-1]])
    first, second = f()
    np.testing.assert_array_equal(first, values[::-1])
    np.testing.assert_array_equal(second, values[::-1])
    first[0] = second[1] = 99
    np.testing.assert_array_equal(f()[1], values[::-1])


def test_a_copy_never_leaves_its_arrays():
    b = Builder()
    x, n = b.input("x", "float64", (None,)), b.input("n", "int64")
    target = b.allocate("float64", b.shapes[x])
    b.copy(target, x, b.item(n, b.register(0)))
    b.output(target)
    f = b.load()
    np.testing.assert_array_equal(f(np.ones(3), 3), np.ones(3))
    for n in (4, -1, 2**61, 2**62):
        with pytest.raises(ValueError, match="copy"):
            f(np.ones(3), n)


@pytest.mark.parametrize("kind", ["output", "temporary"])
@pytest.mark.parametrize(
    ("count", "error"),
    [(-1, ValueError), (-(2**63), ValueError), (2**60, MemoryError), (2**62, MemoryError)],
)
def test_impossible_sizes(kind, count, error):
    b = Builder("huge")
    n = b.input("n", "int64")
    extent = b.item(n, b.register(0))
    made = b.allocate("float64", (extent,), kind)
    if kind == "output":
        b.output(made)
    f = b.load(result="list")
    for _ in range(3):
        with pytest.raises(error, match="huge"):
            f(count)
        assert [r.shape for r in f(3)] == [(3,)] * (kind == "output")


def test_a_result_never_reaches_beyond_its_memory():
    b = Builder()
    n = b.input("n", "int64")
    extent = b.item(n, b.register(0))
    made = b.buffer("output", "float64")
    b.emit(Allocate(made, b.register(4), ()))
    b.shapes[made] = (extent,)
    b.output(made)
    f = b.load()
    assert f(4).shape == (4,) and f(2).shape == (2,)
    for wrong in (5, -1, 2**61):
        with pytest.raises(ValueError, match="does not fit"):
            f(wrong)


def test_checks_name_values():
    b = Builder("guarded")
    x, y = b.input("x", "float64", (None,)), b.input("y", "float64", (None,))
    (m,), (n,) = b.shapes[x], b.shapes[y]
    b.check(b.compute("eq", m, n), "ValueError", "x has {0} elements and y {1}", (m, n))
    b.output(b.binary("mul_f64", x, y))
    f = b.load()
    with pytest.raises(ValueError, match=r"^x has 3 elements and y 4$"):
        f(np.ones(3), np.ones(4))
    np.testing.assert_array_equal(f(np.ones(3), np.full(3, 2.0)), [2, 2, 2])


@pytest.mark.parametrize("grain", [1, 1000, 1 << 40])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_kernel_that_fails_names_the_first_item(threads, grain, workers):
    threads(workers)
    b = Builder("inverse")
    x = b.input("x", "float64", (None,))
    b.error("TypeError", "never")
    b.error("ZeroDivisionError", "element {1} of {2} (register {0})", b.shapes[x])
    b.launch("find_zero", (x,), b.shapes[x][0], grain, b.shapes[x])
    b.output(b.binary("mul_f64", x, x))
    f = b.load()
    x = np.ones(20_000)
    for at in (19_999, 12_345, 500, 0):
        x[at] = 0
        with pytest.raises(ZeroDivisionError, match=rf"^element {at} of 20000 \(register 20000\)$"):
            f(x)
    np.testing.assert_array_equal(f(x + 1), (x + 1) ** 2)


def test_a_status_without_an_error():
    b = Builder()
    x = b.input("x", "float64", (None,))
    b.launch("find_zero", (x,), b.shapes[x][0], sizes=b.shapes[x])
    with pytest.raises(RuntimeError, match="status 2"):
        b.load()(np.zeros(1))


@pytest.mark.parametrize("grain", [10, 1 << 40])
def test_kernels_that_call_kernels(threads, grain):
    threads(3)
    b = Builder()
    x, y = b.input("x", "float64", (None,)), b.input("y", "float64", (None,))
    n = b.shapes[x][0]
    result = b.allocate("float64", (n,))
    one = b.register(1)
    inner = b.launched("mul_f64", (x, y, result), one)
    middle = b.launched("caller", (-1,), one, calls=[(0, inner)])
    b.launch("caller", (-1,), n, grain, calls=[(0, middle)])
    failing = b.launched("find_zero", (result,), one, sizes=(n,))
    b.launch("caller", (-1,), n, grain, calls=[(0, failing)])
    b.error("ValueError", "")
    b.error("ValueError", "product {0} is zero")
    b.output(result)
    f = b.load()
    x = np.arange(1, 1001.0)
    np.testing.assert_array_equal(f(x, x), x * x)
    y = x.copy()
    y[777] = 0
    with pytest.raises(ValueError, match="product 777 is zero"):
        f(x, y)


@pytest.mark.parametrize("size", [1, 4000, 5000, 3_000_000])
def test_every_thread_has_its_own_scratch(threads, size):
    threads(4)
    b = Builder()
    items = b.register(64)
    out = b.allocate("int64", (items,))
    b.launch("fill_scratch", (out,), items, 1, (b.register(size),), size)
    b.output(out)
    f = b.load()
    for _ in range(5):
        np.testing.assert_array_equal(f(), np.arange(64))


def test_registers_start_anew_in_every_call():
    b = Builder()
    x = b.input("x", "float64", (None,))
    n = b.register(5)  # an initial value that the program overwrites
    zero = b.register(0)
    b.check(b.compute("eq", n, b.register(5)), "ValueError", "{0}", (n,))
    b.emit(Compute("add", n, b.shapes[x][0], zero))
    b.output(x)
    f = b.load()
    for size in (3, 7, 3):
        assert f(np.ones(size)).shape == (size,)


def test_results_as_asked_for():
    def build(**options):
        b = Builder()
        x = b.input("x")
        for name in ("mul_f64", "add_f64"):
            b.output(b.binary(name, x, x))
        return b.load(**options)

    assert build()(3.0) == [9, 6]
    assert build(result="dict", keys=("square", 2))(3.0) == {"square": 9, 2: 6}
    assert build(result="none")(3.0) is None
    with pytest.raises(ValueError, match="does not suit"):
        build(result="value")
    with pytest.raises(TypeError, match="keys"):
        build(result="dict", keys=("one",))
    with pytest.raises(ValueError, match="cannot be"):
        build(result="tuple")


def test_one_buffer_as_two_results():
    b = Builder()
    x = b.input("x", "float64", (None,))
    y = b.binary("mul_f64", x, x)
    b.output(y)
    b.output(y)
    b.output(x)
    f = b.load()
    x = np.arange(5000.0)
    first, second, same = f(x)
    for result in (first, second):
        np.testing.assert_array_equal(result, x * x)
    assert not np.shares_memory(first, second) and not np.shares_memory(same, x)
    np.testing.assert_array_equal(same, x)


def hosted(function, dtype="float64", rank=1):
    """``f(x)``: x * x, through a host function, plus itself."""
    b = Builder("hosted")
    x = b.input("x", "float64", (None,))
    square = b.binary("mul_f64", x, x, kind="temporary")
    (made,) = b.host(0, [square], [(dtype, rank)])
    if rank == 1 and dtype == "float64":
        b.output(b.binary("add_f64", made, made))
    else:
        b.output(made)
    return b.load(hosts=[function])


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_host_functions(size):
    x = np.arange(float(size))
    for function in [
        lambda s: [np.sqrt(s)],
        lambda s: (s,),
        lambda s: [s[::-1][::-1]],
        lambda s: [np.sqrt(s).astype(">f8")],
        lambda s: [np.repeat(s, 2)[::2]],
    ]:
        expected = function(x * x)[0].astype("f8") * 2
        np.testing.assert_array_equal(hosted(function)(x), expected)


def test_what_a_host_function_keeps_stays_valid():
    kept = []

    def keep(square):
        kept.append(square)
        return [square + 1]

    f = hosted(keep)
    for i in range(20):
        f(np.full(100_000, float(i)))
    for i, square in enumerate(kept):
        assert square[0] == i * i and square[-1] == i * i


def test_what_a_host_function_gives_is_handed_out_unless_it_is_kept():
    kept = np.arange(10)
    f = hosted(lambda s: [kept], "int64")
    result = f(np.ones(3))
    np.testing.assert_array_equal(result, kept)
    assert not np.shares_memory(result, kept)
    fresh = hosted(lambda s: [np.ones((10, 100), "int64")], "int64", 2)(np.ones(3))
    assert fresh.shape == (10, 100) and fresh.flags.owndata


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (None, TypeError, "sequence"),
        ([], ValueError, "gave 0 results, expected 1"),
        ([1.0], TypeError, "expected an array of float64 with 1 dimensions"),
        ([np.ones((2, 2))], TypeError, "float64"),
        ([np.ones(2, "f4")], TypeError, "float64"),
        ([None], TypeError, "NoneType"),
    ],
)
def test_bad_results_of_host_functions(given, error, message):
    f = hosted(lambda s: given)
    with pytest.raises(error, match=message):
        f(np.ones(3))


def test_errors_of_host_functions_pass_through():
    def bad(square):
        if square[0] == 4:
            raise KeyboardInterrupt
        return [square]

    f = hosted(bad)
    with pytest.raises(KeyboardInterrupt):
        f(np.full(3, 2.0))
    np.testing.assert_array_equal(f(np.ones(3)), [2, 2, 2])


def test_a_host_function_may_call_its_own_function():
    def again(square):
        return [np.ones(3)] if square[0] > 100 else [f(square)]

    f = hosted(again)
    np.testing.assert_array_equal(f(np.full(3, 2.0)), [8, 8, 8])


def test_profile():
    b = Builder()
    x = b.input("x", "float64", (None,))
    b.output(b.binary("mul_f64", x, x))
    f = b.load()
    x = np.ones(300_000)
    f(x)
    count = len(b.instructions)
    assert f.profiling is False and f.profile_data() == [(0, 0)] * (count + 1)
    f.profiling = True
    for _ in range(3):
        f(x)
    f.profiling = False
    f(x)
    data = f.profile_data()
    assert [calls for calls, _ in data] == [3] * (count + 1)
    (launch,) = (i for i, one in enumerate(b.instructions) if isinstance(one, Launch))
    assert max(data[:-1], key=lambda entry: entry[1]) == data[launch]
    assert sum(ns for _, ns in data[:-1]) <= data[-1][1]
    f.profile_reset()
    assert f.profile_data() == [(0, 0)] * (count + 1)


def damaged_programs():
    b = Builder()
    x = b.input("x", "float64", (None,))
    b.output(b.binary("mul_f64", x, x))
    p = b.program()
    yield p._replace(registers=1)
    yield p._replace(registers=-1)
    yield p._replace(registers=2**40)
    yield p._replace(kernels=())
    yield p._replace(buffers=p.buffers[:1])
    yield p._replace(buffers=())
    yield p._replace(outputs=(p.outputs[0]._replace(buffer=7),))
    yield p._replace(outputs=(p.outputs[0]._replace(dtype="float32"),))
    yield p._replace(outputs=(p.outputs[0]._replace(shape=(99,)),))
    yield p._replace(outputs=(p.outputs[0]._replace(shape=(0,) * 100),))
    yield p._replace(arguments=(p.arguments[0]._replace(buffer=-1),))
    yield p._replace(arguments=(p.arguments[0]._replace(source="nowhere"),))
    yield p._replace(arguments=(p.arguments[0]._replace(dtype="O"),))
    yield p._replace(arguments=())
    yield p._replace(arguments=p.arguments * 2)
    for i in range(len(p.instructions) - 1):
        yield p._replace(instructions=p.instructions[:i] + p.instructions[i + 1 :])
    for bad in (
        Compute("power", 0, 0, 0),
        Compute("add", 99, 0, 0),
        Compute("add", 0, 0),
        Allocate(-1, 0),
        Allocate(0, 0),
        Allocate(9, 0),
        Launch(1, (), (), 0, 0, 0),
        Launch(0, (0, 9), (), 0, 0, 0),
        Launch(0, (0,), (77,), 0, 0, 0),
        Launch(0, (0,), (), 0, 0, 0, ((3, Launch(0, (), (), 0, 0, 0)),)),
    ):
        yield p._replace(instructions=(*p.instructions, bad))


@pytest.mark.parametrize("program", list(damaged_programs()))
def test_programs_that_refer_to_nothing_are_refused(program):
    with pytest.raises((ValueError, TypeError)):
        load(program, [address("mul_f64")] * len(program.kernels))


def test_serialised_programs_run_the_same():
    b = Builder("everything")
    x = b.input("x", "float64", (None,))
    b.shared("s", "float64", (3,))
    (made,) = b.host(0, [x], [("float64", 1)])
    b.check(b.register(1), "ValueError", "{0} \u00e9", b.shapes[x])
    inner = b.launched("mul_f64", (x, made, made), b.register(1))
    b.launch("caller", (-1,), b.shapes[x][0], calls=[(0, inner)])
    b.copy(made, x, b.register(1))
    b.output(made, borrow=True)
    b.update(0, made)
    program = b.program()
    assert loads(dumps(program)) == program
    for i in (0, 5, 20, len(dumps(program)) // 2, len(dumps(program)) - 1):
        with pytest.raises(ValueError):
            loads(dumps(program)[:i])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_bytes_never_make_anything_but_a_program(data):
    b = Builder()
    x = b.input("x", "float64", (None, 3))
    b.output(b.binary("mul_f64", x, x))
    good = bytearray(dumps(b.program()))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.sampled_from(b'09-[],"a\0'))
    try:
        program = loads(bytes(good))
        load(program, [address("mul_f64")] * len(program.kernels))
    except (ValueError, TypeError):
        pass


def test_calls_leak_no_references():
    b = Builder("leaky")
    x, y = b.input("x", "float64", (None,)), b.input("y", "float64", (3,))
    b.error("ValueError", "")
    b.error("ValueError", "zero")
    b.launch("find_zero", (x,), b.shapes[x][0], sizes=b.shapes[x])
    (made,) = b.host(0, [x], [("float64", 1)])
    b.output(b.binary("mul_f64", made, x))
    b.output(x)
    f = b.load(hosts=[lambda v: [v + y[0] * 0 if v[0] != 5 else None]])
    good, zero, five = np.arange(1, 4.0), np.zeros(3), np.full(3, 5.0)
    y, wrong = np.ones(3), np.ones(4)
    scalar = multiply()

    def exercise():
        scalar(2.0, 3)
        f(good, y)
        f(y=good[::-1], x=good)
        for args in [(zero, y), (five, y), (good, wrong), (good,), (good, None), (None, good)]:
            with pytest.raises((ValueError, TypeError)):
                f(*args)

    exercise()
    watched = (f, good, zero, five, y, wrong, scalar)
    before = [sys.getrefcount(o) for o in watched]
    blocks = sys.getallocatedblocks()
    for _ in range(200):
        exercise()
    gc.collect()
    assert [sys.getrefcount(o) for o in watched] == before
    assert sys.getallocatedblocks() - blocks < 20


def counted_square(b, x, wanted=None):
    """``x * x`` into a kept buffer, and how often that was computed: a constant counts along."""
    shape = b.shapes[x]
    kept = b.buffer("kept", "float64")
    b.shapes[kept] = shape
    count = b.count(shape)
    if wanted is not None:
        count = b.compute("mul", count, wanted)
    b.emit(Keep(kept, count))
    b.launch("mul_f64", (x, x, kept), count)
    return kept


def test_what_is_kept_is_filled_once():
    b = Builder()
    c, x = b.constant("c", "float64", (None,)), b.input("x", "float64", (None,))
    kept = counted_square(b, c)
    b.output(b.binary("add_f64", x, kept))
    constant = np.arange(300.0)
    f = b.load(constants=[constant])
    x = np.ones(300)
    np.testing.assert_array_equal(f(x), 1 + np.arange(300.0) ** 2)
    # What the kernel would read is no longer the same; what was kept is.
    constant[:] = -1
    np.testing.assert_array_equal(f(x), 1 + np.arange(300.0) ** 2)


def test_nothing_is_kept_before_it_is_wanted():
    b = Builder()
    zero = b.register(0)
    c, x = b.constant("c", "float64", (None,)), b.input("x", "float64", (None,))
    wanted = b.item(b.input("wanted", "int64"), zero)
    kept = counted_square(b, c, wanted)
    out = b.allocate("float64", b.shapes[x])
    b.launch("add_f64", (x, kept, out), b.compute("mul", b.count(b.shapes[x]), wanted))
    b.output(out)
    constant = np.full(10, 3.0)
    f = b.load(constants=[constant])
    f(np.ones(10), 0)
    constant[:] = 5
    np.testing.assert_array_equal(f(np.ones(10), 1), np.full(10, 26.0))
    constant[:] = 7
    f(np.ones(10), 0)
    np.testing.assert_array_equal(f(np.ones(10), 1), np.full(10, 26.0))


def test_calls_at_once_keep_one_copy():
    b = Builder()
    c, x = b.constant("c", "float64", (None,)), b.input("x", "float64", (None,))
    b.output(b.binary("add_f64", x, counted_square(b, c)))
    f = b.load(constants=[np.arange(200_000.0)])
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda k: f(np.full(200_000, float(k))) - k, range(16)):
            np.testing.assert_allclose(result, np.arange(200_000.0) ** 2, rtol=1e-12)


def test_what_is_kept_must_be_filled():
    b = Builder()
    x = b.input("x", "float64", (None,))
    kept = b.buffer("kept", "float64")
    b.emit(Keep(kept, b.count(b.shapes[x])))
    b.output(b.binary("add_f64", x, x))
    with pytest.raises(ValueError, match="nothing fills"):
        b.load()


def test_programs_that_keep_are_written_and_read():
    b = Builder()
    c, x = b.constant("c", "float64", (None,)), b.input("x", "float64", (None,))
    b.output(b.binary("add_f64", x, counted_square(b, c)))
    program = b.program()
    assert loads(dumps(program)) == program
