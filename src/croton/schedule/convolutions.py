"""Convolutions as steps of a program: their sizes, by the names of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from croton.config import config
from croton.graph.variable import Variable
from croton.kernel.machine import Machine
from croton.runtime.program import Question
from croton.schedule.convolution import plan as convolution_plan
from croton.schedule.convolution.names import ANSWER, along
from croton.schedule.convolution.names import sizes as size_names
from croton.schedule.group import Group
from croton.schedule.products import Factor, Tiled, amounts, factor
from croton.schedule.sizes import ONE, ZERO, ShapeOf, Size, Sizes
from croton.schedule.views import promised
from croton.tensor.nnet.conv import geometry
from croton.tensor.signal.ops import PoolingOp

KINDS: Mapping[str, str] = {
    "Convolution": "forward",
    "ConvolutionInputs": "inputs",
    "ConvolutionFilters": "filters",
}
"""The kind of plan for each op."""


def kind_of(node: Any) -> str:
    """The kind of plan that computes ``node``."""
    return KINDS[type(node.op).__name__]


def parts_of(node: Any) -> dict[str, Variable]:
    """The image, the filters and the result, of which the node computes one."""
    op = node.op
    return dict(zip(op.parts, (*node.inputs[:2], node.outputs[0]), strict=True))


def filters_of(node: Any, sizes: Sizes, memory: Callable[[Variable], Any]) -> Factor | None:
    """How the filters lie that the node reads, if it does."""
    if node.op.parts[2] == "w":
        return None
    return factor(parts_of(node)["w"], sizes, memory)


def names(node: Any, sizes: Sizes, filters: Factor | None) -> dict[str, Size]:
    """The names of a convolution's plan (see its ``names``) with their sizes."""
    op, parts = node.op, parts_of(node)
    shape = {part: sizes.shape(v) for part, v in parts.items()}
    rank = len(op.strides)
    fill = 3 - rank
    groups = Size.of(op.groups)
    found = {
        "batch": shape["x"][0],
        "groups": groups,
        "channels": shape["w"][-2],
        "filters": sizes.operation("floordiv", shape["w"][-1], groups),
    }
    before = [
        sizes.of(geometry.to_variable(geometry.pads(padding, k, dilation)[0]))
        for padding, k, dilation in zip(
            op.padding,
            geometry.from_variables(ShapeOf(parts["w"])[:rank]),
            op.dilation,
            strict=True,
        )
    ]
    lists = [
        ("x", shape["x"][1:-1], ONE),
        ("k", shape["w"][:rank], ONE),
        ("y", shape["y"][1:-1], ONE),
        ("stride", map(Size.of, op.strides), ONE),
        ("before", before, ZERO),
        ("dilation", map(Size.of, op.dilation), ONE),
    ]
    if filters is not None:
        *steps, channel, each = filters.strides
        lists.append(("w_step", steps, ZERO))
        found |= {"w_start": filters.start, "w_filter": each, "w_channel": channel}
    for prefix, values, neutral in lists:
        found |= zip(along(prefix), [*[neutral] * fill, *values], strict=True)
    return found


def pooled_value(group: Group) -> Variable:
    """The value of the pooling in a group over pooled places."""
    (found,) = (v for v in group.members if isinstance(v.owner.op, PoolingOp))  # type: ignore[union-attr]
    return found


def pooling_names(pool: Variable, sizes: Sizes, whole: bool) -> dict[str, Size]:
    """The names of a pooling of a convolution's result (the ``SIZES`` of its regions).

    With ``whole`` there are windows for all of the result: those of the pooling with all places
    up to the next one, and what is left at the end.
    """
    node: Any = pool.owner
    op = node.op
    pools, places = (sizes.shape(v)[1:-1] for v in (pool, node.inputs[0]))
    found: dict[str, Size] = {}
    for d, (step, window, pad) in enumerate(zip(op.strides, op.window, op.pad, strict=True)):
        if d == len(pools):
            break
        number = sizes.operation("ceildiv", places[d], Size.of(step)) if whole else pools[d]
        values = number, *map(Size.of, (step, step if whole else window, pad))
        called = (f"{name}{d + 1}" for name in ("pools", "step", "window", "pad"))
        found |= zip(called, values, strict=True)
    return found


def convolution_steps(
    group: Group,
    sizes: Sizes,
    memory: Callable[[Variable], Any],
    machine: Machine,
    plain: bool,
    fixed: Callable[[Any], bool],
) -> Tiled:
    """The plan for the group's convolution; unless it is ``plain``, its blocks go to an epilogue.

    ``fixed`` tells of memory whether it is the same in many calls.  Whole windows go to the
    epilogue if that is a pooling.
    """
    node: Any = group.members[0].owner
    filters = filters_of(node, sizes, memory)
    kind = kind_of(node)
    operands = {
        part: filters.memory if part == "w" and filters is not None else memory(promised(v))
        for part, v in zip(node.op.parts, node.inputs[:2], strict=False)
    }
    given = names(node, sizes, filters)
    known = given["channels"].value, given["filters"].value
    width = None if None in known else known[0] if known[0] == known[1] else 0
    if node.op.groups == 1:
        width = 0
    if group.pool is not None:
        given |= pooling_names(pooled_value(group.pool), sizes, group.stores_unpooled)
    options = {
        "epilogue": not plain,
        "accurate": config.convolution == "accurate",
        "constant": filters is not None and fixed(filters.memory),
        "settled": all(size.value is not None for size in given.values()),
        "width": width,
        "taps": given["k2"].value,
        "outer": given["filters" if kind == "forward" else "channels"].value,
    }
    dtype = node.outputs[0].type.dtype
    # A pooling makes other kernels than those that would be timed.
    measured = config.convolution_choice == "measured" and group.pool is None
    plan = convolution_plan(
        kind,
        dtype,
        machine,
        **options,
        measured=measured,
        turned=group.order is not None and group.order.turned,
        backwards=group.order is not None and group.order.backwards,
        pooled=group.pool is not None,
    )
    amount = amounts(given, sizes, plan)
    question = Question("convolution", (("kind", kind), ("dtype", dtype), *options.items()))
    about = [given[name] for name in size_names(kind)]
    given[ANSWER] = sizes.answer(question, amount(plan.unsure), about)
    return Tiled(plan, amount, operands, node.op.parts[2])
