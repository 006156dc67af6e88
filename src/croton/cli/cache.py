"""``croton cache``: what is in the cache directory, and emptying it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from croton.config import config
from croton.runtime.cache import ObjectCache


class Part(NamedTuple):
    """What the cache directory holds of one kind."""

    name: str
    files: int
    size: int


def parts() -> list[Part]:
    """What the cache directory holds."""
    entries = ObjectCache(config.cache_dir).entries()
    sizes = {entry.path: entry.size for entry in entries}
    others = [
        _size(path)
        for base, _, names in os.walk(config.cache_dir)
        for path in (os.path.join(base, name) for name in names)
        if path not in sizes
    ]
    found = [
        Part("compiled code", len(sizes), sum(sizes.values())),
        Part("other files", len(others), sum(others)),
    ]
    return [part for part in found if part.files]


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        # Another process may be cleaning up.
        return 0


def clear() -> int:
    """Delete everything in the cache directory; how many bytes that was."""
    size = sum(part.size for part in parts())
    root = Path(config.cache_dir)
    for entry in list(root.iterdir()) if root.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return size


def in_words(size: int) -> str:
    """``size`` bytes, for people."""
    if size < 1024:
        return f"{size} bytes"
    value, unit = size / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"
