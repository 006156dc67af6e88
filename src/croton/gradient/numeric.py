"""Checking gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from croton.gradient.reverse import grad
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable
from croton.tensor.convert import as_tensor_variable
from croton.tensor.reduction import sum as tensor_sum
from croton.tensor.type import TensorType


class GradientError(Exception):
    """A symbolic gradient and finite differences do not agree."""


def evaluate(outputs: Sequence[Variable], given: dict[Variable, Any]) -> list[Any]:
    """The values of ``outputs`` by each op's NumPy reference."""
    values: dict[Variable, Any] = dict(given)

    def value(v: Variable) -> Any:
        if v in values:
            return values[v]
        return v.data if isinstance(v, Constant) else v.container.value  # type: ignore[attr-defined]

    for node in toposort(outputs, list(given)):
        storage: list[list[Any]] = [[None] for _ in node.outputs]
        node.op.perform(node, [value(v) for v in node.inputs], storage)
        for v, cell in zip(node.outputs, storage, strict=True):
            values[v] = np.asarray(cell[0])
    return [value(v) for v in outputs]


class numeric_grad:
    """Central differences of the scalar function ``f`` at ``pt``; the gradients are in ``gf``."""

    def __init__(
        self, f: Callable[..., Any], pt: Any, eps: float | None = None, out_type: Any = None
    ) -> None:
        points = [np.array(p) for p in (pt if isinstance(pt, list | tuple) else [pt])]
        self.gf = []
        for k, p in enumerate(points):
            step = (
                eps
                if eps is not None
                else {"float16": 1e-2, "float32": 1e-3}.get(p.dtype.name, 1e-6)
            )
            gradient = np.zeros(p.shape, np.float64)
            for place in np.ndindex(p.shape):
                shifted = [q.copy() for q in points]
                shifted[k][place] = p[place] + step
                high, up = float(shifted[k][place]), float(f(*shifted))
                shifted[k][place] = p[place] - step
                low, down = float(shifted[k][place]), float(f(*shifted))
                gradient[place] = (up - down) / (high - low)
            self.gf.append(gradient)
        if not isinstance(pt, list | tuple):
            self.gf = self.gf[0]  # type: ignore[assignment]


def verify_grad(
    fun: Callable[..., Any],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: Any = None,
    eps: float | None = None,
    out_type: Any = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: Any = None,
    cast_to_output_type: bool = False,
    no_debug_ref: bool = True,
) -> None:
    """Compare the symbolic gradient of ``fun`` at the points ``pt`` with finite differences.

    ``fun`` takes a symbolic variable for each point and returns an expression;
    ``n_tests`` random projections make it a scalar.  ``rng`` has ``uniform`` or
    ``rand`` (default: a fixed seed).  Raises GradientError if they differ by
    more than ``abs_tol`` + ``rel_tol`` times the magnitude.

    >>> import croton.tensor as T
    >>> verify_grad(lambda x: T.tanh(x) * x, [[0.5, -1.0]])
    """
    points = [np.array(p) for p in pt]
    for p in points:
        if p.dtype.kind != "f":
            raise TypeError(f"points must be floats to differentiate by, got dtype {p.dtype}")
    rng = np.random.default_rng(20_16) if rng is None else rng
    uniform = rng.random if hasattr(rng, "random") else rng.rand
    narrow = min((p.dtype for p in points), key=lambda d: d.itemsize).name
    defaults = {"float16": 1e-1, "float32": 1e-2, "float64": 1e-4}[narrow]
    abs_tol = defaults if abs_tol is None else abs_tol
    rel_tol = defaults if rel_tol is None else rel_tol
    inputs = [TensorType(p.dtype, (None,) * p.ndim)(f"input {k}") for k, p in enumerate(points)]
    output = as_tensor_variable(fun(*_promised(inputs, points)))
    given = dict(zip(inputs, points, strict=True))
    shape = np.shape(evaluate([output], given)[0])
    for _ in range(n_tests):
        weights = np.asarray(uniform(*shape) if not hasattr(rng, "random") else uniform(shape))
        weights = (weights + 0.5).astype(output.type.dtype)
        cost = tensor_sum(output * weights)
        symbolic = grad(cost, inputs, disconnected_inputs="ignore")

        def scalar(*values: Any, cost: Any = cost) -> Any:
            return evaluate([cost], dict(zip(inputs, values, strict=True)))[0]

        expected = numeric_grad(scalar, points, eps).gf
        actual = evaluate(symbolic, given)
        for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
            if a.shape != e.shape:
                raise GradientError(f"gradient {k} has shape {a.shape}, expected {e.shape}")
            error = np.abs(a - e)
            bound = abs_tol + rel_tol * np.maximum(np.abs(a), np.abs(e))
            if not np.all(error <= bound):
                worst = np.unravel_index(
                    np.argmax(np.where(np.isnan(error), np.inf, error - bound)), e.shape
                )
                raise GradientError(
                    f"gradient {k} at {tuple(map(int, worst))}: symbolic {a[worst]!r}, by finite "
                    f"differences {e[worst]!r}"
                )


def _promised(inputs: Sequence[Any], points: Sequence[Any]) -> list[Any]:
    # What is of size 1 may broadcast in the user's function.
    return [
        v.specify_shape([1 if n == 1 else None for n in p.shape]) if 1 in p.shape else v
        for v, p in zip(inputs, points, strict=True)
    ]
