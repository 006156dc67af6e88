"""The gradient by filters of few places, which is handed over block by block."""

import itertools

import numpy as np
import pytest
from schedule.filter_gradients import DTYPES, MACHINES, arrays, at_the_edge, reference, result_size
from schedule.test_convolution_choice import square
from schedule.test_convolution_depthwise import add_row

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution import filters_end, plan
from croton.schedule.convolution.choice import choose, hands_over
from croton.schedule.convolution.direct_filters import handed
from croton.schedule.convolution.direct_filters.shape import shape
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.counts import evaluate
from croton.schedule.running import Callee


def plan_of(machine, dtype, backwards):
    whole = handed.whole(machine, dtype, 1, backwards)
    return filters_end.plan(machine, dtype, (), True, backwards, whole)


class Compiled:
    """The kernel, backwards or not, with an epilogue that adds a row."""

    def __init__(self, dtype, machine):
        self.dtype, self.machine = dtype, machine
        self.plans = [plan_of(machine, dtype, backwards) for backwards in (False, True)]
        functions = [*self.plans[0].functions, add_row(dtype, fail_at=7)]
        target = host()
        self.library = target.load(target.compile(render(functions, target)))

    def __call__(self, backwards, x, y, kernel, strides, before, dilation, cuts=None):
        channels, filters = x.shape[-1], y.shape[-1]
        w = np.empty((*kernel, channels, filters), self.dtype)
        names = sizes_of(x.shape, w, y.shape, strides, before, dilation)
        # It need not pay, as few items do not.
        assert channels >= shape(self.dtype, self.machine).highest
        out = np.full((filters, channels, *kernel), np.nan, self.dtype)
        row = np.random.default_rng(1).standard_normal(out[0].size).astype(self.dtype)
        callee = Callee(self.library.address("add_row"), [row, out], [row.size])
        run_convolution(
            "filters", self.plans[backwards], self.library.address, names,
            at_the_edge(x), at_the_edge(y), epilogue=callee, cuts=cuts,
        )  # fmt: skip
        return out - row.reshape(out[0].shape)


@pytest.fixture(scope="module", params=itertools.product(DTYPES, MACHINES), ids=str)
def compiled(request):
    dtype, name = request.param
    return Compiled(dtype, MACHINES[name])


def check(compiled, backwards, x, y, how, cuts=None):
    got = compiled(backwards, x, y, *how, cuts=cuts)
    x, y = x.astype(np.float64), y.astype(np.float64)
    want, size = reference(x, y, *how, 1), reference(np.abs(x), np.abs(y), *how, 1)
    rank = len(how[0])
    if backwards:
        places = (slice(None, None, -1),) * rank
        want, size = want[places], size[places]
    want, size = (np.moveaxis(v, (-1, -2), (0, 1)) for v in (want, size))
    # A row of about 1 was added and subtracted.
    allowed = (4 + y[..., 0].size) * np.finfo(compiled.dtype).eps * (size + 4)
    assert got.shape == want.shape
    assert (np.abs(got - want) <= allowed).all()


@pytest.mark.parametrize("seed", range(6))
def test_random_sizes(compiled, seed):
    rng = np.random.default_rng(seed)
    for backwards in (False, True):
        rank = int(rng.integers(1, 4))
        most = (30, 9, 5)[rank - 1]
        image, kernel, strides, dilation = (
            tuple(int(v) for v in rng.integers(1, high, rank)) for high in (most, 4, 3, 3)
        )
        before, after = (tuple(int(v) for v in rng.integers(0, 4, rank)) for _ in range(2))
        batch, channels = int(rng.integers(1, 4)), int(rng.choice([16, 30, 64, 70, 131]))
        filters = int(rng.choice([1, 5, 16, 31, 64, 75, 140]))
        result = result_size(image, kernel, strides, before, after, dilation)
        x, y = arrays(rng, compiled.dtype, batch, image, channels, result, filters)
        check(compiled, backwards, x, y, (kernel, strides, before, dilation))


#: Batch, image, kernel, padding, channels, filters.
LARGER = {
    "several chunks": (3, (15, 16), (3, 3), (1, 1), 66, 40),
    "one place": (2, (7, 7), (1, 1), (0, 0), 200, 100),
    "images of a place": (1, (1, 1), (3, 3), (1, 1), 64, 64),
    "more items": (1, (4, 4), (3, 3), (1, 1), 150, 300),
    "no images": (0, (4, 4), (3, 3), (1, 1), 64, 64),
}


@pytest.mark.parametrize("name", LARGER)
def test_larger_sizes_in_any_parts(compiled, name):
    batch, image, kernel, pad, channels, filters = LARGER[name]
    rank = len(image)
    result = result_size(image, kernel, (1,) * rank, pad, pad, (1,) * rank)
    rng = np.random.default_rng(0)
    x, y = arrays(rng, compiled.dtype, batch, image, channels, result, filters)
    how = (kernel, (1,) * rank, pad, (1,) * rank)
    check(compiled, False, x, y, how, lambda n: [(k, k + 1) for k in reversed(range(n))])


def handed_over(names, machine):
    found = choose(
        "filters", "float32", MACHINES[machine], epilogue=True, accurate=False, constant=False,
        outer=names["channels"], settled=True,
    )  # fmt: skip
    return evaluate(hands_over("float32", MACHINES[machine], False, found.when), names)


@pytest.mark.parametrize("machine", ["middle", "narrow"])
def test_few_places_of_many_channels_are_handed_over(machine):
    assert handed_over(square(1, 512, 4, 512, 3, 1), machine)
    assert handed_over(square(1, 512, 7, 512, 3, 1), machine)
    # Others have items that read less, few channels, or places enough for Winograd's products.
    assert not handed_over(square(16, 64, 56, 64, 3, 1), machine)
    assert not handed_over(square(128, 1, 28, 32, 3), machine)
    assert not handed_over(square(32, 256, 14, 256, 3, 1), machine)
    assert not handed_over(square(4, 64, 9, 64, 3, 1, groups=8), machine)


def test_sums_that_are_handed_over_take_no_memory_and_no_second_step():
    machine = MACHINES["middle"]
    found = plan("filters", "float32", machine, epilogue=True, settled=True, turned=True)
    names = square(1, 512, 4, 512, 3, 1)
    items = [evaluate(step.items, names) for step in found.steps]
    (one,) = (step for step, n in zip(found.steps, items, strict=True) if n)
    assert one.kernel == "convolution_filters_float32_handed"
    (size,) = (evaluate(size, names) for _, size in found.temporaries)
    assert size < 1 << 10


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_kernels_keep_the_rules(machine, dtype):
    for function in plan_of(machine, dtype, False).functions:
        verify(function)
