"""Which poolings the kernels of a convolution compute, from parts of its result in the cache.

If nobody else reads the result, it is never in memory as a whole then.  Otherwise it is stored too,
which is done where windows do not overlap: then every place belongs to one part.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from croton.config import config
from croton.graph.variable import Variable
from croton.kernel.machine import Machine
from croton.schedule.convolution import planes, pointwise, region
from croton.schedule.convolution.winograd import choice as winograd
from croton.schedule.convolutions import kind_of, names, pooled_value, pooling_names
from croton.schedule.counts import all_of, count, mul
from croton.schedule.group import Group
from croton.schedule.groups import Grouping
from croton.schedule.merging import Ways
from croton.schedule.product.tiling import tiling
from croton.schedule.products import amounts
from croton.schedule.sizes import ZERO
from croton.schedule.views import HEAVY, cost
from croton.tensor.shapes import Shape_i
from croton.tensor.signal.ops import MaxPool, PoolingOp, SumPool

#: Multiplications for a place of the result, up to which it costs less to compute those again
#: that two boxes need than to bring all of them to memory and back.
_CHEAP = 512
#: Places from a window to the next one, up to which those between are stored with the windows.
_FARTHEST = 8


def pool_convolutions(grouping: Grouping, machine: Machine, wanted: Collection[Variable]) -> None:
    """Let convolutions take in the groups that pool their results, where that is faster."""
    pools = [g for g in grouping.groups if _is_pool(g)]
    if not pools:
        return
    readers = _readers(grouping)
    for pool in pools:
        z = pooled_value(pool)
        source = grouping.home.get(z.owner.inputs[0])  # type: ignore[union-attr]
        if source is None or source.kind != "convolution" or source.pool is not None:
            continue
        stores = _is_read(grouping, source, z, readers, wanted)
        if _may_join(grouping, source, pool, z, stores) and _is_faster(
            grouping, source, z, machine, stores
        ):
            _join(grouping, source, pool)
            source.stores_unpooled = stores


def _is_pool(group: Group) -> bool:
    """Whether the group computes a pooling over two dimensions, and functions of its places."""
    if group.kind != "loop" or group.closed or group.alone or group.split is not None:
        return False
    if group.row_reductions or group.serial or group.terminals or group.finishes:
        return False
    found = [v for v in group.members if isinstance(v.owner.op, PoolingOp)]  # type: ignore[union-attr]
    if len(found) != 1:
        return False
    op: Any = found[0].owner.op  # type: ignore[union-attr]
    if not isinstance(op, MaxPool | SumPool) or len(op.window) != 3:
        return False
    channels = (op.window[2], op.strides[2], op.pad[2])
    return found[0].type.ndim == 4 and channels == (1, 1, 0)  # type: ignore[attr-defined]


def _readers(grouping: Grouping) -> dict[Variable, list[Any]]:
    """The nodes that read elements of each value."""
    found: dict[Variable, list[Any]] = {}
    for node in grouping.order:
        if not isinstance(node.op, Shape_i):
            for v in node.inputs:
                found.setdefault(v, []).append(node)
    return found


def _is_read(
    grouping: Grouping,
    source: Group,
    z: Variable,
    readers: dict[Variable, list[Any]],
    wanted: Collection[Variable],
) -> bool:
    """Whether others than the pooling read what ``source`` computes."""
    inside = set(source.members)
    return any(
        v in grouping.forced
        or v in wanted
        or any(r.outputs[0] not in inside and r is not z.owner for r in readers.get(v, ()))
        for v in source.members
    )


def _may_join(grouping: Grouping, source: Group, pool: Group, z: Variable, stores: bool) -> bool:
    """Whether the pooling can be computed from parts of what ``source`` computes."""
    if source.stage != pool.stage or source.closed or source.alone:
        return False
    node: Any = source.members[0].owner
    if kind_of(node) != "forward" or node.op.groups != 1 or len(node.op.strides) != 2:
        return False
    inside = set(source.members)
    if any(u in inside for v in pool.members if v is not z for u in grouping._sources(v)):
        return False
    op: Any = z.owner.op  # type: ignore[union-attr]
    if _overlaps(op):
        heavy = any(cost(v.owner.op) >= HEAVY for v in source.members[1:])  # type: ignore[union-attr]
        if stores or heavy:
            return False
    if stores and (any(op.pad) or max(op.strides) > _FARTHEST):
        return False
    return not Ways(grouping.groups).leads_around(pool, source)


def _overlaps(op: Any) -> bool:
    return any(k > s for k, s in zip(op.window, op.strides, strict=True))


def _is_faster(
    grouping: Grouping, source: Group, z: Variable, machine: Machine, stores: bool
) -> bool:
    """Whether the algorithms that hand on whole windows are those that would be chosen anyhow."""
    node: Any = source.members[0].owner
    sizes = grouping.sizes
    given = names(node, sizes, None) | pooling_names(z, sizes, stores)
    amount = amounts(given, sizes)
    t = tiling(node.outputs[0].type.dtype, machine)
    others = [pointwise.fits(), planes.fits("forward", t, False)]
    if config.convolution != "accurate":
        whole = region.tiled(winograd.tile_size(6))
        others.append(all_of(winograd.fits(6), count("eq", whole, 0)))
    if any(amount(fits) != ZERO for fits in others):
        return False
    if not _overlaps(z.owner.op):  # type: ignore[union-attr]
        return True
    work = mul("channels", "k1", "k2")
    return amount(count("lt", _CHEAP, work)) == ZERO


def _join(grouping: Grouping, source: Group, pool: Group) -> None:
    source.pool = pool
    source.members += pool.members
    source.align = {**pool.align, **source.align}
    source.needs = (source.needs | pool.needs) - {source, pool}
    for v in pool.members:
        grouping.home[v] = source
    grouping.groups.remove(pool)
    for g in grouping.groups:
        if pool in g.needs:
            g.needs = (g.needs - {pool}) | {source}
