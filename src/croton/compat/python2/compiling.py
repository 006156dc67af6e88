"""A Python 2 source to a code object."""

from __future__ import annotations

import ast
import io
import tokenize
import types
import warnings

from croton.compat.python2.meaning import translate


def text_of(source: bytes | str) -> str:
    """``source`` as text, by its coding line (UTF-8 where it has none)."""
    if isinstance(source, str):
        return source
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return io.TextIOWrapper(io.BytesIO(source), encoding, newline=None).read()


def compile_python2(source: bytes | str, filename: str, mode: str = "exec") -> types.CodeType:
    """The code of ``source``, whose lines are those of the user's file."""
    # The parser and its tables are loaded where there is something to convert, not before:
    # most programs are Python 3, and converted code is kept.
    from croton.compat.python2.syntax import to_python3

    converted = to_python3(text_of(source), filename)
    targets, true_division = converted.targets, "division" in converted.future
    with warnings.catch_warnings():
        # Of escapes such as "\d", which were fine.
        warnings.simplefilter("ignore")
        if mode == "eval":
            expression = ast.parse(converted.text.strip(), filename, "eval")
            return _compile(translate(expression, targets, true_division), filename, mode)
        tree = translate(ast.parse(converted.text, filename), targets, true_division)
        return _compile(tree if mode == "exec" else ast.Interactive(tree.body), filename, mode)


def _compile(
    tree: ast.Module | ast.Expression | ast.Interactive, filename: str, mode: str
) -> types.CodeType:
    return compile(tree, filename, mode, dont_inherit=True)
