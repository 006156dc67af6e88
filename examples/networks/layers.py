"""What the networks are made of, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import croton
import croton.tensor as T
from croton.tensor.nnet import bn
from croton.tensor.signal.pool import pool_2d

Arrays = dict[str, np.ndarray]
Parameters = Mapping[str, Any]
#: Takes values and the share of them to drop.
Drop = Callable[[Any, float], Any]
#: Shared variables and their new values.
Updates = list[tuple[Any, Any]]


class Maker:
    """Makes parameters one after the other, from one source of random numbers."""

    def __init__(self, seed: int, dtype: str) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = dtype
        self.made: Arrays = {}

    def weight(self, name: str, *shape: int, gain: float = 2.0) -> None:
        """``name.weight``, normal, with the variance ``gain / inputs`` (He's rule is 2)."""
        number = np.dtype(self.dtype).type
        values = self.random.standard_normal(shape, dtype=number)
        values *= number(np.sqrt(gain / np.prod(shape[1:])))
        self.made[f"{name}.weight"] = values

    def biased(self, name: str, *shape: int, gain: float = 2.0) -> None:
        """``name.weight`` and ``name.bias``, the latter zero."""
        self.weight(name, *shape, gain=gain)
        self.made[f"{name}.bias"] = np.zeros(shape[0], self.dtype)

    def normalisation(self, name: str, channels: int) -> None:
        """Scale, shift, running mean and running variance of a batch normalisation."""
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            self.made[f"{name}.{part}"] = np.full(channels, value, self.dtype)


def per_channel(v: Any) -> Any:
    """A vector with an element for each channel, beside images."""
    return v.dimshuffle("x", 0, "x", "x")


def convolved(x: Any, p: Parameters, name: str, stride: int = 1, border: Any = "half") -> Any:
    """Images under the filters ``name.weight``, plus ``name.bias`` if there is one."""
    found = T.nnet.conv2d(
        x,
        p[f"{name}.weight"],
        border_mode=border,
        subsample=(stride, stride),
        filter_flip=False,
    )
    return found + per_channel(p[f"{name}.bias"]) if f"{name}.bias" in p else found


def dense(x: Any, p: Parameters, name: str) -> Any:
    """Rows of numbers through a layer where each result sees each of them."""
    return T.dot(x, p[f"{name}.weight"].T) + p[f"{name}.bias"]


def normalised(x: Any, p: Parameters, name: str, running: Updates | None = None) -> Any:
    """Batch normalisation of each channel, by the running statistics.

    With a list for ``running`` it is the training form: by the batch's own statistics,
    and the list gets what the running ones become.
    """
    scale, shift, mean, variance = (
        p[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    if running is None:
        return bn.batch_normalization_test(x, scale, shift, mean, variance, "spatial", 1e-5)
    out, _, _, new_mean, new_variance = bn.batch_normalization_train(
        x, scale, shift, "spatial", 1e-5, 0.1, mean, variance
    )
    running += [(mean, new_mean), (variance, new_variance)]
    return out


def maxima(x: Any, window: int, stride: int, pad: int = 0, *, whole: bool = True) -> Any:
    """The maximum of each window; ``whole`` leaves out windows that reach over the end."""
    return pool_2d(
        x, (window, window), ignore_border=whole, stride=(stride, stride), pad=(pad, pad)
    )


def keep(x: Any, p: float) -> Any:
    """A ``Drop`` that drops nothing, for networks that are done learning."""
    return x


def shared(arrays: Arrays) -> dict[str, Any]:
    """The parameters as shared variables."""
    return {name: croton.shared(value, name=name) for name, value in arrays.items()}


def trained(p: Parameters) -> dict[str, Any]:
    """The parameters that training changes: all but running statistics."""
    return {name: v for name, v in p.items() if ".running_" not in name}


def cross_entropy(scores: Any, labels: Any) -> Any:
    """The mean of minus the logarithm of the probability that each label is given."""
    return T.nnet.categorical_crossentropy(T.nnet.softmax(scores), labels).mean()


def momentum(
    loss: Any, p: Parameters, rate: float = 0.1, kept: float = 0.9, decay: float = 1e-4
) -> Updates:
    """The updates of gradient descent with momentum, and with decay of weights."""
    updates: Updates = []
    for v, gradient in zip(p.values(), T.grad(loss, list(p.values())), strict=True):
        number = np.dtype(v.type.dtype).type
        speed = croton.shared(np.zeros_like(v.get_value()))
        if v.type.ndim > 1:
            gradient = gradient + number(decay) * v
        new = number(kept) * speed - number(rate) * gradient
        updates += [(speed, new), (v, v + new)]
    return updates
