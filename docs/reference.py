"""Tables of the reference that are read off the package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from croton.tensor.elementwise.table import FUNCTIONS


def write(folder: Path) -> None:
    """Write every table into ``folder``, to be included by the pages."""
    folder.mkdir(exist_ok=True)
    (folder / "elementwise.md").write_text(elementwise(), encoding="utf-8")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(c.replace("|", r"\|") for c in r) + " |\n" for r in lines)


def elementwise() -> str:
    """The functions of scalars that apply to the elements of arrays."""
    rows = [[f"`{f.name}`", str(f.arity), f.doc] for f in FUNCTIONS.values() if "{" not in f.name]
    return table(["function", "arguments", "meaning"], sorted(rows))
