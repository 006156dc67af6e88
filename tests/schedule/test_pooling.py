"""Poolings that a convolution's kernels compute, against NumPy's definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schedule.convolutions import MACHINES, Problem, memory, random_arrays, random_problem

import croton
import croton.tensor as T
from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.gradient.numeric import evaluate
from croton.kernel.build import add, index, mul, op, sub
from croton.kernel.nodes import (
    Allocate,
    Assign,
    Buffer,
    For,
    Function,
    Let,
    Load,
    Local,
    Store,
    Var,
)
from croton.kernel.verify import verify
from croton.runtime.threads import use_threads
from croton.schedule.convolution import region
from croton.schedule.convolution.choice import choose
from croton.schedule.convolution.plan import plan
from croton.schedule.convolution.run import run_convolution, sizes_of
from croton.schedule.convolution.winograd import plan as winograd
from croton.schedule.convolution.winograd.matrices import TAPS
from croton.schedule.counts import evaluate as evaluate_count
from croton.schedule.product import tile
from croton.schedule.product.tiling import tiling
from croton.schedule.running import Callee
from croton.tensor.signal.pool import pool_2d

#: Sizes of the pooling that stands in for the scheduler's.
SIZES = (*region.SIZES, "rows", "columns", "channels")


def sums(dtype):
    """A pooling that adds the sum of each window to a result, and leaves out nothing else."""
    size = {name: Var(name) for name in SIZES}
    number = {name: Var(f"{name}_") for name in region.NUMBERS}
    out, part = Buffer("out", dtype), Buffer("tile", dtype)
    header = Buffer("header", "int64")
    image, q, j, total = Var("image"), [Var("q1"), Var("q2")], Var("j"), Var("total", dtype)
    p, limits = [Var("p1"), Var("p2")], []
    for d, extent in ((1, "rows"), (2, "columns")):
        start = sub(mul(q[d - 1], size[f"step{d}"]), size[f"pad{d}"])
        end = op("minimum", add(start, size[f"window{d}"]), size[extent])
        limits.append((op("maximum", start, index(0)), end))
    at = mul(sub(image, Var("lo")), number["image"])
    at = add(at, mul(sub(p[0], number["place1"]), number["row"]))
    at = add(at, mul(sub(p[1], number["place2"]), index(tile.LEADING[dtype])))
    at = add(at, sub(j, number["n0"]))
    body = (Assign(total, op("add", total, Load(part, at))),)
    for d in (1, 0):
        body = (For(p[d], *limits[d], body),)
    to = add(mul(add(mul(image, size["pools1"]), q[0]), size["pools2"]), q[1])
    to = add(mul(to, size["channels"]), j)
    body = (Local(total, Load(out, to)), *body, Store(out, to, total))
    body = (For(j, number["n0"], number["n1"], body),)
    for d in (2, 1):
        body = (For(q[d - 1], number[f"first{d}"], number[f"end{d}"], body),)
    return Function(
        "sums",
        (out,),
        tuple(size.values()),
        (
            Allocate(header, index(region.HEADER)),
            *(Let(v, Load(header, index(k))) for k, v in enumerate(number.values())),
            Allocate(part, index(region.TILE)),
            For(image, Var("lo"), Var("hi"), body),
        ),
    )


def windows(size, window, step, pad, whole):
    """The slices of a dimension that its windows hold."""
    starts = itertools.count(-pad, step)
    limit = size + pad - window if whole else size - 1
    found = itertools.takewhile(lambda s: s <= limit, starts)
    return [slice(max(s, 0), max(min(s + window, size), 0)) for s in found]


def summed(values, axis, slices):
    """The sums of slices along an axis."""
    shape = [*values.shape[:axis], 0, *values.shape[axis + 1 :]]
    at = (slice(None),) * axis
    sums = [values[(*at, s)].sum(axis=axis, keepdims=True) for s in slices]
    return np.concatenate([np.zeros(shape), *sums], axis=axis)


class Pooled:
    """The kernels of a pooled convolution, loaded once."""

    def __init__(self, of):
        self.dtype, self.plan = of.dtype, of
        functions = (*of.functions, sums(of.dtype))
        for function in functions:
            verify(function)
        target = host()
        self.library = target.load(target.compile(render(functions, target)))

    def check(self, p, pooling, rng, whole=True, cuts=None):
        """A problem of two dimensions; the pooling has (window, step, pad) for each of them."""
        x, w, _ = random_arrays(p, self.dtype, rng)
        names = sizes_of(p.x, w, p.y, p.strides, p.before, p.dilation, p.groups)
        parts = [windows(n, *of, whole) for n, of in zip(p.y[1:3], pooling, strict=True)]
        for d, (slices, of) in enumerate(zip(parts, pooling, strict=True), 1):
            window, step, pad = of
            names |= {f"pools{d}": len(slices), f"step{d}": step}
            names |= {f"window{d}": window, f"pad{d}": pad}
        out = np.zeros((p.y[0], *map(len, parts), p.y[3]), self.dtype)
        own = names | {"rows": p.y[1], "columns": p.y[2], "channels": p.y[3]}
        callee = Callee(self.library.address("sums"), [out], [own[n] for n in SIZES])
        run_convolution(
            "forward", self.plan, self.library.address, names, x, memory(w),
            epilogue=callee, cuts=cuts,
        )  # fmt: skip
        want, most = (
            summed(summed(p.forward(*v), 1, parts[0]), 2, parts[1])
            for v in ((x, w), (np.abs(x), np.abs(w)))
        )
        # Winograd's sums round by the largest of their terms.
        largest = most.max(initial=0)
        assert (np.abs(out - want) <= 40 * np.finfo(self.dtype).eps * largest).all()


def machines(*names):
    """Machines by name, but for those whose vectors this one does not have."""
    known = MACHINES | {"host": host().machine}
    found = (pytest.param(known[n], id=n) for n in names)
    return [m for m in found if m.values[0].vector <= host().machine.vector]


@pytest.fixture(scope="module", params=machines("host", "narrow"))
def pooled(request):
    dtype = "float32" if request.param == host().machine else "float64"
    return Pooled(plan("forward", dtype, request.param, epilogue=True, pooled=True))


@pytest.fixture(scope="module", params=TAPS)
def tiles(request):
    t = tiling("float32", host().machine)
    return request.param, Pooled(
        winograd.steps("forward", t, True, reach=request.param, pooled=True)
    )


def one_by_one(items):
    return [(k, k + 1) for k in reversed(range(items))]


def test_random_windows_are_handed_on_whole_and_once(pooled):
    rng = np.random.default_rng(0)
    for k in range(24):
        pooling = [(int(n), int(rng.integers(1, 5)), int(rng.integers(n)))
                   for n in rng.integers(1, 5, 2)]  # fmt: skip
        whole = k % 2 == 0
        if not whole:
            pooling = [(n, s, 0) for n, s, _ in pooling]
        pooled.check(random_problem(rng), pooling, rng, whole, one_by_one if k % 3 else None)


@pytest.mark.parametrize(
    ("taps", "x", "filters"),
    [
        (3, (2, 37, 41, 9), 17),
        (3, (1, 13, 300, 20), 70),
        (3, (1, 70, 262, 5), 8),
        (3, (30, 6, 7, 16), 130),
        (5, (2, 30, 33, 12), 16),
        (5, (1, 9, 270, 12), 33),
    ],
    ids=str,
)
@pytest.mark.parametrize("whole", [True, False])
def test_tiles_that_hold_windows(tiles, taps, x, filters, whole):
    reach, pooled = tiles
    if taps not in TAPS[reach]:
        pytest.skip("other tiles are for these filters")
    n, high, wide, channels = x
    y = (n, high - taps + 3, wide - taps + 3, filters)
    p = Problem(x, (taps, taps, channels, filters), y, (1, 1), (1, 1), (1, 1))
    rng = np.random.default_rng(1)
    pooled.check(p, [(2, 2, 0)] * 2, rng, whole, one_by_one)
    pooled.check(p, [(1, 2, 0), (1, 1, 0)], rng, whole)


@pytest.mark.parametrize("pooling", [(2, 2, 0), (2, 4, 0), (3, 2, 0), (2, 2, 1), (3, 3, 0)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_tiles_are_for_windows_in_them(pooling, dilation):
    p = Problem((8, 64, 64, 64), (3, 3, 64, 64), (8, 64, 64, 64), (1, 1), (1, 1), (dilation,) * 2)
    names = sizes_of(p.x, np.zeros(p.w, "float32"), p.y, p.strides, p.before, p.dilation)
    for d in (1, 2):
        names |= dict(zip((f"{n}{d}" for n in ("window", "step", "pad")), pooling, strict=True))
    found = choose(
        "forward", "float32", MACHINES["wide"], epilogue=True, accurate=False, constant=True,
        outer=p.w[-1], settled=False, widths=(), pooled=True,
    )  # fmt: skip
    chosen = {name for name, when in found.when.items() if evaluate_count(when, names)}
    inside = pooling in ((2, 2, 0), (2, 4, 0)) and dilation == 1
    assert chosen == {"winograd6" if inside else "direct"}


@pytest.mark.parametrize(
    ("x", "taps", "filters", "pooling"),
    [
        ((1, 40, 90, 3), 4, 70, (3, 2, 1)),
        ((40, 5, 5, 6), 2, 9, (2, 2, 0)),
        ((1, 12, 12, 700), 4, 8, (2, 1, 0)),
        ((2, 100, 3, 4), 2, 33, (4, 3, 2)),
        ((1, 3, 100, 4), 2, 33, (2, 3, 0)),
    ],
    ids=str,
)
def test_boxes(pooled, x, taps, filters, pooling):
    n, high, wide, channels = x
    y = (n, high - taps + 1, wide - taps + 1, filters)
    p = Problem(x, (taps, taps, channels, filters), y, (1, 1), (0, 0), (1, 1))
    pooled.check(p, [pooling] * 2, np.random.default_rng(4), True, one_by_one)


@pytest.mark.parametrize("empty", ["batch", "channels", "filters"])
def test_nothing_gives_nothing_or_zeros(pooled, empty):
    n, c, f = ({"batch": 2, "channels": 3, "filters": 4} | {empty: 0}).values()
    for taps in (2, 3):
        p = Problem((n, 6, 6, c), (taps, taps, c, f), (n, 4, 4, f), (1, 1), (0, 0), (1, 1))
        pooled.check(p, [(2, 2, 0)] * 2, np.random.default_rng(0))


# Functions.


def images(dtype="float32", shape=(None, None, None, None)):
    return T.TensorType(dtype, shape)("x")


def convolved(x, w, **how):
    """A convolution with a bias of the shared filters ``w``."""
    dtype = x.type.dtype
    b = croton.shared(np.linspace(-1, 1, w.shape[0]).astype(dtype))
    y = T.nnet.conv2d(x, croton.shared(w.astype(dtype)), filter_flip=False, **how)
    return y + b.dimshuffle("x", 0, "x", "x")


def filters(*shape):
    return np.random.default_rng(5).normal(size=shape)


def is_pooled(*functions):
    """For each function whether a convolution in it computes a pooling."""
    return [any("_pooled(" in line for line in f.kernels().splitlines()) for f in functions]


def agrees(inputs, outputs, values, pooled=True):
    """The function, whose convolutions compute poolings (or not), and which NumPy agrees with."""
    f = croton.function(inputs, outputs)
    assert is_pooled(f) == [pooled]
    same(f, inputs, outputs, values)
    return f


def same(f, inputs, outputs, values):
    values = [np.asarray(x, v.type.dtype) for v, x in zip(inputs, values, strict=True)]
    many = isinstance(outputs, list)
    wanted = outputs if many else [outputs]
    got, want = f(*values), evaluate(wanted, dict(zip(inputs, values, strict=True)))
    for a, b in zip(got if many else [got], want, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        size = np.abs(b[np.isfinite(b)]).max(initial=1)
        np.testing.assert_allclose(a, b, rtol=0, atol=300 * np.finfo(a.dtype).eps * size)


ACTIVATIONS = [
    lambda y: y,
    T.nnet.relu,
    T.tanh,
    lambda y: T.nnet.relu(y * y - 1),
    lambda y: T.switch(T.gt(y, 0), y, 0.1 * y),
]


@settings(
    max_examples=10, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_what_functions_compute(data):
    def draw(*options):
        return data.draw(st.sampled_from(options))

    dtype, (taps, stride) = draw("float32", "float64"), draw((3, 1), (5, 1), (4, 1), (3, 2), (7, 2))
    window = draw((2, 2), (1, 3), (3, 3), (2, 1))
    overlaps = stride == 2 or taps == 4
    step = draw(window, (2, 2), (1, 2)) if overlaps else window
    if not overlaps:
        window = step = draw((2, 2), (2, 1), (1, 1))
    whole = draw(True, False)
    pad = draw((0, 0), tuple(k - 1 for k in window)) if whole and overlaps else (0, 0)
    mode = draw("max", "sum", "average_exc_pad", "average_inc_pad")
    c, f = draw(1, 3, 8, 20), draw(16, 33, 70)
    x = images(dtype)
    if draw(True, False):
        x = x.dimshuffle(0, 3, 1, 2)
    act = draw(*ACTIVATIONS)
    if any(k > s for k, s in zip(window, step, strict=True)) and act is T.tanh and mode != "max":
        act = T.nnet.relu
    border = draw("valid", "half")
    y = act(convolved(x, filters(f, c, taps, taps), border_mode=border, subsample=(stride,) * 2))
    z = pool_2d(y, window, ignore_border=whole, stride=step, pad=pad, mode=mode)
    leaf = x if x.owner is None else x.owner.inputs[0]
    compiled = croton.function([leaf], z)
    assert is_pooled(compiled) == [True]
    for _ in range(2):
        n, high, wide = (data.draw(st.integers(a, b)) for a, b in ((1, 5), (7, 40), (7, 90)))
        shape = (n, c, high, wide) if leaf is x else (n, high, wide, c)
        seed = data.draw(st.integers(0, 100))
        same(compiled, [leaf], z, [np.random.default_rng(seed).normal(size=shape)])


def network(x, w1, w2):
    y = pool_2d(T.nnet.relu(convolved(x, w1, border_mode="half")), (2, 2), ignore_border=False)
    y = pool_2d(convolved(y, w2, subsample=(2, 2)), (3, 3), ignore_border=True, stride=(2, 2))
    return T.tanh(y)


def test_numbers_of_threads_give_the_same_bits():
    x = images()
    f = croton.function([x], network(x, filters(40, 3, 3, 3), filters(24, 40, 3, 3)))
    value = np.random.default_rng(6).normal(size=(5, 3, 61, 47)).astype("float32")
    found = []
    try:
        for count in (1, 2, 3):
            use_threads(count)
            found.append(f(value).tobytes())
    finally:
        use_threads(croton.config.threads)
    assert len(set(found)) == 1 and is_pooled(f) == [True]


def test_sizes_that_are_known_and_sizes_of_one():
    for shape in ((2, 3, 12, 12), (1, 3, 4, None), (None, 3, 5, 4)):
        x = images("float64", shape)
        z = pool_2d(convolved(x, filters(9, 3, 3, 3)), (2, 2), ignore_border=True)
        value = np.random.default_rng(7).normal(size=[n or 6 for n in shape])
        agrees([x], T.nnet.relu(z) + 1, [value])


def test_nan_and_infinities_are_in_all_windows_that_hold_them():
    x = images("float64")
    y = T.nnet.relu(convolved(x, filters(16, 2, 2, 2), subsample=(2, 2)))
    z = [pool_2d(y, (3, 3), ignore_border=True, stride=(2, 2), pad=(1, 1), mode=m)
         for m in ("max", "sum")]  # fmt: skip
    value = np.random.default_rng(8).normal(size=(2, 2, 30, 31))
    value[0, 0, 4, 5], value[1, 1, 20, 9] = np.nan, np.inf
    for v in z:
        f = croton.function([x], v)
        (want,) = evaluate([v], {x: value})
        assert np.isnan(want).any() and is_pooled(f) == [True]
        np.testing.assert_allclose(f(value), want, rtol=1e-12)


def test_what_else_the_pooled_places_take_part_in():
    x, r = images("float64"), images("float64")
    w = filters(16, 3, 3, 3)
    z = pool_2d(convolved(x, w, border_mode="half"), (2, 2), ignore_border=True)
    values = [np.random.default_rng(k).normal(size=s) for k, s in
              enumerate([(2, 3, 14, 18), (2, 16, 7, 9)])]  # fmt: skip
    agrees([x, r], [z, T.nnet.relu(z + r), z * r - 1], values)
    # A second pooling has a pass of its own, and so has a sum.
    agrees([x, r], [pool_2d(T.exp(-z) + r, (2, 2), ignore_border=True), z.sum(axis=(2, 3))], values)
    state = croton.shared(values[1])
    f = croton.function([x], z.sum(), updates=[(state, state + z)])
    f(values[0])
    (want,) = evaluate([z], {x: values[0]})
    np.testing.assert_allclose(state.get_value(), values[1] + want, rtol=1e-11)


def pooling(y, **how):
    return pool_2d(y, **{"ws": (2, 2), "ignore_border": True} | how)


STORED = {
    "handed out": lambda x, y: [y, pooling(y)],
    "read by others": lambda x, y: [T.exp(y).sum(), pooling(y, mode="sum")],
    "read after a function": lambda x, y: [pooling(T.tanh(y)), T.tanh(y).mean()],
    "before and after": lambda x, y: [T.nnet.relu(y), y, pooling(T.nnet.relu(y))],
    "two poolings": lambda x, y: [pooling(y), pooling(y, ws=(3, 3))],
    "left out at the end": lambda x, y: [y, pooling(y, ws=(1, 2), stride=(2, 4))],
    "beyond the end": lambda x, y: [y.sum(axis=3), pooling(y, ignore_border=False)],
    "direct": lambda x, y: [
        v := convolved(x, filters(70, 3, 4, 2)),
        pooling(v, ws=(2, 3), stride=(3, 5)),
    ],
    "strided": lambda x, y: [
        v := T.nnet.relu(convolved(x, filters(16, 3, 3, 3), subsample=(2, 2))),
        T.tanh(pooling(v, ignore_border=False)),
    ],
}


@pytest.mark.parametrize("case", STORED)
@pytest.mark.parametrize("shape", [(2, 3, 21, 26), (1, 3, 9, 280)], ids=str)
def test_where_others_read_the_result(case, shape):
    x = images("float64", (None, 3, None, None))
    outputs = STORED[case](x, convolved(x, filters(16, 3, 3, 3)))
    agrees([x], outputs, [np.random.default_rng(9).normal(size=shape)])


def test_what_is_stored_over_what_it_reads():
    x, r = images("float64", (None, 3, None, None)), images("float64")
    y = convolved(r, filters(16, 16, 1, 1))
    y = y + convolved(x, filters(16, 3, 3, 3), border_mode="half")
    values = [np.random.default_rng(k).normal(size=(2, c, 13, 14)) for k, c in enumerate((3, 16))]
    agrees([x, r], [T.tanh(y).sum(axis=0), pooling(T.tanh(y))], values)
    state = croton.shared(values[1])
    y = convolved(x, filters(16, 3, 3, 3), border_mode="half") + state
    f = croton.function([x], pooling(y, mode="sum"), updates=[(state, y)])
    want, new = evaluate([pooling(y, mode="sum"), y], {x: values[0]})
    assert is_pooled(f) == [True]
    np.testing.assert_allclose(f(values[0]), want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.get_value(), new, rtol=1e-10, atol=1e-12)


NOT_POOLED = {
    "overlapping and read": lambda x, y: [
        v := convolved(x, filters(16, 3, 4, 4)),
        pooling(v, ws=(3, 3), stride=(2, 2)),
    ],
    "padded and read": lambda x, y: [
        v := convolved(x, filters(16, 3, 4, 4)),
        pooling(v, pad=(1, 1)),
    ],
    "far apart": lambda x, y: [y, pooling(y, stride=(9, 2))],
    "all are needed first": lambda x, y: pooling(T.tanh(y)) + T.tanh(y).mean(),
    "pooled places of it": lambda x, y: pooling(y) * y[:, :, : y.shape[2] // 2, : y.shape[3] // 2],
    "overlapping tiles": lambda x, y: pooling(y, ws=(3, 3), stride=(2, 2)),
    "padded tiles": lambda x, y: pooling(y, pad=(1, 1)),
    "many places": lambda x, y: pooling(y, ws=(6, 6)),
    "one tap": lambda x, y: pooling(convolved(x, filters(16, 3, 1, 1))),
    "groups": lambda x, y: pooling(convolved(x, filters(15, 1, 3, 3), num_groups=3)),
    "overlapping heavy": lambda x, y: pooling(
        T.tanh(convolved(x, filters(16, 3, 4, 4))), ws=(3, 3), stride=(2, 2), mode="sum"
    ),
    "overlapping work": lambda x, y: pooling(
        convolved(convolved(x, filters(40, 3, 3, 3)), filters(16, 40, 4, 4)),
        ws=(3, 3), stride=(2, 2),
    ),
    "channels too": lambda x, y: T.signal.pool.pool_3d(y, (2, 2, 2), ignore_border=True),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_POOLED)
def test_where_a_pooling_has_a_pass_of_its_own(case):
    x = images("float64", (None, 3, None, None))
    y = convolved(x, filters(16, 3, 3, 3))
    value = np.random.default_rng(9).normal(size=(2, 3, 21, 26))
    agrees([x], NOT_POOLED[case](x, y), [value], pooled=False)


def test_gradients_read_the_result():
    x = images("float64")
    w = croton.shared(filters(16, 3, 3, 3))
    v = croton.shared(np.random.default_rng(12).normal(size=(16 * 5 * 5, 3)))
    y = T.nnet.relu(T.nnet.conv2d(x, w, filter_flip=False))
    for mode in ("max", "average_exc_pad"):
        z = pooling(y, mode=mode)
        cost = (T.dot(T.tanh(z).flatten(2), v) ** 2).sum()
        value = np.random.default_rng(10).normal(size=(2, 3, 13, 12))
        agrees([x], [cost, T.grad(cost, w)], [value])


def test_accurate_convolutions_are_direct():
    x = images("float64")
    with croton.config.change_flags(convolution="accurate"):
        z = pooling(convolved(x, filters(16, 3, 3, 3)), ws=(3, 3), stride=(2, 2), pad=(1, 1))
        value = np.random.default_rng(11).normal(size=(2, 3, 25, 40))
        f = agrees([x], z, [value])
    assert "winograd" not in f.kernels()
