"""Kernel functions as the text of an LLVM module.

The vectors in a kernel are explicit, what is loop invariant stands before its
loop, and equal values are computed once (:mod:`croton.codegen.values`), so the
text needs no optimisation passes before code is generated from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from croton.codegen.math import expand
from croton.codegen.operations import RULES
from croton.codegen.target import Target
from croton.codegen.values import Expansion
from croton.kernel.build import cast
from croton.kernel.nodes import Const, Expr, Function, Op, Var


def expansion(op: Op) -> Expansion:
    """What the function ``op`` computes of placeholders for its arguments, made once for each.

    Literals stay where they are: an expansion may be simpler for some of them.
    """
    if any(isinstance(a, Const) for a in op.args):
        return op.args, _expand(op)
    return _template(op.name, op.attrs, op.dtype, op.lanes, tuple(a.dtype for a in op.args))


@lru_cache(maxsize=256)
def _template(
    name: str, attrs: tuple[Any, ...], dtype: str, lanes: int, dtypes: tuple[str, ...]
) -> Expansion:
    arguments = tuple(Var(f"argument {k}", kind, lanes) for k, kind in enumerate(dtypes))
    return arguments, _expand(Op(name, arguments, dtype, lanes, attrs))


def _expand(op: Op) -> Expr:
    if op.dtype != "float16":
        return expand(op)
    wide = tuple(cast(a, "float32") for a in op.args)
    return cast(expand(Op(op.name, wide, "float32", op.lanes, op.attrs)), op.dtype)


def render(functions: Sequence[Function], target: Target) -> str:
    """LLVM IR of ``functions``, in one module for ``target``."""
    parts = [f'target triple = "{target.triple}"\n']
    if target.layout:
        parts.append(f'target datalayout = "{target.layout}"\n')
    if target.globals:
        parts.append(f"{target.globals}\n")
    declarations: dict[str, str] = {}
    outlined: list[str] = []
    for function in functions:
        statements = target.statements(
            function, RULES, expansion, target.features, target.machine.vector
        )
        lines = statements.render()
        declarations.update(statements.values.declarations)
        parts.append(f"{statements.signature()} #0 {{\n" + "\n".join(lines) + "\n}\n")
        outlined.extend(statements.outline.definitions())
    parts.extend(outlined)
    parts.extend(f"{line}\n" for line in sorted(declarations.values()))
    if outlined:
        parts.append(f"attributes #1 = {{ nounwind cold noinline {target.attributes} }}\n")
        parts.append(f"attributes #2 = {{ nounwind noinline {target.attributes} }}\n")
    parts.append(f"attributes #0 = {{ nounwind {target.attributes} }}\n!0 = !{{i32 1}}\n")
    parts.append('!1 = !{!"branch_weights", i32 1, i32 1000}\n')
    return "\n".join(parts)
