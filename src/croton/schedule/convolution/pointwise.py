"""Convolutions whose filters have one tap: products of matrices, a place a row."""

from __future__ import annotations

from croton.kernel.machine import Machine
from croton.schedule.counts import Count, all_of, count
from croton.schedule.product import plan as product_plan
from croton.schedule.steps import Plan


def fits() -> Count:
    """Whether a convolution is such a product: one tap, at every place, and one group."""
    ones = ["groups", *(f"{n}{d}" for n in ("k", "stride") for d in range(3))]
    tests = [count("eq", name, 1) for name in ones]
    for d in range(3):
        tests += [count("eq", f"before{d}", 0), count("eq", f"x{d}", f"y{d}")]
    return all_of(*tests)


def _places() -> Count:
    places: Count = "batch"
    for d in range(3):
        places = count("mul", places, f"x{d}")
    return places


def steps(
    kind: str, machine: Machine, dtype: str, *, epilogue: bool = False, when: Count = 1
) -> Plan:
    """The product for ``kind`` ("forward" or "inputs"), which runs ``when`` that is 1."""
    source, result = ("x", "y") if kind == "forward" else ("y", "x")
    inner, outer = ("channels", "filters") if kind == "forward" else ("filters", "channels")
    along, across = ("w_channel", "w_filter") if kind == "forward" else ("w_filter", "w_channel")
    names: dict[str, Count] = {
        "batch": 1, "m": _places(), "k": inner, "n": outer,
        "a_batch": 0, "a_row": inner, "a_inner": 1,
        "b_batch": 0, "b_inner": along, "b_column": across,
        "c_batch": 0, "c_row": outer,
    }  # fmt: skip
    plan = product_plan(dtype, machine, epilogue=epilogue)
    return plan.renamed(names, {"a": source, "b": "w", "c": result}, when)
