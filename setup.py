"""Builds the C extension; everything else is said in pyproject.toml."""

from glob import glob

import numpy
from setuptools import Extension, setup

NATIVE = "src/croton/runtime/native"

setup(
    ext_modules=[
        Extension(
            "croton.runtime._native",
            sources=sorted(glob(f"{NATIVE}/*.c")),
            depends=sorted(glob(f"{NATIVE}/*.h")),
            include_dirs=[numpy.get_include()],
            extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
            extra_link_args=["-pthread"],
        )
    ]
)
