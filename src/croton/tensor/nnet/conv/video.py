"""Theano's oldest convolutions in three dimensions: channels last, filters not reversed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.tensor.convert import as_tensor_variable
from croton.tensor.nnet.conv import geometry
from croton.tensor.nnet.conv.functions import (
    conv3d,
    conv3d_grad_wrt_inputs,
    conv3d_grad_wrt_weights,
)
from croton.tensor.shapes import dimshuffle, sizes_of

_FIRST, _LAST = (0, 4, 1, 2, 3), (0, 2, 3, 4, 1)


def _films(x: Any, name: str) -> Any:
    """With the channels behind the number."""
    x = as_tensor_variable(x)
    if x.type.ndim != 5:
        raise TypeError(
            f"{name}: rank 5 (number, rows, columns, time, channels) expected, got {x} of rank "
            f"{x.type.ndim}" + trace.describe(x.made_at)
        )
    return dimshuffle(x, _FIRST)


def _bias(b: Any) -> Any:
    b = as_tensor_variable(b)
    if b.type.ndim != 1:
        raise TypeError(
            f"b: a number for each channel expected, got {b} of rank {b.type.ndim}"
            + trace.describe(b.made_at)
        )
    return dimshuffle(b, ["x", "x", "x", "x", 0])


def _settings(d: Any) -> dict[str, Any]:
    return {"subsample": geometry.per_dimension(d, 3, "d"), "filter_flip": False}


def conv3D(V: Any, W: Any, b: Any, d: Any) -> Any:
    """``b`` plus the correlation of films ``V`` with filters ``W``.

    ``V`` is (number, rows, columns, time, channels), ``W`` (results, rows, columns, time,
    channels), ``b`` has a number for each result, and ``d`` are the three steps of the filters,
    which are known when building; the result is (number, rows, columns, time, results).

    >>> import croton.tensor as T
    >>> conv3D(T.ones((1, 4, 4, 4, 2)), T.ones((3, 2, 2, 2, 2)), T.zeros(3), (2, 1, 1)).eval().shape
    (1, 2, 3, 3, 3)
    """
    out = conv3d(_films(V, "V"), _films(W, "W"), **_settings(d))
    return dimshuffle(out, _LAST) + _bias(b)


def convTransp3D(W: Any, b: Any, d: Any, H: Any, RShape: Any = None) -> Any:
    """``b`` plus the transposed of :func:`conv3D`: from its result ``H`` to the shape of films.

    ``b`` has a number for each channel of the films, and ``RShape`` is their rows, columns and
    time (default: the least, ``(size - 1) * d + filter size``).

    >>> import croton.tensor as T
    >>> W, H = T.ones((3, 2, 2, 2, 1)), T.ones((1, 2, 3, 3, 3))
    >>> convTransp3D(W, T.zeros(1), (2, 1, 1), H).eval().shape
    (1, 4, 4, 4, 1)
    """
    w, h = _films(W, "W"), _films(H, "H")
    settings = _settings(d)
    if RShape is None or (isinstance(RShape, Sequence) and -1 in RShape):
        steps = zip(sizes_of(h)[2:], settings["subsample"], sizes_of(w)[2:], strict=True)
        sizes = [(n - 1) * step + size for n, step, size in steps]
    elif isinstance(RShape, Sequence):
        sizes = list(RShape)
    else:
        vector = as_tensor_variable(RShape)
        sizes = [vector[k] for k in range(3)]
    if len(sizes) != 3:
        raise ValueError(f"RShape is three sizes (rows, columns, time), got {RShape!r}")
    out = conv3d_grad_wrt_inputs(h, w, (None, None, *sizes), **settings)
    return dimshuffle(out, _LAST) + _bias(b)


def convGrad3D(V: Any, d: Any, WShape: Any, dCdH: Any) -> Any:
    """The gradient of :func:`conv3D` by its filters, given that by its result.

    ``WShape`` is the filters' shape (results, rows, columns, time, channels).

    >>> import croton.tensor as T
    >>> V, g = T.ones((1, 4, 4, 4, 2)), T.ones((1, 2, 3, 3, 3))
    >>> convGrad3D(V, (2, 1, 1), (3, 2, 2, 2, 2), g).eval().shape
    (3, 2, 2, 2, 2)
    """
    if not isinstance(WShape, Sequence):
        vector = as_tensor_variable(WShape)
        WShape = [vector[k] for k in range(5)]
    if len(WShape) != 5:
        raise ValueError(f"WShape is five sizes, got {WShape!r}")
    shape = (None, None, *WShape[1:4])
    out = conv3d_grad_wrt_weights(_films(V, "V"), _films(dCdH, "dCdH"), shape, **_settings(d))
    return dimshuffle(out, _LAST)


class Conv3D:
    """:func:`conv3D` as a callable object.

    >>> import croton.tensor as T
    >>> Conv3D()(T.ones((1, 2, 2, 2, 1)), T.ones((1, 2, 2, 2, 1)), [1.0], (1, 1, 1)).eval().item()
    9.0
    """

    def __call__(self, V: Any, W: Any, b: Any, d: Any) -> Any:
        """The convolution."""
        return conv3D(V, W, b, d)


class ConvTransp3D:
    """:func:`convTransp3D` as a callable object.

    >>> import croton.tensor as T
    >>> one = T.ones((1, 1, 1, 1, 1))
    >>> ConvTransp3D()(one, [1.0], (1, 1, 1), one).eval().item()
    2.0
    """

    def __call__(self, W: Any, b: Any, d: Any, H: Any, RShape: Any = None) -> Any:
        """The transposed convolution."""
        return convTransp3D(W, b, d, H, RShape)


class ConvGrad3D:
    """:func:`convGrad3D` as a callable object.

    >>> import croton.tensor as T
    >>> one = T.ones((1, 1, 1, 1, 1))
    >>> ConvGrad3D()(one, (1, 1, 1), one.shape, one).eval().item()
    1.0
    """

    def __call__(self, V: Any, d: Any, WShape: Any, dCdH: Any) -> Any:
        """The gradient."""
        return convGrad3D(V, d, WShape, dCdH)
