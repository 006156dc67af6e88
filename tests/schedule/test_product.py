"""Products against NumPy's float64, over sizes, layouts and ways to cut the work."""

import ctypes
import mmap

import numpy as np
import pytest

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel import build
from croton.kernel.interpret import interpret
from croton.kernel.machine import Machine
from croton.kernel.nodes import Allocate, Buffer, Fail, For, Function, If, Let, Load, Store, Var
from croton.kernel.verify import verify
from croton.schedule import product
from croton.schedule.counts import evaluate
from croton.schedule.product import strips, tile
from croton.schedule.product.choice import choose
from croton.schedule.product.run import run_product, sizes_of
from croton.schedule.product.tiling import tiling
from croton.schedule.running import Callee

DTYPES = ("float32", "float64")
MACHINES = {
    "wide": Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20),
    "middle": Machine("middle", 32, 16, 32 << 10, 512 << 10, 8 << 20),
    "narrow": Machine("narrow", 16, 16, 32 << 10, 256 << 10, 8 << 20),
}


def add_row(dtype, fail_at=-1):
    """An epilogue: ``out[b, i, j] = product[b, i, j] + row[j]``; it fails in a batch."""
    i, j, n, m = Var("i"), Var("j"), Var("n"), Var("m")
    n0, n1, batch = Var("n0"), Var("n1"), Var("batch")
    head, block = Buffer("head", "int64"), Buffer("block", dtype)
    row, out = Buffer("row", dtype), Buffer("out", dtype)
    at = build.mul(build.sub(i, Var("lo")), build.index(tile.LEADING[dtype]))
    value = Load(block, build.add(at, build.sub(j, n0)))
    place = build.add(build.mul(build.add(build.mul(batch, m), i), n), j)
    store = Store(out, place, build.add(value, Load(row, j)))
    body = (
        Allocate(head, build.index(tile.HEADER)),
        Allocate(block, build.index(tile.TILE)),
        *(
            Let(name, Load(head, build.index(position)))
            for name, position in ((n0, tile.N0), (n1, tile.N1), (batch, tile.BATCH))
        ),
        If(build.op("eq", batch, build.index(fail_at)), (Fail(5, (batch, n1)),)),
        For(i, Var("lo"), Var("hi"), (For(j, n0, n1, (store,)),)),
    )
    return Function("add_row", (row, out), (m, n), body)


class Compiled:
    """The kernels of all plans for a dtype, loaded once."""

    def __init__(self, dtype, machine):
        self.dtype, self.machine = dtype, machine
        self.store = product.plan(dtype, machine)
        self.add = product.plan(dtype, machine, accumulate=True)
        target = host()
        functions = {f.name: f for p in (self.store, self.plan(repeated=True)) for f in p.functions}
        self.library = target.load(target.compile(render(list(functions.values()), target)))

    def plan(self, **how):
        return product.plan(self.dtype, self.machine, **how)

    def __call__(self, a, b, c=None, *, accumulate=False, d=None, repeated=False, cuts=None):
        plan = self.add if accumulate else self.store
        if repeated or d is not None:
            plan = self.plan(adds=d is not None, repeated=repeated)
        return run_product(plan, self.library.address, a, b, c, d=d, cuts=cuts)


@pytest.fixture(scope="module", params=[(d, m) for d in DTYPES for m in ("host", *MACHINES)])
def compiled(request):
    dtype, name = request.param
    if name == "host":
        return Compiled(dtype, host().machine)
    machine = MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(dtype, machine)


def matrix(rng, batch, rows, columns, dtype, layout):
    """A batch of matrices in memory of the given order."""
    if layout == "rows":
        return rng.standard_normal((batch, rows, columns)).astype(dtype)
    if layout == "columns":
        return rng.standard_normal((batch, columns, rows)).astype(dtype).transpose(0, 2, 1)
    if layout == "same":
        one = rng.standard_normal((1, rows, columns)).astype(dtype)
        return np.broadcast_to(one, (batch, rows, columns))
    if layout == "sparse":
        big = rng.standard_normal((batch, 2 * rows, 3 * columns)).astype(dtype)
        return big[:, ::2, ::3]
    if layout == "constant":
        return np.broadcast_to(rng.standard_normal(()).astype(dtype), (batch, rows, columns))
    big = rng.standard_normal((rows, columns, batch)).astype(dtype)
    return big.transpose(2, 0, 1)


LAYOUTS = ("rows", "columns", "same", "sparse", "constant", "inside")


def close(got, a, b, start=0.0):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    want = np.matmul(a, b) + start
    size = np.matmul(np.abs(a), np.abs(b)) + np.abs(start)
    allowed = (a.shape[-1] + 2) * np.finfo(got.dtype).eps * size
    assert got.shape == want.shape
    assert (np.abs(got - want) <= allowed).all()


@pytest.mark.parametrize("seed", range(40))
def test_small_sizes_in_every_layout(compiled, seed):
    rng = np.random.default_rng(seed)
    dtype = compiled.store.dtype
    for _ in range(5):
        batch = int(rng.integers(1, 4))
        m, n, k = (int(v) for v in rng.integers(0, rng.choice([5, 20, 41]), 3))
        left, right = rng.choice(LAYOUTS, 2)
        a, b = matrix(rng, batch, m, k, dtype, left), matrix(rng, batch, k, n, dtype, right)
        close(compiled(a, b), a, b)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_added(compiled, seed):
    rng = np.random.default_rng(seed)
    dtype = compiled.store.dtype
    for _ in range(5):
        batch = int(rng.integers(1, 4))
        m, n, k = (int(v) for v in rng.integers(0, rng.choice([5, 20, 41, 90]), 3))
        k *= int(rng.choice([1, 1, 20]))
        left, right = rng.choice(LAYOUTS, 2)
        a, b = matrix(rng, batch, m, k, dtype, left), matrix(rng, batch, k, n, dtype, right)
        each, rows = rng.choice([1, batch]), rng.choice([1, m]) if m else 0
        d = np.broadcast_to(rng.standard_normal((each, rows, n)).astype(dtype), (batch, m, n))
        repeated = batch == 1 and bool(rng.integers(2))
        close(compiled(a, b, d=d, repeated=repeated), a, b, d)


@pytest.mark.parametrize("seed", range(20))
def test_a_right_factor_that_is_copied_for_many_products(compiled, seed):
    rng = np.random.default_rng(seed)
    dtype = compiled.store.dtype
    for _ in range(5):
        m, n, k = (int(v) for v in rng.integers(0, rng.choice([5, 20, 41, 150]), 3))
        k *= int(rng.choice([1, 1, 20]))
        left, right = rng.choice(LAYOUTS, 2)
        a, b = matrix(rng, 1, m, k, dtype, left), matrix(rng, 1, k, n, dtype, right)
        close(compiled(a, b, repeated=True), a, b)


@pytest.mark.parametrize("shape", [(64, 1030, 1000), (33, 513, 600), (300, 257, 520), (7, 50, 900)])
def test_pieces_of_the_inner_index(compiled, shape):
    m, n, k = shape
    rng = np.random.default_rng(0)
    for left, right in (("rows", "rows"), ("columns", "columns")):
        a = matrix(rng, 1, m, k, compiled.store.dtype, left)
        b = matrix(rng, 1, k, n, compiled.store.dtype, right)
        close(compiled(a, b), a, b)


@pytest.mark.parametrize("seed", range(12))
def test_larger_sizes(compiled, seed):
    rng = np.random.default_rng(seed)
    dtype = compiled.store.dtype
    m, n, k = (int(v) for v in rng.integers(1, rng.choice([150, 700]), 3))
    left, right = rng.choice(LAYOUTS[:4], 2)
    a, b = matrix(rng, 1, m, k, dtype, left), matrix(rng, 1, k, n, dtype, right)
    c = rng.standard_normal((1, m, n)).astype(dtype)
    start = c.astype(np.float64)
    close(compiled(a, b, c, accumulate=True), a, b, start)


#: Sizes and layouts, and the way in which they are multiplied.
WAYS = [
    ((70, 3, 200), ("rows", "rows"), "dot"),
    ((70, 1, 200), ("rows", "columns"), "dot"),
    ((1, 45, 300), ("rows", "columns"), "dot"),
    ((100, 10, 60), ("columns", "rows"), "turn"),
    ((77, 16, 33), ("columns", "columns"), "turn"),
    ((300, 200, 900), ("columns", "columns"), "strips"),
    ((301, 200, 900), ("sparse", "rows"), "strips"),
    ((300, 200, 900), ("rows", "columns"), "packed"),
    ((301, 260, 1100), ("columns", "rows"), "strips"),
    ((105, 260, 70), ("columns", "rows"), "kept"),
    ((45, 300, 1400), ("rows", "columns"), "packed"),
    ((40, 1030, 280), ("rows", "rows"), "kept"),
    ((60, 128, 30), ("rows", "rows"), "direct"),
    ((7, 70, 30), ("rows", "rows"), "direct"),
    ((1, 300, 70), ("rows", "rows"), "lone"),
    ((1, 131, 1), ("columns", "rows"), "lone"),
    ((90, 2, 33), ("columns", "rows"), "turn"),
    ((90, 1, 33), ("columns", "columns"), "turn"),
]


@pytest.mark.parametrize(("shape", "layouts", "way"), WAYS)
@pytest.mark.parametrize("batch", [1, 2])
def test_every_way(compiled, shape, layouts, way, batch):
    m, n, k = shape
    rng = np.random.default_rng(0)
    a = matrix(rng, batch, m, k, compiled.store.dtype, layouts[0])
    b = matrix(rng, batch, k, n, compiled.store.dtype, layouts[1])
    choice = choose(tiling(compiled.store.dtype, compiled.machine), False)
    names = sizes_of(a, b)
    for name in ("turn", "strips"):
        assert product.evaluate(getattr(choice, name), names) == (name == way)
    close(compiled(a, b), a, b)
    c = rng.standard_normal((batch, m, n)).astype(a.dtype)
    start = c.astype(np.float64)
    close(compiled(a, b, c, accumulate=True), a, b, start)


def test_rows_of_a_large_factor_are_read_on(compiled):
    rng = np.random.default_rng(0)
    for m, n, k in ((3, 1100, 300), (9, 2000, 131)):
        a, b = (matrix(rng, 1, *s, compiled.store.dtype, "rows") for s in ((m, k), (k, n)))
        close(compiled(a, b), a, b)


def test_long_inner_index(compiled):
    rng = np.random.default_rng(0)
    for m, n in ((1, 1), (3, 40), (40, 3)):
        a = matrix(rng, 1, m, 5000, compiled.store.dtype, "rows")
        b = matrix(rng, 1, 5000, n, compiled.store.dtype, "columns")
        close(compiled(a, b), a, b)


def test_empty_extents(compiled):
    dtype = compiled.store.dtype
    zeros = compiled(np.ones((2, 3, 0), dtype), np.ones((2, 0, 5), dtype))
    assert zeros.shape == (2, 3, 5)
    assert not zeros.any()
    kept = np.full((1, 40, 40), 2, dtype)
    compiled(np.ones((1, 40, 0), dtype), np.ones((1, 0, 40), dtype), kept, accumulate=True)
    assert (kept == 2).all()
    for batch, m, n in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        empty = compiled(np.ones((batch, m, 7), dtype), np.ones((batch, 7, n), dtype))
        assert empty.shape == (batch, m, n)


def test_result_with_strides(compiled):
    rng = np.random.default_rng(3)
    dtype = compiled.store.dtype
    a, b = (rng.standard_normal(s).astype(dtype) for s in ((2, 21, 9), (2, 9, 19)))
    whole = np.full((2, 25, 30), 7, dtype)
    part = whole[:, 2:23, 5:24]
    compiled(a, b, part)
    close(part, a, b)
    part[...] = 7
    assert (whole == 7).all()


def test_nan_and_infinity_stay_in_their_rows_and_columns(compiled):
    dtype = compiled.store.dtype
    a, b = np.ones((1, 30, 50), dtype), np.ones((1, 50, 40), dtype)
    a[0, 7, 20], b[0, 3, 33] = np.nan, np.inf
    got = compiled(a, b)[0]
    assert np.isnan(got[7]).all()
    rest = np.delete(got, 7, 0)
    assert np.isposinf(rest[:, 33]).all()
    assert (np.delete(rest, 33, 1) == 50).all()


@pytest.mark.parametrize("shape", [(300, 200, 70), (50, 500, 300), (700, 20, 40), (40, 40, 600)])
def test_any_cut_gives_the_same_bits(compiled, shape):
    m, n, k = shape
    rng = np.random.default_rng(1)
    dtype = compiled.store.dtype
    a, b = matrix(rng, 2, m, k, dtype, "rows"), matrix(rng, 2, k, n, dtype, "columns")
    whole = compiled(a, b)
    ones = compiled(a, b, cuts=lambda items: [(i, i + 1) for i in reversed(range(items))])
    thirds = compiled(a, b, cuts=lambda n: [(i * n // 3, (i + 1) * n // 3) for i in range(3)])
    assert whole.tobytes() == ones.tobytes() == thirds.tobytes()


def test_items_side_by_side_are_computed_together(compiled):
    # The left factor lies by columns and is long: it is copied into strips, taken in pieces.
    rng = np.random.default_rng(6)
    dtype = compiled.store.dtype
    a, b = matrix(rng, 2, 150, 1300, dtype, "columns"), matrix(rng, 2, 1300, 470, dtype, "rows")
    whole = compiled(a, b)
    np.testing.assert_allclose(whole, a @ b, rtol=0, atol=1300 * np.finfo(dtype).eps)
    ones = compiled(a, b, cuts=lambda items: [(i, i + 1) for i in reversed(range(items))])
    uneven = compiled(a, b, cuts=lambda items: [(0, 1), (1, items - 2), (items - 2, items)])
    assert whole.tobytes() == ones.tobytes() == uneven.tobytes()


@pytest.mark.parametrize("machine", MACHINES)
def test_whether_strips_lack_rows(machine):
    t = tiling("float32", MACHINES[machine])
    found = Buffer("found", "int64")
    stores = (Store(found, build.index(0), strips.BIG), Store(found, build.index(1), strips.MIDDLE))
    function = Function("split", (found,), (strips.COUNT,), (*strips.split(t), *stores))
    for rows in range(1, 300):
        numbers = np.zeros(2, np.int64)
        interpret(function, {"found": numbers}, {strips.COUNT.name: rows})
        held = int(numbers @ t.strips)
        assert held >= rows
        assert evaluate(strips.none_missing(t, "m"), {"m": rows}) == (held == rows)


def at_the_edge(array):
    """A copy that ends where readable memory ends."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, size + page)
    start = np.frombuffer(memory, np.uint8).ctypes.data
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), page, 0)
    copy = np.frombuffer(memory, array.dtype, array.size, size - array.nbytes)
    copy = copy.reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("layouts", [(x, y) for x in "rc" for y in "rc"])
def test_nothing_is_read_or_written_behind_the_operands(compiled, layouts):
    rng = np.random.default_rng(2)
    dtype = compiled.store.dtype
    for m, n, k in (
        (1, 1, 1),
        (3, 5, 7),
        (15, 33, 18),
        (37, 10, 65),
        (33, 150, 40),
        (7, 61, 40),
        (70, 140, 300),
        (64, 200, 600),
        (100, 200, 600),
        (103, 200, 600),
    ):
        shapes = [(1, m, k), (1, k, n)]
        operands = []
        for shape, layout in zip(shapes, layouts, strict=True):
            x = rng.standard_normal(shape).astype(dtype)
            x = at_the_edge(x if layout == "r" else np.ascontiguousarray(x.transpose(0, 2, 1)))
            operands.append(x if layout == "r" else x.transpose(0, 2, 1))
        c = at_the_edge(np.zeros((1, m, n), dtype))
        close(compiled(*operands, c), *operands)
        d = at_the_edge(rng.standard_normal((1, m, n)).astype(dtype))
        close(compiled(*operands, c, d=d, repeated=True), *operands, d)


@pytest.fixture(scope="module", params=DTYPES)
def with_epilogue(request):
    target = host()
    plan = product.plan(request.param, target.machine, epilogue=True)
    functions = [*plan.functions, add_row(request.param, fail_at=9)]
    return plan, target.load(target.compile(render(functions, target)))


EPILOGUES = [
    *((1, shape, layouts) for shape, layouts, _ in WAYS),
    (1, (5, 7, 3), ("rows", "rows")),
    (3, (40, 33, 0), ("rows", "rows")),
    (2, (130, 260, 700), ("rows", "columns")),
    (1, (900, 9, 30), ("rows", "rows")),
    (2, (300, 12, 40), ("columns", "rows")),
    (1, (3, 1100, 300), ("rows", "rows")),
    (1, (70, 90, 1700), ("rows", "rows")),
]


@pytest.mark.parametrize(("batch", "shape", "layouts"), EPILOGUES)
def test_an_epilogue_sees_every_element_once(with_epilogue, batch, shape, layouts):
    plan, library = with_epilogue
    m, n, k = shape
    rng = np.random.default_rng(5)
    a = matrix(rng, batch, m, k, plan.dtype, layouts[0])
    b = matrix(rng, batch, k, n, plan.dtype, layouts[1])
    row, out = rng.standard_normal(n).astype(plan.dtype), np.zeros((batch, m, n), plan.dtype)
    callee = Callee(library.address("add_row"), [row, out], [m, n])
    assert run_product(plan, library.address, a, b, epilogue=callee) is None
    close(out, a, b, row)


def test_the_failure_of_an_epilogue_is_the_products(with_epilogue):
    plan, library = with_epilogue
    a, b = np.ones((10, 3, 4), plan.dtype), np.ones((10, 4, 5), plan.dtype)
    out = np.zeros((10, 3, 5), plan.dtype)
    callee = Callee(library.address("add_row"), [np.zeros(5, plan.dtype), out], [3, 5])
    with pytest.raises(RuntimeError, match="failed with status 5"):
        run_product(plan, library.address, a, b, epilogue=callee)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("epilogue", [False, True])
def test_kernels_keep_the_rules(dtype, machine, epilogue):
    for function in product.plan(dtype, machine, epilogue=epilogue).functions:
        verify(function)
