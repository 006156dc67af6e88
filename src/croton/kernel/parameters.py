"""Kernels that follow from a few parameters: made once, and told apart without being read."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

from croton.kernel.nodes import Function

Made = TypeVar("Made", Function, tuple[Function, Function], tuple[Function, Function, Function])


def from_parameters(make: Callable[..., Made]) -> Callable[..., Made]:
    """``make``, which remembers its last results and gives them an ``identity``.

    Each argument must be told by its repr, and the kernels must depend on nothing else.
    """

    @lru_cache(maxsize=32)
    @wraps(make)
    def made(*arguments: object) -> Any:
        found: Any = make(*arguments)
        identity = f"{make.__module__}.{make.__qualname__}{arguments!r}"
        if isinstance(found, Function):
            return found._replace(identity=identity)
        return tuple(f._replace(identity=f"{identity}[{k}]") for k, f in enumerate(found))

    return made
