"""Indexing with integers and slices: reading, setting, increasing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from croton.graph import trace
from croton.graph.apply import Apply
from croton.graph.disconnected import disconnected
from croton.graph.op import Op
from croton.graph.variable import Constant
from croton.kernel import build
from croton.kernel.nodes import Expr
from croton.tensor import dtypes
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.indexing.slices import canonical, wrap_index
from croton.tensor.shapes import known_size
from croton.tensor.type import TensorType


class Given(NamedTuple):
    """Stands in an index for the scalar input number ``position`` (after the tensor)."""

    position: int


class Slice(NamedTuple):
    """A slice in an index: each part an int, None, or a :class:`Given`."""

    start: int | Given | None
    stop: int | Given | None
    step: int | Given | None


Entry = int | Given | Slice


def _fill(part: Any, scalars: Sequence[Any]) -> Any:
    return scalars[part.position] if isinstance(part, Given) else part


class _Region:
    """What an index selects of a tensor with the given sizes, as symbolic scalars."""

    def __init__(self, entries: Sequence[Entry], scalars: Sequence[Any], sizes: Sequence[Any]):
        self.first: list[Any] = []
        self.step: list[Any] = []
        self.count: list[Any] = []  # None: the dimension is dropped
        for d, size in enumerate(sizes):
            entry = entries[d] if d < len(entries) else Slice(None, None, None)
            if isinstance(entry, Slice):
                start, stop, by = (_fill(p, scalars) for p in entry)
                first, count, step = canonical(start, stop, by, size)
                self.first.append(first)
                self.step.append(step)
                self.count.append(count)
            else:
                self.first.append(wrap_index(_fill(entry, scalars), size))
                self.step.append(None)
                self.count.append(None)

    @property
    def scalars(self) -> list[Any]:
        """All that says where the region lies."""
        return [v for v in (*self.first, *self.step, *self.count) if v is not None]

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes of what is selected."""
        return tuple(c for c in self.count if c is not None)


def _static_count(entry: Slice, size: int | None) -> int | None:
    if any(isinstance(p, Given) for p in entry):
        return None
    start, stop, step = entry
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if size is not None:
        return len(range(size)[slice(start, stop, step)])  # type: ignore[arg-type]
    return None


def _indexed_type(x: Any, entries: Sequence[Entry]) -> TensorType:
    if len(entries) > x.type.ndim:
        raise IndexError(
            f"too many indices: {x} has rank {x.type.ndim}, got {len(entries)}"
            + trace.describe(x.made_at)
        )
    shape: list[int | None] = []
    for d, size in enumerate(x.type.shape):
        entry = entries[d] if d < len(entries) else Slice(None, None, None)
        if isinstance(entry, Slice):
            whole = entry == Slice(None, None, None)
            shape.append(size if whole else _static_count(entry, size))
        elif isinstance(entry, int) and size is not None and not -size <= entry < size:
            raise IndexError(
                f"index {entry} is out of bounds for dimension {d} of {x}, which has size {size}"
            )
    return TensorType(x.type.dtype, shape)


def _numpy_index(entries: Sequence[Entry], scalars: Sequence[Any]) -> tuple[Any, ...]:
    def number(part: Any) -> Any:
        filled = _fill(part, scalars)
        return None if filled is None else int(filled)

    return tuple(
        slice(*(number(p) for p in e)) if isinstance(e, Slice) else number(e) for e in entries
    )


def _bounds(node: Apply, entries: Sequence[Entry], scalars: Any, sizes: Any) -> list[Any]:
    checks = []
    for d, entry in enumerate(entries):
        if isinstance(entry, Slice):
            if isinstance(entry.step, Given):
                checks.append(("nonzero", _fill(entry.step, scalars), None, "slice step"))
            continue
        static = node.inputs[0].type.shape[d]  # type: ignore[attr-defined]
        if isinstance(entry, int) and static is not None:
            continue
        position = _fill(entry, scalars)
        position = position if not isinstance(position, int) else constant(np.int64(position))
        checks.append(("index", position, sizes[d], f"dimension {d}"))
    return checks


def check_part(y: Any, given: tuple[int, ...], selected: tuple[int, ...]) -> None:
    """ValueError unless ``y`` of sizes ``given`` may be put where an index selects ``selected``."""
    for known, have, want in zip(y.type.shape, given, selected, strict=True):
        if known != 1 and have != want:
            raise ValueError(f"cannot put an array of shape {given} where {selected} is selected")


class Subtensor(Op):
    """``x[index]`` with integers and slices; parts that are not known are inputs after ``x``."""

    __props__ = ("entries",)
    loop = "map"
    view_map = {0: [0]}  # noqa: RUF012 (Theano's protocol)

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    def make_node(self, x: Any, *scalars: Any) -> Apply:
        """The part that the index selects."""
        x = as_tensor_variable(x)
        return Apply(self, [x, *scalars], [_indexed_type(x, self.entries)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """NumPy's indexing."""
        outputs[0][0] = np.asarray(inputs[0][_numpy_index(self.entries, inputs[1:])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The counts of the slices."""
        return [_Region(self.entries, node.inputs[1:], shapes[0]).shape]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Integers are within their dimension."""
        return _bounds(node, self.entries, node.inputs[1:], shapes[0])

    def scalars(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The integer scalars that ``lower`` asks for."""
        return _Region(self.entries, node.inputs[1:], shapes[0]).scalars

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any) -> Expr:
        """The element at ``first + index * step`` in each dimension."""
        region = _Region(self.entries, node.inputs[1:], ctx.shape(0))
        rest = iter(index)
        place = []
        for first, step in zip(region.first, region.step, strict=True):
            if step is None:
                place.append(ctx.scalar(first))
            else:
                move = build.mul(next(rest), ctx.scalar(step))
                place.append(build.add(move, ctx.scalar(first)))
        return inputs[0](*place)  # type: ignore[no-any-return]

    @property
    def is_leading(self) -> bool:
        """Whether it selects whole rows that follow each other, or one."""
        first, *rest = self.entries or (Slice(None, None, None),)
        if any(e != Slice(None, None, None) for e in rest):
            return False
        return not isinstance(first, Slice) or first.step in (None, 1)

    def first_row(self, node: Apply, shapes: Sequence[Any]) -> Any:
        """The number of the first row that is selected, an int or a scalar."""
        return _Region(self.entries, node.inputs[1:], shapes[0]).first[0]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Positions are not connected."""
        return [[True]] + [[False]] * (len(node.inputs) - 1)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Zeros with the gradient put where it was read; reversed dimensions are reversed back."""
        x, *scalars = inputs
        if x.type.dtype not in dtypes.FLOATS:
            back = x.zeros_like(dtype="floatX")
        elif all(_keeps_all(e) for e in self.entries):
            back = self(gradients[0])
        else:
            zeros = x.zeros_like(dtype=gradients[0].type.dtype)
            back = IncSubtensor(self.entries, set_instead_of_inc=False)(
                zeros, gradients[0], *scalars
            )
        return [back] + [disconnected() for _ in scalars]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The same part of the direction."""
        return [None if directions[0] is None else self(directions[0], *inputs[1:])]

    def __str__(self) -> str:
        return f"Subtensor{{{', '.join(_show(e) for e in self.entries)}}}"


def _keeps_all(entry: Any) -> bool:
    return isinstance(entry, Slice) and entry[:2] == (None, None) and entry[2] in (None, 1, -1)


def _show(entry: Any) -> str:
    if isinstance(entry, Given):
        return f"i{entry.position}"
    if isinstance(entry, Slice):
        start, stop, step = ("" if p is None else _show(p) for p in entry)
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return str(entry)


def as_stored(y: Any, x: Any) -> Any:
    """``y`` in the dtype of ``x``, into which it is put: a float may be rounded, as in NumPy.

    Raises TypeError if it is of a kind that ``x`` does not hold, or an integer too wide for it.
    """
    want, have = x.type.dtype, y.type.dtype
    if have == want:
        return y
    rounded = want in dtypes.FLOATS and have in dtypes.FLOATS
    if not rounded and dtypes.upcast(want, have) != want:
        raise TypeError(
            f"cannot put {y} of dtype {have} into {x} of dtype {want} without losing precision; "
            f"cast it with .astype({want!r})"
        )
    return y.astype(want)


class IncSubtensor(Op):
    """``x`` with ``y`` put (or added) where the index selects; a new value, ``x`` stays."""

    __props__ = ("entries", "set_instead_of_inc")
    loop = "map"

    def __init__(self, entries: Sequence[Entry], set_instead_of_inc: bool = False) -> None:
        self.entries = tuple(entries)
        self.set_instead_of_inc = set_instead_of_inc

    def make_node(self, x: Any, y: Any, *scalars: Any) -> Apply:
        """A tensor of the type of ``x``."""
        x, y = as_tensor_variable(x), as_tensor_variable(y)
        part = _indexed_type(x, self.entries)
        if y.type.ndim > part.ndim:
            raise ValueError(
                f"cannot put {y} of rank {y.type.ndim} where the index selects rank {part.ndim}"
            )
        y = as_stored(y, x)
        y = as_tensor_variable(y, ndim=part.ndim)
        for d, (have, want) in enumerate(zip(y.type.shape, part.shape, strict=True)):
            if have not in (None, 1) and want is not None and have != want:
                raise ValueError(
                    f"shapes do not fit: dimension {d} of what the index selects is {want}, "
                    f"of {y} it is {have}"
                )
        return Apply(self, [x, y, *scalars], [TensorType(x.type.dtype, x.type.shape)()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """On a copy."""
        x, y = inputs[:2]
        out = np.array(x)
        where = _numpy_index(self.entries, inputs[2:])
        check_part(node.inputs[1], np.shape(y), np.shape(out[where]))
        if self.set_instead_of_inc:
            out[where] = y
        else:
            out[where] += y
        outputs[0][0] = out

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The shape of ``x``."""
        return [shapes[0]]

    def checks(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Positions are within bounds, and what is put has the size of what is selected."""
        scalars = node.inputs[2:]
        found = _bounds(node, self.entries, scalars, shapes[0])
        region = _Region(self.entries, scalars, shapes[0])
        y = node.inputs[1].type.shape  # type: ignore[attr-defined]
        for static, have, want in zip(y, shapes[1], region.shape, strict=True):
            if static != 1:
                found.append(("eq", have, want, "set_subtensor"))
        return found

    def scalars(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The integer scalars that ``lower`` asks for."""
        return _Region(self.entries, node.inputs[2:], shapes[0]).scalars

    def lower(self, node: Apply, inputs: Sequence[Any], index: Sequence[Expr], ctx: Any) -> Expr:
        """Inside the region the new value, outside the old one."""
        region = _Region(self.entries, node.inputs[2:], ctx.shape(0))
        flags = iter(node.inputs[1].type.shape)  # type: ignore[attr-defined]
        inside: Expr | None = None
        place: list[Expr] = []
        for i, first, step, count in zip(
            index, region.first, region.step, region.count, strict=True
        ):
            start = ctx.scalar(first)
            if step is None:
                here = build.op("eq", i, start)
            elif known_size(step) == 1:
                offset = build.sub(i, start)
                stop = build.add(start, ctx.scalar(count))
                here = build.op("and", build.op("ge", i, start), build.op("lt", i, stop))
                place.append(build.index(0) if next(flags) == 1 else offset)
            else:
                stride = ctx.scalar(step)
                offset = build.op("floordiv", build.sub(i, start), stride)
                exact = build.op("eq", build.add(build.mul(offset, stride), start), i)
                within = build.op(
                    "and",
                    build.op("ge", offset, build.index(0)),
                    build.op("lt", offset, ctx.scalar(count)),
                )
                here = build.op("and", exact, within)
                place.append(build.index(0) if next(flags) == 1 else offset)
            inside = here if inside is None else build.op("and", inside, here)
        old = inputs[0](*index)
        if inside is None:
            new = inputs[1](*place)
            return new if self.set_instead_of_inc else build.op("add", old, new)
        new = ctx.guard(inside, lambda: inputs[1](*place))
        if not self.set_instead_of_inc:
            new = build.op("or" if old.dtype == "bool" else "add", old, new)
        return build.select(inside, new, old)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Positions are not connected."""
        return [[True], [True]] + [[False]] * (len(node.inputs) - 2)

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """Where a value was set the old one has no gradient."""
        x, y, *scalars = inputs
        (g,) = gradients
        if x.type.dtype not in dtypes.FLOATS:
            return [x.zeros_like(dtype="floatX"), y.zeros_like(dtype="floatX")] + [
                disconnected() for _ in scalars
            ]
        part = Subtensor(self.entries)(g, *scalars)
        axes = tuple(
            d
            for d, (a, b) in enumerate(zip(y.type.shape, part.type.shape, strict=True))
            if a == 1 and b != 1
        )
        if axes:
            part = part.sum(axis=axes, keepdims=True)
        from_x = g
        if self.set_instead_of_inc:
            zero = constant(np.zeros((), g.type.dtype))
            from_x = IncSubtensor(self.entries, True)(g, zero, *scalars)
        return [from_x, part] + [disconnected() for _ in scalars]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The same on the directions."""
        dx, dy = directions[:2]
        if dx is None and dy is None:
            return [None]
        dx = inputs[0].zeros_like() if dx is None else dx
        dy = inputs[1].zeros_like() if dy is None else dy
        return [self(dx, dy, *inputs[2:])]

    def __str__(self) -> str:
        kind = "Set" if self.set_instead_of_inc else "Inc"
        return f"{kind}Subtensor{{{', '.join(_show(e) for e in self.entries)}}}"


def as_entries(items: Sequence[Any]) -> tuple[list[Entry], list[Any]]:
    """An index of ints, scalar variables and slices as entries and their scalar inputs."""
    scalars: list[Any] = []

    def part(p: Any) -> Any:
        if p is None:
            return None
        if isinstance(p, int | np.integer) and not isinstance(p, bool | np.bool_):
            return int(p)
        v = as_tensor_variable(p)
        if v.type.ndim != 0 or v.type.dtype not in dtypes.INTEGERS:
            raise IndexError(f"an index is an integer, a slice or an integer array, got {p!r}")
        if isinstance(v, Constant):
            return int(v.data)
        scalars.append(v if v.type.dtype == "int64" else v.astype("int64"))
        return Given(len(scalars) - 1)

    entries: list[Entry] = []
    for item in items:
        if isinstance(item, slice):
            entries.append(Slice(part(item.start), part(item.stop), part(item.step)))
        else:
            entries.append(part(item))
    while entries and entries[-1] == Slice(None, None, None):
        entries.pop()
    return entries, scalars
