"""The BLAS library: loaded once, for this CPU, on one thread, without touching the environment."""

import ctypes
import os

import numpy as np
import pytest

from croton.runtime.blas import core_type, cpu_features, load_blas

INT, POINTER = ctypes.c_int, ctypes.c_void_p


@pytest.mark.parametrize(
    ("name", "dtype", "number"),
    [("cblas_sgemm", "f4", ctypes.c_float), ("cblas_dgemm", "f8", ctypes.c_double)],
)
def test_products(name, dtype, number):
    prototype = ctypes.CFUNCTYPE(
        None, *[INT] * 6, number, POINTER, INT, POINTER, INT, number, POINTER, INT
    )
    gemm = prototype(load_blas().address(name))
    rng = np.random.default_rng(0)
    a, b = rng.random((5, 7)).astype(dtype), rng.random((7, 3)).astype(dtype)
    c = np.zeros((5, 3), dtype)
    gemm(101, 111, 111, 5, 3, 7, 1, a.ctypes.data, 7, b.ctypes.data, 3, 0, c.ctypes.data, 3)
    np.testing.assert_allclose(c, a @ b, rtol=1e-6)


def test_what_was_loaded():
    before = dict(os.environ)
    blas = load_blas()
    assert dict(os.environ) == before
    assert blas is load_blas()
    assert "OpenBLAS" in blas.config
    if "OPENBLAS_CORETYPE" not in os.environ and core_type():
        assert blas.core.upper() == core_type()
    if "avx512f" in cpu_features():
        assert core_type() == "SKYLAKEX"
    with pytest.raises(ValueError, match="no function 'nonsense'"):
        blas.address("nonsense")
