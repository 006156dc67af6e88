"""Convolutions with few result channels against NumPy's float64."""

import numpy as np
import pytest
from schedule.convolutions import MACHINES, Problem, assert_close, memory, random_arrays

import croton
import croton.tensor as T
from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution import planes
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.counts import evaluate
from croton.schedule.product.tiling import tiling

KINDS = ("forward", "inputs")


class Compiled:
    """The kernel for a dtype, loaded once, which serves both kinds."""

    def __init__(self, dtype, machine):
        self.dtype, self.t = dtype, tiling(dtype, machine)
        self.plans = {kind: planes.steps(kind, self.t, False) for kind in KINDS}
        functions = self.plans["forward"].functions
        assert functions == self.plans["inputs"].functions
        for function in (*functions, *planes.steps("forward", self.t, True).functions):
            verify(function)
        target = host()
        self.library = target.load(target.compile(render(functions, target)))

    def check(self, p, rng, cuts=None, kind="forward"):
        x, w, y = random_arrays(p, self.dtype, rng)
        names = sizes_of(p.x, w, p.y, p.strides, p.before, p.dilation, p.groups)
        assert evaluate(planes.fits(kind, self.t, False), names)
        address = self.library.address
        source, find = (x, p.forward) if kind == "forward" else (y, p.inputs)
        got = run_convolution(kind, self.plans[kind], address, names, source, memory(w), cuts=cuts)
        terms = int(np.prod(p.w[:-2])) * p.w[-2 if kind == "forward" else -1]
        assert_close(got, find(source, w), find(np.abs(source), np.abs(w)), terms)
        return got


@pytest.fixture(
    scope="module", params=[(d, m) for d in ("float32", "float64") for m in ("host", *MACHINES)]
)
def compiled(request):
    dtype, name = request.param
    machine = host().machine if name == "host" else MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(dtype, machine)


def problem(n, size, taps, channels, filters, before, after, dilation):
    """A convolution without strides; zeros ``after`` an image may be more than are read."""
    places = [
        s + b + a - (k - 1) * d
        for s, k, b, a, d in zip(size, taps, before, after, dilation, strict=True)
    ]
    shapes = ((n, *size, channels), (*taps, channels, filters), (n, *places, filters))
    return Problem(*shapes, [1] * len(size), before, dilation)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [1, 2])
def test_random_convolutions(compiled, rank, kind):
    rng = np.random.default_rng(rank)
    most = compiled.t.lanes * 3 // 4
    tried = 0
    while tried < 30:
        size, taps = rng.integers(1, 30, rank), rng.integers(1, 6, rank)
        before, after = rng.integers(-2, 6, rank), rng.integers(0, 6, rank)
        n, channels, filters = rng.integers(1, 4), rng.integers(1, 6), rng.integers(1, most + 1)
        if kind == "inputs":
            channels, filters = filters, channels
        p = problem(n, size, taps, channels, filters, before, after, rng.integers(1, 4, rank))
        if min(p.y[1:-1]) > 0 and np.prod(taps) > 1:
            compiled.check(p, rng, kind=kind)
            tried += 1


@pytest.mark.parametrize(
    "sizes",
    [
        (2, (90, 33), (7, 3), 1, 1, (3, 1), (3, 1), (1, 1)),
        (1, (5, 1500), (3, 3), 1, 1, (1, 1), (1, 1), (1, 1)),
        (1, (9, 70), (2, 30), 1, 1, (0, 29), (0, 29), (1, 2)),
        (0, (5, 9), (3, 3), 1, 1, (0, 0), (0, 0), (1, 1)),
        (2, (5, 9), (3, 3), 0, 1, (0, 0), (0, 0), (1, 1)),
        (2, (5, 9), (3, 3), 1, 0, (0, 0), (0, 0), (1, 1)),
    ],
    ids=["many lines", "long lines", "far taps", "no images", "no channels", "no filters"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_at_the_edge(compiled, sizes, kind):
    compiled.check(problem(*sizes), np.random.default_rng(0), kind=kind)


def test_results_do_not_depend_on_how_items_are_shared(compiled):
    p = problem(3, (50, 17), (3, 5), 3, 1, (1, 2), (1, 2), (1, 1))
    one, two = (
        compiled.check(p, np.random.default_rng(5), cuts)
        for cuts in (None, lambda n: [(k, k + 1) for k in reversed(range(n))])
    )
    assert np.array_equal(one, two)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [(30, 30), (7, 250), (3, 300), (40, 5)])
def test_an_epilogue_sees_every_element_once(dtype, size):
    rng = np.random.default_rng(0)
    p = problem(2, size, (3, 2), 3, 5, (1, 0), (1, 1), (1, 1))
    x, w, b = T.tensor(dtype, (None,) * 4), T.tensor(dtype, (None,) * 4), T.vector(dtype=dtype)
    out = T.nnet.conv2d(
        x.dimshuffle(0, 3, 1, 2), w, border_mode=((1, 1), (0, 1)), filter_flip=False
    )
    f = croton.function([x, w, b], T.exp(out.dimshuffle(0, 2, 3, 1) + b))
    assert any("planes" in name and "epilogue" in name for name in f.program.kernels)
    images, filters, _ = random_arrays(p, dtype, rng)
    filters = filters / 10
    got = f(images, np.ascontiguousarray(filters.transpose(3, 2, 0, 1)), np.arange(5).astype(dtype))
    want = np.exp(p.forward(images, filters) + np.arange(5))
    np.testing.assert_allclose(got, want, rtol=1e-4 if dtype == "float32" else 1e-12)
