"""From Python 2's grammar to Python 3's, line by line."""

from __future__ import annotations

import re
from typing import Any

from fissix import pytree
from fissix.pgen2 import driver, token, tokenize
from fissix.pgen2.parse import ParseError

from croton.compat.python2.grammar import pygram

_syms = pygram.python_symbols

TARGET = "__py2_target_{}__"
"""The name that stands for a target which Python 3 does not allow in its place."""

_STRING = re.compile(r"([a-zA-Z]*)('''|\"\"\"|'|\")")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FUTURE = re.compile(r"^from\s+__future__\s+import\s+(.*)", re.MULTILINE)


class Converted:
    """Python 3 ``text``, and the targets that names made of :data:`TARGET` stand for.

    ``future`` are the names that it imports from ``__future__``.
    """

    def __init__(self, future: set[str]) -> None:
        self.text = ""
        self.future = future
        self.targets: dict[str, str] = {}


def features(source: str) -> set[str]:
    """The names that ``source`` imports from ``__future__``."""
    names: set[str] = set()
    for match in _FUTURE.finditer(source.replace("\\\n", " ")):
        names.update(re.findall(r"\w+", match[1].split("#")[0]))
    if "__future__" in source:
        for names_in_parentheses in re.findall(r"__future__\s+import\s*\(([^)]*)\)", source):
            names.update(re.findall(r"\w+", names_in_parentheses))
    return names


def to_python3(source: str, filename: str) -> Converted:
    """``source`` in Python 3's grammar; a SyntaxError where it is not Python 2 either."""
    future = features(source)
    grammar = (
        pygram.python_grammar_no_print_statement
        if "print_function" in future
        else pygram.python_grammar
    )
    parser = driver.Driver(grammar, convert=pytree.convert)
    # The grammar wants every line ended, and knows only \n as its end.
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    try:
        tree = parser.parse_string(text if text.endswith("\n") else text + "\n")
    except ParseError as problem:
        line, column = problem.context[1]
        raise _error(f"invalid syntax: {problem.value!r}", text, filename, line, column) from None
    except (tokenize.TokenError, IndentationError) as problem:
        message, where = problem.args[0], problem.args[1]
        line, column = where[-3:-1] if len(where) > 2 else where
        raise _error(str(message), text, filename, line, column) from None
    result = Converted(future)
    if isinstance(tree, pytree.Leaf):
        result.text = text
        return result
    _Converter(result).convert(tree)
    result.text = _without_tabs(str(tree))
    return result


def _error(message: str, text: str, filename: str, line: int, column: int) -> SyntaxError:
    lines = text.splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return SyntaxError(message, (filename, line, column + 1, shown))


class _Converter:
    """Rewrites a tree from its leaves up.

    A rewritten node becomes one leaf that holds its whole text, so what is inside it
    must have been rewritten before.
    """

    def __init__(self, result: Converted) -> None:
        self._result = result
        self._unicode = "unicode_literals" in result.future
        self._print_is_a_statement = "print_function" not in result.future
        self._nodes = {
            _syms.print_stmt: self._print,
            _syms.exec_stmt: self._exec,
            _syms.raise_stmt: self._raise,
            _syms.except_clause: self._except,
            _syms.atom: self._repr,
            _syms.tfpdef: self._parameter,
            _syms.vfpdef: self._parameter,
            _syms.testlist_safe: self._parenthesize,
        }

    def convert(self, node: Any) -> None:
        for child in list(node.children):
            if isinstance(child, pytree.Leaf):
                self._leaf(child)
            elif child.type in (_syms.tfpdef, _syms.vfpdef):
                # The pattern goes as a whole: nested tuples are Python 3 where it is assigned.
                self._parameter(child)
            else:
                self.convert(child)
        handler = self._nodes.get(node.type)
        if handler is not None and node.parent is not None:
            handler(node)

    def _replace(self, node: Any, text: str) -> None:
        node.replace(pytree.Leaf(token.NAME, text, prefix=node.prefix))

    def _target(self, text: str) -> str:
        name = TARGET.format(len(self._result.targets))
        self._result.targets[name] = text
        return name

    # Leaves

    def _leaf(self, leaf: Any) -> None:
        if leaf.type == token.NUMBER:
            leaf.value = _number(leaf.value)
        elif leaf.type == token.STRING:
            leaf.value = _string(leaf.value, self._unicode)
        elif leaf.type == token.NOTEQUAL:
            leaf.value = "!="
        elif (
            leaf.value == "print"
            and leaf.parent.type == _syms.simple_stmt
            and self._print_is_a_statement
        ):
            leaf.value = "__py2_print__()"

    # Nodes

    def _print(self, node: Any) -> None:
        parts = node.children[1:]
        options = ""
        if isinstance(parts[0], pytree.Leaf) and parts[0].value == ">>":
            options = f"file={_text(parts[1])}"
            parts = parts[3:]
        if parts and parts[-1].type == token.COMMA:
            options = f"{options}, newline=False" if options else "newline=False"
            parts = parts[:-1]
        given = "".join(map(str, parts)).strip()
        self._replace(node, f"__py2_print__({', '.join(filter(None, (given, options)))})")

    def _exec(self, node: Any) -> None:
        given = [_text(child) for child in node.children[1:] if _is_value(child, "in")]
        self._replace(node, f"__py2_exec__({', '.join(given)})")

    def _raise(self, node: Any) -> None:
        if not any(child.type == token.COMMA for child in node.children):
            return
        given = [_text(child) for child in node.children[1:] if child.type != token.COMMA]
        trace = f".with_traceback({given[2]})" if len(given) > 2 else ""
        self._replace(node, f"raise __py2_exception__({given[0]}, {given[1]}){trace}")

    def _except(self, node: Any) -> None:
        if len(node.children) != 4:
            return
        target = node.children[3]
        if not isinstance(target, pytree.Leaf):
            name = self._target(_text(target))
            target.replace(pytree.Leaf(token.NAME, name, prefix=" "))
        comma = node.children[2]
        if comma.type == token.COMMA:
            comma.replace(pytree.Leaf(token.NAME, "as", prefix=" "))
            node.children[3].prefix = " "

    def _repr(self, node: Any) -> None:
        if node.children[0].type != token.BACKQUOTE:
            return
        inside = "".join(map(str, node.children[1:-1]))
        tuple_ = node.children[1].type == _syms.testlist1
        self._replace(node, f"repr(({inside}))" if tuple_ else f"repr({inside})")

    def _parameter(self, node: Any) -> None:
        if not (isinstance(node.children[0], pytree.Leaf) and node.children[0].value == "("):
            return
        self._replace(node, self._target(_text(node)))

    def _parenthesize(self, node: Any) -> None:
        self._replace(node, f"({_text(node)})")


def _text(node: Any) -> str:
    return str(node).strip()


def _is_value(child: Any, keyword: str) -> bool:
    return not (isinstance(child, pytree.Leaf) and child.value in (keyword, ","))


def _number(text: str) -> str:
    text = text.rstrip("lL") if text[-1] in "lL" else text
    if len(text) > 1 and text[0] == "0" and text.isdigit():
        return "0o" + text[1:] if text.strip("0") else "0"
    return text


def _string(text: str, unicode_literals: bool) -> str:
    match = _STRING.match(text)
    if match is None:
        return text
    prefix, rest = match[1].lower(), text[match.end(1) :]
    if prefix == "ur":
        return "r" + rest
    if prefix or unicode_literals:
        return text
    # In a string of bytes \u, \U and \N are two characters.
    return _ESCAPE.sub(lambda m: "\\" + m[0] if m[1] in "uUN" else m[0], text)


def _without_tabs(text: str) -> str:
    """``text`` with tabs in indentation as the eight columns that Python 2 takes them for."""
    if "\t" not in text:
        return text
    lines = text.splitlines(keepends=True)
    in_string: set[int] = set()
    for kind, _, (start, _), (end, _), _ in tokenize.generate_tokens(iter(lines).__next__):
        if kind == token.STRING:
            in_string.update(range(start + 1, end + 1))
    for number, line in enumerate(lines, 1):
        if number not in in_string:
            body = line.lstrip(" \t\f")
            lines[number - 1] = line[: len(line) - len(body)].expandtabs(8) + body
    return "".join(lines)
