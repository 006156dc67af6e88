"""The plan of a convolution: the steps of all algorithms, of which the sizes choose one."""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.schedule.convolution import columns, depthwise, direct, direct_filters, pointwise
from croton.schedule.convolution.choice import conditions
from croton.schedule.convolution.winograd.plan import steps as winograd_steps
from croton.schedule.counts import Count
from croton.schedule.product.tiling import tiling
from croton.schedule.steps import Plan, Step


def plan(
    kind: str,
    dtype: str,
    machine: Machine,
    *,
    epilogue: bool = False,
    accurate: bool = False,
    constant: bool = False,
) -> Plan:
    """How to compute a convolution of ``kind`` ("forward", "inputs" or "filters").

    With ``epilogue`` blocks of the result go to a kernel instead of being stored (see
    :mod:`croton.schedule.product.tile`): rows are its places, one after the other.  ``accurate``:
    only by algorithms that add up the products of the definition.  ``constant``: the filters are
    the same in every call.
    """
    t = tiling(dtype, machine)
    when = conditions(kind, t, epilogue=epilogue, accurate=accurate, constant=constant)
    if kind == "filters":
        return _together(
            {
                "depthwise": depthwise.steps(kind, machine, dtype, False, when["depthwise"]),
                "direct": direct_filters.steps(kind, machine, dtype, False, when["direct"]),
            }
        )
    plans = {
        "depthwise": depthwise.steps(kind, machine, dtype, epilogue, when["depthwise"]),
        "pointwise": pointwise.steps(
            kind, machine, dtype, epilogue=epilogue, when=when["pointwise"]
        ),
        "direct": direct.steps(kind, t, epilogue=epilogue, when=when["direct"]),
    }
    if when["columns"] != 0:
        plans["columns"] = columns.steps(t, when["columns"])
    if when["winograd"] != 0:
        plans["winograd"] = winograd_steps(kind, t, epilogue, when["winograd"])
    return _together(plans)


def _together(plans: dict[str, Plan]) -> Plan:
    """All steps, one plan's after the other's, whose temporaries are their own."""
    functions: list[Function] = []
    temporaries: list[tuple[str, Count]] = []
    steps: list[Step] = []
    for name, plan in plans.items():
        own = {t: f"{name} {t}" for t, _ in plan.temporaries}
        functions += plan.functions
        temporaries += [(own[t], size) for t, size in plan.temporaries]
        steps += [s._replace(buffers=tuple(own.get(b, b) for b in s.buffers)) for s in plan.steps]
    dtype = next(iter(plans.values())).dtype
    return Plan(dtype, tuple(functions), tuple(temporaries), tuple(steps))
