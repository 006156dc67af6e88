"""The cache that ``config.cache_dir`` names."""

from __future__ import annotations

from functools import lru_cache

from croton.config import config
from croton.runtime.cache import ObjectCache


@lru_cache(maxsize=8)
def _cache(directory: str) -> ObjectCache:
    return ObjectCache(directory)


def object_cache() -> ObjectCache:
    """The cache in use."""
    return _cache(str(config.cache_dir))
