"""Puts the helpers beside the tests (native_kernels, by_hand) on the path."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def threads():
    """``threads(n)``: use n threads in this test."""
    from croton.runtime.threads import set_threads, thread_count

    before = thread_count()
    yield set_threads
    set_threads(before)
