"""Every test process compiles into an empty cache of its own."""

from __future__ import annotations

import os
import tempfile

import pytest

_directory = tempfile.TemporaryDirectory(prefix="croton-test-cache-")
os.environ.setdefault("CROTON_FLAGS", f"cache_dir={_directory.name}")


@pytest.fixture(scope="session", autouse=True)
def _fresh_cache():
    yield
    _directory.cleanup()
