"""``theano.compat.six.moves``."""

from __future__ import annotations

from typing import Any

from croton.compat.theano.six import six


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(six("six.moves"), name)
