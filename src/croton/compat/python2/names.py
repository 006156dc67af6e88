"""The built-in names of Python 2, as a dictionary that converted code runs with."""

from __future__ import annotations

import ast
import builtins
import decimal
import functools
import importlib
import io
import itertools
import math
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from croton.compat.python2 import operations
from croton.compat.python2.compiling import compile_python2
from croton.compat.python2.modules import Augmented, import_module, provide


def _range(*arguments: Any) -> list[int]:
    return list(range(*(_index(argument) for argument in arguments)))


def _xrange(*arguments: Any) -> range:
    return range(*(_index(argument) for argument in arguments))


def _index(value: Any) -> Any:
    # Python 2 took a float here, with a warning.
    return int(value) if isinstance(value, float) else value


def _map(function: Any, *iterables: Iterable[Any]) -> list[Any]:
    if len(iterables) == 1:
        items = iterables[0]
        return list(items) if function is None else [function(item) for item in items]
    rows = itertools.zip_longest(*iterables)
    return list(rows) if function is None else [function(*row) for row in rows]


def _filter(function: Any, items: Any) -> Any:
    chosen = list(filter(function, items))
    if isinstance(items, str):
        return "".join(chosen)
    return tuple(chosen) if isinstance(items, tuple) else chosen


def _sorted(
    items: Iterable[Any], cmp: Any = None, key: Any = None, reverse: bool = False
) -> list[Any]:
    return sorted(items, key=operations.sort_key(cmp, key), reverse=reverse)


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*values: Any, key: Any = None) -> Any:
        items = values[0] if len(values) == 1 else values
        return choose(items, key=operations.sort_key(None, key))

    return extreme


def _round(number: Any, digits: int = 0) -> Any:
    """Halves go away from zero, and the result is a float."""
    own = getattr(type(number), "__round__", None)
    if not isinstance(number, int | float) and own is not None:
        return own(number, digits)
    value = float(number)
    if not math.isfinite(value) or digits > 300:
        return value
    unit = decimal.Decimal(1).scaleb(-digits)
    # A float's decimal form is exact, and has up to 1075 digits.
    exact = decimal.Context(prec=1500, rounding=decimal.ROUND_HALF_UP)
    return math.copysign(float(decimal.Decimal(value).quantize(unit, context=exact)), value)


def _input(prompt: str = "") -> Any:
    frame = sys._getframe(1)
    return eval(_code(input(prompt), "<string>", "eval"), frame.f_globals, frame.f_locals)


def _code(source: Any, filename: str, mode: str) -> types.CodeType:
    if isinstance(source, types.CodeType):
        return source
    if isinstance(source, ast.AST):
        return compile(source, filename, mode)  # type: ignore[call-overload,no-any-return]
    return compile_python2(source, filename, mode)


def _compile(source: Any, filename: str, mode: str, *flags: Any) -> types.CodeType:
    return _code(source, filename, mode)


def _exec(source: Any, namespace: Any = None, local: Any = None) -> None:
    if isinstance(source, tuple) and namespace is None:
        source, namespace, local = (*source, None, None)[:3]
    frame = sys._getframe(1)
    if namespace is None:
        namespace, local = frame.f_globals, frame.f_locals
    namespace.setdefault("__builtins__", NAMES)
    code = _code(source, "<string>", "exec")
    exec(code, namespace, namespace if local is None else local)


def _eval(source: Any, namespace: Any = None, local: Any = None) -> Any:
    frame = sys._getframe(1)
    if namespace is None:
        namespace, local = frame.f_globals, frame.f_locals
    namespace.setdefault("__builtins__", NAMES)
    text = source.strip() if isinstance(source, str) else source
    code = _code(text, "<string>", "eval")
    return eval(code, namespace, namespace if local is None else local)


def _execfile(filename: str, namespace: Any = None, local: Any = None) -> None:
    frame = sys._getframe(1)
    if namespace is None:
        namespace, local = frame.f_globals, frame.f_locals
    with open(filename, "rb") as file:
        code = compile_python2(file.read(), filename, "exec")
    namespace.setdefault("__builtins__", NAMES)
    exec(code, namespace, namespace if local is None else local)


def _reload(module: Any) -> Any:
    if isinstance(module, Augmented):
        # The usual reason is sys.setdefaultencoding, which does nothing any more.
        return module
    return importlib.reload(module)


def _open(name: Any, mode: str = "r", buffering: int = -1) -> Any:
    mode = mode.replace("U", "") or "r"
    if "b" in mode:
        return open(name, mode, buffering)
    # Any byte may stand in a file; it comes out again as it went in.
    kind = mode if mode[0] in "rwax" else "r" + mode
    return open(
        name, kind, buffering if buffering else -1, encoding="utf-8", errors="surrogateescape"
    )


class _FileType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, io.IOBase)


class _File(metaclass=_FileType):
    """The type of files, whose call opens one."""

    def __new__(cls, *arguments: Any) -> Any:
        return _open(*arguments)


def _apply(function: Callable[..., Any], arguments: Any = (), keywords: Any = None) -> Any:
    return function(*arguments, **(keywords or {}))


def _coerce(left: Any, right: Any) -> tuple[Any, Any]:
    kind = type(left + right)
    return kind(left), kind(right)


def _import(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    return import_module(name, globals, locals, fromlist, level)


_BUILTIN = types.ModuleType("__builtin__")
NAMES: dict[str, Any] = _BUILTIN.__dict__
"""Built-in names: one dictionary for all converted code, that of its module ``__builtin__``."""

NAMES.update(vars(builtins))
_OWN: dict[str, Any] = {
    "__import__": _import,
    "__py2_attribute__": operations.attribute,
    "__py2_class__": operations.class_,
    "__py2_divide__": operations.divide,
    "__py2_divide_in_place__": operations.divide_in_place,
    "__py2_exception__": operations.exception,
    "__py2_exec__": _exec,
    "__py2_order__": operations.order,
    "__py2_print__": operations.print_,
    "__py2_unicode__": operations.unicode_,
    "apply": _apply,
    "basestring": (str, bytes),
    "buffer": memoryview,
    "cmp": operations.compare,
    "coerce": _coerce,
    "compile": _compile,
    "eval": _eval,
    "exec": _exec,
    "execfile": _execfile,
    "file": _File,
    "filter": _filter,
    "input": _input,
    "intern": sys.intern,
    "long": int,
    "map": _map,
    "max": _extreme(max),
    "min": _extreme(min),
    "open": _open,
    "range": _range,
    "raw_input": input,
    "reduce": functools.reduce,
    "reload": _reload,
    "round": _round,
    "sorted": _sorted,
    "StandardError": Exception,
    "unichr": chr,
    "unicode": str,
    "xrange": _xrange,
    "zip": operations.lists,
}
NAMES.update(_OWN)
provide("__builtin__", _BUILTIN)
