"""``theano.sandbox.cuda.dnn`` where cuDNN is not."""

from __future__ import annotations

__all__ = ["dnn_available", "dnn_present", "version"]


def dnn_available(context_name: str | None = None) -> bool:
    """Whether cuDNN can be used: no; ``dnn_available.msg`` says why."""
    return False


dnn_available.msg = "Theano's use of cuDNN is not part of Croton"  # type: ignore[attr-defined]
dnn_available.avail = False  # type: ignore[attr-defined]


def dnn_present() -> bool:
    """Whether cuDNN was found: no."""
    return False


def version(raises: bool = True) -> int:
    """The version of cuDNN: there is none, an error or -1."""
    if raises:
        raise RuntimeError(dnn_available.msg)  # type: ignore[attr-defined]
    return -1
