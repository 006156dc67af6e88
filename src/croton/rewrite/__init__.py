"""Rewriting: an expression becomes an equal one that is simpler, more accurate or faster."""

from croton.rewrite.driver import RewriteError
from croton.rewrite.pipeline import FAST_COMPILE, FAST_RUN, ShapeMap, rewrite
from croton.rewrite.report import Report
from croton.rewrite.rule import Match, Rule

__all__ = [
    "FAST_COMPILE",
    "FAST_RUN",
    "Match",
    "Report",
    "RewriteError",
    "Rule",
    "ShapeMap",
    "rewrite",
]
