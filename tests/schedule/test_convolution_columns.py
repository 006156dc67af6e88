"""The gradient by images of few channels against NumPy's float64."""

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

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution import columns
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.counts import evaluate
from croton.schedule.product.tiling import tiling


class Compiled:
    """The kernels for a dtype, loaded once."""

    def __init__(self, dtype, machine):
        self.dtype, self.t = dtype, tiling(dtype, machine)
        self.plan = columns.steps(self.t)
        for function in self.plan.functions:
            verify(function)
        target = host()
        self.library = target.load(target.compile(render(self.plan.functions, target)))

    def check(self, p, rng, cuts=None):
        _, w, y = random_arrays(p, self.dtype, rng)
        names = sizes_of(p.x, w, p.y, p.strides, p.before, p.dilation, p.groups)
        assert evaluate(columns.fits(self.t), names)
        address = self.library.address
        got = run_convolution("inputs", self.plan, address, names, y, memory(w), cuts=cuts)
        terms = int(np.prod(p.w[:-2])) * p.w[-1]
        assert_close(got, p.inputs(y, w), p.inputs(np.abs(y), np.abs(w)), terms)
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


@pytest.mark.parametrize("rank", [1, 2])
def test_random_convolutions(compiled, rank):
    rng = np.random.default_rng(rank)
    tried = 0
    while tried < 30:
        p = random_problem(rng, rank, channels=range(1, compiled.t.lanes // 2 + 1))
        if p.groups == 1 and np.prod(p.w[:-2]) > 1:
            compiled.check(p, rng)
            tried += 1


@pytest.mark.parametrize(
    "problem",
    [
        Problem((2, 90, 11, 1), (7, 3, 1, 20), (2, 45, 6, 20), (2, 2), (3, 1), (1, 1)),
        Problem((1, 5, 9, 1), (3, 3, 1, 4), (1, 1, 1, 4), (4, 4), (0, 0), (1, 1)),
        Problem((0, 5, 9, 1), (3, 3, 1, 4), (0, 3, 7, 4), (1, 1), (0, 0), (1, 1)),
        Problem((2, 5, 9, 1), (3, 3, 1, 0), (2, 3, 7, 0), (1, 1), (0, 0), (1, 1)),
    ],
    ids=["many lines", "untouched places", "no images", "no filters"],
)
def test_sizes_at_the_edge(compiled, problem):
    compiled.check(problem, np.random.default_rng(0))


def test_results_do_not_depend_on_how_items_are_shared(compiled):
    p = Problem((3, 50, 17, 1), (3, 5, 1, 30), (3, 50, 17, 30), (1, 1), (1, 2), (1, 1))
    one, two = (
        compiled.check(p, np.random.default_rng(5), cuts)
        for cuts in (None, lambda n: [(k, k + 1) for k in reversed(range(n))])
    )
    assert np.array_equal(one, two)
