"""Winograd's convolution: filters of 3 x 3, one step apart, in fewer products.

The result is cut into tiles of 4 x 4 (or 2 x 2) places.  A tile needs 6 x 6 (4 x 4) places of
the image; these are transformed into as many *points*, and the filters into as many, so that the
tile is the inverse transform of what channels times filters give for each point: products
of matrices with a row for each tile, 36 instead of the 9 * 16 that the tiles' places need.
"""
