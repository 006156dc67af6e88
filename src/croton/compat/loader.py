"""Imports that convert Python 2 sources on the way."""

from __future__ import annotations

import ast
import importlib.machinery
import os
import sys
import sysconfig
import types
from collections.abc import Sequence
from importlib.abc import MetaPathFinder

from croton.compat.python2 import store
from croton.compat.python2.compiling import compile_python2, text_of
from croton.compat.python2.detect import version_of
from croton.compat.python2.names import NAMES

_TREE: int = ast.PyCF_ONLY_AST
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _libraries() -> tuple[str, ...]:
    names = ("purelib", "platlib")
    found = {os.path.realpath(sysconfig.get_path(name)) for name in names}
    found.update(os.path.realpath(p) for p in sys.path if p.endswith("-packages"))
    return tuple(path + os.sep for path in found)


def _standard() -> tuple[str, ...]:
    found = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return (*(path + os.sep for path in found), _OURS + os.sep)


class Source:
    """A source, and which Python it is written for.

    ``version`` is ``"2"``, ``"3"``, or ``"auto"`` to find out; ``otherwise`` is the version
    of a source that may be either.
    """

    code: types.CodeType

    def __init__(self, data: bytes, path: str, version: str, otherwise: str = "3") -> None:
        self.python2 = version == "2"
        if version == "3":
            self.code = compile(data, path, "exec", dont_inherit=True)
        elif version == "2":
            self.code = compile_python2(data, path)
        else:
            self._find_out(data, path, otherwise)

    def _find_out(self, data: bytes, path: str, otherwise: str) -> None:
        found = store.find(data, path, otherwise)
        if found is not None:
            self.python2, self.code = True, found
            return
        try:
            tree: ast.Module = compile(data, path, "exec", _TREE, dont_inherit=True)
        except SyntaxError as problem:
            self.code = _convert_or(problem, data, path)
            self.python2 = True
        else:
            first = data[: data.find(b"\n")].decode("latin-1")
            self.python2 = (version_of(tree, first) or otherwise) == "2"
            if not self.python2:
                self.code = compile(tree, path, "exec", dont_inherit=True)
                return
            self.code = compile_python2(data, path)
        store.keep(data, path, otherwise, self.code)

    def run(self, namespace: dict[str, object]) -> None:
        """Execute it."""
        if self.python2:
            namespace["__builtins__"] = NAMES
        exec(self.code, namespace)


def _convert_or(problem: SyntaxError, data: bytes, path: str) -> types.CodeType:
    """Python 2's code, or Python 3's complaint where it is neither."""
    try:
        return compile_python2(data, path)
    except SyntaxError:
        if b"print_function" in data or not _looks_old(data):
            raise problem from None
        raise


def _looks_old(data: bytes) -> bool:
    """Whether a source that is wrong in both grammars has a print statement."""
    return any(
        line.lstrip().startswith(("print ", "print>>")) and not line.lstrip().startswith("print (")
        for line in text_of(data).splitlines()
    )


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a file in either language; the compiled form of Python 3 only is kept beside it."""

    def __init__(self, fullname: str, path: str, library: bool, otherwise: str) -> None:
        super().__init__(fullname, path)
        self._library = library
        self._otherwise = otherwise
        self._python2 = False

    def get_code(self, fullname: str) -> types.CodeType | None:
        if self._library:
            # A library that parses is for this Python: its authors installed it there.
            try:
                return super().get_code(fullname)
            except SyntaxError as problem:
                source = Source(self.get_data(self.path), self.path, "auto")
                if not source.python2:
                    raise problem from None
        else:
            source = Source(self.get_data(self.path), self.path, "auto", self._otherwise)
        self._python2 = source.python2
        return source.code

    def exec_module(self, module: types.ModuleType) -> None:
        code = self.get_code(module.__name__)
        if code is None:
            raise ImportError(f"cannot load module {module.__name__!r}: it has no code")
        if self._python2:
            module.__dict__["__builtins__"] = NAMES
        exec(code, module.__dict__)


class _Finder(MetaPathFinder):
    """Puts our loader in the place of the usual one, outside the standard library."""

    otherwise = "3"

    def __init__(self) -> None:
        self._standard = _standard()
        self._libraries = _libraries()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is None and fullname in sys.stdlib_module_names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader:
            return spec
        origin = os.path.realpath(spec.loader.path)
        library = origin.startswith(self._libraries)
        if library or not origin.startswith(self._standard):
            spec.loader = _Loader(fullname, spec.loader.path, library, self.otherwise)
        return spec


def install(otherwise: str = "3") -> None:
    """Convert what is imported from now on.

    ``otherwise`` is the version of the program's own modules that may be either.
    """
    finders = [finder for finder in sys.meta_path if isinstance(finder, _Finder)]
    if not finders:
        finders = [_Finder()]
        sys.meta_path.insert(sys.meta_path.index(importlib.machinery.PathFinder), finders[0])
    finders[0].otherwise = otherwise
