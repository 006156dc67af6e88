"""Copies of matrices into the other order, against NumPy: the kernels alone, and in functions."""

import ctypes
import itertools
import mmap

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.gradient.numeric import evaluate
from croton.kernel.machine import Machine
from croton.kernel.verify import verify
from croton.schedule.running import run
from croton.schedule.transposition import (
    BLOCK,
    CHUNK,
    EXTENTS,
    MOVED,
    REVERSED,
    plan,
    reversal,
)

MACHINES = {
    "wide": Machine("wide", 64, 32, 48 << 10, 2 << 20, 32 << 20),
    "middle": Machine("middle", 32, 16, 32 << 10, 512 << 10, 8 << 20),
    "narrow": Machine("narrow", 16, 16, 32 << 10, 256 << 10, 8 << 20),
}


class Compiled:
    """The kernels for a size of elements, loaded once."""

    def __init__(self, itemsize, machine):
        self.machine = machine
        self.plan = plan(itemsize, machine)
        target = host()
        self.library = target.load(target.compile(render(self.plan.functions, target)))

    def __call__(self, x, out=None, cuts=None):
        batch, rows, columns = x.shape
        if out is None:
            out = np.zeros((batch, columns, rows), x.dtype)
        sizes = dict(zip(EXTENTS, x.shape, strict=True))
        run(self.plan, self.library.address, {"in": x, "out": out}, sizes, cuts)
        return out


@pytest.fixture(scope="module", params=[(s, m) for s in MOVED for m in ("host", *MACHINES)])
def compiled(request):
    itemsize, name = request.param
    machine = host().machine if name == "host" else MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    return Compiled(itemsize, machine)


def numbers(compiled, *shape):
    """Random bits: no element is like its neighbours."""
    dtype = compiled.plan.dtype
    rng = np.random.default_rng(shape)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def test_all_small_sizes(compiled):
    for rows, columns in itertools.product(range(41), range(41)):
        # Everything behind the result stays as it is.
        x = numbers(compiled, 1 + (rows + columns) % 3, rows, columns)
        memory = np.full(x.size + 64, 99, x.dtype)
        compiled(x, memory)
        want = x.transpose(0, 2, 1).ravel()
        assert np.array_equal(memory[: x.size], want), x.shape
        assert (memory[x.size :] == 99).all(), x.shape


LARGE = [
    (1, 1000, 1000),
    (2, BLOCK, 3 * BLOCK),
    (1, 5 * BLOCK + 3, 2 * BLOCK + 1),
    (1, 2 * CHUNK + 5, 2),
    (2, 3, CHUNK + 1),
    (3, CHUNK - 1, 3),
    (3, 1, CHUNK + 70),
    (1, 4 * CHUNK, 1),
    (700, 2, 3),
    (900, 4, 5),
    (5, 64, 9),
    (0, 7, 9),
]


@pytest.mark.parametrize("shape", LARGE)
def test_large_sizes_however_they_are_cut(compiled, shape):
    x = numbers(compiled, *shape)
    want = x.transpose(0, 2, 1)
    assert np.array_equal(compiled(x), want)
    ones = compiled(x, cuts=lambda items: [(i, i + 1) for i in reversed(range(items))])
    assert np.array_equal(ones, want)
    thirds = compiled(x, cuts=lambda n: [(i * n // 3, (i + 1) * n // 3) for i in range(3)])
    assert np.array_equal(thirds, want)


@pytest.mark.parametrize("shape", [(9, 33, 40), (1, 5, 7), (25, 3, 64), (2, 300, 70), (0, 3, 4)])
def test_the_order_of_three_runs_back_to_front(compiled, shape):
    machine = compiled.machine
    backwards = reversal(np.dtype(compiled.plan.dtype).itemsize, machine)
    x = numbers(compiled, *shape)
    out = np.zeros(shape[::-1], x.dtype)
    sizes = dict(zip(REVERSED, shape, strict=True))
    run(backwards, compiled.library.address, {"in": x, "out": out}, sizes)
    assert np.array_equal(out, x.transpose(2, 1, 0))


def test_filters_are_turned_at_once_where_they_are_computed():
    rng = np.random.default_rng(0)
    x, y = T.ftensor4("x"), T.ftensor4("y")
    w = croton.shared(rng.standard_normal((20, 17, 3, 3)).astype("f"))
    loss = (T.nnet.conv2d(x, w, filter_flip=False) * y).sum()
    f = croton.function([x, y], [], updates=[(w, w - T.grad(loss, w))])
    given = {x: rng.standard_normal((2, 17, 9, 8)), y: rng.standard_normal((2, 20, 7, 6))}
    given = {v: a.astype("f") for v, a in given.items()}
    (want,) = evaluate([w - T.grad(loss, w)], given)
    f(*given.values())
    np.testing.assert_allclose(w.get_value(), want, rtol=0, atol=1e-4)
    assert any(name.startswith("transpose_") for name in f.program.kernels)


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


def test_nothing_is_read_or_written_behind_the_operands(compiled):
    for shape in ((1, 1, 1), (2, 3, 5), (1, 3, 70), (2, 70, 2), (1, 1, 99), (3, 17, 33), (1, 7, 4)):
        x = numbers(compiled, *shape)
        out = at_the_edge(np.zeros(x.transpose(0, 2, 1).shape, x.dtype))
        compiled(at_the_edge(x), out)
        assert np.array_equal(out, x.transpose(0, 2, 1))


@pytest.mark.parametrize("itemsize", MOVED)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_kernels_keep_the_rules(itemsize, machine):
    for function in plan(itemsize, machine).functions:
        verify(function)


# Whole functions.


def kernels_of(f):
    return [name for name in f.program.kernels if name.split("_")[0] in WAYS]


WAYS = ("transpose", "interleave", "part")


def turned(shape, order):
    """Whether NumPy's copy of ``order`` is one of matrices, or two of them: from its strides."""
    view = np.empty(shape).transpose(order)
    strides = [s // 8 for n, s in zip(view.shape, view.strides, strict=True) if n != 1]
    sizes = [n for n in view.shape if n != 1]
    runs = []
    for n, s in zip(sizes, strides, strict=True):
        if runs and runs[-1][1] == n * s:
            runs[-1] = (runs[-1][0] * n, s)
        else:
            runs.append((n, s))
    if len(runs) == 3 and runs[0][1] < runs[1][1] < runs[2][1]:
        return True
    if len(runs) == 3 and runs[0][1] == max(s for _, s in runs):
        del runs[0]
    return len(runs) == 2 and runs[1][1] != 1


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_all_permutations(rank):
    shape = (5, 3, 6, 7)[:rank]
    x = np.random.default_rng(0).standard_normal(shape)
    seen = set()
    for order in itertools.permutations(range(rank)):
        for known in (False, True):
            v = T.TensorType("float64", shape if known else (None,) * rank)()
            f = croton.function([v], v.dimshuffle(*order))
            assert np.array_equal(f(x), x.transpose(order))
            assert bool(kernels_of(f)) == turned(shape, order), order
            seen.add(bool(kernels_of(f)))
    assert seen == {True, False}


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "int32", "float32", "uint64", "float64"]
)
@pytest.mark.parametrize("known", [False, True])
def test_channels_to_the_end_and_back(dtype, known):
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 9, 11), (2, 1, 5, 7), (3, 64, 5, 5), (2, 20, 1, 1), (2, 5, 4, 0)):
        x = rng.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
        first, last = (
            T.TensorType(dtype, s if known else (None,) * 4)()
            for s in (shape, (shape[0], *shape[2:], shape[1]))
        )
        away = croton.function([first], first.dimshuffle(0, 2, 3, 1))
        back = croton.function([last], last.dimshuffle(0, 3, 1, 2))
        y = away(x)
        assert y.dtype == x.dtype
        assert np.array_equal(y, x.transpose(0, 2, 3, 1))
        assert np.array_equal(back(y), x)
        if not known:
            assert kernels_of(away)
            assert kernels_of(back)


@pytest.mark.parametrize(
    "shape", [(8, 3, 150, 150), (4, 64, 40, 40), (600, 70, 3, 3), (9, 4, 99, 99)]
)
def test_images_that_are_worth_threads(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    first, last = T.tensor4("first", dtype="float32"), T.tensor4("last", dtype="float32")
    y = croton.function([first], first.dimshuffle(0, 2, 3, 1))(x)
    assert np.array_equal(y, x.transpose(0, 2, 3, 1))
    assert np.array_equal(croton.function([last], last.dimshuffle(0, 3, 1, 2))(y), x)


def test_dimensions_of_one_come_and_go():
    x = np.arange(24.0).reshape(4, 1, 6)
    v = T.TensorType("float64", (None, 1, None))()
    f = croton.function([v], v.dimshuffle(2, "x", 0, "x"))
    assert np.array_equal(f(x), x[:, 0].T[:, None, :, None])
    assert kernels_of(f)


def test_known_sizes_need_few_kernels():
    for shape, way in (
        ((None, 3, None, None), ["interleave_uint32"]),
        ((2, 64, 8, 8), [f"transpose_uint32_{min(16, host().machine.lanes(4))}"]),
        ((2, 70, 1, 3), ["part_uint32"]),
    ):
        v = T.TensorType("float32", shape)()
        assert kernels_of(croton.function([v], v.dimshuffle(0, 2, 3, 1))) == way


def test_a_permuted_reshape():
    v = T.vector(dtype="float32")
    f = croton.function([v], v.reshape((3, 5, -1)).dimshuffle(0, 2, 1))
    x = np.arange(105, dtype="float32")
    assert np.array_equal(f(x), x.reshape(3, 5, 7).transpose(0, 2, 1))
    assert kernels_of(f)


def test_what_is_more_than_a_copy_stays_one_loop():
    a, b = T.matrices("ab")
    x, y = np.random.default_rng(0).standard_normal((2, 20, 20))
    for outputs, want in (
        ([T.tanh(a.T) + b], [np.tanh(x.T) + y]),
        ([a.T, a.T + b], [x.T, x.T + y]),
        ([(a * 2).T + b], [x.T * 2 + y]),
    ):
        f = croton.function([a, b], outputs)
        for got, expected in zip(f(x, y), want, strict=True):
            assert np.allclose(got, expected)
        assert len(f.program.kernels) == 1
        assert not kernels_of(f)


def test_copies_of_several():
    a, b = T.matrices("ab")
    f = croton.function([a, b], [a.T, b.T])
    x, y = np.random.default_rng(0).standard_normal((2, 20, 30))
    got = f(x, y)
    assert np.array_equal(got[0], x.T)
    assert np.array_equal(got[1], y.T)
    assert kernels_of(f)


def test_a_square_matrix_is_not_overwritten_while_it_is_read():
    x = np.random.default_rng(0).standard_normal((70, 70))
    w, v = croton.shared(x), croton.shared(np.zeros((70, 70)))
    croton.function([], updates=[(w, w.T)])()
    assert np.array_equal(w.get_value(), x.T)
    croton.function([], updates=[(v, w.T), (w, v.T)])()
    assert np.array_equal(v.get_value(), x)
    assert not w.get_value().any()
