"""Bits and truth values."""

from __future__ import annotations

import numpy as np

from croton.tensor.elementwise.op import define

and_ = define(
    "and", 2, np.bitwise_and, lambda x, y, g: (None, None), rule="bits", symbol="&",
    doc="Bitwise and.",
    example=("and_([6, 5], 3)", "array([2, 1])"),
)  # fmt: skip
or_ = define(
    "or", 2, np.bitwise_or, lambda x, y, g: (None, None), rule="bits", symbol="|",
    doc="Bitwise or.",
    example=("or_([True, False], False)", "array([ True, False])"),
)  # fmt: skip
xor = define(
    "xor", 2, np.bitwise_xor, lambda x, y, g: (None, None), rule="bits", symbol="^",
    doc="Bitwise exclusive or.",
    example=("xor([6, 5], 3)", "array([5, 6])"),
)  # fmt: skip
invert = define(
    "invert", 1, np.invert, lambda x, y, g: (None,), rule="bits", symbol="~", kernel="not",
    doc="Every bit turned over; of bools: not.",
    example=("invert([True, False])", "array([False,  True])"),
)  # fmt: skip
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = and_, or_, xor, invert
