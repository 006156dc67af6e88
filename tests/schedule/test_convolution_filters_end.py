"""The last step of gradients by the filters: sums of pieces, and in which order they are."""

import itertools

import numpy as np
import pytest
from schedule.filter_gradients import DTYPES, MACHINES, at_the_edge
from schedule.test_convolution_depthwise import add_row

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.kernel.verify import verify
from croton.schedule.convolution import filters_end
from croton.schedule.counts import evaluate
from croton.schedule.running import Callee, run

WAYS = list(itertools.product((False, True), (False, True)))


class Compiled:
    """The last step, turned and backwards or not, with an epilogue that adds a row."""

    def __init__(self, dtype, machine):
        self.plans = {}
        functions = {"add_row": add_row(dtype, fail_at=7)}
        for way in WAYS:
            plan = filters_end.plan(machine, dtype, (), *way)
            (step,) = plan.steps
            assert filters_end.SIZES[0] == "pieces"
            step = step._replace(sizes=("pieces", *step.sizes[1:]))
            self.slack = evaluate(
                plan.temporaries[0][1],
                dict.fromkeys(("k0", "k1", "k2"), 0)
                | {
                    "groups": 0,
                    "channels": 0,
                    "filters": 0,
                },
            )
            self.plans[way] = plan._replace(temporaries=(), steps=(step,))
            functions |= {f.name: f for f in plan.functions}
        self.dtype, target = dtype, host()
        self.library = target.load(target.compile(render(list(functions.values()), target)))

    def __call__(self, way, sums, groups, row, cuts=None):
        pieces, *places, channels, filters = sums.shape
        shape = (*places, channels, filters)
        if way[0]:
            shape = (filters, channels, *places)
        out = np.zeros(shape, self.dtype)
        flat = np.concatenate([sums.ravel(), np.full(self.slack, np.nan, self.dtype)])
        callee = Callee(self.library.address("add_row"), [row, out], [len(row)])
        names = dict(zip(("k0", "k1", "k2"), places, strict=True)) | {
            "pieces": pieces, "channels": channels, "groups": groups, "filters": filters // groups,
        }  # fmt: skip
        buffers = {filters_end.SUMS: at_the_edge(flat), "epilogue": callee.words}
        run(self.plans[way], self.library.address, buffers, names, cuts)
        return out


@pytest.fixture(scope="module", params=itertools.product(DTYPES, MACHINES), ids=str)
def compiled(request):
    dtype, name = request.param
    return Compiled(dtype, MACHINES[name])


#: Pieces, places, channels, filters, groups.
CASES = {
    "one of each": (1, (1, 1, 1), 1, 1, 1),
    "one filter": (3, (1, 2, 3), 5, 1, 1),
    "few": (2, (1, 3, 3), 2, 3, 1),
    "whole vectors": (1, (1, 4, 4), 16, 64, 1),
    "more than a block": (3, (1, 3, 3), 19, 133, 1),
    "many pieces": (17, (1, 5, 2), 9, 20, 1),
    "one place": (2, (1, 1, 1), 70, 66, 1),
    "one channel": (4, (1, 3, 3), 1, 150, 150),
    "groups": (2, (2, 2, 3), 6, 40, 5),
    "no filters": (1, (1, 3, 3), 4, 0, 1),
    "no sums": (0, (1, 2, 2), 9, 10, 1),
}


def random_sums(name, dtype):
    pieces, places, channels, filters, groups = CASES[name]
    rng = np.random.default_rng(0)
    sums = rng.standard_normal((pieces, *places, channels, filters)).astype(dtype)
    return sums, groups


def columns(way, sums):
    return int(np.prod(sums.shape[1:-1])) if way[0] else sums.shape[-1]


def expected(way, sums, row):
    turned, backwards = way
    total = np.zeros(sums.shape[1:], sums.dtype)
    for piece in sums:
        total += piece
    if backwards:
        total = total[::-1, ::-1, ::-1]
    if turned:
        total = total.transpose(4, 3, 0, 1, 2)
    return (total.reshape(-1, row.size) + row).reshape(total.shape)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_every_element_is_seen_once_and_in_its_place(compiled, way, name):
    sums, groups = random_sums(name, compiled.dtype)
    row = np.random.default_rng(1).standard_normal(columns(way, sums)).astype(compiled.dtype)
    want = expected(way, sums, row) if row.size else np.zeros_like(sums[0])
    np.testing.assert_array_equal(compiled(way, sums, groups, row), want)


def test_items_may_run_in_any_parts(compiled):
    sums, groups = random_sums("more than a block", compiled.dtype)
    for way in WAYS:
        row = np.zeros(columns(way, sums), compiled.dtype)
        got = compiled(way, sums, groups, row, lambda n: [(k, k + 1) for k in reversed(range(n))])
        np.testing.assert_array_equal(got, expected(way, sums, row))


def test_the_failure_of_an_epilogue_is_the_kernels(compiled):
    row = np.zeros(7, compiled.dtype)
    for way, shape in (((False, False), (1, 1, 1, 3, 7)), ((True, False), (1, 1, 7, 1, 3))):
        sums = np.zeros((1, *shape), compiled.dtype)
        with pytest.raises(RuntimeError, match="failed with status 5"):
            compiled(way, sums, 1, row)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_kernels_keep_the_rules(way, machine, dtype):
    for function in filters_end.plan(machine, dtype, (), *way).functions:
        verify(function)
