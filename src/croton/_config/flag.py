"""A flag, and how a value becomes one of its values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from croton.config import Config

_TRUE = ("True", "true", "1")
_FALSE = ("False", "false", "0")
_DEVICE = re.compile(r"(cpu|(cuda|gpu)\d*|opencl\d*(:\d+)?)\Z")


class Computed(NamedTuple):
    """A default that is worked out when it is first read; ``text`` says how."""

    compute: Callable[[Config], object]
    text: str


class Flag(NamedTuple):
    """One setting.

    ``kind`` is bool, int, float, str, path, choice, device or mode.  A ``fixed`` flag
    can be set before the import only.  One without ``effect`` is read and checked
    because Theano's programs and files name it; ``doc`` says what took its place.
    """

    name: str
    kind: str
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    fixed: bool = False
    effect: bool = True

    def expected(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "mode":
            return "one of " + ", ".join(self.choices) + ", or a Mode"
        words = {
            "bool": "True or False",
            "int": "a whole number",
            "float": "a number",
            "str": "a string",
            "path": "a path",
            "device": "cpu, cuda, cuda0, cuda1, ... (Theano's gpu, gpu0, ... mean the same)",
        }[self.kind]
        return words if self.at_least is None else f"{words}, at least {self.at_least:g}"

    def convert(self, value: object) -> Any:
        """The typed value that ``value`` (text, or a Python object) stands for.

        Raises ValueError where it stands for none.
        """
        converted = _CONVERT[self.kind](self, value)
        if self.at_least is not None and converted < self.at_least:
            raise ValueError(value)
        return converted


def _to_bool(flag: Flag, value: object) -> bool:
    text = str(value)
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(value)


def _to_int(flag: Flag, value: object) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError(value)
    return int(value.__index__())


def _to_float(flag: Flag, value: object) -> float:
    if isinstance(value, bool) or not (isinstance(value, str) or hasattr(value, "__float__")):
        raise ValueError(value)
    return float(value)


def _to_str(flag: Flag, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _to_path(flag: Flag, value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise ValueError(value)
    path = os.path.expanduser(os.fspath(value))
    if flag.effect and not path.strip():
        # The working directory would be taken for it.
        raise ValueError
    return path


def _to_choice(flag: Flag, value: object) -> str:
    # None, True and False are choices of some flags, where they are spelled as text.
    text = value if isinstance(value, str) else str(value)
    if flag.name == "floatX" and text in ("16", "32", "64"):
        text = "float" + text
    if text not in flag.choices:
        raise ValueError(value)
    return text


def _to_device(flag: Flag, value: object) -> str:
    if not isinstance(value, str) or not (_DEVICE.match(value) or value == flag.default):
        raise ValueError(value)
    return value


def _to_mode(flag: Flag, value: object) -> object:
    if not isinstance(value, str) and hasattr(value, "including") and hasattr(value, "excluding"):
        return value
    return _to_choice(flag, value)


_CONVERT: dict[str, Callable[[Flag, object], Any]] = {
    "bool": _to_bool,
    "int": _to_int,
    "float": _to_float,
    "str": _to_str,
    "path": _to_path,
    "choice": _to_choice,
    "device": _to_device,
    "mode": _to_mode,
}
