"""Winograd convolutions against direct ones in float64, over sizes, layouts and cuts."""

import ctypes
import mmap
from fractions import Fraction

import numpy as np
import pytest
from schedule.tiles import LAYOUTS, SHAPES, SPARE, Case, add_row, direct

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.machine import Machine
from croton.kernel.verify import verify
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.convolution.winograd.choice import fits
from croton.schedule.convolution.winograd.matrices import POINTS, TAPS, matrices
from croton.schedule.convolution.winograd.plan import steps
from croton.schedule.counts import evaluate
from croton.schedule.product.tiling import tiling
from croton.schedule.running import Callee

DTYPES = ("float32", "float64")
KINDS = ("forward", "inputs")
MACHINES = {
    "wide": Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20),
    "middle": Machine("middle", 32, 16, 32 << 10, 512 << 10, 8 << 20),
    "narrow": Machine("narrow", 16, 16, 32 << 10, 256 << 10, 8 << 20),
}


class Compiled:
    """The kernels for a dtype and a reach of tiles, loaded once."""

    def __init__(self, dtype, machine, reach, narrow):
        self.t, self.reach = tiling(dtype, machine), reach
        self.plans = {kind: steps(kind, self.t, reach=reach, narrow=narrow) for kind in KINDS}
        target = host()
        functions = self.plans["forward"].functions
        assert functions == self.plans["inputs"].functions
        self.library = target.load(target.compile(render(functions, target)))

    def __call__(self, kind, image, w, names, out=None, cuts=None):
        plan = self.plans[kind]
        return run_convolution(kind, plan, self.library.address, names, image, w, out, cuts=cuts)


@pytest.fixture(
    scope="module",
    params=[
        *((d, m, 6, d == "float64") for d in DTYPES for m in ("host", "middle", "narrow")),
        *((d, m, 4, False) for d, m in zip(DTYPES, ("host", "narrow"), strict=True)),
        ("float32", "host", 6, True),
    ],
    ids=str,
)
def compiled(request):
    dtype, name, reach, narrow = request.param
    machine = MACHINES.get(name, host().machine)
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(dtype, machine, reach, narrow)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_sizes_and_layouts(compiled, kind, number):
    layout = LAYOUTS[number % len(LAYOUTS)]
    case = Case(kind, compiled.t.dtype, *SHAPES[number], layout)
    case.close(case.run(compiled), compiled.reach)


#: Taps and dilations that differ from what is usual.
FORMS = [(3, (2, 2)), (3, (1, 3)), (3, (4, 1)), (5, (1, 1)), (5, (3, 2))]


def with_taps(compiled, taps):
    """Skip the test if tiles of this reach are not for so many taps."""
    if taps not in TAPS[compiled.reach]:
        pytest.skip("other tiles are for these filters")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("taps", "dilation"), FORMS, ids=str)
@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_more_taps_and_places_apart(compiled, kind, taps, dilation, number):
    with_taps(compiled, taps)
    layout = LAYOUTS[number % len(LAYOUTS)]
    batch, channels, filters, x, before = SHAPES[number]
    # The padding that keeps as many places, about.
    before = tuple(b + taps // 2 * d - 1 for b, d in zip(before, dilation, strict=True))
    shape = (batch, channels, filters, x, before)
    case = Case(kind, compiled.t.dtype, *shape, layout, taps=taps, dilation=dilation)
    case.close(case.run(compiled), compiled.reach)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("taps", "dilation"), FORMS, ids=str)
def test_any_number_of_places_and_remainders(compiled, kind, taps, dilation):
    with_taps(compiled, taps)
    for places in range(1, 20):
        shape = (1, 2, 3, (places, 21 - places), (taps // 2 * dilation[0], 3))
        case = Case(kind, compiled.t.dtype, *shape, "last", taps=taps, dilation=dilation)
        case.close(case.run(compiled), compiled.reach)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_filters_in_any_order(compiled, kind, layout):
    case = Case(kind, compiled.t.dtype, 1, 70, 37, (5, 5), (1, 1), layout)
    case.close(case.run(compiled), compiled.reach)


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_of_another_size_than_the_padding_gives(compiled, kind):
    for extra, before in ((3, (1, 1)), (-2, (0, 1)), (2, (3, 0)), (5, (-1, -3))):
        case = Case(kind, compiled.t.dtype, 2, 6, 9, (7, 6), before, "last", extra)
        case.close(case.run(compiled), compiled.reach)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_of_three_dimensions_is_like_a_batch(compiled, kind):
    case = Case(kind, compiled.t.dtype, 2, 6, 9, (7, 6), (1, 1), "last", depth=3)
    case.close(case.run(compiled), compiled.reach)


@pytest.mark.parametrize(
    "shape",
    [
        (20, 12, 40, (30, 30), (1, 1)),  # many tiles
        (2, 24, 20, (6, 300), (1, 1)),  # lines longer than a block
        (1, 1100, 20, (9, 6), (1, 1)),  # more channels than are taken at a time
        (30, 150, 40, (9, 9), (1, 1)),  # blocks over several images
        (1, 9, 300, (6, 7), (1, 1)),  # few tiles: items are some of the columns
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_larger_sizes(compiled, kind, shape):
    batch, channels, filters, *rest = shape
    if kind == "inputs":
        channels, filters = filters, channels
    case = Case(kind, compiled.t.dtype, batch, channels, filters, *rest, "theano")
    case.close(case.run(compiled), compiled.reach)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        ((2, 3, 5, (7, 9), (1, 1)), 2),
        ((1, 16, 16, (14, 14), (1, 1)), 5),
        ((3, 17, 49, (6, 5), (1, 0)), 3),
        ((2, 40, 70, (9, 9), (0, 0)), 2),
        ((1, 9, 80, (6, 300), (1, 1)), 2),  # lines longer than a block
        ((1, 9, 150, (6, 7), (1, 1)), 4),  # few tiles: items are some of the columns
        ((0, 4, 4, (6, 7), (1, 1)), 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["theano", "sparse"])
def test_groups(compiled, kind, shape, groups, layout):
    case = Case(kind, compiled.t.dtype, *shape, layout, groups=groups)
    case.close(case.run(compiled), compiled.reach)
    ones = case.run(compiled, cuts=lambda n: [(i, i + 1) for i in reversed(range(n))])
    case.close(ones, compiled.reach)


def test_few_tiles_are_cut_by_columns_and_many_by_tiles():
    t = tiling("float32", MACHINES["wide"])
    product = steps("forward", t).steps[-1]
    few = Case("forward", "float32", 1, 8, 512, (7, 7), (1, 1), "last")
    many = Case("forward", "float32", 8, 8, 64, (56, 56), (1, 1), "last")
    assert evaluate(product.items, few.names) == 8
    assert evaluate(product.items, many.names) == 28


@pytest.mark.parametrize("kind", KINDS)
def test_empty_extents(compiled, kind):
    for batch, channels, filters, x in ((0, 3, 4, (5, 5)), (2, 3, 0, (5, 5)), (2, 3, 4, (0, 5))):
        case = Case(kind, compiled.t.dtype, batch, channels, filters, x, (1, 2), "last")
        out = np.full(case.shape, np.nan, compiled.t.dtype)
        case.close(case.run(compiled, out=out), compiled.reach)


@pytest.mark.parametrize(
    "shape", [(6, 9, 70, (30, 30), (1, 1)), (1, 9, 150, (15, 9), (1, 1))], ids=str
)
def test_any_cut_gives_the_same_bits(compiled, shape):
    case = Case("forward", compiled.t.dtype, *shape, "theano")
    whole = case.run(compiled)
    ones = case.run(compiled, cuts=lambda n: [(i, i + 1) for i in reversed(range(n))])
    thirds = case.run(compiled, cuts=lambda n: [(i * n // 3, (i + 1) * n // 3) for i in range(3)])
    assert whole.tobytes() == ones.tobytes() == thirds.tobytes()


def test_other_kinds_and_other_convolutions():
    with pytest.raises(ValueError, match="filters"):
        steps("filters", tiling("float32", MACHINES["wide"]))
    x, w, y = (2, 9, 9, 4), np.ones((3, 3, 4, 6)), (2, 7, 7, 6)
    one = (1, 1)
    assert evaluate(fits(), sizes_of(x, w, y, one, (0, 0), one))
    assert not evaluate(fits(), sizes_of(x, w, y, (2, 1), (0, 0), one))
    assert not evaluate(fits(), sizes_of(x, w, y, one, (0, 0), (1, 99)))
    assert evaluate(fits(), sizes_of(x, w[:, :, :2], y, one, (0, 0), one, 2))
    assert not evaluate(fits(), sizes_of(x, np.ones((5, 3, 4, 6)), y, one, (0, 0), one))


def test_a_condition_leaves_all_out(compiled):
    case = Case("forward", compiled.t.dtype, *SHAPES[2], "last")
    plan = steps("forward", compiled.t, when="batch", reach=compiled.reach)
    names = case.names | {"batch": 0}
    assert not any(evaluate(step.items, names) for step in plan.steps)
    assert not any(evaluate(elements, names) for _, elements in plan.temporaries)


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


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_read_or_written_behind_the_arrays(compiled, kind):
    for shape in (*SHAPES[:4], (1, 15, 31, (9, 9), (0, 0))):
        case = Case(kind, compiled.t.dtype, *shape, "last")
        case.image, case.w = at_the_edge(case.image), at_the_edge(case.w)
        out = at_the_edge(np.zeros(case.shape, compiled.t.dtype))
        case.close(case.run(compiled, out=out), compiled.reach)


@pytest.fixture(scope="module", params=[(d, s) for d in DTYPES for s in POINTS])
def with_epilogue(request):
    dtype, reach = request.param
    target = host()
    plans = {
        kind: steps(kind, tiling(dtype, target.machine), True, reach=reach, spare=SPARE)
        for kind in KINDS
    }
    functions = [*plans["forward"].functions, add_row(dtype, fail_at=7)]
    return plans, reach, target.load(target.compile(render(functions, target)))


@pytest.mark.parametrize(("kind", "taps", "dilation"), [
    *((kind, 3, (1, 1)) for kind in KINDS),
    ("forward", 3, (1, 3)), ("inputs", 3, (2, 2)), ("forward", 5, (1, 1)), ("forward", 5, (2, 5)),
])  # fmt: skip
@pytest.mark.parametrize(
    "shape",
    [
        *SHAPES,
        (1, 8, 70, (9, 130), (1, 1)),
        (2, 8, 70, (5, 300), (1, 1)),
        (40, 8, 70, (17, 17), (1, 1)),
        (1, 8, 70, (70, 70), (1, 1)),
        (1, 8, 70, (9, 120), (1, 1)),
        (1, 8, 70, (3, 120), (1, 1)),
        (60, 9, 40, (6, 6), (0, 0)),
    ],
    ids=str,
)
def test_an_epilogue_sees_every_element_once(with_epilogue, kind, taps, dilation, shape):
    plans, reach, library = with_epilogue
    if taps not in TAPS[reach]:
        pytest.skip("other tiles are for these filters")
    plan = plans[kind]
    groups = 3 if shape[1] < 9 else 1
    case = Case(kind, plan.dtype, *shape, "theano", taps=taps, dilation=dilation, groups=groups)
    columns = case.shape[-1]
    row = np.random.default_rng(0).standard_normal(columns).astype(plan.dtype)
    out = np.zeros(case.shape, plan.dtype)
    callee = Callee(library.address("add_row"), [row, out], [columns])
    if int(np.prod(case.shape[:-1])) == 7:
        pytest.skip("where it fails")
    done = run_convolution(
        kind, plan, library.address, case.names, case.image, case.w, epilogue=callee
    )
    assert done is None
    case.close(out - row, reach)


def test_the_failure_of_an_epilogue_is_the_convolutions(with_epilogue):
    plans, _, library = with_epilogue
    plan = plans["forward"]
    case = Case("forward", plan.dtype, 1, 3, 4, (1, 7), (1, 1), "last")
    out = np.zeros(case.shape, plan.dtype)
    callee = Callee(library.address("add_row"), [np.zeros(4, plan.dtype), out], [4])
    with pytest.raises(RuntimeError, match="failed with status 5"):
        run_convolution(
            "forward", plan, library.address, case.names, case.image, case.w, epilogue=callee
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize(("reach", "epilogue"), [(6, False), (6, True), (4, True)])
def test_kernels_keep_the_rules(dtype, machine, reach, epilogue):
    for function in steps("forward", tiling(dtype, machine), epilogue, reach=reach).functions:
        verify(function)


#: Reaches with the taps that they are for.
POSSIBLE = [(reach, taps) for reach, some in TAPS.items() for taps in some]


@pytest.mark.parametrize(("reach", "number"), POSSIBLE)
def test_matrices_filter_exactly(reach, number):
    result, filters, image = matrices(reach, number)
    places = [Fraction(3 * i * i - 7 * i + 2, 5) for i in range(reach)]
    taps = [Fraction(1, 3), Fraction(-2), Fraction(7, 4), Fraction(5), Fraction(-1, 7)][:number]

    def times(matrix, vector):
        return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]

    products = [a * b for a, b in zip(times(filters, taps), times(image, places), strict=True)]
    want = [sum(places[i + k] * t for k, t in enumerate(taps)) for i in range(len(result))]
    assert len(want) == reach + 1 - number
    assert times(result, products) == want
    # In binary, only the matrix of the filters rounds.
    assert all(Fraction(float(a)) == a for matrix in (result, image) for row in matrix for a in row)


def test_the_error_for_ordinary_data():
    errors = {}
    for reach, taps in POSSIBLE:
        case = Case("forward", "float32", 2, 256, 32, (14, 14), (1, 1), "theano", taps=taps)
        got = case.run(Compiled("float32", host().machine, reach, False))
        want = direct(
            "forward",
            *(a.astype(np.float64) for a in (case.image, case.w)),
            case.shape,
            case.before,
        )
        errors[reach, taps] = np.abs(got - want).max() / np.abs(want).max()
    assert errors[6, 3] < 4e-6
    assert errors[6, 5] < 4e-6
    assert errors[4, 3] < 1e-6
