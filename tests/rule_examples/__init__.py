"""Examples of expressions for rules that are functions of what matched.

An example is a function that returns an expression and the values of its inputs.
"""

import numpy as np

import croton.tensor as T
from croton.tensor.shapes import shape_i

#: rule -> (example, whether the rule should apply, other rules that it needs, precision)
EXAMPLES = {}


def example(rule, applies=True, needs="", rtol=1e-12):
    """Enter an example of ``rule``."""

    def enter(make):
        EXAMPLES.setdefault(rule, []).append((make, applies, needs, rtol))
        return make

    return enter


def normal(*shape, seed=0):
    """Random numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def matrix(n=3, m=4, name="x", shape=(None, None), seed=0):
    """A matrix and its value."""
    v = T.tensor("float64", shape, name=name)
    return v, {v: normal(n, m, seed=seed)}


def size(name, value):
    """A size that is known only when running, and the array that has it."""
    v = T.tensor("float64", (None,), name=name)
    return shape_i(v, 0), {v: np.zeros(value)}
