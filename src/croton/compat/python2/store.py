"""Keeps converted code between runs, as Python keeps its own in ``__pycache__``."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import marshal
import os
import types

from croton._version import __version__
from croton.config import config
from croton.runtime.cache import ObjectCache


@functools.cache
def _converter() -> bytes:
    """Another text for every state of the converter's own sources."""
    folder = os.path.dirname(os.path.abspath(__file__))
    stats = [(entry.name, entry.stat()) for entry in os.scandir(folder) if entry.is_file()]
    states = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    return repr((__version__, states)).encode()


def _key(data: bytes, filename: str, version: str) -> str:
    key = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    name = filename.encode("utf-8", "surrogateescape")
    for part in (_converter(), version.encode(), name, data):
        key.update(len(part).to_bytes(8, "little"))
        key.update(part)
    return key.hexdigest()


def find(data: bytes, filename: str, version: str) -> types.CodeType | None:
    """The code of the source ``data``, if it was converted before.

    ``version`` is the one that was supposed.
    """
    found = ObjectCache(config.cache_dir).get(_key(data, filename, version))
    if found is None:
        return None
    code: types.CodeType = marshal.loads(found)
    return code


def keep(data: bytes, filename: str, version: str, code: types.CodeType) -> None:
    """Remember the code of the source ``data``."""
    ObjectCache(config.cache_dir).put(_key(data, filename, version), marshal.dumps(code))
