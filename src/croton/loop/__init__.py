"""Loops: what repeats a step."""

from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.loop.op import Scan
from croton.loop.returned import until
from croton.loop.scanning import scan
from croton.loop.updates import OrderedUpdates

__all__ = ["Inner", "Layout", "OrderedUpdates", "Scan", "scan", "until"]
