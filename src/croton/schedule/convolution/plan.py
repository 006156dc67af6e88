"""The plan of a convolution: the steps of all algorithms, of which the sizes choose one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.schedule.convolution import (
    columns,
    depthwise,
    direct,
    direct_filters,
    filters_end,
    planes,
    pointwise,
    winograd_filters,
)
from croton.schedule.convolution.choice import SHARED_LANES, choose, hands_over, is_narrow
from croton.schedule.convolution.direct_filters import handed as handing
from croton.schedule.convolution.winograd.matrices import TAPS
from croton.schedule.convolution.winograd.plan import steps as winograd_steps
from croton.schedule.counts import Count, count
from croton.schedule.product.tiling import tiling
from croton.schedule.steps import Plan, Step


@lru_cache(maxsize=256)
def plan(
    kind: str,
    dtype: str,
    machine: Machine,
    *,
    epilogue: bool = False,
    accurate: bool = False,
    constant: bool = False,
    settled: bool = False,
    measured: bool = False,
    only: str | None = None,
    width: int | None = None,
    taps: int | None = None,
    outer: int | None = None,
    turned: bool = False,
    backwards: bool = False,
    pooled: bool = False,
) -> Plan:
    """How to compute a convolution of ``kind`` ("forward", "inputs" or "filters").

    With ``epilogue`` blocks of the result go to a kernel instead of being stored (see
    :mod:`croton.schedule.product.tile`): rows are its places, one after the other, or what
    :mod:`croton.schedule.convolution.filters_end` says, ``turned`` and ``backwards`` or not.
    ``accurate``: only by algorithms that add up the products of the definition.  ``constant``:
    the filters are the same in every call.  ``settled``: all sizes are known.  ``measured``: where
    the model of costs is not sure, the name ``ANSWER`` says which algorithm it is; ``only``: it is
    this one.  ``width``: how many channels and filters each group has (0: not as many of both), if
    that is known; ``taps``: how many a filter has in its last dimension; ``outer``: how many
    channels the result has in each group.  ``pooled``: the kernel is a pooling
    (:mod:`croton.schedule.convolution.region`, whose ``SIZES`` are further names).
    """
    t = tiling(dtype, machine)
    choice = choose(
        kind,
        dtype,
        machine,
        epilogue=epilogue,
        accurate=accurate,
        constant=constant,
        outer=outer,
        settled=settled,
        measured=measured,
        widths=[n for n in SHARED_LANES if n <= t.lanes // 2 and width in (None, n)],
        pooled=pooled,
    )
    when = choice.when if only is None else {only: 1}
    if kind == "filters" and epilogue:
        whole = None
        if turned and only is None:
            handed = hands_over(dtype, machine, accurate, when)
            unsure = count("select", handed, 0, choice.unsure)
            choice = choice._replace(unsure=unsure)
            when = {name: count("select", handed, 0, n) for name, n in when.items()}
            whole = handing.whole(machine, dtype, handed, backwards)
        sums = _sums(when, machine, dtype, taps)
        end = filters_end.plan(machine, dtype, sums, turned, backwards, whole)
        return end._replace(unsure=choice.unsure)
    plans: dict[str, Plan] = {}
    for name, condition in when.items():
        if condition == 0:
            continue
        if name.startswith("lanes"):
            group = int(name.removeprefix("lanes"))
            plans[name] = depthwise.steps(kind, machine, dtype, epilogue, condition, group=group)
        elif name == "pointwise":
            plans[name] = pointwise.steps(kind, machine, dtype, epilogue=epilogue, when=condition)
        elif name == "columns":
            plans[name] = columns.steps(t, condition)
        elif name == "planes":
            plans[name] = planes.steps(kind, t, epilogue, condition)
        elif name == "direct" and kind == "filters":
            plans[name] = direct_filters.steps(kind, machine, dtype, False, condition)
        elif name == "direct" and pooled:
            plans[name] = direct.pooled_steps(t, condition)
        elif name == "direct":
            plans[name] = direct.steps(
                kind, t, epilogue=epilogue, when=condition, constant=constant
            )
        elif kind == "filters":
            plans[name] = winograd_filters.steps(
                kind, machine, dtype, False, condition, taps=taps if taps in TAPS[6] else None
            )
        else:
            reach = 4 if name == "winograd4" else 6
            known = taps if taps in TAPS[reach] else None
            plans[name] = winograd_steps(
                kind,
                t,
                epilogue,
                condition,
                reach=reach,
                taps=known,
                narrow=is_narrow(t, outer),
                pooled=pooled,
                adjoint=name == "adjoint6",
            )
    return _together(plans)._replace(unsure=choice.unsure)


def _sums(
    when: Mapping[str, Count], machine: Machine, dtype: str, taps: int | None
) -> list[filters_end.Sums]:
    """What the algorithms leave to the last step of the kind "filters"."""
    found: list[filters_end.Sums] = []
    for name, condition in when.items():
        if condition == 0:
            continue
        if name.startswith("lanes"):
            group = int(name.removeprefix("lanes"))
            found.append(depthwise.sums_of(machine, dtype, condition, group=group))
        elif name == "direct":
            found.append(direct_filters.sums_of(machine, dtype, condition))
        else:
            known = taps if taps in TAPS[6] else None
            found.append(winograd_filters.sums_of(machine, dtype, condition, taps=known))
    return found


def _together(plans: dict[str, Plan]) -> Plan:
    """All steps, one plan's after the other's, whose temporaries are their own."""
    functions: list[Function] = []
    temporaries: list[tuple[str, Count]] = []
    steps: list[Step] = []
    for name, plan in plans.items():
        own = {t: f"{name} {t}" for t, _ in plan.temporaries}
        # Some algorithms share a kernel.
        known = {function.name for function in functions}
        functions += [function for function in plan.functions if function.name not in known]
        temporaries += [(own[t], size) for t, size in plan.temporaries]
        steps += [s._replace(buffers=tuple(own.get(b, b) for b in s.buffers)) for s in plan.steps]
    dtype = next(iter(plans.values())).dtype
    return Plan(dtype, tuple(functions), tuple(temporaries), tuple(steps))
