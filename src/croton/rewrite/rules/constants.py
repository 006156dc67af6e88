"""What is known when compiling is computed then; every function gets its inputs in one dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from croton.graph import Constant
from croton.rewrite.pattern import AllConstant, op
from croton.rewrite.rule import ALWAYS, Match, Rule
from croton.tensor.convert import constant
from croton.tensor.creation import Alloc, ARange
from croton.tensor.elementwise import Elemwise, cast
from croton.tensor.type import TensorType

# A result may be of this size, or of that of the largest constant that it is computed from.
_LARGEST = 4096

# A filled array or a range costs nothing in a kernel; as a constant it takes memory.
_STAY = (Alloc, ARange)


def _fold(m: Match) -> Any:
    node, o = m.node, m.op
    if isinstance(o, _STAY) or not all(isinstance(v, Constant) for v in node.inputs):
        return None
    asked = getattr(o, "do_constant_folding", None)
    if asked is not None and not asked(node):
        return None
    limit = max(_LARGEST, *(np.size(v.data) for v in node.inputs))  # type: ignore[attr-defined]
    if not all(isinstance(v.type, TensorType) and _size(v.type) <= limit for v in node.outputs):
        return None
    storage: list[list[Any]] = [[None] for _ in node.outputs]
    try:
        o.perform(node, [v.data for v in node.inputs], storage)  # type: ignore[attr-defined]
    except Exception:
        # The call will raise it, if it ever gets there.
        return None
    results = []
    for (value,), v in zip(storage, node.outputs, strict=True):
        data = np.array(value, v.type.dtype)  # type: ignore[attr-defined]
        if data.size > limit:
            return None
        # A size that nothing tells does not come to broadcast because it is 1 this time.
        known = [n if n != 1 else d for n, d in zip(data.shape, v.type.shape, strict=True)]  # type: ignore[attr-defined]
        results.append(TensorType(data.dtype, known).make_constant(data))
    return results


def _size(type_: TensorType) -> int:
    return math.prod(n for n in type_.shape if n is not None)


def _one_dtype(m: Match) -> Any:
    inputs = m.inputs
    dtypes = [v.type.dtype for v in inputs]
    if dtypes.count(m.out.type.dtype) == len(dtypes) and m.op.name != "switch":
        return None
    into, _ = m.op.scalar_op.resolve(dtypes)
    if list(into) == dtypes:
        return None
    return m.op(*(_as(v, d) for v, d in zip(inputs, into, strict=True)))


def _as(v: Any, dtype: str) -> Any:
    if isinstance(v, Constant) and v.type.dtype != dtype:  # type: ignore[attr-defined]
        return constant(v.data.astype(dtype))
    return cast(v, dtype)


RULES = (
    Rule("fold_constants", AllConstant(), _fold, "canonicalise"),
    Rule("one_dtype", op(Elemwise), _one_dtype, ALWAYS),
)
