"""All derivatives of all elements: Jacobians and Hessians, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.gradient.reverse import grad
from croton.graph import trace
from croton.graph.variable import Variable
from croton.loop.scanning import scan
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import arange
from croton.tensor.shapes import flatten, reshape, shape_tuple


def jacobian(
    expression: Any,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
) -> Any:
    """The derivatives of the elements of ``expression`` by those of ``wrt``.

    The result has the dimensions of ``expression``, then those of ``wrt``; for a list or tuple
    ``wrt`` it is one too.  The other arguments are those of :func:`croton.grad`.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> croton.gradient.jacobian(x**2, x).eval({x: [1.0, 2.0]})
    array([[2., 0.],
           [0., 4.]])
    """
    y = as_tensor_variable(expression)
    many = isinstance(wrt, list | tuple)
    targets = list(wrt) if many else [wrt]

    def row(element: Any) -> list[Any]:
        return grad(element, targets, consider_constant, disconnected_inputs)  # type: ignore[no-any-return]

    if y.type.ndim == 0:
        found = row(y)
    else:
        flat = flatten(y)
        found, _ = scan(
            lambda k: row(flat[k]), arange(flat.shape[0]), name="jacobian", return_list=True
        )
        if y.type.ndim > 1:
            found = [
                reshape(g, (*shape_tuple(y), *shape_tuple(v)))
                for g, v in zip(found, targets, strict=True)
            ]
    return type(wrt)(found) if many else found[0]


def hessian(
    cost: Any,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
) -> Any:
    """The second derivatives of the scalar ``cost`` by each vector of ``wrt``, twice.

    For a list or tuple ``wrt`` the result is one too, of a matrix for each vector.
    TypeError if the cost is no scalar, or what it is differentiated by no vector.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> croton.gradient.hessian((x**3).sum(), x).eval({x: [1.0, 2.0]})
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    many = isinstance(wrt, list | tuple)
    found = []
    for v in wrt if many else [wrt]:
        if not isinstance(v, Variable) or v.type.ndim != 1:  # type: ignore[attr-defined]
            line = trace.describe(v.made_at) if isinstance(v, Variable) else ""
            raise TypeError(f"hessian is by vectors, got {v!r}" + line)
        first = grad(cost, v, consider_constant, disconnected_inputs)
        # A first derivative that does not depend on the vector is one of second derivatives 0.
        found.append(jacobian(first, v, consider_constant, "ignore"))
    return type(wrt)(found) if many else found[0]
