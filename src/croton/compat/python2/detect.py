"""Which Python is a source written for?

One that Python 3 cannot parse is Python 2's.  One that it can parse is too where it says so
in its first line, or uses names that only Python 2 has.  It is Python 3's where Python 2
could not parse it, or where it shows that it knows of both: by a ``try`` around such a name,
or by importing six.  The rest may be either, and goes by the program that it belongs to.
The question matters: it decides what ``1 / 2`` is.
"""

from __future__ import annotations

import ast
import re

_NAMES = frozenset(
    "xrange raw_input unicode basestring unichr execfile reduce long cmp apply intern".split()
)
_MODULES = frozenset(
    "cPickle cStringIO StringIO urllib2 urlparse ConfigParser Queue httplib cookielib commands "
    "HTMLParser Tkinter SocketServer BaseHTTPServer SimpleHTTPServer xmlrpclib anydbm sets "
    "__builtin__ thread copy_reg".split()
)
_ATTRIBUTES = frozenset("iteritems itervalues iterkeys has_key".split())
_PYTHON3 = (
    ast.JoinedStr,
    ast.AnnAssign,
    ast.Nonlocal,
    ast.AsyncFunctionDef,
    ast.Await,
    ast.YieldFrom,
    ast.NamedExpr,
    ast.Match,
)
_SHEBANG = re.compile(r"#!.*\bpython(\d?)")


def version_of(tree: ast.Module, first_line: str = "") -> str:
    """``"2"``, ``"3"`` or ``""`` for a source that Python 3 parsed as ``tree``."""
    shebang = _SHEBANG.match(first_line)
    if shebang and shebang[1]:
        return shebang[1]
    found = _Finder()
    found.visit(tree)
    if found.python3 or found.imported & {"six", "future", "builtins", "past"}:
        return "3"
    # pandas had an iteritems() under Python 3 as well.
    methods = found.attributes if not found.imported & {"pandas", "xarray"} else set()
    if found.used - found.bound or found.modules or methods:
        return "2"
    return "3" if found.knows_both else ""


def _needs_python3(node: ast.AST, print_function: bool) -> bool:
    if isinstance(node, _PYTHON3):
        return True
    if isinstance(node, ast.FunctionDef):
        return bool(node.args.kwonlyargs or node.returns)
    if isinstance(node, ast.ClassDef):
        return bool(node.keywords)
    if isinstance(node, ast.arg):
        return node.annotation is not None
    if isinstance(node, ast.Raise):
        return node.cause is not None
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    if isinstance(node, ast.Assign):
        return any(
            isinstance(part, ast.Starred)
            for target in node.targets
            if isinstance(target, ast.Tuple | ast.List)
            for part in target.elts
        )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "super":
            return not node.args
        return node.func.id == "print" and bool(node.keywords) and not print_function
    return False


class _Finder(ast.NodeVisitor):
    """Collects signs of Python 2 outside ``try`` and ``if sys.version``, and bound names."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.bound: set[str] = set()
        self.modules: set[str] = set()
        self.attributes: set[str] = set()
        self.imported: set[str] = set()
        self.python3 = False
        self.knows_both = False
        self._guarded = 0
        self._print_function = False

    def visit(self, node: ast.AST) -> None:
        self.python3 = self.python3 or _needs_python3(node, self._print_function)
        super().visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _NAMES:
            if isinstance(node.ctx, ast.Load):
                if self._guarded:
                    self.knows_both = True
                else:
                    self.used.add(node.id)
            else:
                self.bound.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        self.bound.add(node.arg)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.bound.add(node.name)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bound.add(node.name)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _ATTRIBUTES and not self._guarded:
            self.attributes.add(node.attr)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name)
            self.bound.add(alias.asname or alias.name.partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module and not node.level:
            self._module(node.module)
            names = {alias.name for alias in node.names}
            self._print_function |= node.module == "__future__" and "print_function" in names
        self.bound.update(alias.asname or alias.name for alias in node.names)

    def _module(self, name: str) -> None:
        self.imported.add(name.partition(".")[0])
        if name in _MODULES and self._guarded:
            self.knows_both = True
        elif name in _MODULES:
            self.modules.add(name)

    def visit_Try(self, node: ast.Try) -> None:
        self._guard(node, bool(node.handlers))

    def visit_If(self, node: ast.If) -> None:
        named = {n.attr for n in ast.walk(node.test) if isinstance(n, ast.Attribute)}
        named |= {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
        self._guard(node, bool(named & {"version_info", "version", "PY2", "PY3", "hexversion"}))

    def _guard(self, node: ast.AST, guarded: bool) -> None:
        self._guarded += guarded
        self.generic_visit(node)
        self._guarded -= guarded
