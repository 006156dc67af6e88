"""Functions that neural networks use."""

from croton.tensor.elementwise import sigmoid, softplus
from croton.tensor.nnet.activation import (
    elu,
    hard_sigmoid,
    relu,
    selu,
    softsign,
    ultra_fast_sigmoid,
)
from croton.tensor.nnet.crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    crossentropy_softmax_argmax_1hot_with_bias,
    sigmoid_binary_crossentropy,
)
from croton.tensor.nnet.softmax import (
    LogSoftmax,
    Softmax,
    log_softmax,
    logsoftmax,
    softmax,
    softmax_with_bias,
)

__all__ = [
    "LogSoftmax",
    "Softmax",
    "binary_crossentropy",
    "categorical_crossentropy",
    "crossentropy_softmax_argmax_1hot_with_bias",
    "elu",
    "hard_sigmoid",
    "log_softmax",
    "logsoftmax",
    "relu",
    "selu",
    "sigmoid",
    "sigmoid_binary_crossentropy",
    "softmax",
    "softmax_with_bias",
    "softplus",
    "softsign",
    "ultra_fast_sigmoid",
]
