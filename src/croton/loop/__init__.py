"""Loops: what repeats a step."""

from croton.loop.choosing import IfElse, ifelse
from croton.loop.inner import Inner
from croton.loop.iterating import fori_loop, while_loop
from croton.loop.jacobians import hessian, jacobian
from croton.loop.layout import Layout
from croton.loop.op import Scan
from croton.loop.returned import until
from croton.loop.scanning import scan
from croton.loop.updates import OrderedUpdates
from croton.loop.views import foldl, foldr, map, reduce, scan_checkpoints

__all__ = [
    "IfElse",
    "Inner",
    "Layout",
    "OrderedUpdates",
    "Scan",
    "foldl",
    "foldr",
    "fori_loop",
    "hessian",
    "ifelse",
    "jacobian",
    "map",
    "reduce",
    "scan",
    "scan_checkpoints",
    "until",
    "while_loop",
]
