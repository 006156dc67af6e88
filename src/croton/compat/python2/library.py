"""Names of Python 2's library that Python 3's has lost, module by module."""

from __future__ import annotations

import collections.abc
import csv
import importlib
import io
import itertools
import math
import operator
import os
import pickle
import string
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from croton.compat.legacy import getargspec
from croton.compat.python2 import operations


class Late:
    """A value that is fetched when it is first asked for: ``module`` may be slow to import."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self) -> Any:
        """The value."""
        return getattr(importlib.import_module(self._module), self._name)


def _late(table: Mapping[str, str]) -> dict[str, Any]:
    """``{module: "name name=old ..."}`` as values that are fetched late."""
    found = {}
    for module, names in table.items():
        for name in names.split():
            old, _, new = name.partition("=")
            found[old] = Late(module, new or old)
    return found


# Pickles: Python 2 wrote strings of bytes, and files that were opened as text.


def _load(file: Any) -> Any:
    return pickle.load(operations.binary_mode(file), encoding="latin1")


def _loads(data: Any) -> Any:
    return pickle.loads(data.encode("latin1") if isinstance(data, str) else data, encoding="latin1")


def _dump(value: Any, file: Any, protocol: int = 0) -> None:
    pickle.dump(value, operations.binary_mode(file), protocol)


def _dumps(value: Any, protocol: int = 0) -> bytes:
    return pickle.dumps(value, protocol)


def _pickler(file: Any, protocol: int = 0) -> pickle.Pickler:
    return pickle.Pickler(operations.binary_mode(file), protocol)


def _unpickler(file: Any) -> pickle.Unpickler:
    return pickle.Unpickler(operations.binary_mode(file), encoding="latin1")


_PICKLE = {
    "load": _load,
    "loads": _loads,
    "dump": _dump,
    "dumps": _dumps,
    "Pickler": _pickler,
    "Unpickler": _unpickler,
    "HIGHEST_PROTOCOL": pickle.HIGHEST_PROTOCOL,
    "PickleError": pickle.PickleError,
    "PicklingError": pickle.PicklingError,
    "UnpicklingError": pickle.UnpicklingError,
}


class StringIO:
    """A file in memory, of text or of bytes: what comes first decides."""

    def __init__(self, initial: Any = None) -> None:
        self._file: Any = None
        if initial is not None and len(initial):
            self._decide(initial)(initial)

    def _decide(self, first: Any) -> Any:
        text = isinstance(first, str)

        def fill(value: Any) -> None:
            self._file = io.StringIO(value) if text else io.BytesIO(value)

        return fill

    def write(self, value: Any) -> int:
        """Append ``value``."""
        if self._file is None:
            self._file = io.StringIO() if isinstance(value, str) else io.BytesIO()
        return int(self._file.write(value))

    def __getattr__(self, name: str) -> Any:
        if self._file is None:
            self._file = io.StringIO()
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__getattr__("__iter__")())

    def __enter__(self) -> StringIO:
        return self

    def __exit__(self, *exception: object) -> None:
        self.__getattr__("close")()


# csv read files that were opened in binary mode.


def _csv_reader(lines: Any, *arguments: Any, **options: Any) -> Any:
    return csv.reader(operations.text_mode(lines), *arguments, **options)


def _dict_reader(lines: Any, *arguments: Any, **options: Any) -> Any:
    return csv.DictReader(operations.text_mode(lines), *arguments, **options)


def _csv_writer(file: Any, *arguments: Any, **options: Any) -> Any:
    return csv.writer(_Written(file), *arguments, **options)


def _dict_writer(file: Any, *arguments: Any, **options: Any) -> Any:
    return csv.DictWriter(_Written(file), *arguments, **options)


class _Written:
    """Takes text for a file that may have been opened in binary mode."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._binary = not isinstance(file, io.TextIOBase | StringIO)

    def write(self, text: str) -> Any:
        if self._binary:
            return self._file.write(text.encode("utf-8", "surrogateescape"))
        return self._file.write(text)


# Others


def _getstatusoutput(command: str) -> tuple[int, str]:
    return subprocess.getstatusoutput(command)


def _check_output(*arguments: Any, **options: Any) -> Any:
    options.setdefault("text", True)
    return subprocess.check_output(*arguments, **options)


@contextmanager
def _nested(*managers: Any) -> Iterator[tuple[Any, ...]]:
    with ExitStack() as stack:
        yield tuple(stack.enter_context(manager) for manager in managers)


def _nothing(*arguments: Any) -> None:
    """For what has no meaning any more."""


def _join(words: Iterable[str], separator: str = " ") -> str:
    return separator.join(words)


def _method(name: str) -> Callable[..., Any]:
    return lambda text, *arguments: getattr(text, name)(*arguments)


_STRING_METHODS = (
    "capitalize center count expandtabs find index ljust lower lstrip replace rfind rindex rjust "
    "rsplit rstrip split splitlines strip swapcase upper zfill"
)
_ABSTRACT = (
    "Callable Container Hashable ItemsView Iterable Iterator KeysView Mapping MappingView "
    "MutableMapping MutableSequence MutableSet Sequence Set Sized ValuesView"
)
_URLLIB = {
    "urllib.parse": "quote quote_plus unquote unquote_plus urlencode",
    "urllib.request": "urlopen urlretrieve urlcleanup pathname2url url2pathname getproxies",
}
_EXCEPTIONS = {"StandardError": Exception}

NAMES: Mapping[str, Mapping[str, Any]] = {
    "cPickle": _PICKLE,
    "pickle": _PICKLE,
    "StringIO": {"StringIO": StringIO},
    "cStringIO": {"StringIO": StringIO},
    "csv": {
        "reader": _csv_reader,
        "writer": _csv_writer,
        "DictReader": _dict_reader,
        "DictWriter": _dict_writer,
    },
    "commands": {
        "getoutput": subprocess.getoutput,
        "getstatusoutput": _getstatusoutput,
    },
    "subprocess": {"check_output": _check_output},
    "urllib": _late(_URLLIB),
    "urllib2": _late(
        {
            "urllib.request": "urlopen Request build_opener install_opener HTTPHandler "
            "HTTPSHandler HTTPCookieProcessor HTTPRedirectHandler ProxyHandler BaseHandler "
            "OpenerDirector HTTPBasicAuthHandler HTTPPasswordMgrWithDefaultRealm",
            "urllib.error": "URLError HTTPError",
            "urllib.parse": "quote unquote",
        }
    ),
    "urlparse": _late(
        {
            "urllib.parse": "urlparse urlunparse urlsplit urlunsplit urljoin urldefrag parse_qs "
            "parse_qsl ParseResult SplitResult"
        }
    ),
    "sets": {"Set": set, "ImmutableSet": frozenset},
    "itertools": {
        "izip": zip,
        "imap": map,
        "ifilter": filter,
        "ifilterfalse": itertools.filterfalse,
        "izip_longest": itertools.zip_longest,
    },
    "string": {
        "letters": string.ascii_letters,
        "lowercase": string.ascii_lowercase,
        "uppercase": string.ascii_uppercase,
        "maketrans": str.maketrans,
        "join": _join,
        "joinfields": _join,
        "atoi": int,
        "atol": int,
        "atof": float,
        **{name: _method(name) for name in _STRING_METHODS.split()},
    },
    "sys": {
        "maxint": sys.maxsize,
        "exc_clear": _nothing,
        "setdefaultencoding": _nothing,
        "setcheckinterval": _nothing,
        "subversion": ("CPython", "", ""),
    },
    "os": {"getcwdu": os.getcwd, "errno": importlib.import_module("errno")},
    "types": {
        "StringType": str,
        "UnicodeType": str,
        "StringTypes": (str,),
        "IntType": int,
        "LongType": int,
        "FloatType": float,
        "BooleanType": bool,
        "ComplexType": complex,
        "ListType": list,
        "TupleType": tuple,
        "DictType": dict,
        "DictionaryType": dict,
        "NoneType": type(None),
        "TypeType": type,
        "ClassType": type,
        "ObjectType": object,
        "InstanceType": object,
        "UnboundMethodType": types.FunctionType,
        "FileType": io.IOBase,
        "SliceType": slice,
        "XRangeType": range,
    },
    "operator": {
        "div": operations.divide,
        "idiv": operations.divide_in_place,
        "isCallable": callable,
        "sequenceIncludes": operator.contains,
        "isSequenceType": lambda value: isinstance(value, collections.abc.Sequence),
        "isMappingType": lambda value: isinstance(value, collections.abc.Mapping),
        "isNumberType": lambda value: isinstance(value, int | float | complex),
    },
    "collections": {name: getattr(collections.abc, name) for name in _ABSTRACT.split()},
    "UserDict": {"DictMixin": collections.abc.MutableMapping},
    "time": {"clock": time.perf_counter},
    "inspect": {"getargspec": getargspec},
    "contextlib": {"nested": _nested},
    "fractions": {"gcd": math.gcd},
    "thread": {"error": RuntimeError},
    "Queue": {},
    "ConfigParser": _late({"configparser": "SafeConfigParser=ConfigParser"}),
    "md5": _late({"hashlib": "new=md5 md5"}),
    "sha": _late({"hashlib": "new=sha1 sha=sha1"}),
    "exceptions": _EXCEPTIONS,
}
"""What each of Python 2's modules has and Python 3's of the same name has not."""

NEW = frozenset("cPickle StringIO cStringIO commands urllib2 urlparse sets".split())
"""Modules of which nothing is left under their name."""
