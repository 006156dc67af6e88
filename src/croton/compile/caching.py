"""The cache that ``config.cache_dir`` names."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

from croton.config import config
from croton.runtime.cache import ObjectCache


@lru_cache(maxsize=8)
def _cache(directory: str) -> ObjectCache:
    return ObjectCache(directory)


def object_cache() -> ObjectCache:
    """The cache in use."""
    return _cache(str(config.cache_dir))


@lru_cache(maxsize=1)
def build_id() -> str:
    """What tells one state of this package's own code from another.

    Names, sizes and times of its files: an edited compiler does not take what an
    earlier one has made for its own.
    """
    digest = hashlib.sha256()
    folders = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        folders.append(entry.path)
                elif entry.name.endswith((".py", ".so", ".pyd")):
                    found = entry.stat()
                    digest.update(f"{entry.path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
