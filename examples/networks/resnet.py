"""ResNet-18 and ResNet-50 (He, Zhang, Ren and Sun, 2015), and others of their kind.

A convolution of 7 x 7, then four stages of blocks whose result is added to what they were
given.  A block has two convolutions of 3 x 3 (ResNet-18), or one of 3 x 3 between two of
1 x 1 (ResNet-50); the first of a stage but the first halves rows and columns, in its
(first) convolution of 3 x 3.  Names and shapes of the parameters are those of
torchvision's ``resnet18`` and ``resnet50``, so its trained weights, as arrays, will do.
"""

from __future__ import annotations

from typing import Any

import croton.tensor as T

from . import layers

RESNET_18 = (2, 2, 2, 2)
RESNET_50 = (3, 4, 6, 3)


def parameters(
    blocks: tuple[int, ...] = RESNET_18,
    bottleneck: bool = False,
    width: int = 64,
    classes: int = 1000,
    channels: int = 3,
    seed: int = 0,
    dtype: str = "float32",
) -> layers.Arrays:
    """The first values; ``blocks=RESNET_50, bottleneck=True`` are those of ResNet-50.

    ``conv1``, ``bn1``, then ``layerS.B.`` for stage S from 1 and block B from 0 with
    ``conv1``, ``bn1``, ... and, where what is added has another shape,
    ``downsample.0`` and ``downsample.1``; ``fc``.  A convolution has a ``.weight``,
    ``fc`` a ``.bias`` too, a normalisation ``.weight``, ``.bias``, ``.running_mean``
    and ``.running_var``.
    """
    made = layers.Maker(seed, dtype)

    def pair(convolution: str, normalisation: str, *shape: int) -> None:
        made.weight(convolution, *shape)
        made.normalisation(normalisation, shape[0])

    pair("conv1", "bn1", width, channels, 7, 7)
    given = width
    for stage, count in enumerate(blocks):
        inner = width * 2**stage
        outer = 4 * inner if bottleneck else inner
        for block in range(count):
            name = f"layer{stage + 1}.{block}."
            if bottleneck:
                pair(name + "conv1", name + "bn1", inner, given, 1, 1)
                pair(name + "conv2", name + "bn2", inner, inner, 3, 3)
                pair(name + "conv3", name + "bn3", outer, inner, 1, 1)
            else:
                pair(name + "conv1", name + "bn1", inner, given, 3, 3)
                pair(name + "conv2", name + "bn2", inner, inner, 3, 3)
            if block == 0 and (stage > 0 or given != outer):
                pair(name + "downsample.0", name + "downsample.1", outer, given, 1, 1)
            given = outer
    made.biased("fc", classes, given, gain=1)
    return made.made


def network(x: Any, p: layers.Parameters, running: layers.Updates | None = None) -> Any:
    """The scores of each class for each image.

    With a list for ``running`` it is the training form, and the list gets the updates of
    the running statistics.
    """

    def step(x: Any, convolution: str, normalisation: str, stride: int = 1) -> Any:
        found = layers.convolved(x, p, convolution, stride)
        return layers.normalised(found, p, normalisation, running)

    def block(x: Any, name: str, stride: int) -> Any:
        kept = x
        if f"{name}downsample.0.weight" in p:
            kept = step(x, f"{name}downsample.0", f"{name}downsample.1", stride)
        count = 3 if f"{name}conv3.weight" in p else 2
        for k in range(1, count + 1):
            halving = stride if k == count - 1 else 1
            x = step(x, f"{name}conv{k}", f"{name}bn{k}", halving)
            x = T.nnet.relu(x if k < count else x + kept)
        return x

    x = layers.maxima(T.nnet.relu(step(x, "conv1", "bn1", 2)), 3, 2, 1)
    stage = 1
    while f"layer{stage}.0.conv1.weight" in p:
        number = 0
        while f"layer{stage}.{number}.conv1.weight" in p:
            x = block(x, f"layer{stage}.{number}.", 2 if stage > 1 and number == 0 else 1)
            number += 1
        stage += 1
    return layers.dense(x.mean((2, 3)), p, "fc")
