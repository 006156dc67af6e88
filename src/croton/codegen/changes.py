"""What the statements of a kernel change."""

from __future__ import annotations

from typing import NamedTuple

from croton.kernel.nodes import (
    Advance,
    Assign,
    Barrier,
    Best,
    Body,
    Buffer,
    Call,
    Choose,
    Cursor,
    For,
    If,
    Local,
    Outlined,
    Part,
    Stmt,
    Store,
    While,
)

#: Stands for every buffer: a call may write to any of them.
ANY = "*"


def place_of(cursor: Buffer) -> str:
    """The name of the variable that holds where ``cursor`` begins."""
    return f"{cursor.name}.at"


class Effects(NamedTuple):
    """What a statement changes: variables and buffers, by name, in order of appearance."""

    assigned: tuple[str, ...]
    stored: tuple[str, ...]


class Changes:
    """Finds the effects of statements, those of each once."""

    def __init__(self) -> None:
        self._known: dict[int, Effects] = {}

    def of(self, statement: Stmt) -> Effects:
        """What running ``statement`` may change."""
        known = self._known.get(id(statement))
        if known is not None:
            return known
        inner: Body = ()
        if isinstance(statement, For | While | Outlined):
            inner = statement.body
        elif isinstance(statement, If):
            inner = statement.body + statement.orelse
        assigned: dict[str, None] = {}
        stored: dict[str, None] = {}
        names: list[tuple[str, ...]] = []
        own: list[str] = []
        for child in inner:
            kind = child.__class__
            if isinstance(child, Local):
                own.append(child.var.name)
            elif kind is Assign:
                assigned[child.var.name] = None  # type: ignore[attr-defined]
            elif isinstance(child, Best):
                assigned[child.where.name] = assigned[child.var.name] = None
            elif kind is Store:
                stored[child.buffer.name] = None  # type: ignore[attr-defined]
            elif isinstance(child, Choose):
                names.append((child.buffer.name, child.first.name, child.second.name))
            elif isinstance(child, Part):
                names.append((child.buffer.name, child.source.name))
                if kind is Cursor:
                    own.append(place_of(child.buffer))
            elif isinstance(child, Advance):
                assigned[place_of(child.buffer)] = None
            elif kind is Call or kind is Barrier:
                stored[ANY] = None
            elif kind is For or kind is While or kind is If or kind is Outlined:
                found = self.of(child)
                assigned.update(dict.fromkeys(found.assigned))
                stored.update(dict.fromkeys(found.stored))
        for name in own:
            assigned.pop(name, None)
        for further, *others in reversed(names):
            if further in stored:
                stored.update(dict.fromkeys(others))
        result = self._known[id(statement)] = Effects(tuple(assigned), tuple(stored))
        return result
