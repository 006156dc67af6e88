"""Mode: how much a graph is rewritten, and what runs it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from croton.config import config

LINKERS = ("native", "python")
#: How much is rewritten, by name; those of Theano that mean the same are understood.
OPTIMIZERS = {
    "fast_run": "fast_run",
    "o4": "fast_run",
    "o3": "fast_run",
    "o2": "fast_run",
    "unsafe": "fast_run",
    "fast_compile": "fast_compile",
    "o1": "fast_compile",
    "merge": "merge",
    "None": "merge",
}


class Mode:
    """``linker``: ``"native"`` (compiled) or ``"python"`` (each op's NumPy definition).

    ``optimizer``: how much is rewritten: ``"fast_run"``, ``"fast_compile"``,
    ``"None"``, or a tuple of phases as in :mod:`croton.rewrite`.  Theano's
    linkers (``"cvm"``, ``"c"``, ``"py"``, ...) are understood.

    Another linker or optimizer: ValueError.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> croton.function([x], x.sum(), mode=croton.Mode("python"))([1.0, 2.0])
    array(3.)
    """

    def __init__(
        self,
        linker: str | None = "native",
        optimizer: Any = "fast_run",
        excluding: Collection[str] = (),
        including: Collection[str] = (),
        name: str | None = None,
    ) -> None:
        linker = {"py": "python", "vm": "native", "cvm": "native", "c": "native", "c|py": "native",
                  "cvm_nogc": "native", "vm_nogc": "native", "c|py_nogc": "native", "jax": "native",
                  "numba": "native", None: "native"}.get(linker, linker)  # fmt: skip
        if linker not in LINKERS:
            raise ValueError(f"linker is one of {', '.join(LINKERS)}, got {linker!r}")
        if optimizer is None:
            optimizer = "None"
        if isinstance(optimizer, str):
            if optimizer not in OPTIMIZERS:
                raise ValueError(f"optimizer is one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
            optimizer = OPTIMIZERS[optimizer]
        else:
            optimizer = tuple(optimizer)
        self.linker: str = linker
        self.optimizer = optimizer
        self.exclude = frozenset(excluding)
        self.include = frozenset(including)
        self.name = name

    def excluding(self, *names: str) -> Mode:
        """This mode without the rules or groups of rules named."""
        return Mode(self.linker, self.optimizer, self.exclude | set(names), self.include)

    def including(self, *names: str) -> Mode:
        """This mode with the rules or groups of rules named."""
        return Mode(
            self.linker, self.optimizer, self.exclude - set(names), self.include | set(names)
        )

    def __repr__(self) -> str:
        return self.name or f"Mode(linker={self.linker!r}, optimizer={self.optimizer!r})"


FAST_RUN = Mode("native", "fast_run", name="FAST_RUN")
FAST_COMPILE = Mode("python", "fast_compile", name="FAST_COMPILE")
REFERENCE = Mode("python", "merge", name="reference")
_NAMED = {
    "FAST_RUN": FAST_RUN,
    "FAST_COMPILE": FAST_COMPILE,
    "reference": REFERENCE,
    "ProfileMode": FAST_RUN,
    "PROFILE_MODE": FAST_RUN,
}


def get_mode(mode: Any = None) -> Mode:
    """A mode by name (None: that of ``config.mode``), or itself.

    Raises ValueError for a name that is not there.

    >>> import croton
    >>> croton.get_mode("FAST_RUN") is croton.FAST_RUN
    True
    """
    if isinstance(mode, Mode):
        return mode
    if mode is None:
        mode = config.mode
    if mode == "Mode":
        return Mode("native", config.optimizer, name="Mode")
    if mode in _NAMED:
        return _NAMED[mode]
    raise ValueError(f"mode is one of {', '.join(_NAMED)} or a Mode, got {mode!r}")
