"""Indexing: slices that take everything, parts of what was just put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.graph import Constant
from croton.rewrite.pattern import AnyOf, op, var
from croton.rewrite.rule import Match, Rule
from croton.rewrite.rules.crossentropy import is_zeros
from croton.rewrite.rules.sizes import at_least
from croton.tensor.convert import constant
from croton.tensor.creation import Alloc
from croton.tensor.elementwise import add
from croton.tensor.indexing import IncSubtensor, Subtensor
from croton.tensor.indexing.basic import Entry, Given, Slice
from croton.tensor.indexing.slices import canonical
from croton.tensor.joining import Join, join
from croton.tensor.shapes import dimshuffle, known_size

x, y = var("x y")
_alloc = Alloc()
_WHOLE = Slice(None, None, None)


class _Index:
    """An index being simplified: entries, and the scalars that they refer to."""

    def __init__(self, entries: Sequence[Entry], scalars: Sequence[Any]) -> None:
        self.scalars: list[Any] = []
        self.entries: list[Entry] = []
        for e in entries:
            if isinstance(e, Slice):
                self.entries.append(Slice(*(self._part(p, scalars) for p in e)))
            else:
                self.entries.append(self._part(e, scalars))

    def _part(self, p: Any, scalars: Sequence[Any]) -> Any:
        if not isinstance(p, Given):
            return p
        v = scalars[p.position]
        if isinstance(v, Constant):
            return int(v.data)
        self.scalars.append(v)
        return Given(len(self.scalars) - 1)

    def value(self, p: Any) -> Any:
        """A part as an int, a variable or None."""
        return self.scalars[p.position] if isinstance(p, Given) else p


def _is_trivial(e: Entry, size: Any, index: _Index, m: Match) -> bool:
    """Whether a slice takes the whole dimension."""
    if not isinstance(e, Slice):
        return False
    start, stop, step = (index.value(p) for p in e)
    return (
        (start is None or (isinstance(start, int) and start == 0))
        and (step is None or (isinstance(step, int) and step == 1))
        and (stop is None or at_least(stop, size, m))
    )


def _parts(m: Match, skip: int) -> tuple[Any, _Index]:
    """The indexed tensor and the index of a (Inc)Subtensor, as plain as it can be said."""
    base = m.inputs[0]
    index = _Index(m.op.entries, m.inputs[skip:])
    sizes = m.sizes(base)
    entries = [
        _WHOLE if _is_trivial(e, sizes[d], index, m) else e for d, e in enumerate(index.entries)
    ]
    while entries and entries[-1] == _WHOLE:
        entries.pop()
    return base, _Index(entries, index.scalars)


def _plain_subtensor(m: Match) -> Any:
    base, index = _parts(m, 1)
    if not index.entries:
        return base
    if tuple(index.entries) == m.op.entries:
        return None
    return Subtensor(index.entries)(base, *index.scalars)


def _plain_inc_subtensor(m: Match) -> Any:
    base, index = _parts(m, 2)
    value = m.inputs[1]
    if not index.entries:
        # Only if what is put is as large is there nothing to check.
        if not _same_sizes(value, base, m):
            return None
        return value if m.op.set_instead_of_inc else add(base, value)
    if tuple(index.entries) == m.op.entries:
        return None
    return IncSubtensor(index.entries, m.op.set_instead_of_inc)(base, value, *index.scalars)


def _same_sizes(a: Any, b: Any, m: Match) -> bool:
    return all(
        p is q or s == 1 for p, q, s in zip(m.sizes(a), m.sizes(b), a.type.shape, strict=True)
    )


def _cannot_fail(m: Match) -> bool:
    """Slices only, or positions known to be inside: leaving the index out loses no check."""
    shape = m.inputs[0].type.shape
    return all(
        (isinstance(e, Slice) and not isinstance(e.step, Given))
        or (isinstance(e, int) and n is not None and -n <= e < n)
        for e, n in zip(m.op.entries, shape, strict=False)
    )


def _of_repetition(m: Match) -> Any:
    """A part of equal elements is fewer of them."""
    repeated = m.inputs[0]
    if not isinstance(repeated.owner.op, Alloc) or not _cannot_fail(m):
        return None
    value = repeated.owner.inputs[0]
    entries: list[Entry] = []
    for d, e in enumerate(m.op.entries):
        if value.type.shape[d] != 1:
            entries.append(e)
        else:
            entries.append(_WHOLE if isinstance(e, Slice) else 0)
    index = _Index(entries, m.inputs[1:])
    part = Subtensor(index.entries)(value, *index.scalars)
    return part if not m.out.type.ndim else _alloc(part, *m.sizes(m.out))


def _of_join(m: Match) -> Any:
    """A slice that is just one of the tensors put together."""
    join = m.inputs[0].owner
    axis = join.op.axis
    if any(e != _WHOLE for d, e in enumerate(m.op.entries) if d != axis):
        return None
    if len(m.op.entries) <= axis:
        return None
    entry = m.op.entries[axis]
    index = _Index([entry], m.inputs[1:])
    if isinstance(entry, Slice):
        return _joined_slice(m, join, axis, index)
    if isinstance(entry, int) and all(v.type.shape[axis] == 1 for v in join.inputs):
        if not -len(join.inputs) <= entry < len(join.inputs):
            return None
        part = join.inputs[entry]
        return dimshuffle(part, [d for d in range(part.type.ndim) if d != axis])
    return None


def _joined_slice(m: Match, join: Any, axis: int, index: _Index) -> Any:
    (entry,) = index.entries
    if not isinstance(entry, Slice):
        return None
    if entry.step not in (None, 1):
        return None
    start, stop, step = (index.value(p) for p in entry)
    first, count, _ = canonical(start, stop, step, m.sizes(m.inputs[0])[axis])
    first, count = m.simplified(first), m.simplified(count)
    position: Any = None
    for part in join.inputs:
        size = m.sizes(part)[axis]
        at_start = m.number(first) == 0 if position is None else first is position
        if at_start and size is count:
            return part
        position = size if position is None else m.simplified(add(position, size))
    return None


def _of_inc_subtensor(m: Match) -> Any:
    """What was just put there."""
    put = m.inputs[0].owner
    if put.op.entries != m.op.entries or any(
        a is not b for a, b in zip(put.inputs[2:], m.inputs[1:], strict=True)
    ):
        return None
    base, value = put.inputs[:2]
    if not _cannot_fail(m) or not _same_sizes(value, m.out, m):
        return None
    if put.op.set_instead_of_inc:
        return value
    return add(m.op(base, *m.inputs[1:]), value)


def _sum_with_put(m: Match) -> Any:
    """``x`` plus zeros with something put in is x with that added."""
    for k in (0, 1):
        put, other = m.inputs[k], m.inputs[1 - k]
        node = put.owner
        if (
            node is None
            or not isinstance(node.op, IncSubtensor)
            or not is_zeros(node.inputs[0], m)
            or other.type.broadcastable != m.out.type.broadcastable
            or put.type.broadcastable != m.out.type.broadcastable
            or other.type.dtype != put.type.dtype
            or not _same_sizes(put, other, m)
        ):
            continue
        return IncSubtensor(node.op.entries, False)(other, *node.inputs[1:])
    return None


def _put_everywhere(m: Match) -> Any:
    """Zeros in which every place of a dimension was put are what was put, side by side."""
    base: Any = m.out
    puts: list[tuple[int, int, Any]] = []
    axis = None
    while base.owner is not None and isinstance(base.owner.op, IncSubtensor):
        node = base.owner
        found = _range_along(node)
        if (
            found is None
            or axis not in (None, found[0])
            or node.inputs[1].type.dtype != m.out.dtype
        ):
            return None
        axis, first, last = found
        puts.append((first, last, node.inputs[1]))
        base = node.inputs[0]
    puts.sort(key=lambda put: put[:2])
    ends = [0, *(last for _, last, _ in puts)]
    if axis is None or len(puts) < 2 or [first for first, _, _ in puts] != ends[:-1]:
        return None
    if ends[-1] != m.out.type.shape[axis] or not is_zeros(base, m):
        return None
    parts = []
    for first, last, value in puts:
        wanted = list(m.sizes(m.out))
        wanted[axis] = constant(np.int64(last - first))
        if value.type.broadcastable != tuple(known_size(s) == 1 for s in wanted):
            return None
        same = all(a is b for a, b in zip(m.sizes(value), map(m.simplified, wanted), strict=True))
        # What does not fit is an error all the same.
        parts.append(value if same else _alloc(value, *wanted))
    return join(axis, *parts)


def _range_along(node: Any) -> tuple[int, int, int] | None:
    """Along which dimension ``node`` selects a range, from where to where, if along one only."""
    shape = node.inputs[0].type.shape
    some = [d for d, e in enumerate(node.op.entries) if e != _WHOLE]
    if len(some) != 1:
        return None
    entry, size = node.op.entries[some[0]], shape[some[0]]
    numbers = (int, type(None))
    if (
        size is None
        or not isinstance(entry, Slice)
        or not all(isinstance(p, numbers) for p in entry)
    ):
        return None
    first, last, step = slice(*entry).indices(size)
    return (some[0], first, last) if step == 1 and first < last else None


def _rule(name: str, pattern: Any, build: Any, note: str = "") -> Rule:
    return Rule(name, pattern, build, "indexing", note=note)


RULES = (
    _rule("plain_subtensor", op(Subtensor), _plain_subtensor),
    _rule("plain_inc_subtensor", op(IncSubtensor), _plain_inc_subtensor),
    _rule("part_of_repetition", op(Subtensor, op(Alloc), rest=True), _of_repetition),
    _rule("part_of_join", op(Subtensor, op(Join), rest=True), _of_join),
    _rule("part_of_put", op(Subtensor, op(IncSubtensor), rest=True), _of_inc_subtensor),
    _rule(
        "put_everywhere",
        op(IncSubtensor, op(IncSubtensor), rest=True),
        _put_everywhere,
        "may change the sign of a zero",
    ),
    _rule(
        "sum_with_put",
        AnyOf(op("add", op(IncSubtensor), y), op("add", y, op(IncSubtensor))),
        _sum_with_put,
        "may change the sign of a zero",
    ),
)
