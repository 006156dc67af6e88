"""Tables of the reference that are read off the package: flags, and functions of arrays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from croton._config.flag import Computed
from croton.config import config
from croton.tensor.elementwise.table import FUNCTIONS


def write(folder: Path) -> None:
    """Write every table into ``folder``, to be included by the pages."""
    folder.mkdir(exist_ok=True)
    (folder / "flags.md").write_text(flags(), encoding="utf-8")
    (folder / "elementwise.md").write_text(elementwise(), encoding="utf-8")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(c.replace("|", r"\|") for c in r) + " |\n" for r in lines)


def flags() -> str:
    """The flags that Croton acts on."""
    rows = []
    for flag in config.flags():
        if flag.effect:
            computed = isinstance(flag.default, Computed)
            default = flag.default.text if computed else f"`{flag.default!r}`"
            rows.append([f"`{flag.name}`", default, flag.doc])
    return table(["flag", "default", "meaning"], rows)


def elementwise() -> str:
    """The functions of scalars that apply to the elements of arrays."""
    rows = [[f"`{f.name}`", str(f.arity), f.doc] for f in FUNCTIONS.values()]
    return table(["function", "arguments", "meaning"], sorted(rows))
