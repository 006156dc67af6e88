"""Layer, group and instance normalisation: the statistics are of each example alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import alloc
from croton.tensor.elementwise import cast
from croton.tensor.nnet.moments import as_epsilon, as_float, moments, wide
from croton.tensor.reduction import normalise_axis
from croton.tensor.shapes import dimshuffle, reshape, sizes_of


def _spread(p: Any, x: Any, axes: Sequence[int], name: str) -> Any:
    """The parameter ``p``, whose dimensions are ``axes`` of ``x``, with the rank of ``x``."""
    p = as_tensor_variable(p)
    if p.type.ndim != len(axes):
        raise ValueError(
            f"{name}: rank {len(axes)} expected, for the axes {tuple(axes)} of the input, got {p} "
            f"of rank {p.type.ndim}" + trace.describe(p.made_at)
        )
    for have, a in zip(p.type.shape, axes, strict=True):
        if None not in (have, x.type.shape[a]) and have != x.type.shape[a]:
            raise ValueError(
                f"{name}: {x.type.shape[a]} values along axis {a} of the input expected, got {p} "
                f"of shape {p.type.shape_text()}" + trace.describe(p.made_at)
            )
    place = {a: k for k, a in enumerate(axes)}
    return dimshuffle(p, [place.get(d, "x") for d in range(x.type.ndim)])


def _applied(x: Any, mean: Any, factor: Any, gamma: Any, beta: Any, axes: Sequence[int]) -> Any:
    """``(x - mean) * factor * gamma + beta`` in the dtype of ``x``, gamma and beta."""
    parts = [x]
    if gamma is not None:
        parts.append(_spread(gamma, x, axes, "gamma"))
        factor = factor * parts[-1]
    out = factor * (wide(x) - mean)
    if beta is not None:
        parts.append(_spread(beta, x, axes, "beta"))
        out = out + parts[-1]
    narrow = all(p.type.dtype == "float16" for p in parts)
    return cast(out, "float16") if narrow else out


def layer_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: Any = 1e-5
) -> Any:
    """``(x - mean) / sqrt(var + epsilon) * gamma + beta``, mean and variance over ``axis``.

    Ba, Kiros and Hinton 2016, arXiv:1607.06450.  ``axis`` is one or several (default: the
    last dimension, the features); ``gamma`` and ``beta``, which may be left out, have these
    dimensions, in their order.  The shape stays; float16 is summed up in float32, integers
    give floats.  Raises ValueError for parameters that do not fit.

    >>> import croton.tensor as T
    >>> layer_norm(T.constant([[1.0, 3.0], [5.0, 5.0]]), epsilon=0.25).eval().round(3)
    array([[-0.894,  0.894],
           [ 0.   ,  0.   ]])
    >>> layer_norm(T.constant([[1.0, 3.0]]), [2.0, 2.0], [1.0, 0.0], epsilon=0).eval()
    array([[-1.,  2.]])
    """
    x = as_float(x, "layer_norm")
    axes = normalise_axis(axis, x.type.ndim)
    if not axes:
        raise ValueError(f"layer_norm needs at least one axis, got {axis!r} for {x}")
    found = moments(wide(x), axes)
    factor = found.inverse_std(as_epsilon(epsilon, found.mean.type.dtype))
    return _applied(x, found.mean, factor, gamma, beta, axes)


def _channel_axis(x: Any, axis: Any, name: str) -> int:
    if x.type.ndim < 2:
        raise ValueError(
            f"{name} takes (batch, channels, ...), got {x} of rank {x.type.ndim}"
            + trace.describe(x.made_at)
        )
    (channel,) = normalise_axis(int(axis), x.type.ndim)
    if channel == 0:
        raise ValueError(f"{name}: axis 0 is the batch, the channels lie along another")
    return channel


def group_norm(
    x: Any,
    num_groups: int,
    gamma: Any = None,
    beta: Any = None,
    axis: int = 1,
    epsilon: Any = 1e-5,
) -> Any:
    """Normalisation of each example over groups of channels.

    Wu and He 2018, arXiv:1803.08494: ``(x - mean) / sqrt(var + epsilon) * gamma + beta``,
    where mean and variance are those of an example's group of ``channels / num_groups``
    neighbouring channels at all places.  ``axis`` is that of the channels (default 1, as in
    (batch, channels, rows, columns)); ``gamma`` and ``beta``, which may be left out, hold a
    number for each channel.  With one group everything of an example is normalised together;
    with as many as channels see :func:`instance_norm`.  Dtypes are those of
    :func:`layer_norm`.  Raises ValueError where ``num_groups`` does not divide the channels,
    and for parameters that do not fit.

    >>> import croton.tensor as T
    >>> x = T.constant([[1.0, 3.0, 10.0, 10.0]])
    >>> group_norm(x, 2, epsilon=0.25).eval().round(3)
    array([[-0.894,  0.894,  0.   ,  0.   ]])
    """
    x = as_float(x, "group_norm")
    channel = _channel_axis(x, axis, "group_norm")
    if isinstance(num_groups, bool) or not hasattr(num_groups, "__index__") or num_groups < 1:
        raise ValueError(f"num_groups is a positive int, got {num_groups!r}")
    groups, known = int(num_groups), x.type.shape[channel]
    if known is not None and known % groups:
        raise ValueError(
            f"group_norm: {known} channels of {x} are not divisible into {groups} groups"
            + trace.describe(x.made_at)
        )
    sizes = sizes_of(x)
    each = sizes[channel] // groups
    parts = reshape(wide(x), [*sizes[:channel], groups, each, *sizes[channel + 1 :]])
    found = moments(parts, tuple(d for d in range(1, x.type.ndim + 1) if d != channel))
    factor = found.inverse_std(as_epsilon(epsilon, found.mean.type.dtype))

    def by_channel(v: Any) -> Any:
        # A group's number for each of its channels, so that x itself needs no other shape.
        whole = alloc(dimshuffle(v, [0, channel, "x"]), sizes[0], groups, each)
        table = reshape(whole, [sizes[0], sizes[channel]])
        place = {0: 0, channel: 1}
        return dimshuffle(table, [place.get(d, "x") for d in range(x.type.ndim)])

    return _applied(x, by_channel(found.mean), by_channel(factor), gamma, beta, [channel])


def instance_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: int = 1, epsilon: Any = 1e-5
) -> Any:
    """Normalisation of each channel of each example over all places.

    Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022: :func:`group_norm` with as many
    groups as channels, and the same arguments.

    >>> import croton.tensor as T
    >>> instance_norm(T.constant([[[1.0, 3.0], [10.0, 10.0]]]), epsilon=0.25).eval().round(3)
    array([[[-0.894,  0.894],
            [ 0.   ,  0.   ]]])
    """
    x = as_float(x, "instance_norm")
    channel = _channel_axis(x, axis, "instance_norm")
    axes = tuple(d for d in range(1, x.type.ndim) if d != channel)
    if not axes:
        raise ValueError(
            f"instance_norm needs dimensions besides batch and channels, got {x} of rank 2"
            + trace.describe(x.made_at)
        )
    found = moments(wide(x), axes)
    factor = found.inverse_std(as_epsilon(epsilon, found.mean.type.dtype))
    return _applied(x, found.mean, factor, gamma, beta, [channel])
