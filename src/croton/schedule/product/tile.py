"""Where an epilogue finds the block of a product that it is called for.

An epilogue is a kernel with the usual signature.  Its items ``[lo, hi)`` are the
rows ``[m0, m1)`` of the block, and its scratch memory begins with::

    bytes 0 to 63       as for every kernel (the details of a ``Fail``)
    int64 at HEADER     n0, n1, batch: the columns of the block, and which matrix
    tile at TILE        element (i, j) of the product is
                        tile[(i - lo) * LEADING[dtype] + (j - n0)]
    bytes from FREE     the epilogue's own, as many as the plan was asked for

A block has at most ``ROWS`` rows and ``LEADING[dtype]`` columns, of which n0 is a
multiple (but in convolutions of several groups); it is computed once and in one piece.
What a row holds beyond column ``n1`` may be read and written but means nothing.
"""

from __future__ import annotations

HEADER = 64
#: Positions of the int64 numbers at ``HEADER``.
N0, N1, BATCH = 0, 1, 2

TILE = 128
#: Bytes of one row of the tile.
PITCH = 256
#: Elements of one row of the tile.
LEADING = {"float32": PITCH // 4, "float64": PITCH // 8}
ROWS = 256

FREE = TILE + ROWS * PITCH
