"""Depthwise convolutions of all kinds against sums of NumPy's float64 over the taps."""

import ctypes
import itertools
import mmap

import numpy as np
import pytest

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel import build
from croton.kernel.machine import Machine
from croton.kernel.nodes import Allocate, Buffer, Fail, For, Function, If, Let, Load, Store, Var
from croton.kernel.verify import verify
from croton.schedule.convolution.depthwise import steps
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.counts import evaluate
from croton.schedule.product import tile
from croton.schedule.running import Callee, aligned

DTYPES = ("float32", "float64")
KINDS = ("forward", "inputs", "filters")
MACHINES = {
    "wide": Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20),
    "middle": Machine("middle", 32, 16, 32 << 10, 512 << 10, 8 << 20),
    "narrow": Machine("narrow", 16, 16, 32 << 10, 256 << 10, 8 << 20),
}


def flat(values):
    """All places in one dimension, before those of groups and of a group's lanes."""
    return values.reshape(-1, *values.shape[-2:])


class Case:
    """Sizes of a convolution, with random arrays of them."""

    def __init__(
        self, rng, dtype, batch, x, k, strides, before, after, dilation, channels, w="t", group=1
    ):
        self.group = group
        self.strides, self.before, self.dilation = strides, before, dilation
        y = [
            max(0, (n + b + a - (m - 1) * d - 1) // s + 1)
            for n, m, s, b, a, d in zip(x, k, strides, before, after, dilation, strict=True)
        ]
        self.x = rng.standard_normal((batch, *x, channels)).astype(dtype)
        self.y = rng.standard_normal((batch, *y, channels)).astype(dtype)
        self.w = rng.standard_normal((*k, group, channels)).astype(dtype)
        if w == "theano":  # (filters, channels, spatial...), flipped
            turned = np.moveaxis(self.w, (-1, -2), (0, 1)).copy()
            self.w = np.moveaxis(turned, (0, 1), (-1, -2))[(slice(None, None, -1),) * len(k)]

    def names(self):
        names = sizes_of(
            self.x.shape,
            self.w,
            self.y.shape,
            self.strides,
            self.before,
            self.dilation,
            groups=self.x.shape[-1] // self.group,
        )
        return names

    def operands(self, kind):
        return {
            "forward": (self.x, self.w),
            "inputs": (self.y, self.w),
            "filters": (self.x, self.y),
        }[kind]

    def pairs(self):
        """For each tap the places of ``x`` and of ``y`` that it joins."""
        batch, *x = self.x.shape[:-1]
        y, c = self.y.shape[1:-1], self.x.shape[-1]
        for tap in itertools.product(*map(range, self.w.shape[:-2])):
            px, py = [], []
            for d, t in enumerate(tap):
                p = np.arange(y[d])
                q = p * self.strides[d] + t * self.dilation[d] - self.before[d]
                inside = (q >= 0) & (q < x[d])
                px.append(q[inside])
                py.append(p[inside])
            yield tap, np.ix_(range(batch), *px, range(c)), np.ix_(range(batch), *py, range(c))

    def want(self, kind):
        """The result and the sum of the absolute values of its products."""
        x, y, w = (v.astype(np.float64) for v in (self.x, self.y, self.w))
        out = np.zeros_like({"forward": y, "inputs": x, "filters": w}[kind])
        size = np.zeros_like(out)
        for tap, at_x, at_y in self.pairs():
            own = w[tap].reshape(self.group, -1, self.group)
            apart = (*y[at_y].shape[:-1], own.shape[1], self.group)
            of_x, of_y = x[at_x].reshape(apart), y[at_y].reshape(apart)
            where, how, pair = {
                "forward": (at_y, "...gc,cgf->...gf", (of_x, own)),
                "inputs": (at_x, "...gf,cgf->...gc", (of_y, own)),
                "filters": (tap, "pgc,pgf->cgf", (flat(of_x), flat(of_y))),
            }[kind]
            for total, values in ((out, pair), (size, [np.abs(v) for v in pair])):
                total[where] += np.einsum(how, *values).reshape(total[where].shape)
        return out, size

    def close(self, kind, got, start=0.0):
        want, size = self.want(kind)
        # How often a term is rounded at most: sums of lines, of which there are up to three
        # for a tap, are added, and so are those of the parts.
        lines = int(np.prod(self.y.shape[:-2]))
        rounded = self.y.shape[-2] + 4 * lines if kind == "filters" else self.w[..., 0].size
        allowed = (rounded + 2) * np.finfo(got.dtype).eps * (size + np.abs(start))
        got = got.reshape(want.shape)
        assert (np.abs(got - (want + start)) <= allowed).all()


class Compiled:
    """The kernels of a kind for a dtype and a machine."""

    def __init__(self, kind, dtype, machine, **options):
        self.kind = kind
        self.plan = steps(kind, machine, dtype, **options)
        target = host()
        self.library = target.load(target.compile(render(self.plan.functions, target)))

    def __call__(self, case, cuts=None, out=None):
        left, right = case.operands(self.kind)
        address = self.library.address
        return run_convolution(
            self.kind, self.plan, address, case.names(), left, right, out, cuts=cuts
        )


@pytest.fixture(scope="module", params=itertools.product(KINDS, DTYPES, MACHINES), ids=str)
def compiled(request):
    kind, dtype, name = request.param
    machine = MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(kind, dtype, machine)


def any_case(rng, dtype, group=1):
    """Sizes of one to three dimensions, with strides, dilation, and padding of any kind."""
    rank = int(rng.integers(1, 4))
    longest = (60, 20, 8)[rank - 1]

    def numbers(low, high):
        return [int(v) for v in rng.integers(low, high, rank)]

    return Case(
        rng,
        dtype,
        int(rng.integers(1, 4)),
        numbers(1, longest),
        numbers(1, 6 - rank),
        numbers(1, 4),
        numbers(-2, 5),
        numbers(-1, 5),
        numbers(1, 4),
        group * int(rng.choice([1, 3, 8, 17, 32, 45, 70] if group == 1 else [1, 3, 5, 8, 11])),
        rng.choice(["t", "theano"]),
        group,
    )


@pytest.mark.parametrize("seed", range(10))
def test_any_sizes(compiled, seed):
    rng = np.random.default_rng(seed)
    for _ in range(4):
        case = any_case(rng, compiled.plan.dtype)
        case.close(compiled.kind, compiled(case))


#: Machines and dtypes, with groups that fill their vectors.
GROUPS = [
    ("wide", "float32", 4),
    ("wide", "float32", 8),
    ("wide", "float64", 2),
    ("middle", "float32", 8),
    ("middle", "float64", 4),
    ("narrow", "float32", 2),
    ("narrow", "float32", 4),
]


@pytest.fixture(scope="module", params=itertools.product(KINDS, GROUPS), ids=str)
def grouped(request):
    kind, (name, dtype, group) = request.param
    machine = MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(kind, dtype, machine, group=group), group


@pytest.mark.parametrize("seed", range(6))
def test_groups_of_some_channels(grouped, seed):
    compiled, group = grouped
    rng = np.random.default_rng(seed)
    for _ in range(4):
        case = any_case(rng, compiled.plan.dtype, group)
        case.close(compiled.kind, compiled(case))


@pytest.mark.parametrize("name", ["usual", "stride", "filter larger than the image", "volume"])
def test_groups_at_sizes_that_take_every_path(grouped, name):
    compiled, group = grouped
    case = Case(np.random.default_rng(0), compiled.plan.dtype, *CASES[name][:-1], 40, "t", group)
    case.close(compiled.kind, compiled(case))


def test_groups_that_do_not_fill_vectors():
    with pytest.raises(ValueError, match="groups of 3 channels do not fill vectors of 16 lanes"):
        steps("forward", MACHINES["wide"], "float32", group=3)


#: Batch, image, filter, strides, before, after, dilation, channels.
CASES = {
    "usual": (2, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 64),
    "stride": (2, (15, 15), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 40),
    "even stride": (1, (16, 16), (5, 5), (2, 2), (1, 1), (2, 2), (1, 1), 24),
    "large filter": (1, (12, 29), (7, 7), (1, 1), (3, 3), (3, 3), (1, 1), 33),
    "filter larger than the image": (2, (3, 4), (7, 9), (1, 1), (3, 4), (3, 4), (1, 1), 20),
    "gaps": (1, (9, 11), (1, 2), (3, 4), (0, 0), (0, 0), (1, 1), 19),
    "stride and dilation": (1, (10, 30), (3, 4), (4, 6), (2, 5), (3, 4), (2, 4), 18),
    "dilation": (1, (11, 30), (3, 3), (1, 1), (2, 3), (2, 3), (2, 3), 17),
    "long lines": (1, (700,), (5,), (1,), (2,), (2,), (1,), 9),
    "long lines, stride": (1, (1201,), (4,), (2,), (1,), (3,), (1,), 8),
    "many lines": (3, (40, 6), (3, 2), (1, 1), (1, 1), (1, 0), (1, 1), 5),
    "many channels": (1, (6, 100), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 530),
    "volume": (2, (5, 6, 9), (3, 3, 3), (1, 2, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), 34),
    "far outside": (1, (5, 6), (3, 3), (1, 1), (7, 8), (6, 9), (1, 1), 10),
    "cropped": (1, (9, 20), (3, 3), (1, 1), (-2, -3), (-1, -2), (1, 1), 16),
}


@pytest.mark.parametrize("name", CASES)
def test_sizes_that_take_every_path(compiled, name):
    case = Case(np.random.default_rng(0), compiled.plan.dtype, *CASES[name])
    got = compiled(case)
    case.close(compiled.kind, got)
    ones = compiled(case, lambda items: [(i, i + 1) for i in reversed(range(items))])
    assert got.tobytes() == ones.tobytes()


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("image", [(0, 5), (4, 3)])
def test_empty_arrays(compiled, batch, image):
    # With a filter of 5 x 5 there is no place in the result.
    rest = ((5, 5), (1, 1), (0, 0), (0, 0), (1, 1), 7)
    case = Case(np.random.default_rng(0), compiled.plan.dtype, batch, image, *rest)
    case.close(compiled.kind, compiled(case))


@pytest.fixture(scope="module", params=itertools.product(("forward", "inputs"), MACHINES), ids=str)
def far_away(request):
    """Kernels for a machine whose caches hold all that is met here, and for one without any."""
    kind, name = request.param
    machine = MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return [Compiled(kind, "float32", m) for m in (machine, machine._replace(l3=0))]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shift", [0, 4])
def test_what_is_larger_than_the_caches_gets_the_same_bits(far_away, name, shift):
    near, far = far_away
    # Results that go past the caches need whole vectors, and may not be aligned.
    for channels in (48, CASES[name][-1]):
        case = Case(np.random.default_rng(0), "float32", *CASES[name][:-1], channels)
        result = case.y if near.kind == "forward" else case.x
        out = aligned(result.nbytes + shift)[shift:].view(np.float32).reshape(result.shape)
        assert far(case, out=out).tobytes() == near(case).tobytes()


def at_the_edge(array):
    """A copy that ends where readable memory ends."""
    page = mmap.PAGESIZE
    size = -(-max(1, array.nbytes) // page) * page
    memory = mmap.mmap(-1, size + page)
    start = np.frombuffer(memory, np.uint8).ctypes.data
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), page, 0)
    copy = np.frombuffer(memory, array.dtype, array.size, size - array.nbytes)
    copy = copy.reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("name", ["usual", "stride", "filter larger than the image", "gaps"])
@pytest.mark.parametrize("channels", [3, 33])
def test_nothing_is_read_or_written_behind_the_operands(compiled, name, channels):
    case = Case(np.random.default_rng(0), compiled.plan.dtype, *CASES[name][:-1], channels)
    case.x, case.y, case.w = (at_the_edge(v) for v in (case.x, case.y, case.w))
    kind = compiled.kind
    out = at_the_edge(np.zeros_like({"forward": case.y, "inputs": case.x, "filters": case.w}[kind]))
    case.close(kind, compiled(case, out=out))


def test_an_image_keeps_its_nan_to_its_neighbours(compiled):
    case = Case(np.random.default_rng(0), compiled.plan.dtype, *CASES["usual"])
    case.x[1, 0, 5, 3] = case.y[1, 0, 5, 3] = np.nan
    got = compiled(case)
    lost = np.argwhere(np.isnan(got.reshape(got.shape[-5:] if got.ndim > 4 else got.shape)))
    assert set(lost[:, -1]) == {3}
    if compiled.kind != "filters":
        assert len(lost) == 6  # two rows of the result see the first row, and three columns
        assert set(lost[:, 0]) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_where_it_is_not_chosen_nothing_runs(kind):
    plan = steps(kind, host().machine, "float32", when="chosen")
    case = Case(np.random.default_rng(0), "float32", *CASES["stride"], w="theano")
    for chosen in (0, 1):
        names = case.names() | {"chosen": chosen}
        assert [evaluate(s.items, names) > 0 for s in plan.steps] == [bool(chosen)] * 2
        assert [evaluate(n, names) > 0 for _, n in plan.temporaries] == [bool(chosen)]


def add_row(dtype, fail_at=-1):
    """An epilogue: ``out[i, j] = result[i, j] + row[j]``; it fails for one column."""
    i, j, n, n0, n1 = Var("i"), Var("j"), Var("n"), Var("n0"), Var("n1")
    head, block = Buffer("head", "int64"), Buffer("block", dtype)
    row, out = Buffer("row", dtype), Buffer("out", dtype)
    at = build.mul(build.sub(i, Var("lo")), build.index(tile.LEADING[dtype]))
    value = Load(block, build.add(at, build.sub(j, n0)))
    store = Store(out, build.add(build.mul(i, n), j), build.add(value, Load(row, j)))
    body = (
        Allocate(head, build.index(tile.HEADER)),
        Allocate(block, build.index(tile.TILE)),
        Let(n0, Load(head, build.index(tile.N0))),
        Let(n1, Load(head, build.index(tile.N1))),
        If(build.op("gt", Load(head, build.index(tile.BATCH)), build.index(0)), (Fail(4),)),
        If(
            build.op("gt", build.sub(Var("hi"), Var("lo")), build.index(tile.ROWS)),
            (Fail(6),),
        ),
        If(build.op("eq", n1, build.index(fail_at)), (Fail(5, (n0, n1)),)),
        For(i, Var("lo"), Var("hi"), (For(j, n0, n1, (store,)),)),
    )
    return Function("add_row", (row, out), (n,), body)


@pytest.fixture(scope="module", params=itertools.product(("forward", "inputs"), DTYPES), ids=str)
def with_epilogue(request):
    kind, dtype = request.param
    target = host()
    plan = steps(kind, target.machine, dtype, epilogue=True)
    functions = [*plan.functions, add_row(dtype, fail_at=7)]
    return kind, plan, target.load(target.compile(render(functions, target)))


@pytest.mark.parametrize("name", CASES)
def test_an_epilogue_sees_every_element_once(with_epilogue, name):
    kind, plan, library = with_epilogue
    rng = np.random.default_rng(5)
    case = Case(rng, plan.dtype, *CASES[name])
    result = case.y if kind == "forward" else case.x
    channels = result.shape[-1]
    row, out = rng.standard_normal(channels).astype(plan.dtype), np.zeros_like(result)
    callee = Callee(library.address("add_row"), [row, out], [channels])
    left, right = case.operands(kind)
    names = case.names()
    assert run_convolution(kind, plan, library.address, names, left, right, epilogue=callee) is None
    case.close(kind, out, row)


def test_the_failure_of_an_epilogue_is_the_kernels(with_epilogue):
    kind, plan, library = with_epilogue
    case = Case(np.random.default_rng(0), plan.dtype, *CASES["usual"][:-1], 7)
    callee = Callee(library.address("add_row"), [case.x, case.y], [7])
    left, right = case.operands(kind)
    with pytest.raises(RuntimeError, match="failed with status 5"):
        run_convolution(kind, plan, library.address, case.names(), left, right, epilogue=callee)


def test_the_filters_have_no_epilogue():
    with pytest.raises(ValueError, match="no epilogue"):
        steps("filters", host().machine, "float32", epilogue=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_keep_the_rules(kind, machine, dtype):
    plans = [steps(kind, machine, dtype)]
    if kind != "filters":
        plans.append(steps(kind, machine, dtype, epilogue=True))
    for plan in plans:
        for function in plan.functions:
            verify(function)
