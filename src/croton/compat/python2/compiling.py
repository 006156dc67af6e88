"""A Python 2 source to a code object."""

from __future__ import annotations

import ast
import io
import tokenize
import types
import warnings

from croton.compat.python2.meaning import translate
from croton.compat.python2.syntax import Converted, features, to_python3


def text_of(source: bytes | str) -> str:
    """``source`` as text, by its coding line (UTF-8 where it has none)."""
    if isinstance(source, str):
        return source
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return io.TextIOWrapper(io.BytesIO(source), encoding, newline=None).read()


def compile_python2(source: bytes | str, filename: str, mode: str = "exec") -> types.CodeType:
    """The code of ``source``, whose lines are those of the user's file."""
    text = text_of(source)
    converted = to_python3(text, filename)
    with warnings.catch_warnings():
        # Of escapes such as "\d", which were fine.
        warnings.simplefilter("ignore")
        return _compile_text(text, converted, filename, mode)


def _compile_text(text: str, converted: Converted, filename: str, mode: str) -> types.CodeType:
    true_division = "division" in features(text)
    if mode == "eval":
        expression = ast.parse(converted.text.strip(), filename, "eval")
        translated = translate(expression, converted.targets, true_division)
        return _compile(translated, filename, mode)
    tree = translate(ast.parse(converted.text, filename), converted.targets, true_division)
    if mode == "single":
        return _compile(ast.Interactive(tree.body), filename, mode)
    return _compile(tree, filename, mode)


def _compile(
    tree: ast.Module | ast.Expression | ast.Interactive, filename: str, mode: str
) -> types.CodeType:
    return compile(tree, filename, mode, dont_inherit=True)
