"""Pooling as a user writes it, with Theano's names and arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.creation import arange
from croton.tensor.elementwise import cast, maximum, minimum
from croton.tensor.nnet.conv.geometry import from_variables, per_dimension
from croton.tensor.shapes import dimshuffle, shape_tuple
from croton.tensor.signal.ops import MaxPool, MaxPoolSpread, SumPool
from croton.tensor.signal.windows import count

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def _mode(mode: str) -> str:
    mode = "max" if mode == "max_deterministic" else mode
    if mode not in MODES:
        raise ValueError(f"the mode of a pooling is one of {', '.join(MODES)}, got {mode!r}")
    return mode


def _one_of(name: str, new: Any, old_name: str, old: Any, default: Any = None) -> Any:
    if old is None:
        return new
    if new is not None and new != default:
        raise ValueError(f"{name} and {old_name} mean the same; give one of them")
    return old


def _pooled(
    x: Any,
    dimensions: int,
    window: Any,
    ignore_border: bool | None,
    stride: Any,
    pad: Any,
    mode: str,
    channels_last: bool = False,
) -> Any:
    x = as_tensor_variable(x)
    if channels_last:
        rank = x.type.ndim
        if rank <= dimensions:
            raise TypeError(
                f"a pooling over {dimensions} dimensions and channels behind them takes a tensor "
                f"of rank {dimensions + 1} or more, got {x} of rank {rank}"
            )
        *lead, last = range(rank)
        lead, spatial = lead[: rank - 1 - dimensions], lead[rank - 1 - dimensions :]
        y = _pooled(
            x.dimshuffle(*lead, last, *spatial),
            dimensions,
            window,
            ignore_border,
            stride,
            pad,
            mode,
        )
        at = len(lead)
        return y.dimshuffle(*lead, *range(at + 1, rank), at)
    if window is None:
        raise ValueError("a pooling needs the size of its window: ws")
    numbers = (
        per_dimension(window, dimensions, "ws"),
        per_dimension(window if stride is None else stride, dimensions, "stride"),
        per_dimension(0 if pad is None else pad, dimensions, "pad", least=0),
        bool(ignore_border),
    )
    mode = _mode(mode)
    if mode == "max":
        return MaxPool(*numbers)(x)
    if mode == "sum":
        return SumPool(*numbers)(x)
    dtype = x.type.dtype
    if dtype == "float16":
        # The sum may not fit where the average does.
        x = cast(x, "float32")
    total = SumPool(*numbers)(x)
    average = _divided(total, x, mode, *numbers)
    return cast(average, dtype) if dtype == "float16" else average


def _divided(
    total: Any,
    x: Any,
    mode: str,
    window: Sequence[int],
    strides: Sequence[int],
    pad: Sequence[int],
    ignore_border: bool,
) -> Any:
    """The sums over windows, divided by how many elements each holds."""
    dtype = total.type.dtype if total.type.dtype.startswith("float") else "float64"
    if ignore_border and (mode == "average_inc_pad" or not any(pad)):
        return total / constant(np.asarray(math.prod(window), dtype))
    n = len(window)
    for d, size in enumerate(from_variables(shape_tuple(x)[x.type.ndim - n :])):
        start = arange(count(size, window[d], strides[d], pad[d], ignore_border)) * strides[d]
        end = start + window[d]
        if mode == "average_inc_pad":
            held = minimum(end, size + 2 * pad[d]) - start
        else:
            held = minimum(end, size + pad[d]) - maximum(start, pad[d])
        order = ["x"] * (x.type.ndim - n + d) + [0] + ["x"] * (n - 1 - d)
        total = total / dimshuffle(cast(held, dtype), order)
    return total


def pool_2d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
    channels_last: bool = False,
) -> Any:
    """One number for each window of ``ws`` rows and columns, over the last two dimensions.

    - ``ws`` (also ``ds``): rows and columns of a window;
    - ``ignore_border``: whether windows that reach over the end count for nothing (True),
      or for what they hold (False, and the default, as in Theano);
    - ``stride`` (``st``): the steps from one window to the next; ``ws`` if not given;
    - ``pad`` (``padding``): how much to extend the image on each side, by less than a
      window; needs ``ignore_border``;
    - ``mode``: ``"max"``, ``"sum"``, ``"average_inc_pad"`` (the average, where padding
      counts as zeros) or ``"average_exc_pad"`` (it does not count);
    - ``channels_last``: the last dimension stays as it is; windows go over those before.

    All but the input are numbers that are known when building.  With ``ignore_border`` there are
    ``(size + 2 * pad - ws) // stride + 1`` windows, or none.  The gradient of a maximum
    goes to all elements that are equal to it.

    >>> import croton.tensor as T
    >>> x = T.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    >>> pool_2d(x, (2, 2), ignore_border=True).eval()
    array([[5.]])
    >>> pool_2d(x, (2, 2), ignore_border=False, mode="average_exc_pad").eval()
    array([[3. , 4.5],
           [7.5, 9. ]])
    """
    return _pooled(
        input,
        2,
        _one_of("ws", ws, "ds", ds),
        ignore_border,
        _one_of("stride", stride, "st", st),
        _one_of("pad", pad, "padding", padding, (0, 0)),
        mode,
        channels_last,
    )


def pool_3d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
    channels_last: bool = False,
) -> Any:
    """One number for each window over the last three dimensions; see :func:`pool_2d`.

    >>> import croton.tensor as T
    >>> pool_3d(T.ones((2, 4, 4, 4)), (2, 2, 2), ignore_border=True, mode="sum").eval().shape
    (2, 2, 2, 2)
    """
    return _pooled(
        input,
        3,
        _one_of("ws", ws, "ds", ds),
        ignore_border,
        _one_of("stride", stride, "st", st),
        _one_of("pad", pad, "padding", padding, (0, 0, 0)),
        mode,
        channels_last,
    )


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Any:
    """``input`` with zeros for all that is not the maximum of its patch; patches do not overlap.

    >>> import croton.tensor as T
    >>> max_pool_2d_same_size(T.constant([[1.0, 2.0], [4.0, 3.0]]), (2, 2)).eval()
    array([[0., 0.],
           [4., 0.]])
    """
    x = as_tensor_variable(input)
    size = per_dimension(patch_size, 2, "patch_size")
    numbers = (size, size, (0, 0), True)
    top = MaxPool(*numbers)(x)
    return MaxPoolSpread(*numbers)(x, top, top)


class Pool:
    """Theano's class: holds the mode, and is called on a tensor and the window.

    >>> import croton.tensor as T
    >>> Pool(ignore_border=True, mode="sum")(T.ones((4, 4)), (2, 2)).eval()
    array([[4., 4.],
           [4., 4.]])
    >>> Pool.out_shape((8, 3, 5, 5), (2, 2), ignore_border=False)
    [8, 3, 3, 3]
    """

    def __init__(
        self, ignore_border: bool = False, mode: str = "max", ndim: int = 2, openmp: Any = None
    ) -> None:
        self.ignore_border = bool(ignore_border)
        self.mode = _mode(mode)
        self.ndim = ndim

    def __call__(self, x: Any, ws: Any, stride: Any = None, pad: Any = None) -> Any:
        """The pooled tensor."""
        return _pooled(x, self.ndim, ws, self.ignore_border, stride, pad, self.mode)

    @staticmethod
    def out_shape(
        imgshape: Any,
        ws: Any = None,
        ignore_border: bool = False,
        stride: Any = None,
        pad: Any = None,
        ndim: int | None = 2,
        ds: Any = None,
        st: Any = None,
        padding: Any = None,
    ) -> list[Any]:
        """The shape of the result, of numbers and symbolic sizes."""
        n = 2 if ndim is None else ndim
        window = _one_of("ws", ws, "ds", ds)
        if window is None:
            raise ValueError("a pooling needs the size of its window: ws")
        if len(imgshape) < n:
            raise TypeError(f"a shape of at least {n} sizes is needed, got {imgshape!r}")
        stride = _one_of("stride", stride, "st", st)
        pad = _one_of("pad", pad, "padding", padding, (0,) * n)
        sizes = list(imgshape)
        numbers = zip(
            per_dimension(window, n, "ws"),
            per_dimension(window if stride is None else stride, n, "stride"),
            per_dimension(0 if pad is None else pad, n, "pad", least=0),
            strict=True,
        )
        return sizes[:-n] + [
            count(size, *of, ignore_border) for size, of in zip(sizes[-n:], numbers, strict=True)
        ]
