"""Gradients by images from tiles of what they are computed from, against direct ones in float64."""

import numpy as np
import pytest
from schedule.convolutions import MACHINES
from schedule.filter_gradients import at_the_edge
from schedule.tiles import LAYOUTS, SPARE, Case, add_row

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution.run import run_convolution
from croton.schedule.convolution.winograd.choice import MOST, adjoint_fits
from croton.schedule.convolution.winograd.plan import steps
from croton.schedule.counts import evaluate
from croton.schedule.product.tiling import tiling
from croton.schedule.running import Callee

#: Batch, channels, filters, places of the image, what lies before it, and taps.
SHAPES = [
    (1, 1, 1, (3, 3), (0, 0), 3),
    (2, 33, 40, (6, 6), (0, 0), 3),
    (3, 17, 33, (7, 11), (1, 0), 3),
    (60, 9, 40, (6, 6), (0, 0), 3),
    (2, 5, 130, (10, 14), (0, 0), 3),
    (2, 20, 7, (9, 8), (1, 2), 3),
    (1, 3, 70, (5, 3), (2, 2), 3),
    (1, 16, 16, (34, 34), (0, 0), 3),
    (3, 6, 16, (14, 14), (0, 0), 5),
    (2, 18, 35, (9, 12), (2, 1), 5),
    (70, 4, 3, (5, 5), (0, 0), 5),
]


@pytest.fixture(
    scope="module",
    params=[(d, m) for d in ("float32", "float64") for m in ("host", *MACHINES)],
    ids=str,
)
def compiled(request):
    dtype, name = request.param
    machine = host().machine if name == "host" else MACHINES[name]
    if machine.vector > host().machine.vector:
        pytest.skip("vectors wider than this machine has")
    t = tiling(dtype, machine)
    plans = [
        steps("inputs", t, epilogue, adjoint=True, spare=SPARE, narrow=name == "middle")
        for epilogue in (False, True)
    ]
    functions = {f.name: f for plan in plans for f in plan.functions}
    for function in functions.values():
        verify(function)
    target = host()
    functions["add_row"] = add_row(dtype)
    return t, plans, target.load(target.compile(render(list(functions.values()), target)))


def case_of(dtype, number):
    *shape, taps = SHAPES[number]
    return Case("inputs", dtype, *shape, LAYOUTS[number % len(LAYOUTS)], taps=taps)


@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize("groups", [1, 3])
def test_sizes_and_layouts(compiled, number, groups):
    t, (plan, _), library = compiled
    *shape, taps = SHAPES[number]
    layout = LAYOUTS[number % len(LAYOUTS)]
    case = Case("inputs", t.dtype, *shape, layout, taps=taps, groups=groups)
    assert evaluate(adjoint_fits(t, False), case.names)
    out = np.full(case.shape, np.nan, t.dtype)
    got = run_convolution("inputs", plan, library.address, case.names, case.image, case.w, out)
    case.close(got, 6)


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_an_epilogue_sees_every_element_once(compiled, number):
    t, (_, plan), library = compiled
    case = case_of(t.dtype, number)
    if not evaluate(adjoint_fits(t, True), case.names):
        assert case.shape[2] * case.shape[3] > 256
        return
    row, out = np.arange(case.shape[-1], dtype=t.dtype), np.zeros(case.shape, t.dtype)
    callee = Callee(library.address("add_row"), [row, out], [case.shape[-1]])
    run_convolution(
        "inputs", plan, library.address, case.names, case.image, case.w, epilogue=callee
    )
    case.close(out - row, 6)


def test_results_do_not_depend_on_how_items_are_shared(compiled):
    t, (plan, _), library = compiled
    case = Case("inputs", t.dtype, 40, 12, 150, (10, 10), (0, 0), "theano")
    one, two = (
        run_convolution("inputs", plan, library.address, case.names, case.image, case.w, cuts=cuts)
        for cuts in (None, lambda n: [(k, k + 1) for k in reversed(range(n))])
    )
    assert np.array_equal(one, two)


@pytest.mark.parametrize("number", range(5))
def test_nothing_is_read_or_written_behind_the_arrays(compiled, number):
    t, (plan, _), library = compiled
    *shape, taps = SHAPES[number]
    case = Case("inputs", t.dtype, *shape, "last", taps=taps)
    image, w = at_the_edge(case.image), at_the_edge(case.w)
    out = at_the_edge(np.zeros(case.shape, t.dtype))
    got = run_convolution("inputs", plan, library.address, case.names, image, w, out)
    case.close(got, 6)


def test_what_it_is_for(compiled):
    t, _, _ = compiled

    def holds(*shape, epilogue=False, **options):
        names = Case("inputs", t.dtype, *shape, "last", **options).names
        return evaluate(adjoint_fits(t, epilogue), names)

    side = int(MOST**0.5) * 4 + 2
    assert holds(1, 2, 2, (side, side), (0, 0))
    assert not holds(1, 2, 2, (side, side), (0, 0), epilogue=True)
    assert not holds(1, 2, 2, (side + 1, side), (0, 0))
    assert not holds(1, 2, 2, (9, 9), (0, 0), dilation=(1, 2))
    assert not holds(1, 2, 2, (9, 9), (0, 0), extra=-1)
    assert not holds(1, 2, 2, (2, 9), (0, 0))
