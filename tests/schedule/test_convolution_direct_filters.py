"""The gradient by the filters of convolutions against sums of products in float64."""

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
from croton.schedule.convolution import direct_filters
from croton.schedule.convolution.direct_filters.cut import cut
from croton.schedule.convolution.direct_filters.shape import CODE, covers, shape
from croton.schedule.convolution.run import sizes_of
from croton.schedule.counts import evaluate


@pytest.fixture(scope="module", params=[(d, m) for d in DTYPES for m in MACHINES])
def compiled(request):
    dtype, name = request.param
    return Compiled(direct_filters.steps("filters", MACHINES[name], dtype, False, 1))


def check(got, x, y, *how):
    x, y = x.astype(np.float64), y.astype(np.float64)
    want = reference(x, y, *how)
    size = reference(np.abs(x), np.abs(y), *how)
    terms = 3 + y[..., 0].size
    assert got.shape == want.shape
    assert (np.abs(got - want) <= terms * np.finfo(got.dtype).eps * size).all()


@pytest.mark.parametrize("seed", range(20))
def test_random_sizes(compiled, seed):
    rng = np.random.default_rng(seed)
    for _ in range(4):
        rank = int(rng.integers(1, 4))
        most = (40, 12, 6)[rank - 1]
        image = tuple(int(v) for v in rng.integers(1, most, rank))
        kernel = tuple(int(v) for v in rng.integers(1, 5, rank))
        strides = tuple(int(v) for v in rng.choice([1, 1, 2, 3], rank))
        dilation = tuple(int(v) for v in rng.choice([1, 1, 2, 3], rank))
        before, after = (tuple(int(v) for v in rng.integers(0, 5, rank)) for _ in range(2))
        groups = int(rng.choice([1, 1, 2, 3]))
        channels = groups * int(rng.choice([1, 2, 3, 5, 14, 17, 33]))
        filters = groups * int(rng.choice([1, 3, 8, 16, 31, 32, 50]))
        batch = int(rng.integers(1, 4))
        result = result_size(image, kernel, strides, before, after, dilation)
        x, y = arrays(rng, compiled.dtype, batch, image, channels, result, filters)
        how = (kernel, strides, before, dilation, groups)
        check(compiled(x, y, *how), x, y, *how)


#: Batch, image, kernel, strides, padding, dilation, channels, filters, groups.
LARGER = {
    "pieces": (9, (20, 20), (3, 3), (1, 1), (1, 1), (1, 1), 16, 24, 1),
    "long lines": (2, (3000,), (5,), (1,), (2,), (1,), 3, 40, 1),
    "long strided lines": (1, (3001,), (4,), (3,), (1,), (2,), 20, 35, 1),
    "one row": (5, (19, 21), (1, 1), (1, 1), (0, 0), (1, 1), 30, 70, 1),
    "one row of few channels": (5, (19, 21), (1, 1), (1, 1), (0, 0), (1, 1), 3, 7, 1),
    "one place, strided": (5, (19, 21), (1, 1), (2, 2), (0, 0), (1, 1), 30, 70, 1),
    "first layer": (2, (37, 41), (7, 7), (2, 2), (3, 3), (1, 1), 3, 64, 1),
    "many channels": (3, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1), 150, 270, 1),
    "groups": (4, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 32, 48, 8),
    "wide groups": (2, (9, 9), (3, 3), (2, 2), (1, 1), (1, 1), 60, 100, 2),
    "each channel by itself": (2, (12, 12), (3, 3), (1, 1), (1, 1), (1, 1), 40, 40, 40),
    "volumes": (2, (6, 7, 8), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 16, 33, 1),
    "padding beyond the filter": (2, (5, 6), (2, 3), (1, 1), (4, 5), (1, 1), 15, 10, 1),
    "dilated few channels": (2, (25, 26), (3, 3), (1, 1), (4, 4), (4, 4), 2, 20, 1),
    "few channels and filters": (5, (21, 23), (3, 3), (1, 1), (1, 1), (1, 1), 3, 10, 1),
    "one channel, few filters": (3, (28, 28), (5, 5), (1, 1), (2, 2), (1, 1), 1, 6, 1),
    "few filters, long runs": (2, (31, 33), (9, 9), (1, 1), (4, 4), (1, 1), 5, 7, 1),
    "few channels, strided": (3, (29, 30), (4, 3), (3, 2), (2, 1), (2, 1), 2, 50, 1),
    "few of each in groups": (3, (17, 16), (3, 2), (2, 1), (1, 3), (3, 1), 6, 9, 3),
    "few channels of volumes": (2, (6, 7, 8), (2, 3, 3), (1, 2, 1), (1, 1, 1), (2, 1, 1), 1, 20, 1),
    "groups of a few vectors": (1, (9, 10), (3, 3), (1, 1), (1, 1), (1, 1), 140, 112, 7),
    "filter larger than image": (3, (4, 5), (7, 9), (1, 1), (3, 4), (1, 1), 20, 12, 1),
}


def larger(name, dtype):
    batch, image, kernel, strides, pad, dilation, channels, filters, groups = LARGER[name]
    result = result_size(image, kernel, strides, pad, pad, dilation)
    rng = np.random.default_rng(0)
    x, y = arrays(rng, dtype, batch, image, channels, result, filters)
    return x, y, (kernel, strides, pad, dilation, groups)


@pytest.mark.parametrize("name", LARGER)
def test_larger_sizes(compiled, name):
    x, y, how = larger(name, compiled.dtype)
    check(compiled(x, y, *how), x, y, *how)


def test_the_ways_are_chosen_by_size():
    values = {}
    for name in LARGER:
        x, y, (kernel, strides, pad, dilation, groups) = larger(name, "float32")
        w = np.zeros((*kernel, x.shape[-1] // groups, y.shape[-1]), "float32")
        names = sizes_of(x.shape, w, y.shape, strides, pad, dilation, groups)
        found = cut(shape("float32", MACHINES["middle"]))
        values[name] = {k: evaluate(v, names) for k, v in found._asdict().items()}
    assert values["pieces"]["pieces"] > 1
    assert values["many channels"]["pieces"] == 1
    assert values["one row"]["joined"]
    assert not values["one place, strided"]["joined"]
    assert values["first layer"]["merged"]
    assert values["dilated few channels"]["copied"]
    assert not values["dilated few channels"]["merged"]
    assert not values["pieces"]["copied"]
    assert values["long lines"]["seg"] < values["long lines"]["length"]
    assert values["one channel, few filters"]["stacked"]
    assert values["one channel, few filters"]["turned"]
    assert values["few filters, long runs"]["turned"]
    assert not values["few filters, long runs"]["stacked"]
    assert values["few channels, strided"]["stacked"]
    assert not values["few channels, strided"]["turned"]
    assert values["groups of a few vectors"]["span"] > 1
    assert values["groups"]["span"] == 1


@pytest.mark.parametrize("heights", [(14, 10, 8), (16, 8, 8), (6, 4, 2), (6, 4, 4)])
def test_blocks_cover_all_rows(heights):
    for rows in range(1, 300):
        whole, rest = divmod(rows, heights[0])
        code = covers(heights, whole > 0) >> CODE * -(-rest // 2)
        numbers = whole + code % 4 - 1, code // 4 % 4, code // 16 % 4
        assert min(numbers) >= 0
        there = [h for h, n in zip(heights, numbers, strict=True) for _ in range(n)]
        # None of them could be left out, and not much is wasted.
        assert rows <= sum(there) < rows + min(there)
        if rows >= heights[0]:
            assert sum(there) <= rows + heights[0] - heights[1]


@pytest.mark.parametrize(
    "name", ["pieces", "many channels", "first layer", "groups", "few filters, long runs"]
)
def test_any_cut_gives_the_same_bits(compiled, name):
    x, y, how = larger(name, compiled.dtype)
    whole = compiled(x, y, *how)
    ones = compiled(x, y, *how, cuts=lambda n: [(i, i + 1) for i in reversed(range(n))])
    thirds = compiled(x, y, *how, cuts=lambda n: [(i * n // 3, (i + 1) * n // 3) for i in range(3)])
    assert whole.tobytes() == ones.tobytes() == thirds.tobytes()


def test_without_places_the_sums_are_zero(compiled):
    for batch, result in ((0, (5, 5)), (2, (0, 5)), (2, (5, 0))):
        x = np.ones((batch, 7, 7, 20), compiled.dtype)
        y = np.ones((batch, *result, 9), compiled.dtype)
        got = compiled(x, y, (3, 3), (1, 1), (0, 0), (1, 1))
        assert not got.any()
    empty = compiled(
        np.ones((2, 7, 7, 0), compiled.dtype),
        np.ones((2, 5, 5, 9), compiled.dtype),
        (3, 3), (1, 1), (0, 0), (1, 1),
    )  # fmt: skip
    assert empty.shape == (3, 3, 0, 9)


def test_sums_over_many_places_stay_accurate():
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(0.5, 1, (8, 100, 100, 16)).astype("float32") for _ in range(2))
    plan = direct_filters.steps("filters", host().machine, "float32", False, 1)
    got = Compiled(plan)(x, y, (1, 1), (1, 1), (0, 0), (1, 1))
    want = reference(x.astype("float64"), y.astype("float64"), (1, 1), (1, 1), (0, 0), (1, 1), 1)
    # One sum of 80,000 terms, one after the other, is wrong by some 1e-4.
    assert (np.abs(got - want) < 2e-6 * want).all()


def test_nan_stays_with_its_channel_and_filter(compiled):
    x, y = np.ones((2, 9, 9, 20), compiled.dtype), np.ones((2, 9, 9, 40), compiled.dtype)
    x[0, 4, 4, 7], y[1, 0, 0, 33] = np.nan, np.inf
    got = compiled(x, y, (3, 3), (1, 1), (1, 1), (1, 1))
    assert np.isnan(got[:, :, 7]).all()
    rest = np.delete(got, 7, 2)
    assert not np.isnan(rest).any()
    assert np.isfinite(np.delete(rest, 33, 3)).all()
    # The corner's gradient meets no image at places in the filter that lie before it.
    assert np.isfinite(rest[0, :, :, 33]).all()
    assert np.isposinf(rest[1:, 1:, :, 33]).all()


def test_nothing_is_read_or_written_behind_the_arrays(compiled):
    rng = np.random.default_rng(2)
    for channels, filters, pad in ((1, 1, 0), (3, 32, 0), (14, 20, 1), (17, 70, 0), (33, 5, 1)):
        image, kernel = (9, 10), (3, 3)
        how = (kernel, (1, 1), (pad, pad), (1, 1))
        result = result_size(image, *how[:3], how[2], how[3])
        x, y = arrays(rng, compiled.dtype, 2, image, channels, result, filters)
        out = at_the_edge(np.zeros((*kernel, channels, filters), compiled.dtype))
        x, y = at_the_edge(x), at_the_edge(y)
        check(compiled(x, y, *how, out=out), x, y, *how, 1)


def test_what_it_does_not_compute():
    for kind, epilogue in (("forward", False), ("inputs", False), ("filters", True)):
        with pytest.raises(ValueError, match="gradient by the filters"):
            direct_filters.steps(kind, host().machine, "float32", epilogue, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_kernels_keep_the_rules(dtype, machine):
    for function in direct_filters.steps("filters", machine, dtype, False, 1).functions:
        verify(function)
