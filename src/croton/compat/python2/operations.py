"""What converted code calls: Python 2's operations, decided by the values at hand."""

from __future__ import annotations

import binascii
import codecs
import functools
import io
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from croton.config import config
from croton.graph import Variable

# Division

_INTEGERS = ("int", "uint", "bool")


def divide(left: Any, right: Any) -> Any:
    """``left / right``: the floor of integers, ``__div__`` where a class has one."""
    if _is_integer(left) and _is_integer(right):
        return _floor(left, right)
    classic = getattr(type(left), "__div__", None)
    if classic is not None:
        result = classic(left, right)
        if result is not NotImplemented:
            return result
    reflected = getattr(type(right), "__rdiv__", None)
    if reflected is not None and not isinstance(left, np.ndarray):
        result = reflected(right, left)
        if result is not NotImplemented:
            return result
    return left / right


def divide_in_place(left: Any, right: Any) -> Any:
    """``left /= right``; the new value of ``left``."""
    classic = getattr(type(left), "__idiv__", None)
    if classic is not None:
        result = classic(left, right)
        if result is not NotImplemented:
            return result
    if isinstance(left, np.ndarray):
        if _is_integer(left) and _is_integer(right):
            left //= right
        else:
            left /= right
        return left
    return divide(left, right)


def _is_integer(value: Any) -> bool:
    if isinstance(value, int):
        return True
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "iub"
    return isinstance(value, Variable) and str(getattr(value, "dtype", "")).startswith(_INTEGERS)


def _floor(left: Any, right: Any) -> Any:
    symbolic = isinstance(left, Variable) or isinstance(right, Variable)
    if not symbolic or config.int_division == "int":
        return left // right
    if config.int_division == "raise":
        raise TypeError(f"{left} / {right}: the division of integers, and int_division=raise")
    return left / right


# Order

_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def order(sign: str, left: Any, right: Any) -> Any:
    """``left sign right``, where any two values can be compared."""
    ordered = _ORDER[sign]
    try:
        return ordered(left, right)
    except TypeError:
        if type(left) is not type(right) or left is None:
            return ordered(rank(left), rank(right))
        if not isinstance(left, list | tuple):
            raise
    for one, other in zip(left, right, strict=False):
        if one != other:
            return order(sign, one, other)
    return ordered(len(left), len(right))


def rank(value: Any) -> tuple[int, Any]:
    """Where ``value`` stands among values of other types: None, numbers, the rest by name."""
    if value is None:
        return (0, "")
    if isinstance(value, int | float | np.number):
        return (1, "")
    return (2, type(value).__name__)


def compare(left: Any, right: Any) -> int:
    """``cmp(left, right)``."""
    classic = getattr(type(left), "__cmp__", None)
    if classic is not None:
        return int(classic(left, right))
    if left == right:
        return 0
    return -1 if order("<", left, right) else 1


class SortKey:
    """Puts values of unlike types in Python 2's order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: SortKey) -> bool:
        return bool(order("<", self.value, other.value))


def sort_key(cmp: Any, key: Any) -> Callable[[Any], Any]:
    """One key function for ``sort(cmp, key)``."""
    make: Callable[[Any], Any] = functools.cmp_to_key(cmp) if cmp is not None else SortKey
    if key is None:
        return make
    return lambda item: make(key(item))


# Attributes


def attribute(owner: Any, name: str) -> Any:
    """``owner.name``, with the methods that Python 2's types had."""
    special = _SPECIAL.get(name)
    if special is None:
        return getattr(owner, name)
    return special(owner, name)


def _listed(owner: Any, name: str) -> Any:
    method = getattr(owner, name)
    if isinstance(owner, Mapping) and callable(method):
        return lambda: _as_list(method())
    return method


def _as_list(views: Any) -> Any:
    return views if isinstance(views, list) else list(views)


def _iterated(owner: Any, name: str) -> Any:
    own = getattr(owner, name, None)
    if own is not None:
        return own
    method = getattr(owner, name[4:])
    return method if name.startswith("view") else (lambda: iter(method()))


def _has_key(owner: Any, name: str) -> Any:
    own = getattr(owner, name, None)
    return owner.__contains__ if own is None and isinstance(owner, Mapping) else owner.has_key


def _next(owner: Any, name: str) -> Any:
    try:
        return owner.next
    except AttributeError:
        if hasattr(type(owner), "__next__"):
            return owner.__next__
        raise


def _sort(owner: Any, name: str) -> Any:
    if not isinstance(owner, list):
        return getattr(owner, name)

    def sort(cmp: Any = None, key: Any = None, reverse: bool = False) -> None:
        owner.sort(key=sort_key(cmp, key), reverse=reverse)

    return sort


def _message(owner: Any, name: str) -> Any:
    own = getattr(owner, name, None)
    if own is not None or not isinstance(owner, BaseException):
        return getattr(owner, name)
    return owner.args[0] if len(owner.args) == 1 else ""


def _throw(owner: Any, name: str) -> Any:
    if not isinstance(owner, types.GeneratorType):
        return getattr(owner, name)

    def throw(kind: Any, value: Any = None, trace: Any = None) -> Any:
        problem = exception(kind, value)
        return owner.throw(problem if trace is None else problem.with_traceback(trace))

    return throw


def _lines(owner: Any, name: str) -> Any:
    return (lambda: iter(owner)) if isinstance(owner, io.IOBase) else getattr(owner, name)


def _renamed(new: str) -> Callable[[Any, str], Any]:
    def read(owner: Any, name: str) -> Any:
        try:
            return getattr(owner, name)
        except AttributeError:
            if not isinstance(
                owner, types.FunctionType | types.MethodType | types.BuiltinFunctionType
            ):
                raise
            return getattr(owner, new)

    return read


def _to_bytes(owner: Any, name: str) -> Any:
    return owner.tobytes if isinstance(owner, np.ndarray | np.generic) else getattr(owner, name)


def _im_func(owner: Any, name: str) -> Any:
    # What Python 2 called an unbound method is a function.
    return owner if isinstance(owner, types.FunctionType) else _renamed("__func__")(owner, name)


def _im_self(owner: Any, name: str) -> Any:
    return None if isinstance(owner, types.FunctionType) else _renamed("__self__")(owner, name)


def _im_class(owner: Any, name: str) -> Any:
    own = getattr(owner, name, None)
    return own if own is not None else type(owner.__self__)


def _decode(owner: Any, name: str) -> Any:
    return _text_codec(owner, _DECODE) if isinstance(owner, str) else getattr(owner, name)


def _encode(owner: Any, name: str) -> Any:
    if not isinstance(owner, str):
        return getattr(owner, name)

    def encode(encoding: str = "utf-8", errors: str = "strict") -> Any:
        found = _ENCODE.get(_codec(encoding))
        return owner.encode(encoding, errors) if found is None else found(owner)

    return encode


def _text_codec(text: str, table: dict[str, Callable[[str], str]]) -> Any:
    def convert(encoding: str = "utf-8", errors: str = "strict") -> str:
        found = table.get(_codec(encoding))
        # What Python 2 decoded to text is text already.
        return text if found is None else found(text)

    return convert


def _codec(name: str) -> str:
    return name.lower().replace("-", "_").removesuffix("_codec")


def _raw(text: str) -> bytes:
    return text.encode("latin-1")


_DECODE: dict[str, Callable[[str], str]] = {
    "hex": lambda text: binascii.unhexlify(_raw(text)).decode("latin-1"),
    "base64": lambda text: binascii.a2b_base64(_raw(text)).decode("latin-1"),
    "rot13": lambda text: codecs.decode(text, "rot13"),
    "rot_13": lambda text: codecs.decode(text, "rot13"),
    "string_escape": lambda text: codecs.escape_decode(_raw(text))[0].decode("latin-1"),
    "unicode_escape": lambda text: codecs.decode(_raw(text), "unicode_escape"),
}
_ENCODE: dict[str, Callable[[str], str]] = {
    "hex": lambda text: _raw(text).hex(),
    "base64": lambda text: binascii.b2a_base64(_raw(text)).decode("latin-1"),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "rot_13": lambda text: codecs.encode(text, "rot13"),
    "string_escape": lambda text: repr(text)[1:-1],
}
_SPECIAL: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("keys", "values", "items"), _listed),
    **dict.fromkeys(("iterkeys", "itervalues", "iteritems"), _iterated),
    **dict.fromkeys(("viewkeys", "viewvalues", "viewitems"), _iterated),
    "has_key": _has_key,
    "next": _next,
    "sort": _sort,
    "message": _message,
    "throw": _throw,
    "xreadlines": _lines,
    "tostring": _to_bytes,
    "decode": _decode,
    "encode": _encode,
    "im_class": _im_class,
    "im_func": _im_func,
    "im_self": _im_self,
    "func_name": _renamed("__name__"),
    "func_code": _renamed("__code__"),
    "func_defaults": _renamed("__defaults__"),
    "func_dict": _renamed("__dict__"),
    "func_doc": _renamed("__doc__"),
    "func_globals": _renamed("__globals__"),
    "func_closure": _renamed("__closure__"),
}


# Classes

_METHODS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("next", "__next__", lambda self: self.next()),
    ("__nonzero__", "__bool__", lambda self: bool(self.__nonzero__())),
    ("__unicode__", "__str__", lambda self: self.__unicode__()),
    ("__long__", "__int__", lambda self: self.__long__()),
)


def class_(made: type) -> type:
    """``made``, with the methods that Python 3 asks for where it has those of Python 2."""
    own = vars(made)
    for old, new, call in _METHODS:
        if old in own and new not in own:
            setattr(made, new, call)
    for old, new in (("div", "truediv"), ("rdiv", "rtruediv"), ("idiv", "itruediv")):
        if f"__{old}__" in own and f"__{new}__" not in own:
            setattr(made, f"__{new}__", own[f"__{old}__"])
    _add_slices(made, own)
    if "__cmp__" in own:
        _add_order(made, own)
    if own.get("__hash__", made) is None and ("__eq__" in own or "__cmp__" in own):
        inherited = next(vars(base)["__hash__"] for base in made.__mro__[1:] if _hashes(base))
        setattr(made, "__hash__", inherited)  # noqa: B010 - it is not an assignment of a method
    return made


def _hashes(base: type) -> bool:
    return vars(base).get("__hash__") is not None


def _add_order(made: type, own: Mapping[str, Any]) -> None:
    tests: dict[str, Callable[[int], bool]] = {
        "__lt__": lambda c: c < 0,
        "__le__": lambda c: c <= 0,
        "__eq__": lambda c: c == 0,
        "__ne__": lambda c: c != 0,
        "__gt__": lambda c: c > 0,
        "__ge__": lambda c: c >= 0,
    }
    for name, test in tests.items():
        if name not in own:
            setattr(made, name, lambda self, other, test=test: test(self.__cmp__(other)))


def _add_slices(made: type, own: Mapping[str, Any]) -> None:
    for old, new in (
        ("__getslice__", "__getitem__"),
        ("__setslice__", "__setitem__"),
        ("__delslice__", "__delitem__"),
    ):
        if old in own:
            setattr(made, new, _sliced(own[old], getattr(made, new, None)))


def _sliced(old: Callable[..., Any], item: Callable[..., Any] | None) -> Callable[..., Any]:
    def by_index(self: Any, index: Any, *value: Any) -> Any:
        if isinstance(index, slice) and index.step is None:
            start = 0 if index.start is None else index.start
            stop = sys.maxsize if index.stop is None else index.stop
            if start < 0:
                start += len(self)
            if stop < 0:
                stop += len(self)
            return old(self, start, stop, *value)
        if item is None:
            raise TypeError(f"{type(self).__name__} has slices only")
        return item(self, index, *value)

    return by_index


def exception(kind: Any, value: Any) -> BaseException:
    """What ``raise kind, value`` raises."""
    if isinstance(kind, type):
        if isinstance(value, BaseException) and isinstance(value, kind):
            return value
        made: object
        if value is None:
            made = kind()
        elif isinstance(value, tuple):
            made = kind(*value)
        else:
            made = kind(value)
        if isinstance(made, BaseException):
            return made
    elif isinstance(kind, BaseException) and value is None:
        return kind
    raise TypeError(f"exceptions must be classes or instances, not {type(kind).__name__}")


# Printing

_SOFT_SPACE: dict[int, bool] = {}


def print_(*values: Any, file: Any = None, newline: bool = True) -> None:
    """The print statement: after ``print x,`` the next value is parted by a space."""
    out = sys.stdout if file is None else file
    if out is None:
        return
    pending = _pending(out)
    for value in values:
        text = str(value)
        out.write(" " + text if pending else text)
        pending = not (text and text[-1].isspace() and text[-1] != " ")
    if newline:
        out.write("\n")
        pending = False
    _set_pending(out, pending)


def end_line() -> None:
    """End a line that a last ``print x,`` left open."""
    if sys.stdout is not None and _pending(sys.stdout):
        print_()


def _pending(out: Any) -> bool:
    try:
        return bool(out.softspace)
    except AttributeError:
        return _SOFT_SPACE.get(id(out), False)


def _set_pending(out: Any, pending: bool) -> None:
    try:
        out.softspace = pending
    except AttributeError:
        _SOFT_SPACE[id(out)] = pending


def unicode_(value: Any, encoding: str = "ascii", errors: str = "strict") -> str:
    """``unicode(value, encoding)``; what is text already stays."""
    return value if isinstance(value, str) else str(value, encoding, errors)


def text_mode(file: Any) -> Any:
    """``file`` as one that text is read from, where it was opened in binary mode."""
    binary = isinstance(file, io.RawIOBase | io.BufferedIOBase)
    return io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="") if binary else file


def binary_mode(file: Any) -> Any:
    """``file`` as one that bytes are read from or written to."""
    return getattr(file, "buffer", file) if isinstance(file, io.TextIOBase) else file


def lists(*iterables: Iterable[Any]) -> list[tuple[Any, ...]]:
    """``zip`` as a list."""
    return list(zip(*iterables, strict=False))
