"""Random numbers: their distributions, that they can be repeated, and how streams advance."""

import numpy as np
import pytest
from helpers import compute, refuses
from scipy import stats

import croton
import croton.tensor as T
from croton.gradient import DisconnectedInputError, grad
from croton.kernel import philox
from croton.tensor.random import MRG_RandomStreams, RandomBits, RandomStreams
from croton.tensor.random.quantile import quantile
from croton.tensor.shared_randomstreams import RandomStreams as SharedRandomStreams

FLOATS = ["float16", "float32", "float64"]
#: A correct generator fails a test at this level once in 100,000 seeds; the seeds are fixed.
LEVEL = 1e-5


def state_of(key, step):
    state = T.TensorType("uint64", (2,))("state")
    return state, np.array([key, step], np.uint64)


# -- bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (200,), (3, 70), (2, 3, 65), (0, 4), (4, 0)])
def test_bits_are_those_of_philox(shape):
    state, value = state_of(2**63 + 11, 2**40 + 3)
    bits = compute(RandomBits(len(shape))(state, *shape), {state: value})
    columns = shape[-1] if shape else 1
    rows = int(np.prod(shape[:-1]))
    want = philox.matrix(rows, columns, 2**40 + 3, 2**63 + 11).reshape(shape)
    assert np.array_equal(bits, want)


def test_streams_of_a_state_differ():
    state, value = state_of(5, 0)
    a, b = compute([RandomBits(1, k)(state, 100) for k in (0, 3)], {state: value})
    assert not np.any(a == b)
    assert np.array_equal(b, philox.matrix(1, 100, 3 << 56, 5)[0])


def test_bits_refuse_what_is_no_state():
    with pytest.raises(TypeError, match="two uint64"):
        RandomBits(1)(T.lvector("x"), 3)
    state, value = state_of(1, 1)
    with pytest.raises(ValueError, match="expected 2 sizes, got 1"):
        RandomBits(2)(state, 3)
    with pytest.raises(ValueError, match="negative"):
        RandomBits(1)(state, -3)
    n = T.lscalar("n")
    with pytest.raises(ValueError, match="negative"):
        compute(RandomBits(1)(state, n), {state: value, n: -1})
    with pytest.raises(ValueError, match="own"):
        RandomBits(1, word="third")


def test_bits_look_uniform():
    state, value = state_of(123456789, 42)
    bits = compute(RandomBits(2)(state, 300, 500), {state: value})
    for shift in (0, 8, 16, 24):
        counts = np.bincount(((bits >> shift) & 255).ravel(), minlength=256)
        assert stats.chisquare(counts).pvalue > LEVEL
    for a, b in [(bits[:, :-1], bits[:, 1:]), (bits[:-1], bits[1:]), (bits[:, :-16], bits[:, 16:])]:
        pairs = np.bincount((a >> 28 << 4 | b >> 28).ravel(), minlength=256)
        assert stats.chisquare(pairs).pvalue > LEVEL


# -- distributions -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("streams", [RandomStreams, MRG_RandomStreams])
def test_uniform(dtype, streams):
    x = compute(streams(3).uniform((300, 200), dtype=dtype))
    assert x.dtype == dtype and x.shape == (300, 200)
    assert x.min() >= 0 and x.max() < 1
    if streams is MRG_RandomStreams:
        assert x.min() > 0
    digits = {"float16": 11, "float32": 24, "float64": 53}[dtype]
    scaled = x.astype(np.float64) * 2.0**digits
    assert np.array_equal(scaled, np.floor(scaled))
    if dtype != "float16":
        assert stats.kstest(x.ravel().astype(float), "uniform").pvalue > LEVEL
        assert len(np.unique(np.floor(scaled) % 256)) == (256 if streams is RandomStreams else 128)
    assert abs(x.astype(float).mean() - 0.5) < 5 * np.sqrt(1 / 12 / x.size) + 2.0**-digits


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_between_bounds(dtype):
    x = compute(RandomStreams(4).uniform((5000,), -2.0, 3.0, dtype=dtype))
    assert x.dtype == dtype and x.min() >= -2 and x.max() <= 3
    assert stats.kstest(x.astype(float), "uniform", (-2, 5)).pvalue > (
        LEVEL if dtype != "float16" else 0
    )


def test_uniform_ends_are_open_for_extreme_bits():
    from croton.tensor.random.convert import FRACTION

    for dtype in FLOATS:
        for open_ends in (False, True):
            words = [T.constant(np.array([0, 2**32 - 1], np.uint32))] * (1 + (dtype == "float64"))
            low, high = compute(FRACTION[dtype, open_ends](*words))
            assert high < 1 and (low > 0 if open_ends else low == 0)
            assert high == np.nextafter(np.dtype(dtype).type(1), np.dtype(dtype).type(0))


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal(dtype):
    x = compute(RandomStreams(5).normal((400, 250), avg=1.5, std=2.0, dtype=dtype))
    assert x.dtype == dtype
    z = (x.astype(float) - 1.5) / 2
    if dtype != "float16":
        assert stats.kstest(z.ravel(), "norm").pvalue > LEVEL
    assert abs(z.mean()) < 5 / np.sqrt(z.size) + 1e-3
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size) + 1e-3
    # Both halves of a pair, and neighbours, are independent.
    blocks = z[:, :192].reshape(400, 3, 4, 16)
    for a, b in [(blocks[:, :, 0], blocks[:, :, 1]), (z[:, :-1], z[:, 1:]), (z[:-1], z[1:])]:
        a, b = a.ravel(), b.ravel()
        for f, g in [(a, b), (a**2, b**2), (np.abs(a), b)]:
            assert abs(np.corrcoef(f, g)[0, 1]) < 5 / np.sqrt(len(a))


def test_normal_tails():
    z = compute(RandomStreams(6).normal((2_000_000,), dtype="float32")).astype(float)
    for t in (2.0, 3.0, 4.0, 4.5):
        expected = 2 * stats.norm.sf(t) * z.size
        found = np.sum(np.abs(z) > t)
        assert stats.poisson.sf(found - 1, expected) > LEVEL
        assert stats.poisson.cdf(found, expected) > LEVEL


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_of_extreme_words_is_finite(dtype):
    from croton.tensor.random.convert import NORMAL

    ends = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1], np.uint32)
    words = [g.ravel() for g in np.meshgrid(*[ends] * (2 if dtype == "float32" else 4))]
    z = compute(NORMAL[dtype](*map(T.constant, words)))
    assert np.all(np.isfinite(z))
    assert (6.6 if dtype == "float32" else 9.3) < np.abs(z).max() < 10


@pytest.mark.parametrize("p", [0.0, 1.0, 0.5, 0.3, 1e-9, 1 - 1e-9])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float32"])
def test_bernoulli(p, dtype):
    x = compute(RandomStreams(7).binomial((200, 100), p=p, dtype=dtype))
    assert x.dtype == dtype
    count = int(x.astype(int).sum())
    assert set(np.unique(x.astype(int))) <= {0, 1}
    assert stats.binomtest(count, x.size, p).pvalue > LEVEL if 0 < p < 1 else count == p * x.size


def test_bernoulli_takes_a_probability_for_each_element():
    p = T.matrix("p", dtype="float64")
    value = np.repeat([[0.0, 0.25, 1.0, np.nan]], 4000, axis=0)
    x = compute(RandomStreams(8).binomial(p=p), {p: value})
    assert x.shape == value.shape
    assert x[:, 0].sum() == 0 and x[:, 2].all() and not x[:, 3].any()
    assert stats.binomtest(int(x[:, 1].sum()), 4000, 0.25).pvalue > LEVEL


@pytest.mark.parametrize("n", [0, 2, 10, "symbolic"])
def test_binomial(n):
    events = T.lscalar("n") if n == "symbolic" else n
    given = {events: 7} if n == "symbolic" else {}
    n = 7 if n == "symbolic" else n
    x = compute(RandomStreams(9).binomial((5000,), n=events, p=0.35), given)
    assert x.min() >= 0 and x.max() <= n
    if n:
        expected = stats.binom.pmf(np.arange(n + 1), n, 0.35) * x.size
        found = np.bincount(x, minlength=n + 1)
        large = expected > 5
        chi = np.sum((found - expected)[large] ** 2 / expected[large])
        assert stats.chi2.sf(chi, large.sum() - 1) > LEVEL


def test_binomial_of_several_numbers_of_events():
    n = T.lvector("n")
    x = compute(RandomStreams(10).binomial((3000, 3), n=n, p=0.5), {n: [0, 1, 6]})
    assert x.max(axis=0).tolist() == [0, 1, 6]
    assert np.all(np.abs(x.mean(axis=0) - [0, 0.5, 3]) < 0.15)


def test_multinomial_of_one_draw():
    pvals = T.matrix("p")
    value = np.repeat([[0.1, 0.2, 0.7, 0.0], [0.25, 0.25, 0.25, 0.25]], 5000, axis=0)
    x = compute(MRG_RandomStreams(11).multinomial(pvals=pvals), {pvals: value})
    assert x.dtype == np.int64 and x.shape == value.shape
    assert np.all(x.sum(axis=1) == 1)
    assert x[:5000, 3].sum() == 0
    assert stats.chisquare(x[:5000, :3].sum(axis=0), [500, 1000, 3500]).pvalue > LEVEL
    assert stats.chisquare(x[5000:].sum(axis=0), [1250] * 4).pvalue > LEVEL


@pytest.mark.parametrize("n", [0, 1, 4])
def test_multinomial(n):
    streams = RandomStreams(12)
    n_given = T.lscalar("n")
    x = compute(streams.multinomial((2000,), n_given, [0.5, 0.2, 0.3], dtype="int32"), {n_given: n})
    assert x.dtype == np.int32 and np.all(x.sum(axis=1) == n)
    if n:
        counts = x.sum(axis=0)
        # The counts of one row are not independent of each other, those of rows are.
        assert stats.chisquare(counts, np.array([0.5, 0.2, 0.3]) * 2000 * n).pvalue > LEVEL


@pytest.mark.parametrize("low, high", [(0, 1), (-3, 5), (7, 7), (-(2**62), 2**62), (0, 2**32)])
def test_random_integers(low, high):
    x = compute(RandomStreams(13).random_integers((20_000,), low, high))
    assert x.dtype == np.int64 and x.min() >= low and x.max() <= high
    if high - low < 100:
        counts = np.bincount(x - low, minlength=high - low + 1)
        assert high == low or stats.chisquare(counts).pvalue > LEVEL
    else:
        u = (x.astype(float) - low) / (high - low)
        assert stats.kstest(u, "uniform").pvalue > LEVEL


def test_integers_below_are_exact():
    from croton.tensor.random.convert import BELOW

    rng = np.random.default_rng(1)
    high, low = rng.integers(0, 2**32, (2, 500), dtype=np.uint32)
    count = rng.integers(1, 2**63, 500, dtype=np.uint64) >> rng.integers(0, 63, 500, np.uint64)
    got = compute(BELOW(*map(T.constant, (high, low, count))))
    want = [
        (int(h) << 32 | int(b)) * int(n) >> 64 for h, b, n in zip(high, low, count, strict=True)
    ]
    assert got.tolist() == want


def test_choice():
    streams = RandomStreams(14)
    a = compute(streams.choice((3000,), 5))
    assert set(a) == set(range(5)) and a.dtype == np.int64
    b = compute(streams.choice((4000,), 3, p=[0.5, 0.0, 0.5]))
    assert set(b) == {0, 2}
    c = compute(streams.choice((2, 3), T.constant([1.5, 2.5])))
    assert c.shape == (2, 3) and set(c.ravel()) <= {1.5, 2.5}
    assert compute(streams.choice(a=4)).shape == ()


def test_choice_without_replacement():
    streams = RandomStreams(30)
    x = compute(streams.choice((6,), 6, replace=False))
    assert sorted(x) == list(range(6))
    names = T.constant([1.5, 2.5, 3.5])
    y = compute(streams.choice((2,), names, replace=False))
    assert len(set(y)) == 2 and set(y) <= {1.5, 2.5, 3.5}
    assert compute(streams.choice(a=4, replace=False)).shape == ()
    n = T.lscalar("n")
    z = streams.choice((n,), 5, replace=False)
    assert len(set(compute(z, {n: 4}))) == 4
    refuses(z, {n: 6}, ValueError)


def test_choices_by_row():
    rows = np.tile([[0.0, 0.2, 0.8], [0.5, 0.5, 0.0]], (3000, 1))
    p = T.dmatrix("p")
    streams = MRG_RandomStreams(31)
    once = compute(streams.choice(1, p=p, replace=False), {p: rows})[:, 0]
    counts = np.bincount(once[::2], minlength=3)
    assert counts[0] == 0 and stats.chisquare(counts[1:], [600, 2400]).pvalue > LEVEL
    both = compute(streams.multinomial_wo_replacement(n=2, pvals=p), {p: rows})
    assert both.shape == (6000, 2) and np.all(np.sort(both[1::2], axis=1) == [0, 1])
    again = compute(streams.choice(4, p=p), {p: rows})
    assert again.shape == (6000, 4) and not np.any(again[::2] == 0)
    assert stats.chisquare(np.bincount(again[1::2].ravel(), minlength=2)).pvalue > LEVEL


def test_permutations():
    streams = RandomStreams(32)
    x = compute(streams.permutation((4000,), n=4))
    assert x.dtype == np.int64 and np.array_equal(np.sort(x, axis=1), np.tile(range(4), (4000, 1)))
    numbers = np.bincount(x @ [64, 16, 4, 1])
    assert stats.chisquare(numbers[numbers > 0]).pvalue > LEVEL and np.sum(numbers > 0) == 24
    n = T.lscalar("n")
    assert sorted(compute(streams.permutation(n=n), {n: 10})) == list(range(10))
    assert compute(streams.permutation((2, 3), n=0)).shape == (2, 3, 0)


@pytest.mark.parametrize("shape", [(5,), (4, 6), (2, 3, 4), (0, 3)])
def test_shuffled_rows(shape):
    x = T.TensorType("float64", (None,) * len(shape))("x")
    value = np.arange(np.prod(shape)).reshape(shape).astype(float)
    y = RandomStreams(33).shuffle_row_elements(x)
    got, gradient = compute([y, grad((y * y).sum(), x)], {x: value})
    assert np.array_equal(np.sort(got, axis=-1), value) and got.shape == shape
    assert np.array_equal(gradient, 2 * value)


@pytest.mark.parametrize("lam", [0.0, 0.3, 4.5, 80.0, 3000.5])
def test_poisson(lam):
    rate = T.dscalar("rate")
    x = compute(RandomStreams(34).poisson((20_000,), lam=rate), {rate: lam})
    assert x.dtype == np.int64 and x.min() >= 0
    if lam == 0:
        assert not x.any()
        return
    low, high = stats.poisson.ppf([1e-3, 1 - 1e-3], lam)
    edges = np.unique(np.linspace(low, high + 1, 12).astype(int))
    found = np.diff([0, *np.searchsorted(np.sort(x), edges), x.size])
    cumulative = stats.poisson.cdf(edges - 1, lam)
    expected = np.diff([0, *cumulative, 1]) * x.size
    large = expected > 5
    chi = np.sum((found - expected)[large] ** 2 / expected[large])
    assert stats.chi2.sf(chi, large.sum() - 1) > LEVEL


def test_poisson_of_several_rates():
    x = compute(RandomStreams(35).poisson(lam=np.tile([0.0, 1.0, 10.0], (3000, 1))))
    assert x.shape == (3000, 3) and np.all(np.abs(x.mean(axis=0) - [0, 1, 10]) < 0.5)
    rate = T.dscalar("rate")
    refuses(RandomStreams(1).poisson((3,), rate), {rate: -1.0}, ValueError)


@pytest.mark.parametrize("dtype", FLOATS)
def test_truncated_normal(dtype):
    x = compute(RandomStreams(36).truncated_normal((50_000,), 1.0, 2.0, dtype=dtype))
    z = (x.astype(float) - 1) / 2
    assert x.dtype == dtype and np.abs(z).max() <= 2 + 1e-3
    if dtype != "float16":
        assert np.abs(z).max() <= 2 and stats.kstest(z, "truncnorm", (-2, 2)).pvalue > LEVEL


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quantiles(dtype):
    p = T.TensorType(dtype, (None,))("p")
    value = np.concatenate([np.linspace(0.001, 0.999, 999), 10.0 ** -np.arange(4, 10)])
    got = compute(quantile(p), {p: value.astype(dtype)}, ulp=20)
    want = stats.norm.ppf(value.astype(dtype).astype(float))
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == "float32" else 1e-14, atol=1e-9)


# -- sizes, dtypes, errors ---------------------------------------------------------------


def test_sizes():
    streams = RandomStreams(15)
    x = T.fmatrix("x")
    n = T.iscalar("n")
    value = np.zeros((3, 4), "float32")
    assert compute(streams.uniform(x.shape), {x: value}).shape == (3, 4)
    assert compute(streams.normal((n, 2)), {n: 5}).shape == (5, 2)
    assert compute(streams.uniform((x.shape[1], 2)), {x: value}).shape == (4, 2)
    assert compute(streams.uniform()).shape == ()
    assert compute(streams.uniform(())).shape == ()
    assert compute(streams.uniform(7)).shape == (7,)
    assert compute(streams.uniform([2, 0])).shape == (2, 0)
    assert compute(streams.uniform(np.array([2, 3]))).shape == (2, 3)
    assert compute(streams.uniform(n), {n: 5}).shape == (5,)
    sizes = T.lvector("sizes")
    assert compute(streams.uniform(sizes, ndim=2), {sizes: [2, 5]}).shape == (2, 5)
    assert streams.uniform((2, 3)).type.shape == (2, 3)


def test_sizes_from_parameters():
    streams = RandomStreams(16)
    row, column = T.row("row"), T.col("column")
    drawn = streams.normal(avg=row, std=column)
    given = {row: np.array([[0.0, 100.0, 200.0]]), column: np.array([[1.0], [0.0]])}
    x = compute(drawn, given)
    assert x.shape == (2, 3) and np.array_equal(x[1], [0, 100, 200])
    x = compute(streams.uniform(low=T.constant([0.0, 10.0]), high=20.0))
    assert x.shape == (2,) and x[1] >= 10
    assert compute(streams.uniform((4, 2), low=np.array([0.0, 10.0]), high=20.0)).shape == (4, 2)


def test_dtypes_follow_the_parameters_and_float_x(monkeypatch):
    from croton.config import config

    streams = RandomStreams(17)
    for float_x in ("float32", "float64"):
        monkeypatch.setattr(config, "floatX", float_x)
        assert streams.uniform((2,)).dtype == float_x
        assert streams.normal((2,), avg=0.1).dtype == float_x
        assert streams.normal((2,), avg=np.float64(0.1)).dtype == "float64"
        assert streams.uniform((2,), low=T.dvector("low")).dtype == "float64"
    assert streams.uniform((2,), dtype="floatX").dtype == float_x
    assert streams.binomial((2,)).dtype == "int64"


@pytest.mark.parametrize(
    "draw, error, message",
    [
        (lambda s: s.uniform((2,), dtype="int32"), TypeError, "float"),
        (lambda s: s.uniform((-1,)), ValueError, "negative"),
        (lambda s: s.uniform((2.5,)), TypeError, "integer"),
        (lambda s: s.uniform((2,), ndim=1, low=T.dmatrix("low")), ValueError, "rank 2"),
        (lambda s: s.uniform((2, 3), ndim=1), ValueError, "2 entries"),
        (lambda s: s.uniform(T.lvector("sizes")), TypeError, "unknown"),
        (lambda s: s.binomial((2,), n=2.5), TypeError, "integer"),
        (lambda s: s.random_integers((2,), 0.5, 3), TypeError, "integer"),
        (lambda s: s.multinomial(pvals=0.5), ValueError, "vector"),
        (lambda s: s.multinomial((), pvals=T.dmatrix("p")), ValueError, "leading"),
        (lambda s: s.choice((2,), T.dmatrix("a")), ValueError, "vector"),
        (lambda s: s.choice((2,), 3, p=T.dtensor3("p")), ValueError, "vector"),
        (lambda s: s.choice((2, 2), 5, replace=False), ValueError, "one number"),
        (lambda s: s.shuffle_row_elements(T.dscalar("x")), ValueError, "scalar"),
    ],
)
def test_what_makes_no_sense_is_refused(draw, error, message):
    streams = RandomStreams(1)
    with pytest.raises(error, match=message):
        draw(streams)
    assert streams.state_updates == []


# -- streams -----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers():
    a, b, c = (RandomStreams(s) for s in (42, 42, 43))
    x, y, z = (compute([s.uniform((5,)), s.normal((5,))]) for s in (a, b, c))
    assert np.array_equal(x, y) and not np.any(np.asarray(x) == z)
    assert not np.any(x[0] == compute(a.uniform((5,))))


def test_numbers_stay_what_they_are():
    # Saved results of users depend on them.
    x = compute(RandomStreams(234).random_integers((4,), 0, 9999))
    assert x.tolist() == compute(SharedRandomStreams(234).random_integers((4,), 0, 9999)).tolist()
    state = RandomStreams(234)._state().get_value()
    bits = philox.matrix(1, 4, 0, int(state[0])).astype(object)[0]
    low = philox.matrix(1, 4, 1 << 56, int(state[0])).astype(object)[0]
    want = [(int(h) << 32 | int(b)) * 10_000 >> 64 for h, b in zip(bits, low, strict=True)]
    assert x.tolist() == want


def test_keys_are_those_of_splitmix():
    # The finaliser's published first outputs, of a state that starts at 0 and grows by the ratio.
    from croton.tensor.random.streams import _mix

    golden, state, found = 0x9E3779B97F4A7C15, 0, []
    for _ in range(3):
        state = (state + golden) % 2**64
        found.append(_mix(state))
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_a_default_update_advances_a_stream():
    streams = RandomStreams(1)
    x = streams.uniform((3,))
    ((state, advanced),) = streams.updates()
    assert state.default_update is advanced and advanced.type == state.type
    before = compute(x)
    state.set_value(compute(advanced))
    after = compute(x)
    assert not np.any(before == after)
    key, step = state.get_value()
    assert step == 1
    streams.seed()
    assert np.array_equal(compute(x), before) and state.get_value()[0] == key
    streams.seed(2)
    assert not np.any(compute(x) == before)
    streams.seed(1)
    assert np.array_equal(compute(x), before)


@pytest.mark.parametrize("seed", [0, -1, 2**70, [1, 2, 3], np.int32(5), np.array([1, 2])])
def test_seeds(seed):
    assert np.array_equal(*(compute(RandomStreams(seed).uniform((3,))) for _ in range(2)))


def test_no_seed_is_a_new_one_each_time():
    assert not np.any(compute(RandomStreams().uniform((3,))) == compute(RandomStreams().uniform(3)))


def test_a_seed_is_a_number():
    with pytest.raises(TypeError, match="seed"):
        RandomStreams("abc").uniform()


def test_calls_advance_the_streams_that_they_use():
    streams = RandomStreams(50)
    x, y = streams.uniform((100,)), streams.normal((3, 70), dtype="float32")
    f, g = croton.function([], [x, y]), croton.function([], x)
    still = croton.function([], x, no_default_updates=True)
    first = compute([x, y])
    assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(f(), first, strict=True))
    second = compute([x, y])
    assert not np.any(second[0] == first[0])
    assert np.array_equal(still(), second[0]) and np.array_equal(still(), second[0])
    assert np.array_equal(g(), second[0])
    assert [int(s.get_value()[1]) for s, _ in streams.updates()] == [2, 1]
    streams.seed()
    assert np.array_equal(g(), first[0])


def test_a_draw_that_is_used_twice_is_the_same():
    x = RandomStreams(51).uniform((1000,))
    a, b = croton.function([], [x * 2, x.sum()])()
    assert np.isclose(a.sum() / 2, b)


# -- gradients ---------------------------------------------------------------------------


def test_gradients_flow_through_the_parameters():
    mean, scale = T.dvector("mean"), T.dscalar("scale")
    z = RandomStreams(20).normal((3,), avg=mean, std=scale)
    cost = (z**2).sum()
    given = {mean: np.array([1.0, 2.0, 3.0]), scale: 0.5}
    value, by_mean, by_scale = compute([z, *grad(cost, [mean, scale])], given)
    noise = (value - given[mean]) / 0.5
    np.testing.assert_allclose(by_mean, 2 * value)
    np.testing.assert_allclose(by_scale, np.sum(2 * value * noise))


def test_the_state_is_disconnected():
    streams = RandomStreams(21)
    cost = streams.uniform((3,)).sum()
    with pytest.raises(DisconnectedInputError):
        grad(cost, streams.state_updates[0][0])


def test_dropout_keeps_the_gradient_where_it_keeps_the_value():
    x = T.dmatrix("x")
    mask = RandomStreams(22).binomial(x.shape, p=0.5, dtype="float64")
    y = x * mask
    given = {x: np.ones((4, 50))}
    kept, gradient = compute([y, grad(y.sum(), x)], given)
    assert np.array_equal(kept, gradient) and 0 < kept.mean() < 1
