"""What a part of a kernel needs from outside of it."""

from __future__ import annotations

from typing import Any

from croton.kernel.nodes import (
    Aligned,
    Body,
    Choose,
    For,
    Let,
    Load,
    Local,
    Part,
    Prefetch,
    Store,
    Var,
    walk_statements,
)
from croton.kernel.uniform import post_order, statement_expressions


def free_names(body: Body) -> tuple[list[Var], list[str]]:
    """The variables and the names of the buffers of ``body`` that are bound outside of it.

    They come in the order in which they appear.
    """
    used: dict[str, Var] = {}
    buffers: dict[str, None] = {}
    bound: set[str] = set()
    chosen: set[str] = set()
    seen: dict[int, Any] = {}
    for s in walk_statements(body):
        for e in statement_expressions(s):
            for node in post_order(e, seen):
                if isinstance(node, Var):
                    used.setdefault(node.name, node)
                elif isinstance(node, Load):
                    buffers[node.buffer.name] = None
        if isinstance(s, For | Let | Local):
            bound.add(s.var.name)
        elif isinstance(s, Store | Prefetch):
            buffers[s.buffer.name] = None
        elif isinstance(s, Choose):
            buffers.update(dict.fromkeys((s.first.name, s.second.name)))
            chosen.add(s.buffer.name)
        elif isinstance(s, Part):
            buffers[s.source.name] = None
            chosen.add(s.buffer.name)
        elif isinstance(s, Aligned):
            buffers[s.buffer.name] = None
            bound.add(s.var.name)
    variables = [v for name, v in used.items() if name not in bound]
    return variables, [name for name in buffers if name not in chosen]
