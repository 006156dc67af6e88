"""Loops: what repeats a step."""

from croton.loop.inner import Inner
from croton.loop.layout import Layout
from croton.loop.op import Scan

__all__ = ["Inner", "Layout", "Scan"]
