"""Which line of the user's code made a variable: cheap to record, read only for messages."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_DEPTH = 3
_ours: dict[CodeType, bool] = {}


class _Code(NamedTuple):
    """What is left of a code object that was pickled."""

    co_filename: str
    co_name: str


class Frame(NamedTuple):
    """A place in the user's code."""

    code: CodeType | _Code
    line: int

    def __reduce__(self) -> tuple[object, ...]:
        # Code objects cannot be pickled; of this one only its names are read.
        return Frame, (_Code(self.code.co_filename, self.code.co_name), self.line)

    def __str__(self) -> str:
        return f'File "{self.code.co_filename}", line {self.line}, in {self.code.co_name}'


Trace = tuple[Frame, ...]


class _State(threading.local):
    given: Trace | None = None


_state = _State()


def user_frames() -> Trace:
    """Up to three frames of the caller's stack outside this package, innermost first."""
    if _state.given is not None:
        return _state.given
    frame = sys._getframe(2)
    found: list[Frame] = []
    while frame is not None:
        code = frame.f_code
        ours = _ours.get(code)
        if ours is None:
            ours = _ours[code] = code.co_filename.startswith((_PACKAGE, "<frozen"))
        if not ours:
            found.append(Frame(code, frame.f_lineno))
            if len(found) == _DEPTH:
                break
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)


@contextmanager
def made_by(given: Trace) -> Iterator[None]:
    """Variables made within are said to come from ``given`` (a rewrite keeps the user's line)."""
    before = _state.given
    _state.given = given
    try:
        yield
    finally:
        _state.given = before


def describe(trace: Trace) -> str:
    """The trace as lines for an error message, or an empty string if there is none."""
    if not trace:
        return ""
    return "\nThe expression was made here (innermost first):\n" + "\n".join(
        f"  {frame}" for frame in trace
    )
