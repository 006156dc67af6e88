"""The modules of Python 2: other names for Python 3's, and names that those have lost.

Only converted code sees them: its ``__import__`` comes here, so a package that asks which
Python it runs on by trying ``import urllib2`` gets the right answer still.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from typing import Any

from croton.compat.python2 import library

_RENAMED: Mapping[str, str] = {
    "BaseHTTPServer": "http.server",
    "CGIHTTPServer": "http.server",
    "ConfigParser": "configparser",
    "Cookie": "http.cookies",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "SimpleHTTPServer": "http.server",
    "SimpleXMLRPCServer": "xmlrpc.server",
    "SocketServer": "socketserver",
    "Tkinter": "tkinter",
    "UserDict": "collections",
    "UserList": "collections",
    "UserString": "collections",
    "_winreg": "winreg",
    "anydbm": "dbm",
    "cookielib": "http.cookiejar",
    "copy_reg": "copyreg",
    "dbhash": "dbm",
    "dummy_thread": "_thread",
    "dumbdbm": "dbm.dumb",
    "exceptions": "builtins",
    "gdbm": "dbm.gnu",
    "htmlentitydefs": "html.entities",
    "httplib": "http.client",
    "markupbase": "_markupbase",
    "md5": "hashlib",
    "repr": "reprlib",
    "robotparser": "urllib.robotparser",
    "sha": "hashlib",
    "thread": "_thread",
    "tkFileDialog": "tkinter.filedialog",
    "tkMessageBox": "tkinter.messagebox",
    "whichdb": "dbm",
    "xmlrpclib": "xmlrpc.client",
    "email.MIMEBase": "email.mime.base",
    "email.MIMEImage": "email.mime.image",
    "email.MIMEMultipart": "email.mime.multipart",
    "email.MIMEText": "email.mime.text",
    "email.Utils": "email.utils",
    "email.Encoders": "email.encoders",
}


class Augmented(types.ModuleType):
    """A module of Python 3 with Python 2's names; what is set is set in the module itself."""

    def __init__(self, name: str, real: types.ModuleType, names: Mapping[str, Any]) -> None:
        super().__init__(name, real.__doc__)
        self.__dict__["_real"] = real
        self.__dict__["_names"] = names
        for special in ("__file__", "__path__", "__spec__"):
            if hasattr(real, special):
                self.__dict__[special] = getattr(real, special)

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__["_names"]
        if name in names:
            value = names[name]
            return value() if isinstance(value, library.Late) else value
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_real"], name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__["_real"]), *self.__dict__["_names"]})

    @property
    def __all__(self) -> list[str]:
        real = self.__dict__["_real"]
        public = getattr(real, "__all__", None) or [n for n in vars(real) if n[0] != "_"]
        return [*public, *self.__dict__["_names"]]


_made: dict[str, types.ModuleType] = {}


def provide(name: str, module: types.ModuleType) -> None:
    """Let converted code import ``module`` as ``name``."""
    _made[name] = module


def import_module(name: str, globals: Any, locals: Any, fromlist: Any, level: int) -> Any:
    """``__import__`` with Python 2's rules: a package's own modules first, then the old names."""
    if level > 0:
        return builtins.__import__(name, globals, locals, fromlist, level)
    package = (globals or {}).get("__package__")
    if package and not _is_absolute(globals):
        first = name.partition(".")[0]
        sibling = f"{package}.{first}"
        if sibling in sys.modules or importlib.util.find_spec(sibling) is not None:
            return builtins.__import__(name, globals, locals, fromlist, 1)
    made = _module(name)
    if made is None:
        top = builtins.__import__(name, globals, locals, fromlist, 0)
        if fromlist:
            return top
        # `import os.path` binds os, which may have lost names.
        return _module(name.partition(".")[0]) or top
    if fromlist or "." not in name:
        for part in fromlist or ():
            real = made.__dict__.get("_real")
            if real is not None and hasattr(real, "__path__") and not hasattr(made, part):
                importlib.import_module(f"{real.__name__}.{part}")
        return made
    top = builtins.__import__(name.partition(".")[0])
    top.__dict__.setdefault(name.rpartition(".")[2], made)
    return top


def _is_absolute(globals: Mapping[str, Any]) -> bool:
    future = globals.get("absolute_import")
    return type(future).__name__ == "_Feature"


def _module(name: str) -> types.ModuleType | None:
    """The module that Python 2 called ``name``, where it is not simply Python 3's."""
    if name in _made:
        return _made[name]
    names = library.NAMES.get(name)
    real_name = _RENAMED.get(name, name)
    if names is None and name not in _RENAMED:
        return None
    made: types.ModuleType
    if name in library.NEW:
        made = types.ModuleType(name)
        for key, value in (names or {}).items():
            setattr(made, key, value() if isinstance(value, library.Late) else value)
    else:
        made = Augmented(name, importlib.import_module(real_name), names or {})
    _made[name] = made
    return made
