"""Ops that are said in simpler ones, once nothing needs to recognise them any more."""

from __future__ import annotations

from typing import Any

from croton.graph import Op
from croton.rewrite.pattern import op
from croton.rewrite.rule import Match, Rule


def _expand(m: Match) -> Any:
    expand = getattr(m.op, "expand", None)
    return None if expand is None else expand(m.node)


RULES = (Rule("expand", op(Op), _expand, "expand"),)
