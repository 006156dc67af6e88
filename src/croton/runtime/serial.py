"""Programs as bytes: a stamp, then JSON lists in the order of the fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from croton.runtime.program import (
    Allocate,
    Argument,
    Ask,
    Buffer,
    Check,
    Compute,
    Copy,
    Error,
    Host,
    Instruction,
    Item,
    Join,
    Keep,
    Launch,
    LaunchAt,
    Loop,
    Next,
    Output,
    Program,
    Question,
    Split,
    Update,
    View,
)

_STAMP = b"croton program 8\n"
_INSTRUCTIONS: dict[str, type[Instruction]] = {
    "compute": Compute,
    "allocate": Allocate,
    "keep": Keep,
    "launch": Launch,
    "launch_at": LaunchAt,
    "copy": Copy,
    "item": Item,
    "check": Check,
    "host": Host,
    "view": View,
    "loop": Loop,
    "next": Next,
    "split": Split,
    "join": Join,
    "ask": Ask,
}
_TAGS = {cls: tag for tag, cls in _INSTRUCTIONS.items()}

_Reader = Callable[[Any], Any]


def dumps(program: Program) -> bytes:
    """``program`` as bytes that :func:`loads` reads."""
    instructions = [(_TAGS[type(i)], *i) for i in program.instructions]
    text = json.dumps(program._replace(instructions=()), separators=(",", ":"))
    code = json.dumps(instructions, separators=(",", ":"))
    return _STAMP + f"[{text},{code}]".encode()


def loads(data: bytes) -> Program:
    """The program that :func:`dumps` wrote; ValueError if ``data`` are not such bytes."""
    if not data.startswith(_STAMP):
        raise ValueError("not a program of this version")
    try:
        outside, code = json.loads(data[len(_STAMP) :])
        program: Program = _PROGRAM(outside)
        return program._replace(instructions=tuple(map(_instruction, code)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"a damaged program: {error}") from None


def _integer(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError(f"expected an integer of 64 bits, not {value!r:.40}")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"expected a string, not {value!r:.40}")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"expected true or false, not {value!r:.40}")
    return value


def _extent(value: Any) -> int | None:
    return None if value is None else _integer(value)


def _known(value: Any) -> str | int | bool | None:
    if value is None or type(value) in (bool, str):
        return value  # type: ignore[no-any-return]
    return _integer(value)


def _many(reader: _Reader) -> _Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ValueError(f"expected a list, not {value!r:.40}")
        return tuple(map(reader, value))

    return read


def _fields(make: Callable[..., Any], *readers: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise ValueError(f"expected a list of {len(readers)}, not {value!r:.40}")
        return make(*(reader(part) for reader, part in zip(readers, value, strict=True)))

    return read


def _pair(*values: Any) -> tuple[Any, ...]:
    return values


def _call(value: Any) -> Any:
    return _CALL(value)


_INTEGERS = _many(_integer)
_LAUNCH = (_integer, _INTEGERS, _INTEGERS, _integer, _integer, _integer, _many(_call))
_CALL = _fields(_pair, _integer, _fields(Launch, *_LAUNCH))
_SHAPED = _many(_fields(_pair, _integer, _INTEGERS))

_READERS: dict[str, _Reader] = {
    "compute": _fields(Compute, _text, _integer, _integer, _integer, _integer),
    "allocate": _fields(Allocate, _integer, _integer, _INTEGERS),
    "keep": _fields(Keep, _integer, _integer, _INTEGERS),
    "launch": _fields(Launch, *_LAUNCH),
    "launch_at": _fields(LaunchAt, _integer, _INTEGERS, _INTEGERS, _integer, _INTEGERS),
    "copy": _fields(Copy, _integer, _integer, _integer),
    "item": _fields(Item, _integer, _integer, _integer),
    "check": _fields(Check, _integer, _integer),
    "host": _fields(Host, _integer, _SHAPED, _SHAPED),
    "view": _fields(View, _integer, _integer, _integer, _integer),
    "loop": _fields(Loop, _integer, _integer, _truth),
    "next": _fields(Next, _integer),
    "split": _fields(Split, _integer, _integer, _integer, _integer),
    "join": _fields(Join),
    "ask": _fields(Ask, _integer, _integer, _integer, _INTEGERS),
}


def _instruction(value: Any) -> Instruction:
    if type(value) is not list or not value:
        raise ValueError(f"expected an instruction, not {value!r:.40}")
    instruction: Instruction = _READERS[_text(value[0])](value[1:])
    return instruction


_PROGRAM = _fields(
    Program,
    _text,
    _many(_fields(Argument, _text, _integer, _integer, _text, _many(_extent), _integer, _text)),
    _many(_fields(Buffer, _text, _text, _integer)),
    _integer,
    _many(_fields(_pair, _integer, _integer)),
    _many(_instruction),
    _many(_fields(Output, _integer, _text, _INTEGERS, _truth)),
    _many(_fields(Update, _integer, _integer, _text, _INTEGERS)),
    _many(_text),
    _many(_fields(Error, _text, _text, _INTEGERS)),
    _many(_fields(Question, _text, _many(_fields(_pair, _text, _known)))),
)
