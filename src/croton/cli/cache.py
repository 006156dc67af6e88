"""``croton cache``: what is in the cache directory, and emptying it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from croton.config import config


class Part(NamedTuple):
    """A folder of the cache directory (or its loose files), with what it takes."""

    name: str
    files: int
    size: int


def parts() -> list[Part]:
    """What the cache directory holds."""
    root = Path(config.cache_dir)
    if not root.is_dir():
        return []
    found = [_measure(entry) for entry in sorted(root.iterdir()) if entry.is_dir()]
    loose = [entry for entry in root.iterdir() if entry.is_file()]
    if loose:
        found.append(Part("other files", len(loose), sum(_size(entry) for entry in loose)))
    return found


def _measure(folder: Path) -> Part:
    files = [Path(base, name) for base, _, names in os.walk(folder) for name in names]
    return Part(folder.name, len(files), sum(_size(file) for file in files))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
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
