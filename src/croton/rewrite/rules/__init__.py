"""The rules, one subject a file, in the order in which they are tried on a node."""

from croton.rewrite.rule import Rule
from croton.rewrite.rules import (
    algebra,
    alloc,
    choices,
    constants,
    crossentropy,
    deviations,
    expansion,
    factors,
    indexing,
    layout,
    logarithms,
    matrices,
    pooling,
    powers,
    reductions,
    selection,
    sizes,
    softmax,
    splitting,
    vectors,
    views,
)

RULES: tuple[Rule, ...] = (
    *constants.RULES,
    *sizes.RULES,
    *views.RULES,
    *alloc.RULES,
    *algebra.RULES,
    *choices.RULES,
    *factors.RULES,
    *softmax.RULES,
    *logarithms.RULES,
    *indexing.RULES,
    *crossentropy.RULES,
    *deviations.RULES,
    *powers.RULES,
    *matrices.RULES,
    *reductions.RULES,
    *layout.RULES,
    *pooling.RULES,
    *selection.RULES,
    *vectors.RULES,
    *expansion.RULES,
    *splitting.RULES,
)

if len({rule.name for rule in RULES}) != len(RULES):
    raise ValueError("two rules have the same name")
