"""``theano.tests.unittest_tools``: help for the tests of ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from croton import gradient
from croton.config import config

__all__ = ["assert_allclose", "fetch_seed", "seed_rng", "verify_grad"]


def fetch_seed(pseed: int | None = None) -> int | None:
    """``pseed``, or the seed of the flag ``unittests.rseed``."""
    if pseed is not None:
        return pseed
    return None if config.unittests.rseed == "random" else int(config.unittests.rseed)


def seed_rng(pseed: int | None = None) -> int | None:
    """Seed NumPy's generator; the seed."""
    seed = fetch_seed(pseed)
    np.random.seed(seed)
    return seed


def verify_grad(op: Any, pt: Any, n_tests: int = 2, rng: Any = None, **options: Any) -> None:
    """Compare the gradient of ``op`` at ``pt`` with finite differences."""
    if rng is None:
        rng = np.random.RandomState(fetch_seed())
    gradient.verify_grad(op, pt, n_tests, rng, **options)


def assert_allclose(
    expected: Any, value: Any, rtol: float | None = None, atol: float | None = None
) -> None:
    """Fail unless the two are close for the less accurate of their types."""
    half = any(np.asarray(x).dtype in (np.float32, np.complex64) for x in (expected, value))
    tolerance = 1e-5 if half else 1e-8
    np.testing.assert_allclose(
        value,
        expected,
        rtol=tolerance if rtol is None else rtol,
        atol=tolerance if atol is None else atol,
    )
