"""Winograd's convolution: filters of 3 x 3 or 5 x 5, one step apart, in fewer products.

The result is cut into tiles: for 3 x 3 taps of 4 x 4 (or 2 x 2) places, for 5 x 5 of 2 x 2.  A tile
needs 6 x 6 (4 x 4) places of the image; these are transformed into as many *points*, and the
filters into as many, so that the tile is the inverse transform of what channels times filters
give for each point: products of matrices with a row for each tile, 36 instead of the 9 * 16 or
25 * 4 that the tiles' places need.  Taps may be dilated: then the places of a tile are so as well.
"""
