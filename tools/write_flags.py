"""Writes the tables of docs/flags.md from the flags themselves.

python tools/write_flags.py
"""

from __future__ import annotations

import re
from pathlib import Path

from croton._config.flag import Computed, Flag
from croton._config.historical import HISTORICAL
from croton._config.table import FLAGS

PAGE = Path(__file__).parents[1] / "docs" / "flags.md"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """``text`` with its tables as the flags are now."""
    tables = {"effective": effective(), "historical": historical()}
    return _TABLE.sub(lambda m: f"{m[1]}\n{tables[m[2]]}\n{m[3]}", text)


def effective() -> str:
    """The flags that change something."""
    rows = ["| flag | values | default | meaning |", "| --- | --- | --- | --- |"]
    for flag in FLAGS:
        fixed = " Fixed once Croton is imported." if flag.fixed else ""
        rows.append(f"| `{flag.name}` | {_values(flag)} | {_default(flag)} | {flag.doc}{fixed} |")
    return "\n".join(rows) + "\n"


def historical() -> str:
    """The flags of Theano's that change nothing, by the reason."""
    groups: dict[str, list[str]] = {}
    for flag in HISTORICAL:
        groups.setdefault(flag.doc, []).append(f"`{flag.name}`")
    rows = ["| flags | why |", "| --- | --- |"]
    rows += [f"| {', '.join(names)} | {doc} |" for doc, names in groups.items()]
    return "\n".join(rows) + "\n"


def _values(flag: Flag) -> str:
    if flag.choices:
        return ", ".join(f"`{choice}`" for choice in flag.choices)
    return flag.expected()


def _default(flag: Flag) -> str:
    if isinstance(flag.default, Computed):
        return flag.default.text
    return f"`{flag.default}`" if flag.default != "" else "empty"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
