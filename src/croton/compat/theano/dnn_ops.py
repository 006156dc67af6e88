"""cuDNN's convolutions as the ops that programs put together themselves.

A description, made of settings and called on shapes, goes with the tensors into one of three
ops, together with a tensor that says which shape the result has (Theano wrote it there)::

    desc = GpuDnnConvDesc(border_mode=(2, 2), subsample=(2, 2))(images.shape, filters.shape)
    images = GpuDnnConvGradI()(filters, result, gpu_alloc_empty(*shape), desc)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from croton.graph import trace
from croton.tensor import as_tensor_variable
from croton.tensor.nnet import (
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv3d,
    conv3d_grad_wrt_inputs,
    conv3d_grad_wrt_weights,
    get_conv_output_shape,
)

__all__ = [
    "GpuDnnConv",
    "GpuDnnConvDesc",
    "GpuDnnConvGradI",
    "GpuDnnConvGradW",
    "flips",
    "settings",
]


def flips(conv_mode: str) -> bool:
    """Whether filters are reversed: in mode ``"conv"``, not in ``"cross"``."""
    if conv_mode not in ("conv", "cross"):
        raise ValueError(f"conv_mode is 'conv' or 'cross', got {conv_mode!r}")
    return conv_mode == "conv"


def settings(
    border_mode: Any, subsample: Any, dilation: Any, conv_mode: str, num_groups: int = 1
) -> dict[str, Any]:
    """cuDNN's arguments as those of :func:`croton.tensor.nnet.conv2d`."""
    return {
        "border_mode": border_mode,
        "subsample": subsample,
        "filter_flip": flips(conv_mode),
        "filter_dilation": dilation,
        "num_groups": num_groups,
    }


class _Description:
    def __init__(self, dimensions: int, given: dict[str, Any]) -> None:
        self.dimensions = dimensions
        self.given = given


class GpuDnnConvDesc:
    """The settings of a convolution; called on shapes, which it does not need, a description."""

    def __init__(
        self,
        border_mode: Any,
        subsample: Sequence[int] = (1, 1),
        dilation: Any = None,
        conv_mode: str = "conv",
        precision: Any = None,
        num_groups: int = 1,
    ) -> None:
        if isinstance(dilation, str):
            # Theano before dilation: conv_mode came third.
            dilation, conv_mode = None, dilation
        self.border_mode = border_mode
        self.subsample = tuple(subsample)
        self.dilation = (1,) * len(self.subsample) if dilation is None else dilation
        self.conv_mode = conv_mode
        self.num_groups = num_groups
        self._given = settings(border_mode, self.subsample, self.dilation, conv_mode, num_groups)

    def __call__(self, *shapes: Any) -> Any:
        """A description for the ops."""
        return _Description(len(self.subsample), self._given)


class _Op:
    functions: tuple[Callable[..., Any], Callable[..., Any]]

    def __init__(self, *arguments: Any, **tuning: Any) -> None:
        """The arguments tune cuDNN and change nothing."""

    def __call__(
        self, a: Any, b: Any, output: Any, desc: Any, alpha: Any = 1, beta: Any = 0
    ) -> Any:
        """``alpha`` times the result plus ``beta`` times ``output``, whose shape it has."""
        if not isinstance(desc, _Description):
            raise TypeError(
                f"{type(self).__name__} takes what a GpuDnnConvDesc gives when it is called, "
                f"got {desc!r}"
            )
        output = as_tensor_variable(output)
        rank = desc.dimensions + 2
        if output.type.ndim != rank:
            raise TypeError(
                f"{type(self).__name__} takes an output of rank {rank}, got {output} of rank "
                f"{output.type.ndim}" + trace.describe(output.made_at)
            )
        result = self._apply(self.functions[desc.dimensions - 2], a, b, output, desc.given)
        if not (isinstance(alpha, int | float) and alpha == 1):
            result = result * as_tensor_variable(alpha).astype(result.type.dtype)
        if not (isinstance(beta, int | float) and beta == 0):
            result = result + output * as_tensor_variable(beta).astype(result.type.dtype)
        return result

    def _apply(
        self, function: Callable[..., Any], a: Any, b: Any, output: Any, given: dict[str, Any]
    ) -> Any:
        sizes = [output.shape[d] for d in range(output.type.ndim)]
        return function(a, b, (None, None, *sizes[2:]), **given)


class GpuDnnConv(_Op):
    """Called on images, filters, an output and a description: the convolution."""

    functions = (conv2d, conv3d)

    def _apply(
        self, function: Callable[..., Any], a: Any, b: Any, output: Any, given: dict[str, Any]
    ) -> Any:
        return function(a, b, **given)

    @staticmethod
    def get_out_shape(
        ishape: Any, kshape: Any, border_mode: Any, subsample: Any, dilation: Any = None
    ) -> tuple[Any, ...]:
        """The shape of the convolution of images with filters of these shapes."""
        return tuple(get_conv_output_shape(ishape, kshape, border_mode, subsample, dilation))


class GpuDnnConvGradI(_Op):
    """Called on filters, a result's gradient, images and a description: the images' gradient."""

    functions = (conv2d_grad_wrt_inputs, conv3d_grad_wrt_inputs)

    def _apply(
        self, function: Callable[..., Any], a: Any, b: Any, output: Any, given: dict[str, Any]
    ) -> Any:
        return super()._apply(function, b, a, output, given)


class GpuDnnConvGradW(_Op):
    """Called on images, a result's gradient, filters and a description: the filters' gradient."""

    functions = (conv2d_grad_wrt_weights, conv3d_grad_wrt_weights)
