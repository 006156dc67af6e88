"""Keeps converted code between runs, as Python keeps its own in ``__pycache__``."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import marshal
import os
import tempfile
import types

from croton._version import __version__
from croton.config import config

DIRECTORY = "python2"
"""Where in the cache directory it is."""


@functools.cache
def _converter() -> bytes:
    """Another text for every state of the converter's own sources."""
    folder = os.path.dirname(os.path.abspath(__file__))
    stats = [(entry.name, entry.stat()) for entry in os.scandir(folder) if entry.is_file()]
    states = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    return repr((__version__, states)).encode()


def _path(data: bytes, filename: str, version: str) -> str:
    key = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    name = filename.encode("utf-8", "surrogateescape")
    for part in (_converter(), version.encode(), name, data):
        key.update(len(part).to_bytes(8, "little"))
        key.update(part)
    return os.path.join(config.cache_dir, DIRECTORY, key.hexdigest()[:40])


def find(data: bytes, filename: str, version: str) -> types.CodeType | None:
    """The code of the source ``data``, if it was converted before.

    ``version`` is the one that was supposed.
    """
    try:
        with open(_path(data, filename, version), "rb") as file:
            code = marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return code if isinstance(code, types.CodeType) else None


def keep(data: bytes, filename: str, version: str, code: types.CodeType) -> None:
    """Remember the code of the source ``data``, where the cache can be written."""
    path = _path(data, filename, version)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        try:
            with os.fdopen(handle, "wb") as file:
                marshal.dump(code, file)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
