"""Convolution as a user writes it, with Theano's names and arguments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.tensor.convert import as_tensor_variable
from croton.tensor.nnet.conv import geometry
from croton.tensor.nnet.conv.ops import Convolution, ConvolutionFilters, ConvolutionInputs
from croton.tensor.shapes import known_size, specify_shape


class Settings:
    """What Theano's functions are told besides the tensors, for ``dimensions`` spatial ones."""

    def __init__(
        self,
        dimensions: int,
        border_mode: Any = "valid",
        subsample: Any = 1,
        filter_flip: bool = True,
        filter_dilation: Any = 1,
        num_groups: int = 1,
        unshared: bool = False,
    ) -> None:
        if unshared:
            raise NotImplementedError(
                "unshared=True: filters that differ from place to place are not supported"
            )
        self.dimensions = dimensions
        self.border_mode = border_mode
        self.subsample = geometry.per_dimension(subsample, dimensions, "subsample")
        self.dilation = geometry.per_dimension(filter_dilation, dimensions, "filter_dilation")
        self.groups = geometry.per_dimension(num_groups, 1, "num_groups")[0]
        self.flip = bool(filter_flip)

    def _op(self, kind: Any, filter_sizes: Sequence[int | None]) -> Any:
        padding = geometry.padding_of(self.border_mode, filter_sizes, self.dilation)
        return kind(self.subsample, padding, self.dilation, self.groups)

    def _tensor(self, x: Any, what: str, shape: Any = None) -> Any:
        x = as_tensor_variable(x)
        rank = self.dimensions + 2
        if x.type.ndim != rank:
            raise TypeError(
                f"a convolution in {self.dimensions} dimensions takes {what} of rank {rank}, got "
                f"{x} of rank {x.type.ndim}" + trace.describe(x.made_at)
            )
        return promised(x, shape, what)

    def _turned(self, w: Any) -> Any:
        if not self.flip:
            return w
        return w[(slice(None), slice(None), *[slice(None, None, -1)] * self.dimensions)]

    def forward(
        self, x: Any, w: Any, x_shape: Any = None, w_shape: Any = None, channels_last: bool = False
    ) -> Any:
        """The convolution."""
        x, w = self._tensor(x, "input", x_shape), self._tensor(w, "filters", w_shape)
        if channels_last:
            x = with_channels_first(x)
        y = self._op(Convolution, w.type.shape[2:])(x, self._turned(w))
        return with_channels_last(y) if channels_last else y

    def by_inputs(self, dy: Any, w: Any, x_shape: Any, sizes: Any, w_shape: Any = None) -> Any:
        """Its gradient by the input, whose spatial sizes are ``sizes``."""
        dy = self._tensor(dy, "output_grad")
        w = self._tensor(w, "filters", w_shape)
        sizes = _sizes(sizes, self.dimensions, "input_shape")
        dx = self._op(ConvolutionInputs, w.type.shape[2:])(dy, self._turned(w), *sizes)
        return promised(dx, x_shape, "input")

    def by_filters(self, x: Any, dy: Any, w_shape: Any, sizes: Any, x_shape: Any = None) -> Any:
        """Its gradient by the filters, whose spatial sizes are ``sizes``."""
        x, dy = self._tensor(x, "input", x_shape), self._tensor(dy, "output_grad")
        sizes = _sizes(sizes, self.dimensions, "filter_shape")
        known = [known_size(s) for s in sizes]
        dw = self._turned(self._op(ConvolutionFilters, known)(x, dy, *sizes))
        return promised(dw, w_shape, "filters")


def with_channels_first(x: Any) -> Any:
    """(batch, places..., channels) as (batch, channels, places...): a view."""
    rank = x.type.ndim
    return x.dimshuffle(0, rank - 1, *range(1, rank - 1))


def with_channels_last(x: Any) -> Any:
    """(batch, channels, places...) as (batch, places..., channels): a view."""
    return x.dimshuffle(0, *range(2, x.type.ndim), 1)


def promised(x: Any, shape: Any, what: str) -> Any:
    """``x`` with the sizes that ``shape`` gives as numbers; ValueError if it has others."""
    if shape is None:
        return x
    given = [None if n is None else known_size(as_tensor_variable(n)) for n in _listed(shape, what)]
    if len(given) != x.type.ndim:
        raise ValueError(f"the shape of {what} has {x.type.ndim} sizes, got {tuple(shape)}")
    for n, have in zip(given, x.type.shape, strict=True):
        if None not in (n, have) and n != have:
            raise ValueError(
                f"{what}: {x} has shape {x.type.shape_text()}, but {tuple(given)} is given"
                + trace.describe(x.made_at)
            )
    return specify_shape(x, given)


def _listed(shape: Any, what: str) -> list[Any]:
    if isinstance(shape, list | tuple):
        return list(shape)
    v = as_tensor_variable(shape)
    if v.type.ndim != 1 or v.type.shape[0] is None:
        raise TypeError(f"the shape of {what} is a tuple of sizes, got {shape!r}")
    return [v[k] for k in range(v.type.shape[0])]


def _sizes(sizes: Any, dimensions: int, what: str) -> list[Any]:
    given = _listed(sizes, what)[-dimensions:]
    if len(given) != dimensions or any(s is None for s in given):
        raise ValueError(f"{what} must give its last {dimensions} sizes, got {sizes!r}")
    return [as_tensor_variable(s) for s in given]


def conv1d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = 1,
    filter_flip: bool = True,
    filter_dilation: Any = 1,
    num_groups: int = 1,
    channels_last: bool = False,
) -> Any:
    """The convolution of signals: :func:`conv2d` with one spatial dimension.

    >>> import croton.tensor as T
    >>> conv1d(T.constant([[[1.0, 2.0, 3.0]]]), T.constant([[[1.0, 10.0]]])).eval()
    array([[[12., 23.]]])
    """
    settings = Settings(1, border_mode, subsample, filter_flip, filter_dilation, num_groups)
    return settings.forward(input, filters, input_shape, filter_shape, channels_last)


def conv2d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    image_shape: Any = None,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
    channels_last: bool = False,
    **kwargs: Any,
) -> Any:
    """The convolution of images (batch, channels, rows, columns) with filters.

    ``filters`` are (results, channels / ``num_groups``, rows, columns), and the result is
    (batch, results, rows, columns), with ``(size + pads - reach) // subsample + 1`` rows
    and columns, where a filter reaches ``(filter size - 1) * filter_dilation + 1``.

    - ``input_shape`` (``image_shape``), ``filter_shape``: sizes that are known, None for
      others; other sizes are then an error;
    - ``border_mode``: how many zeros surround the image: ``"valid"`` none; ``"full"``
      ``reach - 1`` on each side; ``"half"`` ``reach // 2`` on each side; ``"same"`` so
      many that with ``subsample`` 1 the size stays; a number; for each dimension a number
      or a pair (before, after);
    - ``subsample``: the step from one position to the next;
    - ``filter_flip``: reverse the filters' rows and columns (convolution); False for
      cross-correlation;
    - ``filter_dilation``: the step from one element under the filter to the next;
    - ``num_groups``: groups of channels that do not mix; as many as channels is a
      depthwise convolution;
    - ``channels_last``: ``input`` and the result are (batch, rows, columns, channels);
      filters are as ever.  What is fastest is chosen inside either way.

    Raises ValueError where channels do not agree, groups do not divide them, or a filter
    reaches further than the padded image; NotImplementedError for ``unshared``.  Options
    that old programs give to tune Theano's ConvOp (``unroll_batch`` and the like) are
    ignored.

    >>> import croton.tensor as T
    >>> image = T.constant([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    >>> conv2d(image, T.constant([[[[1.0, 0.0]]]])).eval()
    array([[[[2., 3.],
             [5., 6.]]]])
    >>> conv2d(image, T.constant([[[[1.0, 0.0]]]]), filter_flip=False).eval()
    array([[[[1., 2.],
             [4., 5.]]]])
    """
    for name in ("imshp_logical", "kshp_logical"):
        if kwargs.pop(name, None) is not None:
            raise NotImplementedError(f"conv2d has no {name}")
    unknown = sorted(set(kwargs) - _TUNING)
    if unknown:
        warnings.warn(f"conv2d ignores the arguments {', '.join(unknown)}", stacklevel=2)
    if image_shape is not None:
        if input_shape is not None:
            raise ValueError("input_shape and image_shape mean the same; give one of them")
        input_shape = image_shape
    settings = Settings(
        2, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
    )
    return settings.forward(input, filters, input_shape, filter_shape, channels_last)


_TUNING = {
    "direction_hint",
    "openmp",
    "unroll_batch",
    "unroll_kern",
    "unroll_patch",
    "verbose",
    "version",
}


def conv3d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
    unshared: bool = False,
    channels_last: bool = False,
) -> Any:
    """The convolution of volumes: :func:`conv2d` with three spatial dimensions.

    >>> import croton.tensor as T
    >>> conv3d(T.ones((2, 3, 4, 5, 6)), T.ones((7, 3, 2, 2, 2))).eval().shape
    (2, 7, 3, 4, 5)
    """
    settings = Settings(
        3, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
    )
    return settings.forward(input, filters, input_shape, filter_shape, channels_last)


def conv2d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The gradient of :func:`conv2d` by its input, given that by its result.

    ``input_shape`` is the input's; its last two sizes are needed, numbers or symbolic.
    The other arguments are those of the convolution.

    >>> import croton.tensor as T
    >>> g, w = T.ones((1, 1, 2, 2)), T.constant([[[[1.0, 2.0]]]])
    >>> conv2d_grad_wrt_inputs(g, w, (None, None, 2, 3)).eval()
    array([[[[2., 3., 1.],
             [2., 3., 1.]]]])
    """
    settings = Settings(
        2, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
    )
    return settings.by_inputs(output_grad, filters, input_shape, input_shape, filter_shape)


def conv3d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The gradient of :func:`conv3d` by its input; see :func:`conv2d_grad_wrt_inputs`.

    >>> import croton.tensor as T
    >>> g, w = T.ones((1, 1, 1, 1, 1)), T.ones((1, 2, 2, 2, 2))
    >>> conv3d_grad_wrt_inputs(g, w, (1, 2, 2, 2, 2)).eval().shape
    (1, 2, 2, 2, 2)
    """
    settings = Settings(
        3, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
    )
    return settings.by_inputs(output_grad, filters, input_shape, input_shape, filter_shape)


def conv2d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Any,
    input_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The gradient of :func:`conv2d` by its filters, given that by its result.

    ``filter_shape`` is the filters'; its last two sizes are needed, numbers or symbolic.

    >>> import croton.tensor as T
    >>> x, g = T.constant([[[[1.0, 2.0, 3.0]]]]), T.ones((1, 1, 1, 2))
    >>> conv2d_grad_wrt_weights(x, g, (1, 1, 1, 2)).eval()
    array([[[[5., 3.]]]])
    """
    settings = Settings(
        2, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
    )
    return settings.by_filters(input, output_grad, filter_shape, filter_shape, input_shape)


def conv3d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Any,
    input_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The gradient of :func:`conv3d` by its filters; see :func:`conv2d_grad_wrt_weights`.

    >>> import croton.tensor as T
    >>> x, g = T.ones((1, 1, 2, 2, 2)), T.ones((1, 1, 1, 1, 1))
    >>> conv3d_grad_wrt_weights(x, g, (1, 1, 2, 2, 2)).eval().shape
    (1, 1, 2, 2, 2)
    """
    settings = Settings(
        3, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
    )
    return settings.by_filters(input, output_grad, filter_shape, filter_shape, input_shape)


def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    input_dilation: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """The transposed convolution ("deconvolution"): of the shape that a convolution takes.

    ``filters`` are (channels of ``input``, channels of the result / ``num_groups``, rows,
    columns); ``output_shape`` is the result's; ``input_dilation`` is the ``subsample`` of
    the convolution that goes the other way, as ``border_mode`` is its.

    >>> import croton.tensor as T
    >>> x, w = T.constant([[[[1.0, 2.0]]]]), T.ones((1, 1, 1, 2))
    >>> conv2d_transpose(x, w, (1, 1, 1, 4), input_dilation=(1, 2)).eval()
    array([[[[1., 1., 2., 2.]]]])
    """
    return conv2d_grad_wrt_inputs(
        input,
        filters,
        output_shape,
        filter_shape,
        border_mode,
        input_dilation,
        filter_flip,
        filter_dilation,
        num_groups,
        unshared,
    )


def separable_conv2d(
    input: Any,
    depthwise_filters: Any,
    pointwise_filters: Any,
    num_channels: int,
    input_shape: Any = None,
    depthwise_filter_shape: Any = None,
    pointwise_filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
) -> Any:
    """A depthwise convolution, then one with filters of one pixel that mixes the channels.

    ``depthwise_filters`` are (a multiple of ``num_channels``, 1, rows, columns),
    ``pointwise_filters`` (results, that multiple, 1, 1).  The other arguments are those
    of the depthwise convolution; see :func:`conv2d`.

    >>> import croton.tensor as T
    >>> x, depthwise, pointwise = T.ones((1, 2, 5, 5)), T.ones((4, 1, 3, 3)), T.ones((8, 4, 1, 1))
    >>> separable_conv2d(x, depthwise, pointwise, num_channels=2).eval().shape
    (1, 8, 3, 3)
    """
    settings = Settings(2, border_mode, subsample, filter_flip, filter_dilation, num_channels)
    each = settings.forward(input, depthwise_filters, input_shape, depthwise_filter_shape)
    return Settings(2).forward(each, pointwise_filters, None, pointwise_filter_shape)


def separable_conv3d(
    input: Any,
    depthwise_filters: Any,
    pointwise_filters: Any,
    num_channels: int,
    input_shape: Any = None,
    depthwise_filter_shape: Any = None,
    pointwise_filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
) -> Any:
    """:func:`separable_conv2d` with three spatial dimensions.

    >>> import croton.tensor as T
    >>> x, depthwise, pointwise = (T.ones(s) for s in ((1, 2, 3, 3, 3), (2, 1, 2, 2, 2),
    ...                                                (5, 2, 1, 1, 1)))
    >>> separable_conv3d(x, depthwise, pointwise, num_channels=2).eval().shape
    (1, 5, 2, 2, 2)
    """
    settings = Settings(3, border_mode, subsample, filter_flip, filter_dilation, num_channels)
    each = settings.forward(input, depthwise_filters, input_shape, depthwise_filter_shape)
    return Settings(3).forward(each, pointwise_filters, None, pointwise_filter_shape)


def causal_conv1d(
    input: Any,
    filters: Any,
    filter_shape: Any,
    input_shape: Any = None,
    subsample: int = 1,
    filter_flip: bool = True,
    filter_dilation: int = 1,
    num_groups: int = 1,
    unshared: bool = False,
) -> Any:
    """A convolution of signals that looks back only: zeros are put before them.

    ``filter_shape`` must give the filters' length, its last size, as a number.

    >>> import croton.tensor as T
    >>> x, w = T.constant([[[1.0, 2.0, 3.0]]]), T.constant([[[10.0, 1.0]]])
    >>> causal_conv1d(x, w, (1, 1, 2)).eval()
    array([[[10., 21., 32.]]])
    """
    length = geometry.whole(_listed(filter_shape, "filters")[-1], "the length of the filters")
    dilation = geometry.per_dimension(filter_dilation, 1, "filter_dilation")
    before = geometry.extent(length, dilation[0]) - 1
    settings = Settings(1, ((before, 0),), subsample, filter_flip, dilation, num_groups, unshared)
    return settings.forward(input, filters, input_shape, filter_shape)
