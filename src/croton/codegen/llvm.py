"""Kernel functions as the text of an LLVM module.

The vectors in a kernel are explicit, what is loop invariant stands before its
loop, and equal values are computed once (:mod:`croton.codegen.values`), so the
text needs no optimisation passes before code is generated from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from croton.codegen.math import expand
from croton.codegen.operations import RULES
from croton.codegen.target import Target
from croton.kernel.nodes import Function


def render(functions: Sequence[Function], target: Target) -> str:
    """LLVM IR of ``functions``, in one module for ``target``."""
    parts = [f'target triple = "{target.triple}"\n']
    if target.layout:
        parts.append(f'target datalayout = "{target.layout}"\n')
    if target.globals:
        parts.append(f"{target.globals}\n")
    declarations: dict[str, str] = {}
    for function in functions:
        statements = target.statements(function, RULES, expand, target.features)
        lines = statements.render()
        declarations.update(statements.values.declarations)
        parts.append(f"{statements.signature()} #0 {{\n" + "\n".join(lines) + "\n}\n")
    parts.extend(f"{line}\n" for line in sorted(declarations.values()))
    parts.append(f"attributes #0 = {{ nounwind {target.attributes} }}\n!0 = !{{i32 1}}\n")
    return "\n".join(parts)
