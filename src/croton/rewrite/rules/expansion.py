"""Ops that are said in simpler ones, once nothing needs to recognise them any more."""

from __future__ import annotations

from typing import Any

from croton.rewrite.pattern import op
from croton.rewrite.rule import Match, Rule


def _expand(m: Match) -> Any:
    return m.op.expand(m.node)


RULES = (Rule("expand", op("expandable"), _expand, "expand"),)
