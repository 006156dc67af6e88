"""Winograd's form of the gradient by the filters against sums of products in float64."""

import numpy as np
import pytest
from schedule.filter_gradients import (
    DTYPES,
    MACHINES,
    Compiled,
    arrays,
    at_the_edge,
    reference,
    result_size,
)

from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution import winograd_filters
from croton.schedule.convolution.run import sizes_of
from croton.schedule.convolution.winograd.choice import fits
from croton.schedule.convolution.winograd.matrices import TAPS as winograd_taps
from croton.schedule.counts import evaluate

ONES, TAPS = (1, 1), (3, 3)
#: Errors, in units of rounding, of the largest result that absolute values would give.
ROUNDINGS = {4: 4, 6: 12}


@pytest.fixture(
    scope="module", params=[*((d, m, 6) for d in DTYPES for m in MACHINES), ("float32", "host", 4)]
)
def compiled(request):
    dtype, name, reach = request.param
    plan = winograd_filters.steps("filters", MACHINES[name], dtype, False, 1, reach=reach)
    result = Compiled(plan)
    result.reach = reach
    return result


def run(compiled, x, y, before, taps=TAPS, dilation=ONES, groups=1, **how):
    w = np.zeros((*taps, x.shape[-1] // groups, y.shape[-1]), compiled.dtype)
    names = sizes_of(x.shape, w, y.shape, ONES, before, dilation, groups)
    assert evaluate(fits(compiled.reach), names)
    return compiled(x, y, taps, ONES, before, dilation, groups, **how)


def check(compiled, x, y, before, taps=TAPS, dilation=ONES, groups=1, **how):
    got = run(compiled, x, y, before, taps, dilation, groups, **how)
    x, y = x.astype(np.float64), y.astype(np.float64)
    want = reference(x, y, taps, ONES, before, dilation, groups)
    size = reference(np.abs(x), np.abs(y), taps, ONES, before, dilation, groups)
    allowed = ROUNDINGS[compiled.reach] * np.finfo(got.dtype).eps * size.max(initial=0)
    assert got.shape == want.shape
    assert (np.abs(got - want) <= allowed).all()


@pytest.mark.parametrize("seed", range(8))
def test_random_sizes(compiled, seed):
    rng = np.random.default_rng(seed)
    for _ in range(3):
        image = tuple(int(v) for v in rng.integers(1, 18, 2))
        before, after = (tuple(int(v) for v in rng.integers(0, 4, 2)) for _ in range(2))
        channels, filters = (int(rng.choice([1, 3, 8, 14, 17, 33, 64, 70])) for _ in range(2))
        result = result_size(image, TAPS, ONES, before, after, ONES)
        batch = int(rng.integers(1, 5))
        x, y = arrays(rng, compiled.dtype, batch, image, channels, result, filters)
        check(compiled, x, y, before)


@pytest.mark.parametrize("dilation", [(1, 1), (2, 2), (1, 3), (5, 2)], ids=str)
@pytest.mark.parametrize("taps", [3, 5])
def test_more_taps_and_places_apart(compiled, taps, dilation):
    if taps not in winograd_taps[compiled.reach]:
        pytest.skip("other tiles are for these filters")
    rng = np.random.default_rng(taps)
    for image in ((7, 6), (1, 19), (12, 17), (28, 23)):
        before, after = (tuple(int(v) for v in rng.integers(0, 11, 2)) for _ in range(2))
        result = result_size(image, (taps, taps), ONES, before, after, dilation)
        channels, filters = (int(rng.choice([1, 3, 17, 33])) for _ in range(2))
        x, y = arrays(rng, compiled.dtype, 2, image, channels, result, filters)
        check(compiled, x, y, before, (taps, taps), dilation)


#: Batch, image, padding, channels and filters.
LARGER = {
    "pieces": (9, (20, 23), (1, 1), 16, 24),
    "blocks": (3, (7, 7), (1, 1), 150, 270),
    "chunks in pieces": (20, (22, 22), (0, 0), 17, 35),
    "wide": (1, (5, 300), (1, 2), 20, 10),
}


def larger(name, dtype):
    batch, image, pad, channels, filters = LARGER[name]
    result = result_size(image, TAPS, ONES, pad, pad, ONES)
    return *arrays(np.random.default_rng(0), dtype, batch, image, channels, result, filters), pad


@pytest.mark.parametrize("name", LARGER)
def test_larger_sizes(compiled, name):
    check(compiled, *larger(name, compiled.dtype))


@pytest.mark.parametrize("name", LARGER)
def test_any_cut_gives_the_same_bits(compiled, name):
    x, y, pad = larger(name, compiled.dtype)
    whole = run(compiled, x, y, pad)
    ones = run(compiled, x, y, pad, cuts=lambda n: [(i, i + 1) for i in reversed(range(n))])
    assert whole.tobytes() == ones.tobytes()


@pytest.mark.parametrize(
    ("groups", "channels", "filters"), [(2, 3, 5), (5, 16, 16), (3, 70, 17), (2, 24, 70)]
)
def test_groups(compiled, groups, channels, filters):
    for batch, image in ((2, (9, 7)), (9, (20, 23)), (0, (5, 5))):
        result = result_size(image, TAPS, ONES, (1, 1), (1, 1), ONES)
        rng = np.random.default_rng(groups)
        sizes = (groups * channels, result, groups * filters)
        x, y = arrays(rng, compiled.dtype, batch, image, *sizes)
        check(compiled, x, y, (1, 1), groups=groups)


def test_without_places_the_sums_are_zero(compiled):
    for batch, result in ((0, (5, 5)), (2, (0, 5)), (2, (5, 0))):
        x = np.ones((batch, 7, 7, 20), compiled.dtype)
        assert not run(compiled, x, np.ones((batch, *result, 9), compiled.dtype), (0, 0)).any()


def test_nothing_is_read_or_written_behind_the_arrays(compiled):
    rng = np.random.default_rng(2)
    for channels, filters, pad in ((1, 1, 0), (14, 20, 1), (17, 70, 0), (33, 5, 1)):
        before, image = (pad, pad), (9, 10)
        result = result_size(image, TAPS, ONES, before, before, ONES)
        x, y = arrays(rng, compiled.dtype, 2, image, channels, result, filters)
        out = at_the_edge(np.zeros((*TAPS, channels, filters), compiled.dtype))
        check(compiled, at_the_edge(x), at_the_edge(y), before, out=out)


def test_what_it_is_not_meant_for():
    x, y = (2, 9, 9, 16), (2, 9, 9, 16)
    for kernel, strides, dilation, groups in (
        ((5, 3), ONES, ONES, 1),
        ((7, 7), ONES, ONES, 1),
        (TAPS, (2, 1), ONES, 1),
        (TAPS, ONES, (1, 99), 1),
    ):
        w = np.zeros((*kernel, 16 // groups, 16))
        assert not evaluate(fits(), sizes_of(x, w, y, strides, ONES, dilation, groups))


def test_what_it_does_not_compute():
    for kind, epilogue in (("forward", False), ("filters", True)):
        with pytest.raises(ValueError, match="gradient by the filters"):
            winograd_filters.steps(kind, host().machine, "float32", epilogue, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("reach", [4, 6])
def test_kernels_keep_the_rules(dtype, machine, reach):
    for function in winograd_filters.steps(
        "filters", machine, dtype, False, 1, reach=reach
    ).functions:
        verify(function)
