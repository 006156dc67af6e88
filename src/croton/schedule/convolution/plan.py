"""The plan of a convolution: the steps of all algorithms, of which the sizes choose one."""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.schedule.convolution import direct
from croton.schedule.product.tiling import tiling
from croton.schedule.steps import Plan


def plan(kind: str, dtype: str, machine: Machine, *, epilogue: bool = False) -> Plan:
    """How to compute a convolution of ``kind`` ("forward", "inputs" or "filters").

    With ``epilogue`` blocks of the result go to a kernel instead of being stored (see
    :mod:`croton.schedule.product.tile`): rows are its places, one after the other.
    """
    return direct.steps(kind, tiling(dtype, machine), epilogue=epilogue)
