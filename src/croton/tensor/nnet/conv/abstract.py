"""Theano's classes of convolutions: objects that hold the settings and are called on tensors.

They are not ops: what they are called on goes into :class:`Convolution` and its gradients.
"""

from __future__ import annotations

from typing import Any

from croton.tensor.nnet.conv import geometry
from croton.tensor.nnet.conv.functions import Settings


class _Abstract:
    dimensions = 2

    def __init__(
        self,
        imshp: Any = None,
        kshp: Any = None,
        border_mode: Any = "valid",
        subsample: Any = 1,
        filter_flip: bool = True,
        filter_dilation: Any = 1,
        num_groups: int = 1,
        unshared: bool = False,
    ) -> None:
        self.imshp = None if imshp is None else tuple(imshp)
        self.kshp = None if kshp is None else tuple(kshp)
        self.border_mode = border_mode
        self.filter_flip = filter_flip
        self.num_groups = num_groups
        self.unshared = unshared
        self._settings = Settings(
            self.dimensions,
            border_mode,
            subsample,
            filter_flip,
            filter_dilation,
            num_groups,
            unshared,
        )
        self.subsample = self._settings.subsample
        self.filter_dilation = self._settings.dilation


class AbstractConv2d(_Abstract):
    """Called on images and filters: :func:`conv2d` of them.

    >>> import croton.tensor as T
    >>> AbstractConv2d(border_mode="full")(T.ones((1, 1, 4, 4)), T.ones((1, 1, 3, 3))).eval().shape
    (1, 1, 6, 6)
    """

    def __call__(self, img: Any, kern: Any) -> Any:
        """The convolution of ``img`` with ``kern``."""
        return self._settings.forward(img, kern, self.imshp, self.kshp)


class AbstractConv2d_gradInputs(_Abstract):
    """Called on filters, the result's gradient and the image's spatial sizes.

    See :func:`conv2d_grad_wrt_inputs`.

    >>> import croton.tensor as T
    >>> op = AbstractConv2d_gradInputs(subsample=(2, 2))
    >>> op(T.ones((3, 1, 2, 2)), T.ones((1, 3, 4, 4)), (8, 8)).eval().shape
    (1, 1, 8, 8)
    """

    def __call__(self, kern: Any, topgrad: Any, shape: Any, add_assert_shape: bool = True) -> Any:
        """The gradient by images of the spatial sizes ``shape``; sizes are always checked."""
        return self._settings.by_inputs(topgrad, kern, self.imshp, shape, self.kshp)


class AbstractConv2d_gradWeights(_Abstract):
    """Called on images, the result's gradient and the filters' spatial sizes.

    See :func:`conv2d_grad_wrt_weights`.

    >>> import croton.tensor as T
    >>> op = AbstractConv2d_gradWeights()
    >>> op(T.ones((1, 2, 4, 4)), T.ones((1, 3, 3, 3)), (2, 2)).eval().shape
    (3, 2, 2, 2)
    """

    def __call__(self, img: Any, topgrad: Any, shape: Any, add_assert_shape: bool = True) -> Any:
        """The gradient by filters of the spatial sizes ``shape``; sizes are always checked."""
        return self._settings.by_filters(img, topgrad, self.kshp, shape, self.imshp)


class AbstractConv3d(AbstractConv2d):
    """:class:`AbstractConv2d` with three spatial dimensions.

    >>> import croton.tensor as T
    >>> AbstractConv3d()(T.ones((1, 1, 4, 4, 4)), T.ones((1, 1, 3, 3, 3))).eval().shape
    (1, 1, 2, 2, 2)
    """

    dimensions = 3


class AbstractConv3d_gradInputs(AbstractConv2d_gradInputs):
    """:class:`AbstractConv2d_gradInputs` with three spatial dimensions.

    >>> import croton.tensor as T
    >>> op = AbstractConv3d_gradInputs()
    >>> op(T.ones((1, 1, 2, 2, 2)), T.ones((1, 1, 3, 3, 3)), (4, 4, 4)).eval().shape
    (1, 1, 4, 4, 4)
    """

    dimensions = 3


class AbstractConv3d_gradWeights(AbstractConv2d_gradWeights):
    """:class:`AbstractConv2d_gradWeights` with three spatial dimensions.

    >>> import croton.tensor as T
    >>> op = AbstractConv3d_gradWeights()
    >>> op(T.ones((1, 1, 4, 4, 4)), T.ones((1, 1, 3, 3, 3)), (2, 2, 2)).eval().shape
    (1, 1, 2, 2, 2)
    """

    dimensions = 3


def get_conv_output_shape(
    image_shape: Any,
    kernel_shape: Any,
    border_mode: Any,
    subsample: Any,
    filter_dilation: Any = None,
) -> tuple[Any, ...]:
    """The shape that a convolution gives: of numbers, None where it is not known.

    >>> get_conv_output_shape((8, 3, None, 32), (5, 3, 3, 3), "half", (1, 2))
    (8, 5, None, 16)
    """
    count = len(subsample)
    dilation = geometry.per_dimension(
        1 if filter_dilation is None else filter_dilation, count, "filter_dilation"
    )
    filters = list(kernel_shape)[-count:]
    padding = geometry.padding_of(border_mode, filters, dilation)
    spatial = geometry.from_type(list(image_shape)[2:])
    sizes = [
        geometry.positions(*numbers)
        for numbers in zip(
            spatial, geometry.from_type(filters), padding, subsample, dilation, strict=True
        )
    ]
    return (image_shape[0], kernel_shape[0], *(geometry.to_known(n) for n in sizes))


class ConvOp:
    """Theano's old op: called on images and filters it convolves them.

    ``dx`` and ``dy`` are the steps, ``output_mode`` is ``"valid"`` or ``"full"``.

    >>> ConvOp.getOutputShape((28, 28), (5, 5), (1, 1), "valid")
    (24, 24)
    """

    def __init__(
        self,
        imshp: Any = None,
        kshp: Any = None,
        nkern: int | None = None,
        bsize: int | None = None,
        dx: int = 1,
        dy: int = 1,
        output_mode: str = "valid",
        **tuning: Any,
    ) -> None:
        if output_mode not in ("valid", "full"):
            raise ValueError(f"output_mode is 'valid' or 'full', got {output_mode!r}")
        self._settings = Settings(2, output_mode, (dx, dy))
        self._image = None if imshp is None else (bsize, *((1, *imshp)[-3:]))
        channels = None if self._image is None else self._image[1]
        self._filters = None if kshp is None else (nkern, channels, *kshp)

    def __call__(self, inputs: Any, kerns: Any) -> Any:
        """The convolution of ``inputs`` with ``kerns``."""
        return self._settings.forward(inputs, kerns, self._image, self._filters)

    @staticmethod
    def getOutputShape(
        inshp: Any, kshp: Any, stride: Any = (1, 1), mode: str = "valid"
    ) -> tuple[int, ...]:
        """The rows and columns of the result."""
        return get_conv_output_shape((None, None, *inshp), (None, None, *kshp), mode, stride)[2:]
