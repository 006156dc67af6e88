"""``theano.sparse``: Croton has no sparse matrices, so nothing is an instance of these."""

from __future__ import annotations

from croton.graph import SharedVariable, Type, Variable

__all__ = [
    "SparseConstant",
    "SparseTensorSharedVariable",
    "SparseType",
    "SparseVariable",
    "enable_sparse",
]

enable_sparse = False


class SparseType(Type):
    """The type of sparse matrices."""

    def __init__(self, *arguments: object, **options: object) -> None:
        raise NotImplementedError("croton does not have sparse matrices (yet)")


class SparseVariable(Variable):
    """A sparse matrix."""


class SparseConstant(Variable):
    """A constant sparse matrix."""


class SparseTensorSharedVariable(SharedVariable):
    """A shared sparse matrix."""


def _is_sparse_variable(x: object) -> bool:
    return isinstance(x, SparseVariable)


def _is_sparse(x: object) -> bool:
    return False
