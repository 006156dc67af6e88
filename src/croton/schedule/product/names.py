"""What the kernel of a product calls its sizes, and the variables that its parts share."""

from __future__ import annotations

from croton.kernel.nodes import Var

#: Of every kernel: extents, strides in elements, rows and columns of an item, whether the
#: left factor has been copied into strips, and whether to compute the transposed result.
#: In that case ``rows`` and ``columns`` are its own.  ``b_panel`` is ``b_column`` unless the
#: right factor has been copied into panels: then it leads from a column to one of another panel.
SIZES = (
    "m", "n", "k",
    "a_row", "a_inner", "a_batch",
    "b_inner", "b_column", "b_panel", "b_batch",
    "rows", "columns", "strips", "turn",
)  # fmt: skip
#: Of a result that is stored: its strides, whether to add something, and the strides of that;
#: and whether its blocks are handed to an epilogue instead.
STORE_SIZES = ("c_row", "c_batch", "accumulate", "d_row", "d_batch", "hands")

#: Sizes that change places where the transposed result is computed.
TURNED = (("m", "n"), ("a_row", "b_column"), ("a_inner", "b_inner"), ("a_batch", "b_batch"))

#: Names of the kernel's variables: the block of the result that an item is, ...
ROW, COLUMN, ITEM_BATCH = Var("row"), Var("column"), Var("item_batch")
M1, N0, N1 = Var("m1"), Var("n0"), Var("n1")
CUT, TURN, HANDS = Var("cut", "bool"), Var("turned", "bool"), Var("handed", "bool")
#: ... whether strips are read where they lie, ...
LIES = Var("strips_lie", "bool")
#: ... how many items may be one block, and its columns, ...
TOGETHER, WIDTH = Var("together"), Var("item_columns")
#: ... what is added to go from row to row as they are stored, ...
PITCH = Var("c_pitch")
#: ... what is added to a place in the result to go to the next row, and column, ...
DOWN, ACROSS = Var("c_down"), Var("c_across")
#: ... the piece of the inner index, the panel of columns, and how many of them there are, ...
K0, PIECE, P0, WIDE = Var("k0"), Var("piece"), Var("p0"), Var("wide")
#: ... where the panel begins in the right factor and in the result, whether its first rows
#: keep a copy, and whether there is something to add to, ...
START, BASE, KEPT, ADDS = Var("start"), Var("base"), Var("kept", "bool"), Var("adds", "bool")
#: ... whether that is what is given to be added, where the panel begins in it, and its steps, ...
GIVEN, ADDED = Var("given", "bool"), Var("added_base")
ADDED_PITCH, ADDED_DOWN = Var("added_pitch"), Var("added_down")
ADDED_ACROSS = Var("added_across")
#: ... how many blocks of rows there are of each height, ...
MANY, SOME, FEW = Var("many"), Var("some"), Var("few")
#: ... the block of rows, the first of them and how many there are, whether it keeps a copy, ...
BLOCK, AT, PRESENT, FRESH = Var("block"), Var("at"), Var("present"), Var("fresh", "bool")
#: ... how many blocks follow that are like it, itself included, and the number of one of those,
#: its block, its first row and how many rows that is further, ...
TIMES, AGAIN, THIS = Var("times"), Var("again"), Var("this")
HERE, SHIFT = Var("here"), Var("shift")
#: ... and where the panel begins that comes next, whether a block asks for a line of its rows,
#: and how far these are apart.
AHEAD, LINE, LINE_PITCH = Var("ahead"), Var("asks_line", "bool"), Var("line_pitch")
