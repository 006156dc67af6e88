"""Ops that run in Python, as functions that a program calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.printing import details


def host_function(node: Any) -> Callable[..., Any]:
    """The op's ``perform`` as a function of arrays that returns a list of arrays."""

    def call(*arrays: Any) -> list[Any]:
        storage: list[list[Any]] = [[None] for _ in node.outputs]
        try:
            node.op.perform(node, list(arrays), storage)
        except Exception as error:
            error.add_note(
                f"while computing {node.op}" + details(node) + trace.describe(node.made_at)
            )
            raise
        results = []
        for v, cell in zip(node.outputs, storage, strict=True):
            if cell[0] is None:
                raise ValueError(f"{node.op} left an output without a value")
            data = np.asarray(cell[0])
            if data.dtype != v.type.dtype or data.ndim != v.type.ndim:
                raise TypeError(
                    f"{node.op} gave dtype {data.dtype} and rank {data.ndim}, promised {v.type}"
                )
            if any(a is data or np.may_share_memory(a, data) for a in arrays):
                data = data.copy()
            results.append(np.ascontiguousarray(data).reshape(data.shape))
        return results

    call.__name__ = str(node.op)
    return call
