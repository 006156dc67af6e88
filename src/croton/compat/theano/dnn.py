"""``theano.sandbox.cuda.dnn`` where cuDNN is not: its functions are those of ``theano.tensor``."""

from __future__ import annotations

from typing import Any

from croton.compat.theano.dnn_ops import (
    GpuDnnConv,
    GpuDnnConvDesc,
    GpuDnnConvGradI,
    GpuDnnConvGradW,
    settings,
)
from croton.graph import trace
from croton.tensor import as_tensor_variable
from croton.tensor.nnet import (
    batch_normalization_test,
    batch_normalization_train,
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv3d,
    conv3d_grad_wrt_inputs,
    conv3d_grad_wrt_weights,
    spatial_transformer,
)
from croton.tensor.signal import pool_2d, pool_3d

__all__ = [
    "GpuDnnConv",
    "GpuDnnConvDesc",
    "GpuDnnConvGradI",
    "GpuDnnConvGradW",
    "dnn_available",
    "dnn_batch_normalization_test",
    "dnn_batch_normalization_train",
    "dnn_conv",
    "dnn_conv3d",
    "dnn_gradinput",
    "dnn_gradinput3d",
    "dnn_gradweight",
    "dnn_gradweight3d",
    "dnn_pool",
    "dnn_present",
    "dnn_spatialtf",
    "version",
]


def dnn_available(context_name: str | None = None) -> bool:
    """Whether cuDNN can be used: no; ``dnn_available.msg`` says why."""
    return False


dnn_available.msg = "Theano's use of cuDNN is not part of Croton"  # type: ignore[attr-defined]
dnn_available.avail = False  # type: ignore[attr-defined]


def dnn_present() -> bool:
    """Whether cuDNN was found: no."""
    return False


def version(raises: bool = True) -> int:
    """The version of cuDNN: there is none, an error or -1."""
    if raises:
        raise RuntimeError(dnn_available.msg)  # type: ignore[attr-defined]
    return -1


def dnn_conv(
    img: Any,
    kerns: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    dilation: Any = (1, 1),
    conv_mode: str = "conv",
    direction_hint: Any = None,
    workmem: Any = None,
    algo: Any = None,
    precision: Any = None,
    num_groups: int = 1,
) -> Any:
    """:func:`croton.tensor.nnet.conv2d`; ``conv_mode="cross"`` does not reverse the filters.

    ``direction_hint``, ``workmem``, ``algo`` and ``precision`` are cuDNN's and change nothing.
    """
    given = settings(border_mode, subsample, dilation, conv_mode, num_groups)
    return conv2d(img, kerns, **given)


def dnn_conv3d(
    img: Any,
    kerns: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    dilation: Any = (1, 1, 1),
    conv_mode: str = "conv",
    direction_hint: Any = None,
    algo: Any = None,
    precision: Any = None,
    num_groups: int = 1,
) -> Any:
    """:func:`croton.tensor.nnet.conv3d`; see :func:`dnn_conv`."""
    given = settings(border_mode, subsample, dilation, conv_mode, num_groups)
    return conv3d(img, kerns, **given)


def dnn_gradweight(
    img: Any,
    topgrad: Any,
    kerns_shp: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    dilation: Any = (1, 1),
    conv_mode: str = "conv",
    precision: Any = None,
    algo: Any = None,
    num_groups: int = 1,
) -> Any:
    """The gradient of :func:`dnn_conv` by the filters, whose shape is ``kerns_shp``."""
    given = settings(border_mode, subsample, dilation, conv_mode, num_groups)
    return conv2d_grad_wrt_weights(img, topgrad, kerns_shp, **given)


def dnn_gradweight3d(
    img: Any,
    topgrad: Any,
    kerns_shp: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    dilation: Any = (1, 1, 1),
    conv_mode: str = "conv",
    precision: Any = None,
    algo: Any = None,
    num_groups: int = 1,
) -> Any:
    """The gradient of :func:`dnn_conv3d` by the filters, whose shape is ``kerns_shp``."""
    given = settings(border_mode, subsample, dilation, conv_mode, num_groups)
    return conv3d_grad_wrt_weights(img, topgrad, kerns_shp, **given)


def dnn_gradinput(
    kerns: Any,
    topgrad: Any,
    img_shp: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    dilation: Any = (1, 1),
    conv_mode: str = "conv",
    precision: Any = None,
    algo: Any = None,
    num_groups: int = 1,
) -> Any:
    """The gradient of :func:`dnn_conv` by the images, whose shape is ``img_shp``."""
    given = settings(border_mode, subsample, dilation, conv_mode, num_groups)
    return conv2d_grad_wrt_inputs(topgrad, kerns, img_shp, **given)


def dnn_gradinput3d(
    kerns: Any,
    topgrad: Any,
    img_shp: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    dilation: Any = (1, 1, 1),
    conv_mode: str = "conv",
    precision: Any = None,
    algo: Any = None,
    num_groups: int = 1,
) -> Any:
    """The gradient of :func:`dnn_conv3d` by the volumes, whose shape is ``img_shp``."""
    given = settings(border_mode, subsample, dilation, conv_mode, num_groups)
    return conv3d_grad_wrt_inputs(topgrad, kerns, img_shp, **given)


def dnn_pool(img: Any, ws: Any, stride: Any = None, mode: str = "max", pad: Any = None) -> Any:
    """Pooling of images or volumes, as many dimensions as ``ws`` has.

    Borders are ignored, ``stride`` is 1 if not given, ``mode`` is that of
    :func:`croton.tensor.signal.pool_2d` or cuDNN's ``"average"``, which counts the padding.
    """
    x, window = as_tensor_variable(img), tuple(ws)
    if len(window) not in (2, 3) or x.type.ndim != len(window) + 2:
        raise TypeError(
            f"dnn_pool takes images of rank 4 with 2 sizes or of rank 5 with 3, got {x} of rank "
            f"{x.type.ndim} and {ws!r}"
        )
    function = pool_2d if len(window) == 2 else pool_3d
    mode = "average_inc_pad" if mode == "average" else mode
    return function(x, window, True, 1 if stride is None else stride, pad, mode)


def _same_rank(x: Any, mode: Any, **parameters: Any) -> Any:
    if mode not in ("per-activation", "spatial"):
        raise ValueError(f"mode is 'per-activation' or 'spatial', got {mode!r}")
    x = as_tensor_variable(x)
    for name, p in parameters.items():
        v = as_tensor_variable(p)
        if v.type.ndim != x.type.ndim:
            raise ValueError(
                f"{name}: rank {x.type.ndim} expected, as the inputs have, got {v} of rank "
                f"{v.type.ndim}" + trace.describe(v.made_at)
            )
    return x


def dnn_batch_normalization_train(
    inputs: Any,
    gamma: Any,
    beta: Any,
    mode: str = "per-activation",
    epsilon: Any = 1e-4,
    running_average_factor: Any = 0.1,
    running_mean: Any = None,
    running_var: Any = None,
) -> tuple[Any, ...]:
    """:func:`croton.tensor.nnet.batch_normalization_train`; all have the rank of the inputs."""
    inputs = _same_rank(inputs, mode, gamma=gamma, beta=beta)
    return batch_normalization_train(
        inputs,
        gamma,
        beta,
        mode,
        epsilon,
        running_average_factor,
        running_mean,
        running_var,
    )


def dnn_batch_normalization_test(
    inputs: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    var: Any,
    mode: str = "per-activation",
    epsilon: Any = 1e-4,
) -> Any:
    """:func:`croton.tensor.nnet.batch_normalization_test`; all have the rank of the inputs."""
    inputs = _same_rank(inputs, mode, gamma=gamma, beta=beta, mean=mean, var=var)
    return batch_normalization_test(inputs, gamma, beta, mean, var, mode, epsilon)


dnn_spatialtf = spatial_transformer
