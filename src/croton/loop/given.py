"""What scan is given: sequences and what is known of outputs, each brought into one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from croton.config import config
from croton.graph import trace
from croton.tensor.convert import as_tensor_variable, constant
from croton.tensor.elementwise import maximum
from croton.tensor.type import TensorType


def as_list(x: Any) -> list[Any]:
    """Nothing, one thing, or several, as a list."""
    if x is None:
        return []
    return list(x) if isinstance(x, list | tuple) else [x]


def tensor(x: Any, what: str) -> Any:
    """``x`` as a tensor variable; TypeError that says ``what`` it is if it is none."""
    try:
        return as_tensor_variable(x)
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None


def _taps(given: Any, what: str) -> list[int]:
    taps = as_list(given)
    for tap in taps:
        if not isinstance(tap, int | np.integer) or isinstance(tap, bool):
            raise TypeError(f"{what}: taps are integers, got {tap!r}")
    if not taps:
        raise ValueError(f"{what}: there must be a tap")
    if len(set(taps)) < len(taps):
        raise ValueError(f"{what}: a tap is given twice in {given}")
    return [int(tap) for tap in taps]


def _row(v: Any, kind: TensorType, tap: int) -> Any:
    """A step's variable for a row of ``v``."""
    name = None if v.name is None else f"{v.name}[t{tap:+d}]" if tap else f"{v.name}[t]"
    row = kind(name)
    row.tag.of_step = True
    return row


class GivenSequence(NamedTuple):
    """A sequence, of which a step s gets the rows s + tap for each of ``taps`` (>= 0)."""

    whole: Any
    taps: tuple[int, ...]
    rows: tuple[Any, ...]

    @property
    def steps(self) -> Any:
        """For how many steps it is long enough."""
        length, last = self.whole.shape[0], max(self.taps)
        return maximum(length - last, 0) if last else length


def sequence(given: Any, number: int, backwards: bool) -> GivenSequence:
    """Sequence ``number``, as scan is given it, to be read forwards.

    TypeError or ValueError if it has no rows or its taps make no sense.
    """
    what = f"sequence {number}"
    if isinstance(given, Mapping):
        unknown = set(given) - {"input", "taps"}
        if unknown or given.get("input") is None:
            raise ValueError(f"{what} is a dict of 'input' and 'taps', got {dict(given)}")
        x, taps = given["input"], _taps(given.get("taps", 0), what)
        if given.get("taps", 0) is None:
            taps = [0]
    else:
        x, taps = given, [0]
    x = tensor(x, what)
    if x.type.ndim == 0:
        raise TypeError(f"{what}: {x} is a scalar, which has no rows" + trace.describe(x.made_at))
    low, high = min(*taps, 0), max(taps)
    kind = TensorType(x.type.dtype, x.type.shape[1:])
    rows = tuple(_row(x, kind, tap) for tap in taps)
    if high < 0:
        x = x[:high]
    # Without the rows that no step reads, the first one that a step reads is row 0.
    first = min(taps) - low
    if first:
        x = x[first:]
    moved = [tap - low - first for tap in taps]
    if backwards:
        last = max(moved)
        x, moved = x[::-1], [last - tap for tap in moved]
    return GivenSequence(x, tuple(moved), rows)


class GivenState(NamedTuple):
    """An output that is fed back: its initial rows, and what a step gets of it.

    ``lags`` says how many steps ago; ``rows`` are the step's variables.  ``number`` is the Python
    number that it begins with, if it is one, whose dtype is what steps make of it.
    """

    initial: Any
    lags: tuple[int, ...]
    rows: tuple[Any, ...]
    what: str
    number: int | float | None = None


def state(given: Any, number: int) -> GivenState | None:
    """What is known of output ``number``; None if it is not fed back."""
    what = f"output {number}"
    if given is None:
        return None
    initial, taps = given, [-1]
    if isinstance(given, Mapping):
        unknown = set(given) - {"initial", "taps", "inplace"}
        if unknown:
            raise ValueError(
                f"{what}: {', '.join(map(repr, sorted(unknown)))} is not understood: outputs_info "
                "has dicts of 'initial' and 'taps'; take the last steps of an output by indexing it"
            )
        initial = given.get("initial")
        if initial is None:
            if given.get("taps") is not None:
                raise ValueError(f"{what} has taps {given['taps']}, but no initial state")
            return None
        if given.get("taps") is not None:
            taps = _taps(given["taps"], what)
    if max(taps) >= 0:
        raise ValueError(
            f"{what} has the taps {taps}: a step gets what outputs were before, so taps are < 0"
        )
    plain = initial if type(initial) in (int, float) else None
    v = tensor(initial, what) if plain is None else _begin(plain)
    lags = tuple(-tap for tap in taps)
    if taps == [-1]:
        kind = v.type
        before = v.dimshuffle("x", *range(v.type.ndim))
    else:
        if v.type.ndim == 0:
            raise TypeError(
                f"{what} has the taps {taps}: its initial state has a row for each of "
                f"the last {max(lags)} steps, but {v} is a scalar" + trace.describe(v.made_at)
            )
        length = v.type.shape[0]
        if length is not None and length < max(lags):
            raise ValueError(
                f"{what} has the taps {taps}: its initial state needs {max(lags)} rows, "
                f"{v} has {length}" + trace.describe(v.made_at)
            )
        kind = TensorType(v.type.dtype, v.type.shape[1:])
        before = v if length == max(lags) else v[: max(lags)]
    named = what if v.name is None else f"{what} ({v.name})"
    return GivenState(before, lags, tuple(_row(v, kind, tap) for tap in taps), named, plain)


def _begin(number: Any) -> Any:
    # Not the smallest dtype that holds it: a state that begins with 0 is to count beyond 127.
    if isinstance(number, float):
        return constant(number, dtype=config.floatX)
    if -(2**63) <= number < 2**63:
        return constant(number, dtype="int64")
    return as_tensor_variable(number)
