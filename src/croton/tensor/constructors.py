"""New symbolic tensors: ``scalar``, ``matrix``, ``fvector``, ``dscalars`` ..."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from croton.tensor import dtypes
from croton.tensor.type import TensorType

_RANKS = {
    "scalar": 0,
    "vector": 1,
    "row": 2,
    "col": 2,
    "matrix": 2,
    "tensor3": 3,
    "tensor4": 4,
    "tensor5": 5,
}
_LETTERS = {
    "b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64",
}  # fmt: skip


def _shape(kind: str) -> tuple[int | None, ...]:
    if kind == "row":
        return (1, None)
    return (None, 1) if kind == "col" else (None,) * _RANKS[kind]


def tensor(
    dtype: Any = None, shape: Any = None, name: str | None = None, broadcastable: Any = None
) -> Any:
    """A symbolic tensor of ``dtype`` and ``shape`` (None: of any size), e.g. ``(None, 3)``.

    ``broadcastable`` is Theano's form: True for a dimension of size 1.  As in
    newer libraries the first argument may also be the name.

    >>> tensor("float32", (None, 3)).type
    TensorType(float32, (?, 3))
    """
    if isinstance(dtype, str) and dtype != "floatX" and name is None and not _is_dtype(dtype):
        dtype, name = None, dtype
    given = shape if shape is not None else broadcastable
    if given is None:
        raise TypeError("tensor() needs a shape, e.g. tensor('float32', (None, 3))")
    return TensorType("floatX" if dtype is None else dtype, given)(name)


def _is_dtype(text: str) -> bool:
    """Whether ``text`` is a dtype's name, or looks as if it were meant for one."""
    if re.fullmatch(r"(bool|u?int|float|complex)[0-9]*", text):
        return True
    try:
        dtypes.check(text)
    except TypeError:
        return False
    return True


def _constructor(name: str, kind: str, dtype: str | None) -> Callable[..., Any]:
    if dtype is None:

        def make(name: str | None = None, dtype: Any = None) -> Any:
            return TensorType("floatX" if dtype is None else dtype, _shape(kind))(name)

        type_ = TensorType("floatX", _shape(kind))
        meaning = f"A symbolic {kind} of ``dtype`` (default ``floatX``)."
    else:
        type_ = TensorType(dtype, _shape(kind))

        def make(name: str | None = None) -> Any:  # type: ignore[misc]
            return type_(name)

        meaning = f"A symbolic {kind} of {dtype}."
    make.__name__ = make.__qualname__ = name
    make.__doc__ = (
        f"{meaning}\n\n>>> import croton.tensor as T\n>>> T.{name}('x').type\n{type_!r}\n"
    )
    return make


def _plural(name: str, single: Callable[..., Any]) -> Callable[..., Any]:
    def make(*names: Any, **kwargs: Any) -> Any:
        if len(names) == 1 and isinstance(names[0], int):
            made = [single(**kwargs) for _ in range(names[0])]
        elif len(names) == 1 and isinstance(names[0], str):
            made = (
                [single(n, **kwargs) for n in names[0].split()]
                if " " in names[0]
                else [single(n, **kwargs) for n in names[0]]
            )
        else:
            made = [single(n, **kwargs) for n in names]
        return made[0] if len(made) == 1 and len(names) != 1 else made

    make.__name__ = make.__qualname__ = name
    make.__doc__ = (
        f"Several of :func:`{single.__name__}`: a number, a string of names, or names.\n\n"
        f">>> import croton.tensor as T\n>>> x, y = T.{name}('x y')\n>>> x.type == y.type, y.name\n"
        "(True, 'y')\n"
    )
    return make


def constructors() -> dict[str, Any]:
    """Every constructor by name: ``fmatrix``, ``dscalars``, ...; and the types ``fmatrix_type``."""
    found: dict[str, Any] = {}
    for kind in _RANKS:
        for letter, dtype in [("", None), *_LETTERS.items()]:
            make = _constructor(letter + kind, kind, dtype)
            many = letter + {"matrix": "matrices"}.get(kind, kind + "s")
            found[letter + kind] = make
            found[many] = _plural(many, make)
    return found


#: The constructors' examples, where doctest finds them.
__test__ = {name: make.__doc__ for name, make in constructors().items()}
