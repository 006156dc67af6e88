"""Indexing, setting and increasing parts, against NumPy."""

import itertools

import numpy as np
import pytest
from helpers import compute, refuses

import croton.tensor as T
from croton.gradient import grad, verify_grad
from croton.graph.traversal import toposort

VALUE = np.random.default_rng(1).integers(0, 100, (5, 4, 3)).astype("float64")

#: Indices of a (5, 4, 3) array, as NumPy takes them.
BASIC = [
    0,
    -1,
    (1, 2),
    (-1, -4, 2),
    slice(None),
    slice(2),
    slice(1, None),
    slice(-2, None),
    slice(None, -1),
    slice(1, 4, 2),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(None, None, -2),
    slice(4, 0, -1),
    slice(3, None, -2),
    slice(-1, -4, -1),
    slice(3, 1),
    slice(10, 20),
    slice(-20, 20),
    slice(20, -20, -3),
    slice(5, None),
    slice(0, 0),
    (slice(None), 1),
    (slice(1, 3), slice(None), 0),
    (0, slice(None, None, -1), slice(1, 2)),
    Ellipsis,
    (Ellipsis, 0),
    (0, Ellipsis),
    (1, Ellipsis, slice(1, None)),
    None,
    (None, 0),
    (0, None),
    (slice(None), None, 1),
    (Ellipsis, None),
    (None, slice(1, 3), None, 0, None),
]

ROWS = np.array([0, 3, -1, 3])
COLUMNS = np.array([1, -2, 0, 3])

ADVANCED = [
    ROWS,
    [0, 2],
    (ROWS, COLUMNS),
    (ROWS, COLUMNS, np.array([0, 1, 2, -1])),
    (slice(None), COLUMNS),
    (slice(1, 4), COLUMNS),
    (Ellipsis, np.array([0, 2])),
    (ROWS, slice(None), np.array([0, 1, 2, 2])),
    (0, COLUMNS),
    (ROWS, 1),
    (slice(None), COLUMNS, 0),
    (0, slice(None), np.array([0, 2])),
    np.array([[0, 1], [2, 3]]),
    (ROWS[:, None], COLUMNS[None]),
    (np.array([[1], [2]]), slice(None, 2), np.array([0, 2])),
    (None, ROWS),
    (ROWS, None),
    (slice(None, None, -1), slice(1, None), np.array([0, 0, 1])),
    np.array([], int),
    np.zeros((0, 2), int),
    (np.array([2]), COLUMNS),
]


def show(index):
    return str(index).replace("slice", "").replace("None", "_").replace("\n", "")[:40]


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32", "float64"])
def test_reading_parts(dtype):
    value = VALUE.astype(dtype)
    x = T.TensorType(dtype, (None, None, None))("x")
    results = compute([x[i] for i in BASIC], {x: value})
    for got, i in zip(results, BASIC, strict=True):
        want = value[i]
        assert got.shape == want.shape and np.array_equal(got, want), show(i)


def test_reading_parts_of_known_sizes():
    x = T.TensorType("float64", VALUE.shape)("x")
    expressions = [x[i] for i in BASIC]
    results = compute(expressions, {x: VALUE})
    for got, e, i in zip(results, expressions, BASIC, strict=True):
        assert np.array_equal(got, VALUE[i]), show(i)
        assert e.type.shape == VALUE[i].shape, show(i)


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_slices_exhaustively(size):
    x = T.TensorType("int64", (None,))("x")
    value = np.arange(size)
    bounds = [None, -7, -2, 0, 1, 7]
    cases = list(itertools.product(bounds, bounds, [None, 2, -1, -3]))
    results = compute([x[slice(*c)] for c in cases], {x: value})
    for got, c in zip(results, cases, strict=True):
        assert np.array_equal(got, value[slice(*c)]), c


@pytest.mark.parametrize("size", [0, 1, 5])
def test_symbolic_slices(size):
    x = T.TensorType("int64", (None,))("x")
    start, stop, step = T.lscalars("start", "stop", "step")
    expressions = [
        x[start:stop:step],
        x[start::step],
        x[:stop:step],
        x[start:stop],
        x[start::-1],
        x[1:stop],
        x[: x.shape[0] - 1],
    ]
    import croton

    f = croton.function([x, start, stop, step], expressions)
    value = np.arange(size)
    for a, b, c in itertools.product([-7, -2, 0, 3, 7], [-7, -1, 0, 2, 7], [1, 2, -1, -3]):
        wanted = [
            value[a:b:c],
            value[a::c],
            value[:b:c],
            value[a:b],
            value[a::-1],
            value[1:b],
            value[: size - 1],
        ]
        if (a, b) in ((-2, -1), (3, 0), (7, 7)):
            found = compute(expressions, {x: value, start: a, stop: b, step: c})
            for got, want in zip(found, wanted, strict=True):
                assert np.array_equal(got, want), (a, b, c)
        for got, want in zip(f(value, a, b, c), wanted, strict=True):
            assert np.array_equal(got, want), (a, b, c)


def test_symbolic_positions():
    x = T.dtensor3("x")
    i, j = T.lscalar("i"), T.bscalar("j")
    given = {x: VALUE, i: -2, j: 1}
    cases = [
        (x[i], VALUE[-2]),
        (x[i, j], VALUE[-2, 1]),
        (x[:, j, i], VALUE[:, 1, -2]),
        (x[i:, j], VALUE[-2:, 1]),
        (x[x.shape[0] - 1], VALUE[4]),
        (x[T.constant(2)], VALUE[2]),
        (x[np.int64(2), np.array(1)], VALUE[2, 1]),
    ]
    results = compute([c[0] for c in cases], given)
    for got, (e, want) in zip(results, cases, strict=True):
        assert np.array_equal(got, want), str(e)


def test_positions_out_of_bounds():
    x = T.dmatrix("x")
    i = T.lscalar("i")
    for bad in (3, -4, 100):
        refuses(x[bad], {x: np.zeros((3, 2))}, IndexError)
        refuses(x[i], {x: np.zeros((3, 2)), i: bad}, IndexError)
        refuses(x[:, T.stack([i])], {x: np.zeros((2, 3)), i: bad}, IndexError)
    refuses(x[0], {x: np.zeros((0, 2))}, IndexError)
    fixed = T.TensorType("float64", (3, None))("fixed")
    for bad in (3, -4):
        with pytest.raises(IndexError, match="out of bounds"):
            fixed[bad]
    step = T.lscalar("step")
    refuses(x[::step], {x: np.zeros((3, 2)), step: 0}, ValueError)
    with pytest.raises(ValueError, match="step"):
        x[::0]


def test_what_is_no_index():
    x = T.dmatrix("x")
    with pytest.raises(IndexError, match="too many"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="ellipsis"):
        x[..., ...]
    for bad in (1.5, "a", np.array([0.5]), T.dscalar("d"), T.dvector("v")):
        with pytest.raises((IndexError, TypeError)):
            x[bad]
    with pytest.raises(NotImplementedError, match="mask"):
        x[x > 0]
    with pytest.raises(IndexError):
        T.dscalar("s")[0]


@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64"])
def test_reading_with_arrays(dtype):
    value = VALUE.astype(dtype)
    x = T.TensorType(dtype, (None, None, None))("x")
    results = compute([x[i] for i in ADVANCED], {x: value})
    for got, i in zip(results, ADVANCED, strict=True):
        want = value[i]
        assert got.shape == want.shape and np.array_equal(got, want), show(i)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32", "uint64"])
def test_reading_with_symbolic_arrays(dtype):
    x = T.dtensor3("x")
    i, j = (T.TensorType(dtype, (None,))(n) for n in "ij")
    m = T.TensorType(dtype, (None, None))("m")
    rows = np.array([0, 3, 2, 3], dtype)
    columns = np.array([1, 2, 0, 3], dtype)
    square = np.array([[0, 1], [2, 1], [1, 0]], dtype)
    if dtype.startswith("int"):
        rows, columns = rows - 5, columns - 4
    given = {x: VALUE, i: rows, j: columns, m: square}
    cases = [
        (x[i], VALUE[rows]),
        (x[i, j], VALUE[rows, columns]),
        (x[:, j], VALUE[:, columns]),
        (x[m], VALUE[square]),
        (x[:, :, m], VALUE[:, :, square]),
        (x[T.arange(4), j], VALUE[np.arange(4), columns]),
        (x[i, :, 0], VALUE[rows, :, 0]),
        (x[1:][m], VALUE[1:][square]),
        (x[i].sum(), VALUE[rows].sum()),
        ((x[i, j] * 2 + 1)[::-1], (VALUE[rows, columns] * 2 + 1)[::-1]),
    ]
    results = compute([c[0] for c in cases], given, ulp=100)
    for got, (e, want) in zip(results, cases, strict=True):
        np.testing.assert_allclose(got, want, err_msg=str(e))


def test_index_arrays_that_do_not_fit():
    x = T.dmatrix("x")
    i, j = T.lvectors("i", "j")
    given = {x: np.zeros((3, 3)), i: [0, 1], j: [0, 1, 2]}
    refuses(x[i, j], given, (ValueError, IndexError))
    for bad in ([0, 3], [-4, 0]):
        refuses(x[i], {x: np.zeros((3, 3)), i: bad}, IndexError)
        refuses(x[:, i], {x: np.zeros((3, 3)), i: bad}, IndexError)
    refuses(x[i], {x: np.zeros((0, 3)), i: [0]}, IndexError)
    assert compute(x[i], {x: np.zeros((0, 3)), i: []}).shape == (0, 3)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_take(axis):
    x = T.dtensor3("x")
    i, m = T.lvector("i"), T.lmatrix("m")
    given = {x: VALUE, i: [0, 2, -1], m: [[0, 1], [2, 0]]}
    cases = [
        (T.take(x, i, axis), given[i]),
        (x.take(m, axis), given[m]),
        (T.take(x, 1, axis), 1),
        (T.take(x, [1, 2], axis), [1, 2]),
    ]
    results = compute([c[0] for c in cases], given)
    for got, (_, indices) in zip(results, cases, strict=True):
        assert np.array_equal(got, np.take(VALUE, indices, axis))
    with pytest.raises(NotImplementedError, match="mode"):
        T.take(x, i, mode="clip")


# -- setting and increasing --------------------------------------------------------------


def changed(value, index, y, setting):
    out = value.copy()
    if setting:
        out[index] = y
    elif isinstance(index, np.ndarray | list) or (
        isinstance(index, tuple) and any(isinstance(i, np.ndarray | list) for i in index)
    ):
        np.add.at(out, index, y)
    else:
        out[index] += y
    return out


def change(part, y, setting):
    return T.set_subtensor(part, y) if setting else T.inc_subtensor(part, y)


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_changing_parts_to_a_number(setting, dtype):
    value = VALUE.astype(dtype)
    x = T.TensorType(dtype, (None, None, None))("x")
    cases = [i for i in BASIC if i is not Ellipsis]
    results = compute([change(x[i], np.array(7, dtype), setting) for i in cases], {x: value})
    for got, i in zip(results, cases, strict=True):
        assert got.dtype == dtype
        assert np.array_equal(got, changed(value, i, 7, setting)), show(i)


@pytest.mark.parametrize("setting", [True, False])
def test_changing_parts_to_arrays(setting):
    x = T.dtensor3("x")
    cases = [i for i in BASIC if i is not Ellipsis]
    given, expressions, wanted = {x: VALUE}, [], []
    for i in cases:
        part = VALUE[i]
        y = T.TensorType("float64", (None,) * part.ndim)()
        given[y] = np.arange(part.size, dtype=float).reshape(part.shape) + 0.5
        expressions.append(change(x[i], y, setting))
        wanted.append(changed(VALUE, i, given[y], setting))
    for got, want, i in zip(compute(expressions, given), wanted, cases, strict=True):
        assert np.array_equal(got, want), show(i)


@pytest.mark.parametrize("setting", [True, False])
def test_changing_parts_broadcasts_the_value(setting):
    x = T.dtensor3("x")
    row, column = T.row("row"), T.col("column")
    vector = T.dvector("vector")
    given = {
        x: VALUE,
        row: np.array([[1.0, 2, 3]]),
        column: np.array([[1.0], [2], [3], [4]]),
        vector: np.array([5.0, 6, 7]),
    }
    cases = [
        (x[0], row, 0),
        (x[0], column, 0),
        (x[1:3], column, slice(1, 3)),
        (x[1:3], vector, slice(1, 3)),
        (x[:, 0], vector, (slice(None), 0)),
        (x[:, ::2], vector, (slice(None), slice(None, None, 2))),
        (x[ROWS], row, ROWS),
        (x[ROWS, COLUMNS], vector, (ROWS, COLUMNS)),
        (x[:, COLUMNS], column, (slice(None), COLUMNS)),
    ]
    results = compute([change(p, y, setting) for p, y, _ in cases], given)
    for got, (_, y, i) in zip(results, cases, strict=True):
        assert np.array_equal(got, changed(VALUE, i, given[y], setting)), show(i)


@pytest.mark.parametrize("setting", [True, False])
def test_changing_parts_chosen_by_arrays(setting):
    x = T.dtensor3("x")
    # NumPy does not say who wins where a position comes twice; we say the last.
    cases = [i for i in ADVANCED if not (isinstance(i, tuple) and i[0] is None)]
    given, expressions, wanted = {x: VALUE}, [], []
    for i in cases:
        part = VALUE[i]
        y = T.TensorType("float64", (None,) * part.ndim)()
        given[y] = np.arange(part.size, dtype=float).reshape(part.shape) + 0.5
        expressions.append(change(x[i], y, setting))
        wanted.append(changed(VALUE, i, given[y], setting))
    for got, want, i in zip(compute(expressions, given), wanted, cases, strict=True):
        assert np.array_equal(got, want), show(i)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float16", "float32", "float64"])
def test_increasing_what_comes_twice(dtype):
    x = T.TensorType(dtype, (None,))("x")
    i = T.lvector("i")
    y = T.TensorType(dtype, (None,))("y")
    rng = np.random.default_rng(3)
    places = rng.integers(-10, 10, 200)
    given = {x: np.zeros(10, dtype), i: places, y: np.ones(200, dtype)}
    want = np.zeros(10, dtype)
    np.add.at(want, places, given[y])
    assert np.array_equal(compute(T.inc_subtensor(x[i], y), given), want)
    last = np.zeros(10, dtype)
    order = np.arange(200).astype(dtype)
    last[places] = order
    assert np.array_equal(compute(T.set_subtensor(x[i], y), {**given, y: order}), last)


def test_changing_by_symbolic_positions():
    x, v = T.dmatrix("x"), T.dvector("v")
    i, j = T.lscalars("i", "j")
    value = np.arange(12.0).reshape(4, 3)
    given = {x: value, v: np.array([10.0, 20, 30]), i: -1, j: 1}
    cases = [
        (T.set_subtensor(x[i], v), changed(value, -1, given[v], True)),
        (T.inc_subtensor(x[i], v), changed(value, -1, given[v], False)),
        (T.set_subtensor(x[j:], v), changed(value, slice(1, None), given[v], True)),
        (T.set_subtensor(x[j:i, 0], 5.0), changed(value, (slice(1, -1), 0), 5, True)),
        (T.inc_subtensor(x[i, j], 5.0), changed(value, (-1, 1), 5, False)),
        (T.set_subtensor(x[: x.shape[0] - 1], 0), changed(value, slice(0, 3), 0, True)),
        (T.set_subtensor(x[::j], v), np.tile(given[v], (4, 1))),
        (T.inc_subtensor(x[:], x), value * 2),
    ]
    results = compute([c[0] for c in cases], given)
    for got, (e, want) in zip(results, cases, strict=True):
        assert np.array_equal(got, want), str(e)


def test_several_changes_one_after_the_other():
    x = T.dvector("x")
    y = T.set_subtensor(x[0], 1.0)
    y = T.inc_subtensor(y[1:3], 2.0)
    y = T.set_subtensor(y[-1], y[0] + y[1])
    assert compute(y, {x: np.zeros(4)}).tolist() == [1, 2, 2, 3]
    assert compute(x + y, {x: np.zeros(4)}).tolist() == [1, 2, 2, 3]


def test_changes_that_do_not_fit():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    refuses(T.set_subtensor(x[1:], y), {x: np.zeros((3, 2)), y: np.zeros((3, 2))}, ValueError)
    refuses(T.set_subtensor(x[1:], y), {x: np.zeros((3, 2)), y: np.zeros((1, 2))}, ValueError)
    i = T.lvector("i")
    given = {x: np.zeros((3, 2)), y: np.zeros((3, 2)), i: [0, 1]}
    refuses(T.inc_subtensor(x[i], y), given, ValueError)
    refuses(T.inc_subtensor(x[i], 1), {x: np.zeros((3, 2)), i: [3]}, IndexError)
    j = T.lscalar("j")
    refuses(T.set_subtensor(x[j], 1), {x: np.zeros((3, 2)), j: 3}, IndexError)
    with pytest.raises(ValueError, match="rank"):
        T.set_subtensor(x[0], y)
    with pytest.raises(TypeError, match="losing precision"):
        T.set_subtensor(T.ivector("n")[0], 1.5)
    with pytest.raises(TypeError, match="put d of dtype float64 into n of dtype int64"):
        T.inc_subtensor(T.lvector("n")[0], T.dscalar("d"))
    with pytest.raises(TypeError, match="losing precision"):
        T.set_subtensor(T.bvector("b")[[0, 1]], 300)
    with pytest.raises(TypeError, match="indexing"):
        T.set_subtensor(x, 1)
    with pytest.raises(TypeError, match="indexing"):
        T.set_subtensor(x + 1, 1)
    with pytest.raises(ValueError, match="do not fit"):
        T.set_subtensor(T.TensorType("float64", (4,))()[:2], np.zeros(3))


def test_a_smaller_dtype_fits_into_a_larger_one():
    x, n = T.dvector("x"), T.iscalar("n")
    got = compute(T.set_subtensor(x[1], n), {x: np.zeros(3), n: 5})
    assert got.dtype == np.float64 and got.tolist() == [0, 5, 0]


def test_floats_are_rounded_to_what_they_are_put_into():
    f, d = T.fvector("f"), T.dscalar("d")
    given = {f: np.ones(3, "float32"), d: 0.1}
    for y in (0.1, d, np.float64(0.1)):
        for where in (f[0], f[[0, 0]]):
            for change in (T.set_subtensor, T.inc_subtensor):
                assert compute(change(where, y), given).dtype == "float32"
    assert compute(T.set_subtensor(f[1], 0.1), given).tolist() == [1, np.float32(0.1), 1]
    gradient = T.grad(T.inc_subtensor(f[0], d * d).sum(), d)
    assert compute(gradient, given) == pytest.approx(0.2)


def test_an_empty_list_selects_nothing():
    x = T.dmatrix("x")
    given = {x: np.ones((2, 3))}
    assert compute(x[[]], given).shape == (0, 3)
    assert compute(x[:, []], given).shape == (2, 0)
    assert compute(T.set_subtensor(x[[]], 7), given).tolist() == np.ones((2, 3)).tolist()


def test_the_gradient_of_reversing_is_reversing():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    dx = grad((x[::-1, ::-1] * w).sum(), x)
    assert not any("Inc" in str(node.op) for node in toposort([dx]))
    value = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(compute(dx, {x: value, w: value}), value[::-1, ::-1])
    verify_grad(lambda x: x[::-1, :] ** 3, [value])
