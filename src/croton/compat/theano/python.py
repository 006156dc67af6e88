"""``theano.compat``: what let Theano run on several versions of Python."""

from __future__ import annotations

import configparser
import io
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from importlib import reload
from operator import truediv as operator_div
from typing import Any

__all__ = [
    "PY3",
    "BytesIO",
    "DefaultOrderedDict",
    "DictMixin",
    "Iterable",
    "Mapping",
    "OrderedDict",
    "ValuesView",
    "b",
    "cmp",
    "configparser",
    "decode",
    "decode_iter",
    "exc_message",
    "get_unbound_function",
    "ifilter",
    "imap",
    "izip",
    "next",
    "operator_div",
    "reload",
]

PY3 = True
BytesIO = io.BytesIO
DictMixin = MutableMapping
next = next
izip, imap, ifilter = zip, map, filter


def b(text: str) -> bytes:
    """``text`` as bytes."""
    return text.encode("latin-1")


def cmp(x: Any, y: Any) -> int:
    """-1, 0 or 1 where ``x`` is less than, equal to or greater than ``y``."""
    return int(x > y) - int(x < y)


def decode(data: bytes) -> str:
    """``data`` as text."""
    return data.decode()


def decode_iter(lines: Iterable[bytes]) -> Iterator[str]:
    """Each of ``lines`` as text."""
    return (line.decode() for line in lines)


def exc_message(error: BaseException) -> Any:
    """What ``error``, or the error that it was made from, says."""
    while isinstance(error.args[0], Exception):
        error = error.args[0]
    return error.args[0]


def get_unbound_function(method: Any) -> Any:
    """The function of a method."""
    return getattr(method, "__func__", method)


class DefaultOrderedDict(OrderedDict[Any, Any]):
    """An ordered dictionary that makes what it misses."""

    def __init__(self, default_factory: Callable[[], Any] | None = None, *items: Any) -> None:
        super().__init__(*items)
        self.default_factory = default_factory

    def __missing__(self, key: Any) -> Any:
        if self.default_factory is None:
            raise KeyError(key)
        self[key] = value = self.default_factory()
        return value
