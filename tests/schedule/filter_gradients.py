"""Gradients by the filters of convolutions: a reference, and running a plan for them."""

import ctypes
import mmap

import numpy as np
from schedule.convolutions import MACHINES as OTHERS
from schedule.convolutions import Problem

from croton.codegen.llvm import render
from croton.codegen.targets.cpu import host
from croton.schedule.convolution.run import run_convolution, sizes_of

DTYPES = ("float32", "float64")
MACHINES = {"host": host().machine, **{n: OTHERS[n] for n in ("middle", "narrow")}}


class Compiled:
    """The kernels of a plan, loaded once."""

    def __init__(self, plan):
        self.plan, self.dtype = plan, plan.dtype
        target = host()
        self.library = target.load(target.compile(render(self.plan.functions, target)))

    def __call__(self, x, y, kernel, strides, before, dilation, groups=1, cuts=None, out=None):
        if out is None:
            channels = x.shape[-1] // groups
            out = np.full((*kernel, channels, y.shape[-1]), np.nan, self.dtype)
        names = sizes_of(x.shape, out, y.shape, strides, before, dilation, groups)
        return run_convolution(
            "filters", self.plan, self.library.address, names, x, y, out, cuts=cuts
        )


def reference(x, y, kernel, strides, before, dilation, groups):
    """The gradient in float64, by its definition."""
    w = (*kernel, x.shape[-1] // groups, y.shape[-1])
    return Problem(x.shape, w, y.shape, strides, before, dilation, groups).filters(x, y)


def arrays(rng, dtype, batch, image, channels, result, filters):
    x = rng.standard_normal((batch, *image, channels)).astype(dtype)
    y = rng.standard_normal((batch, *result, filters)).astype(dtype)
    return x, y


def result_size(image, kernel, strides, before, after, dilation):
    return tuple(
        max(0, (i + b + a - (k - 1) * d - 1) // s + 1)
        for i, k, s, b, a, d in zip(image, kernel, strides, before, after, dilation, strict=True)
    )


def at_the_edge(array):
    """A copy that ends where readable memory ends."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, size + page)
    start = np.frombuffer(memory, np.uint8).ctypes.data
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), page, 0)
    copy = np.frombuffer(memory, array.dtype, array.size, size - array.nbytes)
    copy = copy.reshape(array.shape)
    copy[...] = array
    return copy
