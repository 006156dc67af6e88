"""Direct convolution against NumPy's float64, over sizes, strides, groups and layouts."""

import numpy as np
import pytest
from schedule.convolutions import (
    MACHINES,
    Problem,
    assert_close,
    memory,
    random_arrays,
    random_problem,
)
from schedule.filter_gradients import at_the_edge

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution import direct
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.counts import evaluate
from croton.schedule.product.tiling import tiling


class Compiled:
    """The kernels for a dtype, loaded once."""

    def __init__(self, dtype, machine):
        self.dtype, self.t = dtype, tiling(dtype, machine)
        self.plans = {kind: direct.steps(kind, self.t) for kind in ("forward", "inputs")}
        #: The same with filters that are copied before.
        self.copying = {kind: direct.steps(kind, self.t, constant=True) for kind in self.plans}
        functions = self.plans["forward"].functions
        for function in functions:
            verify(function)
        target = host()
        self.library = target.load(target.compile(render(functions, target)))

    def names(self, p, w):
        return sizes_of(p.x, w, p.y, p.strides, p.before, p.dilation, p.groups)

    def check(self, p, rng, cuts=None):
        x, w, y = random_arrays(p, self.dtype, rng)
        names, taps = self.names(p, w), int(np.prod(p.w[:-2]))
        address = self.library.address
        for kind, a, terms in (("forward", x, p.w[-2]), ("inputs", y, p.w[-1])):
            definition = getattr(p, kind)
            want, size = definition(a, w), definition(np.abs(a), np.abs(w))
            for plans in (self.plans, self.copying):
                got = run_convolution(kind, plans[kind], address, names, a, memory(w), cuts=cuts)
                assert_close(got, want, size, taps * terms)


@pytest.fixture(
    scope="module", params=[(d, m) for d in ("float32", "float64") for m in ("host", *MACHINES)]
)
def compiled(request):
    dtype, name = request.param
    machine = host().machine if name == "host" else MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(dtype, machine)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_random_convolutions(compiled, rank):
    rng = np.random.default_rng(rank)
    for _ in range(40 if rank == 2 else 15):
        compiled.check(random_problem(rng, rank), rng)


@pytest.mark.parametrize(
    "problem",
    [
        Problem((1, 20, 20, 70), (3, 3, 70, 40), (1, 20, 20, 40), (1, 1), (1, 1), (1, 1)),
        Problem((2, 9, 9, 600), (1, 1, 600, 33), (2, 9, 9, 33), (1, 1), (0, 0), (1, 1)),
        Problem((1, 4, 4, 1500), (2, 2, 1500, 8), (1, 3, 3, 8), (1, 1), (0, 0), (1, 1)),
        Problem((1, 5, 5, 300), (3, 3, 300, 90), (1, 5, 5, 90), (1, 1), (1, 1), (1, 1)),
        Problem((2, 4, 4, 330), (5, 1, 330, 70), (2, 2, 4, 70), (2, 1), (2, 0), (1, 1)),
        Problem((1, 1, 9, 200), (1, 2, 200, 40), (1, 1, 8, 40), (1, 1), (0, 0), (1, 1)),
        Problem((1, 3, 700, 4), (2, 3, 4, 9), (1, 2, 698, 9), (1, 1), (0, 0), (1, 1)),
        Problem((1, 8, 8, 2), (8, 8, 2, 5), (1, 1, 1, 5), (1, 1), (0, 0), (1, 1)),
        Problem((40, 3, 3, 5), (2, 2, 5, 130), (40, 2, 2, 130), (1, 1), (0, 0), (1, 1)),
    ],
    ids=[
        "deep", "one tap", "long run", "few places", "lines of one tap", "two taps", "long line",
        "whole image", "many images",
    ],
)  # fmt: skip
def test_each_way_to_cut_the_work(compiled, problem):
    compiled.check(problem, np.random.default_rng(0))


def test_results_do_not_depend_on_how_items_are_shared(compiled):
    rng = np.random.default_rng(5)
    p = Problem((3, 19, 17, 9), (3, 3, 9, 300), (3, 10, 9, 300), (2, 2), (1, 1), (1, 1))
    x, w, y = random_arrays(p, compiled.dtype, rng)
    names = compiled.names(p, w)
    for kind, a in (("forward", x), ("inputs", y)):
        one, two = (
            run_convolution(
                kind, compiled.plans[kind], compiled.library.address, names, a, memory(w), cuts=c
            )
            for c in (None, lambda n: [(k, k + 1) for k in reversed(range(n))])
        )
        assert np.array_equal(one, two)


@pytest.mark.parametrize("filters", [5, 33])
@pytest.mark.parametrize("taps", [(3, 3), (1, 1), (1, 2)])
def test_nothing_is_read_or_written_behind_the_arrays(compiled, taps, filters):
    rng = np.random.default_rng(2)
    p = Problem((2, 4, 5, 19), (*taps, 19, filters), (2, 4, 5, filters), (1, 1), (0, 0), (1, 1))
    x, w, y = (at_the_edge(rng.standard_normal(s).astype(compiled.dtype)) for s in (p.x, p.w, p.y))
    by_filter = at_the_edge(np.ascontiguousarray(w.transpose(3, 2, 0, 1)))
    for at in (w, by_filter.transpose(2, 3, 1, 0)):
        names, given = compiled.names(p, at), at if at is w else by_filter
        for kind, a, shape in (("forward", x, p.y), ("inputs", y, p.x)):
            for plans in (compiled.plans, compiled.copying):
                out = at_the_edge(np.zeros(shape, compiled.dtype))
                address = compiled.library.address
                run_convolution(kind, plans[kind], address, names, a, given, out)
                want, size = getattr(p, kind)(a, at), getattr(p, kind)(np.abs(a), np.abs(at))
                assert_close(out, want, size, 200 * taps[1])


def test_few_places_that_fill_a_cache_have_filters_that_are_read_once(compiled):
    t, rng = compiled.t, np.random.default_rng(3)
    # Three quarters of the second cache, with the border.
    channels = 3 * t.second // (4 * 4 * 7 * 7 * t.itemsize)
    filters, how = 8 * t.panel, ((2, 2), (1, 1), (1, 1))
    p = Problem((4, 6, 6, channels), (3, 3, channels, filters), (4, 3, 3, filters), *how)
    x, w = (rng.standard_normal(s).astype(compiled.dtype) for s in (p.x, p.w))
    by_filter = np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    w, plan = by_filter.transpose(2, 3, 1, 0), compiled.plans["forward"]
    names = compiled.names(p, w)
    copy, _ = plan.steps
    assert evaluate(copy.items, names) == 0
    out = np.empty(p.y, compiled.dtype)
    run_convolution("forward", plan, compiled.library.address, names, x, by_filter, out)
    assert_close(out, p.forward(x, w), p.forward(np.abs(x), np.abs(w)), 9 * channels)


@pytest.mark.parametrize("empty", ["batch", "channels", "filters"])
def test_nothing_in_gives_nothing_or_zeros(compiled, empty):
    sizes = {"batch": 2, "channels": 3, "filters": 4} | {empty: 0}
    n, c, f = sizes.values()
    p = Problem((n, 5, 5, c), (3, 3, c, f), (n, 3, 3, f), (1, 1), (0, 0), (1, 1))
    compiled.check(p, np.random.default_rng(0))


def test_places_that_no_tap_reaches_are_zero(compiled):
    p = Problem((1, 9, 9, 3), (1, 1, 3, 4), (1, 3, 3, 4), (3, 3), (0, 0), (1, 1))
    rng = np.random.default_rng(0)
    compiled.check(p, rng)
    _, w, y = random_arrays(p, compiled.dtype, rng)
    got = run_convolution(
        "inputs", compiled.plans["inputs"], compiled.library.address, compiled.names(p, w),
        y, memory(w), np.full((1, 1, 9, 9, 3), np.nan, compiled.dtype),
    )  # fmt: skip
    got = got.reshape(9, 9, 3)
    got[::3, ::3] = 0
    assert not got.any()
