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

from croton.compat.python2.compiling import compile_python2, text_of
from croton.compat.python2.detect import is_python2
from croton.compat.python2.names import NAMES

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

    ``version`` is ``"2"``, ``"3"``, or ``"auto"`` to find out.
    """

    code: types.CodeType

    def __init__(self, data: bytes, path: str, version: str) -> None:
        self.python2 = version == "2"
        if version == "3":
            self.code = compile(data, path, "exec", dont_inherit=True)
            return
        if version == "auto":
            try:
                tree = ast.parse(data, path)
            except SyntaxError as problem:
                self._convert_or(problem, data, path)
                return
            first = data[: data.find(b"\n")].decode("latin-1")
            self.python2 = is_python2(tree, first)
            if not self.python2:
                # Not from the tree: its nodes would lose what -X options and tracers use.
                self.code = compile(data, path, "exec", dont_inherit=True)
                return
        self.code = compile_python2(data, path)

    def _convert_or(self, problem: SyntaxError, data: bytes, path: str) -> None:
        """Python 2's code, or Python 3's complaint where it is neither."""
        try:
            self.code = compile_python2(data, path)
        except SyntaxError:
            if b"print_function" in data or not _looks_old(data):
                raise problem from None
            raise
        self.python2 = True

    def run(self, namespace: dict[str, object]) -> None:
        """Execute it."""
        if self.python2:
            namespace["__builtins__"] = NAMES
        exec(self.code, namespace)


def _looks_old(data: bytes) -> bool:
    """Whether a source that is wrong in both grammars has a print statement."""
    return any(
        line.lstrip().startswith(("print ", "print>>")) and not line.lstrip().startswith("print (")
        for line in text_of(data).splitlines()
    )


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a file in either language; the compiled form of Python 3 only is kept beside it."""

    def __init__(self, fullname: str, path: str, library: bool) -> None:
        super().__init__(fullname, path)
        self._library = library
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
            source = Source(self.get_data(self.path), self.path, "auto")
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
            spec.loader = _Loader(fullname, spec.loader.path, library)
        return spec


def install() -> None:
    """Convert what is imported from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        where = sys.meta_path.index(importlib.machinery.PathFinder)
        sys.meta_path.insert(where, _Finder())
