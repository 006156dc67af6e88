"""Patches of images as the rows of a matrix, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import Constant, trace
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import arange, zeros
from croton.tensor.elementwise import and_, cast, clip, ge, lt, switch
from croton.tensor.joining import join
from croton.tensor.nnet.images import as_images
from croton.tensor.shapes import as_size, dimshuffle, known_size, reshape, sizes_of

MODES = ("valid", "ignore_borders", "wrap_centered", "half", "full")


def _two(given: Any, what: str) -> tuple[Any, Any]:
    """Two sizes, as numbers where they are known."""
    if isinstance(given, Sequence) and len(given) == 2:
        parts = [as_tensor_variable(n) for n in given]
    else:
        v = as_tensor_variable(given)
        if v.type.ndim != 1 or v.type.shape[0] not in (None, 2):
            raise TypeError(
                f"{what} is two numbers (rows, columns), got {v} of shape {v.type.shape_text()}"
                + trace.describe(v.made_at)
            )
        known = isinstance(v, Constant) and v.data.shape == (2,)
        parts = [as_tensor_variable(n) for n in v.data] if known else [v[0], v[1]]
    found = []
    for v in parts:
        if v.type.ndim or v.type.dtype not in dtypes.INTEGERS:
            raise TypeError(
                f"{what} is two integers, got {v} of dtype {v.type.dtype} and rank {v.type.ndim}"
            )
        size = known_size(v)
        if size is not None and size < 1:
            raise ValueError(f"{what} is two positive integers, got {size}")
        found.append(as_size(v) if size is None else size)
    return found[0], found[1]


class _Line:
    """What the patches read along one dimension of the images."""

    def __init__(self, size: Any, patch: Any, step: Any, mode: str, name: str) -> None:
        self.size, self.patch, self.step = size, patch, step
        numbers = all(isinstance(n, int) for n in (size, patch, step))
        if mode == "wrap_centered":
            if isinstance(patch, int) and patch % 2 == 0:
                raise ValueError(
                    f"images2neibs: patches that are centred have odd sizes, got {patch} {name}"
                )
            self.before = patch // 2
            self.count = (size + step - 1) // step
            self.reach = size
            fits = not numbers or size >= patch
        else:
            self.before = {"half": patch // 2, "full": patch - 1}.get(mode, 0)
            room = size + 2 * self.before - patch
            self.count = room // step + 1
            self.reach = (self.count - 1) * step + patch - 2 * self.before
            fits = not numbers or (room >= 0 and (mode == "ignore_borders" or room % step == 0))
        if not fits:
            raise ValueError(
                f"images2neibs: patches of {patch} {name} with steps of {step} do not fit {size} "
                f"{name} in mode {mode!r}"
            )

    def places(self, mode: str) -> tuple[Any, Any]:
        """(count, patch) indices into the dimension, and where they lie in it (None: all)."""
        first = dimshuffle(arange(self.count), [0, "x"]) * self.step
        place = first + dimshuffle(arange(self.patch), ["x", 0]) - self.before
        if mode == "wrap_centered":
            return place % self.size, None
        if mode in ("valid", "ignore_borders"):
            return place, None
        inside = and_(ge(place, 0), lt(place, self.size))
        return clip(place, 0, self.size - 1), inside


def _vertical(table: Any) -> Any:
    return dimshuffle(table, [0, "x", 1, "x"])


def _horizontal(table: Any) -> Any:
    return dimshuffle(table, ["x", 0, "x", 1])


def images2neibs(ten4: Any, neib_shape: Any, neib_step: Any = None, mode: str = "valid") -> Any:
    """The patches of images, each as a row of a matrix.

    ``ten4`` is (batch, channels, rows, columns) and ``neib_shape`` the patches' size (rows,
    columns); from one to the next are ``neib_step`` rows and columns (default: their size, so
    that they do not overlap).  The rows of the result are in the order of batch, channel,
    row and column of the patch; each holds a patch's rows one after the other.  ``mode``:

    - ``"valid"``: patches must fill the image exactly;
    - ``"ignore_borders"``: what is left below and on the right is ignored;
    - ``"half"``, ``"full"``: as ``"valid"``, with zeros around the image: half a patch
      (rounded down), or a patch less one row and column, on each side;
    - ``"wrap_centered"``: patches, of odd size, lie around every pixel (or every
      ``neib_step``-th) and go on at the opposite side of the image.

    The dtype stays.  TypeError for images of another rank, ValueError where patches do not fit.

    >>> import croton.tensor as T
    >>> x = T.arange(8).reshape((1, 1, 2, 4))
    >>> images2neibs(x, (2, 2)).eval()
    array([[0, 1, 4, 5],
           [2, 3, 6, 7]])
    >>> images2neibs(x, (2, 2), (1, 1)).eval()
    array([[0, 1, 4, 5],
           [1, 2, 5, 6],
           [2, 3, 6, 7]])
    """
    x = as_images(ten4, "images2neibs")
    if mode not in MODES:
        raise NotImplementedError(f"mode is one of {', '.join(MODES)}, got {mode!r}")
    patch = _two(neib_shape, "neib_shape")
    step = patch if neib_step is None else _two(neib_step, "neib_step")
    n, channels, height, width = sizes_of(x)
    down = _Line(height, patch[0], step[0], mode, "rows")
    across = _Line(width, patch[1], step[1], mode, "columns")
    shape = [n * channels * down.count * across.count, patch[0] * patch[1]]
    if mode == "ignore_borders":
        x = x[:, :, : down.reach, : across.reach]
    elif mode != "wrap_centered":
        # An error where sizes that are known only in a call do not fit.
        x = reshape(x, [n, channels, down.reach, across.reach])
    if step == patch and mode in ("valid", "ignore_borders"):
        parts = reshape(x, [n, channels, down.count, patch[0], across.count, patch[1]])
        return reshape(dimshuffle(parts, [0, 1, 2, 4, 3, 5]), shape)
    rows, rows_inside = down.places(mode)
    columns, columns_inside = across.places(mode)
    found = x[:, :, _vertical(rows), _horizontal(columns)]
    if rows_inside is not None:
        inside = and_(_vertical(rows_inside), _horizontal(columns_inside))
        found = cast(switch(dimshuffle(inside, ["x", "x", 0, 1, 2, 3]), found, 0), x.type.dtype)
    return reshape(found, shape)


def neibs2images(neibs: Any, neib_shape: Any, original_shape: Any, mode: str = "valid") -> Any:
    """The images that :func:`images2neibs` took apart into patches that do not overlap.

    ``original_shape`` is the images' (batch, channels, rows, columns).  ``mode`` is
    ``"valid"`` or ``"ignore_borders"``, where what had been ignored becomes zeros; for others
    NotImplementedError.

    >>> import croton.tensor as T
    >>> rows = images2neibs(T.arange(8).reshape((1, 1, 2, 4)), (2, 2))
    >>> neibs2images(rows, (2, 2), (1, 1, 2, 4)).eval()
    array([[[[0, 1, 2, 3],
             [4, 5, 6, 7]]]])
    """
    rows = as_tensor_variable(neibs)
    if mode not in ("valid", "ignore_borders"):
        raise NotImplementedError(
            f"neibs2images takes patches of mode 'valid' or 'ignore_borders', got {mode!r}"
        )
    if rows.type.ndim != 2:
        raise TypeError(
            f"neibs2images takes a matrix of patches, got {rows} of rank {rows.type.ndim}"
            + trace.describe(rows.made_at)
        )
    patch = _two(neib_shape, "neib_shape")
    if not isinstance(original_shape, Sequence):
        vector = as_tensor_variable(original_shape)
        original_shape = [vector[k] for k in range(4)] if vector.type.ndim == 1 else [vector]
    if len(original_shape) != 4:
        raise ValueError(
            "original_shape is four sizes (batch, channels, rows, columns), got "
            f"{len(original_shape)}"
        )
    variables = [as_size(s) for s in original_shape]
    sizes = [v if known_size(v) is None else known_size(v) for v in variables]
    lines = [
        _Line(sizes[d], patch[d - 2], patch[d - 2], mode, ("rows", "columns")[d - 2])
        for d in (2, 3)
    ]
    parts = reshape(rows, [*sizes[:2], lines[0].count, lines[1].count, *patch])
    whole = dimshuffle(parts, [0, 1, 2, 4, 3, 5])
    if mode == "valid":
        return reshape(whole, sizes)
    images = reshape(whole, [*sizes[:2], lines[0].reach, lines[1].reach])
    for axis in (2, 3):
        rim = sizes_of(images)
        rim[axis] = sizes[axis] - rim[axis]
        if not (isinstance(rim[axis], int) and rim[axis] == 0):
            images = join(axis, images, zeros(rim, rows.type.dtype))
    return images


class Images2Neibs:
    """:func:`images2neibs` of one mode, as a callable object.

    >>> import croton.tensor as T
    >>> Images2Neibs("ignore_borders")(T.ones((1, 1, 3, 3)), (2, 2)).eval()
    array([[1., 1., 1., 1.]])
    """

    def __init__(self, mode: str = "valid") -> None:
        if mode not in MODES:
            raise NotImplementedError(f"mode is one of {', '.join(MODES)}, got {mode!r}")
        self.mode = mode

    def __call__(self, ten4: Any, neib_shape: Any, neib_step: Any = None) -> Any:
        """The patches of ``ten4``."""
        return images2neibs(ten4, neib_shape, neib_step, self.mode)
