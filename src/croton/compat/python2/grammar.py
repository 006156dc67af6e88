"""The parser of Python 2, whose tables are kept in our cache directory."""

from __future__ import annotations

import importlib
import os
import pathlib
import tempfile
from typing import Any

import fissix

from croton.config import config


def _directory() -> pathlib.Path:
    path = pathlib.Path(config.cache_dir, "grammar")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        path = pathlib.Path(tempfile.gettempdir())
    return path if os.access(path, os.W_OK) else pathlib.Path(tempfile.mkdtemp())


# Fissix makes its tables on import, in the user's home, which need not be writable.
fissix.CACHE_DIR = _directory()
pygram: Any = importlib.import_module("fissix.pygram")
"""The grammar, with and without the print statement, and its symbols."""
