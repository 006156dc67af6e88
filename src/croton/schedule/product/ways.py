"""How a product goes about its factors, decided by the kernel from their sizes and strides.

- *dot products* where both factors lie along the inner index and the result is small
  across it: a matrix times a vector, say;
- one row times a right factor that lies by rows takes many columns at a time (*lone*);
- a right factor that has been copied into panels before is read there;
- one read where it lies (*direct*) where one block of rows needs it; else its
  panels are copied one by one, so that they are near and begin where vectors do.
"""

from __future__ import annotations

from collections.abc import Mapping

from croton.kernel.build import add, index, mul, op, select
from croton.kernel.nodes import Body, Expr, Let, Var
from croton.schedule.product.strips import ceildiv
from croton.schedule.product.tiling import Tiling

#: Whether to add up products along the inner index, whether one row takes many columns at a
#: time, whether to read the right factor where it lies, and how much of the inner index
#: to take at a time.
DOT, LONE, DIRECT = Var("dot", "bool"), Var("lone", "bool"), Var("direct", "bool")
DEPTH = Var("depth")

#: Whether the right factor has been copied into panels.
PANELS = Var("panels", "bool")

#: Whether factors are asked for before they are needed, and whether the result is: small ones
#: are near anyway.
ASKS, FAR = Var("asks", "bool"), Var("far", "bool")

#: Small is what takes no more than such a part of the second cache.
SMALL = 16

#: Rows for which a large right factor is never copied.
FEW_ROWS = 16

_THIN, _EVEN = Var("thin", "bool"), Var("even")


def ways(t: Tiling, size: Mapping[str, Var], cut: Expr, wide: Expr) -> Body:
    """Decide; ``cut``: the left factor is in strips; ``wide``: items may have many columns."""
    m, n, k = size["m"], size["n"], size["k"]
    inner, column = size["b_inner"], size["b_column"]
    narrow = _all(_le(n, index(max(4, t.lanes // 2))), _le(add(mul(n, index(12)), index(32)), k))
    low = _all(_le(m, index(4)), _is(inner, 1), _le(index(128), k))
    area = mul(mul(n, k), index(t.itemsize))
    small = index(t.second // SMALL)
    both = mul(mul(add(m, n), k), index(t.itemsize))
    # Rows of a large right factor are read on and on, not in short pieces.
    thin = _all(wide, _le(m, index(FEW_ROWS)), _le(index(t.large), area))
    near = _any(PANELS, _le(m, index(t.blocks[0])), _le(n, index(t.panel)), _THIN)
    # With masks, few last columns are read where they lie as well; more of them are copied.
    whole = _le(op("mod", n, index(t.panel)), index(t.lanes if t.masks else 0))
    whole = _all(DIRECT, op("or", PANELS, whole))
    whole = select(DOT, _is(inner, 1), whole)
    # A long piece of a factor that is read where it lies costs less than another pass.
    most = select(cut, index(t.piece), index(t.longest))
    pieces = ceildiv(k, most)
    even = mul(ceildiv(ceildiv(k, pieces), index(t.lanes)), index(t.lanes))
    some = op("maximum", k, index(1))
    return (
        Let(DOT, _all(_is(size["a_inner"], 1), op("not", _any(cut, PANELS)), _any(narrow, low))),
        Let(LONE, _all(_is(column, 1), _is(m, 1), op("not", _any(DOT, PANELS)))),
        Let(_THIN, _all(_is(column, 1), op("not", PANELS), thin)),
        Let(DIRECT, _all(_is(column, 1), near)),
        Let(ASKS, op("lt", small, both)),
        Let(FAR, op("lt", small, mul(mul(m, n), index(t.itemsize)))),
        Let(_EVEN, select(_le(k, most), some, even)),
        Let(DEPTH, select(_THIN, index(2 * t.lanes), select(whole, some, _EVEN))),
    )


def _is(value: Expr, number: int) -> Expr:
    return op("eq", value, index(number))


def _le(a: Expr, b: Expr) -> Expr:
    return op("le", a, b)


def _all(*conditions: Expr) -> Expr:
    return _fold("and", conditions)


def _any(*conditions: Expr) -> Expr:
    return _fold("or", conditions)


def _fold(name: str, conditions: tuple[Expr, ...]) -> Expr:
    result = conditions[0]
    for condition in conditions[1:]:
        result = op(name, result, condition)
    return result
