"""Bits and truth values."""

from __future__ import annotations

import numpy as np

from croton.tensor.elementwise.op import define

and_ = define(
    "and", 2, np.bitwise_and, lambda x, y, g: (None, None), rule="bits", symbol="&",
    doc="Bitwise and.",
)  # fmt: skip
or_ = define(
    "or", 2, np.bitwise_or, lambda x, y, g: (None, None), rule="bits", symbol="|",
    doc="Bitwise or.",
)  # fmt: skip
xor = define(
    "xor", 2, np.bitwise_xor, lambda x, y, g: (None, None), rule="bits", symbol="^",
    doc="Bitwise exclusive or.",
)  # fmt: skip
invert = define(
    "invert", 1, np.invert, lambda x, y, g: (None,), rule="bits", symbol="~", kernel="not",
    doc="Every bit turned over; of bools: not.",
)  # fmt: skip
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = and_, or_, xor, invert
