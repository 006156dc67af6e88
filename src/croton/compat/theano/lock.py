"""``theano.gof.compilelock``: Croton's cache is shared without locks."""

from __future__ import annotations

from typing import Any


def get_lock(*arguments: Any, **options: Any) -> None:
    """Nothing to wait for."""


def release_lock() -> None:
    """Nothing to give back."""


def force_unlock() -> None:
    """Nothing to break."""
