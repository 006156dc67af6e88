"""From item to item of a product's kernel: which block of the result each is."""

from __future__ import annotations

from collections.abc import Mapping

from croton.kernel.build import add, mul, op, sub
from croton.kernel.nodes import Assign, Body, For, If, Let, Local, Var
from croton.schedule.product.names import COLUMN, ITEM_BATCH, ROW, TOGETHER, WIDTH
from croton.schedule.product.strips import ONE, ZERO, ceildiv


def over_items(s: Mapping[str, Var], block: Body) -> Body:
    """Run ``block`` for all items: columns first, then rows, then the batch.

    Up to ``TOGETHER`` items of the same rows are one block of ``WIDTH`` columns.
    """
    lo, hi, item, begin = Var("lo"), Var("hi"), Var("item"), Var("begin_item")
    across, down, rest = Var("across"), Var("down"), Var("rest")
    place: Body = (
        Let(across, ceildiv(s["n"], s["columns"])),
        Let(down, ceildiv(s["m"], s["rows"])),
        Let(rest, op("floordiv", lo, across)),
        Assign(COLUMN, mul(sub(lo, mul(rest, across)), s["columns"])),
        Assign(ITEM_BATCH, op("floordiv", rest, down)),
        Assign(ROW, mul(sub(rest, mul(ITEM_BATCH, down)), s["rows"])),
    )
    next_batch: Body = (Assign(ROW, ZERO), Assign(ITEM_BATCH, add(ITEM_BATCH, ONE)))
    next_row: Body = (
        Assign(COLUMN, ZERO),
        Assign(ROW, add(ROW, s["rows"])),
        If(op("ge", ROW, s["m"]), next_batch),
    )
    following: Body = (
        Assign(COLUMN, add(COLUMN, WIDTH)),
        If(op("ge", COLUMN, s["n"]), next_row),
    )
    beside = ceildiv(sub(s["n"], COLUMN), s["columns"])
    some = Var("items_of_block")
    several: Body = (
        Let(some, op("minimum", op("minimum", TOGETHER, beside), sub(hi, item))),
        Let(WIDTH, mul(some, s["columns"])),
        *block,
        Assign(begin, add(item, some)),
        *following,
    )
    return (
        Local(ROW, ZERO),
        Local(COLUMN, ZERO),
        Local(ITEM_BATCH, ZERO),
        If(op("gt", lo, ZERO), place),
        Local(begin, lo),
        For(item, lo, hi, (If(op("ge", item, begin), several),)),
    )
