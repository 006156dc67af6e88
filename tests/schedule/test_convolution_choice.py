"""Which algorithm computes a convolution, by its sizes and the machine."""

import itertools

import numpy as np
import pytest
from schedule.convolutions import MACHINES, random_problem

from croton.schedule.convolution import costs
from croton.schedule.convolution.choice import NEAR, candidates, choose
from croton.schedule.convolution.run import sizes_of
from croton.schedule.counts import evaluate
from croton.schedule.product.tiling import tiling

KINDS = ("forward", "inputs", "filters")


def square(batch, channels, size, filters, kernel, pad=0, stride=1, groups=1):
    """The names of a convolution of square images."""
    places = (size + 2 * pad - kernel) // stride + 1
    w = np.zeros((kernel, kernel, channels // groups, filters), "float32")
    x, y = (batch, size, size, channels), (batch, places, places, filters)
    return sizes_of(x, w, y, (stride, stride), (pad, pad), (1, 1), groups)


def chosen(kind, names, machine="wide", dtype="float32", **options):
    """The one algorithm that is chosen."""
    t = tiling(dtype, MACHINES[machine])
    outer = names["filters" if kind == "forward" else "channels"]
    given = {"epilogue": False, "accurate": False, "constant": False, "settled": True}
    given["outer"] = outer
    given["widths"] = [n for n in (1, 2, 4, 8) if n <= t.lanes // 2]
    found = choose(kind, dtype, MACHINES[machine], **(given | options))
    (name,) = (name for name, when in found.when.items() if evaluate(when, names))
    return name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_algorithm_is_chosen(machine, dtype):
    rng = np.random.default_rng(3)
    for _ in range(25):
        p = random_problem(rng, rank=int(rng.integers(1, 4)))
        names = sizes_of(p.x, np.zeros(p.w), p.y, p.strides, p.before, p.dilation, p.groups)
        for kind in KINDS:
            epilogue = kind != "filters" and bool(rng.integers(2))
            assert chosen(kind, names, machine, dtype, epilogue=epilogue)
            accurate = chosen(kind, names, machine, dtype, epilogue=epilogue, accurate=True)
            assert not accurate.startswith("winograd")


def test_nothing_to_do():
    for empty in (square(0, 8, 9, 8, 3), square(2, 0, 9, 8, 3), square(2, 8, 9, 0, 1)):
        for kind in KINDS:
            assert chosen(kind, empty)


@pytest.mark.parametrize("machine", ["wide", "middle"])
@pytest.mark.parametrize("constant", [False, True])
def test_clear_cases(machine, constant):
    def chosen_for(kind, *sizes, **options):
        return chosen(kind, square(*sizes, **options), machine, constant=constant)

    for kind in KINDS:
        assert chosen_for(kind, 8, 64, 56, 64, 3, pad=1) == "winograd6"
        assert chosen_for(kind, 8, 64, 56, 128, 3, pad=1, stride=2) == "direct"
        assert chosen_for(kind, 16, 256, 28, 256, 3, pad=1, groups=256) == "lanes1"
        assert chosen_for(kind, 8, 128, 56, 128, 3, pad=1, groups=32) == "lanes4"
        assert chosen_for(kind, 1, 512, 3, 512, 3, pad=1) != "winograd6"
    assert chosen_for("forward", 8, 64, 56, 256, 1) == "direct"
    assert chosen_for("forward", 4, 3, 100, 4, 7, pad=3) == "planes"
    assert chosen_for("inputs", 8, 3, 224, 64, 7, pad=3, stride=2) == "columns"
    assert chosen_for("inputs", 2, 5, 101, 7, 9, pad=4) == "planes"
    assert chosen_for("inputs", 128, 64, 6, 128, 3) == "adjoint6"
    assert chosen_for("filters", 8, 3, 56, 64, 3, pad=1) == "direct"


def test_transforms_take_longer_where_sums_wait_for_products():
    t = tiling("float32", MACHINES["wide"])
    names = square(1, 3, 224, 64, 3, pad=1)
    found = []
    for adders in (True, False):
        rates = costs.rates(MACHINES["wide"]._replace(adders=adders))
        tiles = evaluate(costs.winograd("forward", t, rates, 6, False, True), names)
        found.append(evaluate(costs.direct("forward", t, rates, False), names) / tiles)
    # Of three channels there are few products to save.
    assert found[1] < 1 < found[0]


def test_filters_that_are_the_same_in_every_call_need_no_preparation():
    for sizes in ((1, 512, 7, 512, 3, 1), (8, 64, 56, 64, 3, 1), (1, 2048, 7, 512, 1)):
        names = square(*sizes)
        for machine in MACHINES.values():
            t, rates = tiling("float32", machine), costs.rates(machine)
            for cost in (
                lambda ready, t=t, rates=rates: costs.direct("forward", t, rates, ready),
                lambda ready, t=t, rates=rates: costs.winograd(
                    "forward", t, rates, 6, ready, False
                ),
            ):
                assert evaluate(cost(True), names) < evaluate(cost(False), names)
    # Four tiles in all: to transform the filters is most of the work.
    few = square(1, 512, 7, 512, 3, pad=1)
    assert chosen("forward", few, constant=True) == "winograd4"
    assert chosen("forward", few) == "direct"
    few = square(1, 256, 14, 256, 3, pad=1)
    assert chosen("forward", few) == "winograd4"
    assert chosen("forward", few, settled=False) == "winograd6"


def test_products_say_what_it_costs_where_they_are_many():
    names = square(8, 64, 56, 64, 3, pad=1)
    for machine in MACHINES.values():
        t, rates = tiling("float32", machine), costs.rates(machine)
        direct = evaluate(costs.direct("forward", t, rates, True), names)
        products = 100 * 8 * 56**2 * 9 * 64 * (64 // t.lanes)
        assert products <= direct < 1.1 * products
        four, two = (
            evaluate(costs.winograd("forward", t, rates, reach, True, False), names)
            for reach in (6, 4)
        )
        assert direct / 4 < four < two < direct
        double = evaluate(costs.direct("forward", t, rates, True), names | {"batch": 16})
        assert double == 2 * direct


def test_the_choice_hangs_on_the_machine():
    # Channels for which only wide vectors have lanes to spare.
    assert chosen("forward", square(8, 64, 28, 64, 3, pad=1, groups=8), "wide") == "lanes8"
    assert chosen("forward", square(8, 64, 28, 64, 3, pad=1, groups=8), "middle") != "lanes8"
    # Tiles of 6 x 6 do not stay in 16 registers.
    assert chosen("forward", square(1, 3, 224, 64, 3, pad=1), "wide") == "winograd6"
    assert chosen("forward", square(1, 3, 224, 64, 3, pad=1), "middle") == "direct"
    # Lanes of a vector of filters are empty where it has many of them.
    assert chosen("forward", square(4, 64, 20, 10, 7, pad=3), "wide") == "planes"
    assert chosen("forward", square(4, 64, 20, 10, 7, pad=3), "middle") == "direct"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_decides_where_the_model_is_not_sure(kind):
    machine = MACHINES["middle"]
    given = {"epilogue": False, "accurate": False, "constant": True, "settled": True}
    unsure = 0
    for channels, filters, size in itertools.product((1, 8, 32), (2, 70), (7, 20)):
        names = square(2, channels, size, filters, 3, pad=1)
        options = given | {"outer": filters if kind == "forward" else channels}
        found = choose(kind, "float32", machine, measured=True, widths=[], **options)
        costs_of = {
            name: evaluate(cost, names)
            for name, (fits, cost) in candidates(kind, "float32", machine, **options).items()
            if evaluate(fits, names)
        }
        least = min(costs_of.values())
        near = {name for name, cost in costs_of.items() if cost * NEAR <= least * (NEAR + 1)}
        assert evaluate(found.unsure, names | {"answer": 0}) == (len(near) > 1)
        unsure += len(near) > 1
        everything = list(candidates(kind, "float32", machine, **options))
        best = chosen(kind, names, "middle", constant=True)
        for number, name in enumerate(everything):
            answered = names | {"answer": number}
            (taken,) = (n for n, when in found.when.items() if evaluate(when, answered))
            assert taken == (name if len(near) > 1 and name in near else best)
    assert 0 < unsure < 12
