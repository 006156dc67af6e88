"""Where flags are set: two environment variables and the files that two more name.

A file is an ini file as Theano reads it: ``[section]`` headers, of which ``[global]`` holds
the flags without a section, ``name = value`` lines whose names ignore case, comments after
``#`` or ``;``, continuation lines that are indented, and ``%(NAME)s`` for USER, TMPDIR and a
few more.  A line ``[mode]=FAST_RUN`` is read as ``mode=FAST_RUN`` in the section around it:
people write it, and it cannot mean anything else.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_BRACKETED = re.compile(r"\[([^\]]+)\]\s*[=:]\s*(.*)")
_HEADER = re.compile(r"\[([^\]]+)\]\s*([#;].*)?\Z")
_OPTION = re.compile(r"([^=:]+?)\s*[=:]\s*(.*)")
_COMMENT = re.compile(r"\s[#;].*")
_REFERENCE = re.compile(r"%(%|\((\w+)\)s)")


class Setting(NamedTuple):
    """``name`` was given as ``text`` in ``source``: a variable's name, or file:line.

    ``shared`` says that the source is Theano's, where other packages keep flags as well.
    """

    name: str
    text: str
    source: str
    shared: bool


class SourceError(ValueError):
    """A source that cannot be read as a list of flags."""


def settings(environment: Mapping[str, str]) -> Iterator[Setting]:
    """Every setting, from the weakest source to the strongest."""
    for variable, default, shared in (
        ("THEANORC", "~/.theanorc", True),
        ("CROTONRC", "~/.crotonrc", False),
    ):
        named = environment.get(variable)
        for path in (default if named is None else named).split(os.pathsep):
            path = os.path.expanduser(path)
            if path and os.path.exists(path):
                yield from read_file(path, shared, environment)
    for variable, shared in (("THEANO_FLAGS", True), ("CROTON_FLAGS", False)):
        yield from read_flags(environment.get(variable, ""), variable, shared)


def read_flags(text: str, source: str, shared: bool) -> Iterator[Setting]:
    """The settings in ``name=value,section.name=value``; quotes protect a comma."""
    if not text.strip():
        return
    if "'" in text or '"' in text or "\\" in text:
        splitter = shlex.shlex(text, posix=True)
        splitter.whitespace = ","
        splitter.whitespace_split = True
        splitter.commenters = ""
        try:
            parts = list(splitter)
        except ValueError as problem:
            raise SourceError(f"{source}={text}: {problem}") from None
    else:
        parts = text.split(",")
    for part in parts:
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise SourceError(
                f"{source}: {part.strip()!r} has no value: expected name=value, separated by commas"
            )
        yield Setting(name.strip(), value.strip(), source, shared)


def read_file(path: str, shared: bool, environment: Mapping[str, str]) -> Iterator[Setting]:
    """The settings in the ini file ``path``."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise SourceError(f"{path}: cannot be read: {problem}") from None
    section = "global"
    options: list[tuple[str, str, str, int]] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        if line[0].isspace() and options and not text.startswith("["):
            where, name, value, first = options[-1]
            options[-1] = (where, name, f"{value} {_COMMENT.sub('', text)}".strip(), first)
        elif header := _HEADER.match(text):
            section = header[1].strip()
        elif option := _BRACKETED.match(text) or _OPTION.match(text):
            value = _COMMENT.sub("", " " + option[2]).strip()
            options.append((section, option[1].strip(), value, number))
        else:
            raise SourceError(f"{path}:{number}: {text!r}: expected name = value or [section]")
    known = _variables(environment)
    for where, name, value, number in options:
        here = {n.lower(): v for w, n, v, _ in options if w == where}
        full = name if where in ("global", "DEFAULT") else f"{where}.{name}"
        yield Setting(full, _expand(value, {**known, **here}), f"{path}:{number}", shared)


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    names = ("LSCRATCH", "TMPDIR", "TEMP", "TMP")
    values = {name.lower(): environment.get(name, "") for name in names}
    values["user"] = environment.get("USER") or os.path.basename(os.path.expanduser("~"))
    values["pid"] = str(os.getpid())
    return values


def _expand(value: str, known: Mapping[str, str], depth: int = 10) -> str:
    """``value`` with its references replaced; unknown ones stay, as compiler flags may have %."""
    if "%" not in value or not depth:
        return value

    def replace(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        found = known.get(match[2].lower())
        return match[0] if found is None else _expand(found, known, depth - 1)

    return _REFERENCE.sub(replace, value)
