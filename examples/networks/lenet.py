"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998), for images of 32 x 32.

Layers by the paper's names: c1 (6 filters of 5 x 5), s2 (averages of 2 x 2, times a
weight, plus a bias), c3 (16 of 5 x 5), s4, c5 (120 of 5 x 5, which see all that is left)
and f6 (84), each but the last through the paper's ``1.7159 tanh(2/3 x)``.  Unlike there,
c3 sees all channels, and the classes' scores are a dense layer, ``output``.
"""

from __future__ import annotations

from typing import Any

import croton.tensor as T
from croton.tensor.signal.pool import pool_2d

from . import layers


def parameters(
    width: int = 6, classes: int = 10, channels: int = 1, seed: int = 0, dtype: str = "float32"
) -> layers.Arrays:
    """``c1``, ``s2``, ``c3``, ``s4``, ``c5``, ``f6``, ``output``: ``.weight`` and ``.bias``.

    ``width`` is the number of filters in the first layer; the others follow it.
    """
    made = layers.Maker(seed, dtype)
    c3, c5, f6 = width * 16 // 6, width * 20, width * 14
    made.biased("c1", width, channels, 5, 5, gain=1)
    made.biased("s2", width)
    made.biased("c3", c3, width, 5, 5, gain=1)
    made.biased("s4", c3)
    made.biased("c5", c5, c3, 5, 5, gain=1)
    made.biased("f6", f6, c5, gain=1)
    made.biased("output", classes, f6, gain=1)
    for name in ("s2.weight", "s4.weight"):
        made.made[name][:] = 1
    return made.made


def _squashed(x: Any) -> Any:
    return 1.7159 * T.tanh(x * (2 / 3))


def _averaged(x: Any, p: layers.Parameters, name: str) -> Any:
    averages = pool_2d(x, (2, 2), ignore_border=True, mode="average_exc_pad")
    weight, bias = (layers.per_channel(p[f"{name}.{part}"]) for part in ("weight", "bias"))
    return _squashed(averages * weight + bias)


def network(x: Any, p: layers.Parameters) -> Any:
    """The scores of each class for each image of 32 x 32."""
    v = _squashed(layers.convolved(x, p, "c1", border="valid"))
    v = _squashed(layers.convolved(_averaged(v, p, "s2"), p, "c3", border="valid"))
    v = _squashed(layers.convolved(_averaged(v, p, "s4"), p, "c5", border="valid"))
    v = _squashed(layers.dense(v.flatten(2), p, "f6"))
    return layers.dense(v, p, "output")
