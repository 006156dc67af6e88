"""``theano.tensor.nnet.conv3d2d``: convolutions of films whose channels lie behind the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.tensor.convert import as_tensor_variable
from croton.tensor.nnet.conv import geometry
from croton.tensor.nnet.conv.functions import conv3d as convolve_volumes
from croton.tensor.shapes import dimshuffle

_AXES = (0, 2, 1, 3, 4)


def _in_order(x: Any, shape: Any, name: str) -> tuple[Any, Any]:
    x = as_tensor_variable(x)
    if x.type.ndim != 5:
        raise TypeError(
            f"conv3d takes {name} of rank 5 (number, time, channels, rows, columns), got {x} of "
            f"rank {x.type.ndim}" + trace.describe(x.made_at)
        )
    if shape is not None:
        if len(shape) != 5:
            raise ValueError(f"{name}_shape has 5 sizes, got {tuple(shape)}")
        shape = [shape[a] for a in _AXES]
    return dimshuffle(x, _AXES), shape


def _padding(border_mode: Any, sizes: Sequence[int | None]) -> Any:
    if isinstance(border_mode, str):
        border_mode = (border_mode,) * 3
    if not isinstance(border_mode, list | tuple) or len(border_mode) != 3:
        raise ValueError(
            f"border_mode is 'valid', 'full' or 'half', or three of them, got {border_mode!r}"
        )
    for mode in border_mode:
        if mode not in ("valid", "full", "half"):
            raise ValueError(f"border_mode is 'valid', 'full' or 'half', got {mode!r}")
    if len(set(border_mode)) == 1:
        return border_mode[0]
    pads = []
    for mode, size in zip(border_mode, sizes, strict=True):
        if mode != "valid" and size is None:
            raise ValueError(
                f"border_mode {tuple(border_mode)!r}: modes that differ need the filters' sizes; "
                "give filters_shape"
            )
        pads.append((0, 0) if mode == "valid" else geometry.pads(mode, size, 1))
    return tuple(pads)


def conv3d(
    signals: Any,
    filters: Any,
    signals_shape: Any = None,
    filters_shape: Any = None,
    border_mode: Any = "valid",
) -> Any:
    """The convolution of films with filters that reach over time, rows and columns.

    ``signals`` are (number, time, channels, rows, columns), ``filters`` (results, time,
    channels, rows, columns), which are reversed; the result is (number, time, results, rows,
    columns).  ``signals_shape`` and ``filters_shape`` are sizes that are known (None for
    others); ``border_mode`` is ``"valid"``, ``"full"`` or ``"half"``, or one of them for each
    of time, rows and columns.  It is :func:`croton.tensor.nnet.conv3d` with the dimensions in
    another order.

    >>> import croton.tensor as T
    >>> conv3d(T.ones((2, 5, 3, 8, 8)), T.ones((4, 2, 3, 3, 3))).eval().shape
    (2, 4, 4, 6, 6)
    """
    x, x_shape = _in_order(signals, signals_shape, "signals")
    w, w_shape = _in_order(filters, filters_shape, "filters")
    known = list(w.type.shape) if w_shape is None else w_shape
    sizes = [n if isinstance(n, int) else k for n, k in zip(known, w.type.shape, strict=True)]
    out = convolve_volumes(x, w, x_shape, w_shape, _padding(border_mode, sizes[2:]))
    return dimshuffle(out, _AXES)
