"""``theano.compat.six``: the package ``six``."""

from __future__ import annotations

import importlib
from typing import Any


def six(name: str = "six") -> Any:
    """The package, or an error that says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name != "six":
            raise
        raise ImportError("theano.compat.six is the package six: pip install six") from None


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(six(), name)
