"""Flags: ``config.floatX`` and its like.

A flag is set, from the strongest source to the weakest, by assignment
(``config.floatX = "float32"``, or for a while with :meth:`Config.change_flags`), by the
environment variables ``CROTON_FLAGS`` and ``THEANO_FLAGS``
(``floatX=float32,optimizer_excluding=fusion``), or by the files ``~/.crotonrc`` and
``~/.theanorc`` (``CROTONRC`` and ``THEANORC`` name others).  ``print(config)`` tells every
flag, its value and where that comes from.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from contextlib import ContextDecorator
from typing import Any

from croton._config.flag import Computed, Flag
from croton._config.historical import HISTORICAL
from croton._config.sources import Setting, SourceError, settings
from croton._config.table import FLAGS

__all__ = ["Config", "ConfigError", "Flag", "UnknownFlag", "config"]


class ConfigError(ValueError):
    """A flag has a value that it cannot have, or a source of flags cannot be read."""


class UnknownFlag(ConfigError, AttributeError):
    """There is no flag of that name."""


class _State:
    """What all the sections of one configuration share."""

    def __init__(self) -> None:
        self.flags: dict[str, Flag] = {}
        self.by_lower: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.sections: dict[str, Section] = {}
        # Settings in sections that are not known (yet): Theano lets packages add flags.
        self.waiting: dict[str, Setting] = {}

    def find(self, name: str) -> Flag | None:
        """The flag ``name``, whose case may differ."""
        return self.flags.get(self.by_lower.get(name.lower(), ""))

    def unknown(self, name: str, source: str = "") -> UnknownFlag:
        near = difflib.get_close_matches(name.lower(), self.by_lower, n=3, cutoff=0.6)
        hint = (
            f"; did you mean {' or '.join(self.by_lower[n] for n in near)}?"
            if near
            else "; print(croton.config) lists the flags"
        )
        where = f"{source}: " if source else ""
        return UnknownFlag(f"{where}there is no flag {name!r}{hint}")

    def convert(self, flag: Flag, value: object, source: str = "") -> Any:
        try:
            return flag.convert(value)
        except (ValueError, TypeError):
            where = f"{source}: " if source else ""
            given = value if isinstance(value, str) and source else repr(value)
            near = (
                difflib.get_close_matches(str(value), flag.choices, n=1, cutoff=0.6)
                if isinstance(value, str)
                else []
            )
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(
                f"{where}{flag.name}={given}: expected {flag.expected()}{hint}"
            ) from None

    def place(self, name: str) -> tuple[Section, str]:
        """The section that holds the flag ``name``, and its name there."""
        prefix, _, last = name.rpartition(".")
        return self.sections[prefix], last

    def store(self, flag: Flag, value: object, source: str) -> None:
        section, last = self.place(flag.name)
        section.__dict__[last] = value
        self.sources[flag.name] = source


class Section:
    """A group of flags: ``config.dnn`` has ``config.dnn.enabled`` and ``config.dnn.conv``.

    Values lie in the instance's dictionary, so that reading a flag costs what reading
    any attribute costs; what is not there is a computed default, or a mistake.
    """

    _state: _State
    _prefix: str

    def __init__(self, state: _State, prefix: str) -> None:
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__.get("_state")
        if state is None or name.startswith("__"):
            raise AttributeError(name)
        full = self._prefix + name
        flag = state.flags.get(full)
        if flag is None:
            raise state.unknown(full)
        try:
            value = flag.default.compute(state.sections[""])
        except ValueError as problem:
            raise ConfigError(f"{full}: {problem}") from None
        state.store(flag, state.convert(flag, value), "default")
        return self.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        full = self._prefix + name
        state = self._state
        flag = state.flags.get(full)
        if flag is None:
            raise state.unknown(full)
        if flag.fixed:
            raise ConfigError(
                f"{full} is fixed once croton is imported: set it in CROTON_FLAGS={full}=... "
                "or in ~/.crotonrc"
            )
        state.store(flag, state.convert(flag, value), "the program")

    def __delattr__(self, name: str) -> None:
        raise ConfigError(f"{self._prefix}{name}: a flag cannot be deleted")

    def __dir__(self) -> Iterable[str]:
        start = len(self._prefix)
        names = [n[start:].split(".")[0] for n in self._state.flags if n.startswith(self._prefix)]
        return sorted({*object.__dir__(self), *names})

    def __repr__(self) -> str:
        kind = type(self).__name__
        flags = [n for n in self._state.flags if n.startswith(self._prefix)]
        return f"<{kind} {self._prefix.rstrip('.')}: {len(flags)} flags>"


class Config(Section):
    """All the flags, as attributes."""

    def __init__(
        self, flags: Iterable[Flag] = (*FLAGS, *HISTORICAL), given: Iterable[Setting] = ()
    ) -> None:
        state = _State()
        super().__init__(state, "")
        state.sections[""] = self
        for flag in flags:
            self._declare(flag)
        for setting in given:
            self._take(setting)

    # Declaring and reading

    def _declare(self, flag: Flag) -> None:
        state = self._state
        state.flags[flag.name] = flag
        state.by_lower[flag.name.lower()] = flag.name
        parent: Section = self
        prefix = ""
        for part in flag.name.split(".")[:-1]:
            prefix = f"{prefix}.{part}" if prefix else part
            if prefix not in state.sections:
                state.sections[prefix] = Section(state, prefix + ".")
                parent.__dict__[part] = state.sections[prefix]
            parent = state.sections[prefix]
        state.sources[flag.name] = "default"
        if not isinstance(flag.default, Computed):
            state.store(flag, flag.convert(flag.default), "default")

    def _take(self, setting: Setting) -> None:
        state = self._state
        flag = state.find(setting.name)
        if flag is not None:
            state.store(flag, state.convert(flag, setting.text, setting.source), setting.source)
            return
        section = setting.name.rpartition(".")[0]
        if setting.shared and section and section not in state.sections:
            state.waiting[setting.name.lower()] = setting
            return
        raise state.unknown(setting.name, setting.source)

    def add_flag(self, flag: Flag) -> None:
        """Declare a flag of your own, which the sources of flags may have set already."""
        if flag.name in self._state.flags or flag.name in self._state.sections:
            raise ConfigError(f"there is a flag {flag.name!r} already")
        self._declare(flag)
        setting = self._state.waiting.pop(flag.name.lower(), None)
        if setting is not None:
            self._take(setting)

    # What else one asks of it

    def flags(self) -> tuple[Flag, ...]:
        """Every flag."""
        return tuple(self._state.flags.values())

    def source(self, name: str) -> str:
        """Where the value of the flag ``name`` comes from.

        ``default``, ``the program``, the name of an environment variable, or ``file:line``.
        """
        if name not in self._state.flags:
            raise self._state.unknown(name)
        return self._state.sources[name]

    def change_flags(
        self, flags: Mapping[str, object] | Iterable[tuple[str, object]] = (), **more: object
    ) -> _Changed:
        """Other values for the length of a ``with`` block, or of a decorated function's calls.

        A flag in a section is given in a dictionary (``{"dnn.enabled": "False"}``) or with
        two underscores (``dnn__enabled="False"``).

        >>> import croton, croton.tensor as T
        >>> with croton.config.change_flags(floatX="float32"):
        ...     T.vector().dtype
        'float32'
        """
        wanted = dict(flags)
        wanted.update({name.replace("__", "."): value for name, value in more.items()})
        return _Changed(self, wanted)

    def without_effect(self) -> list[tuple[Flag, str]]:
        """The flags that somebody set and that change nothing, with where they were set."""
        sources = self._state.sources
        return [
            (flag, sources[name])
            for name, flag in self._state.flags.items()
            if not flag.effect and sources[name] not in ("default", "the program")
        ]

    def undeclared(self) -> list[Setting]:
        """Settings of Theano's sources that belong to no known section."""
        return list(self._state.waiting.values())

    def use_device(self, available: Iterable[str]) -> str:
        """Settle which device functions are compiled for, of those that are ``available``.

        Where the one asked for is not among them, the CPU takes its place with a warning;
        with ``force_device`` that is an error.
        """
        state = self._state
        asked = self.device
        wanted = asked.replace("gpu", "cuda", 1)
        names = list(available)
        if wanted in names or (wanted == "cuda" and any(n.startswith("cuda") for n in names)):
            return str(asked)
        where = state.sources["device"]
        said = f"{where}: device={asked}"
        can = ", ".join(names)
        if self.force_device:
            raise ConfigError(f"{said} cannot be used here, and force_device=True; there is: {can}")
        _warn(f"{said} is not available; using the CPU")
        state.store(state.flags["device"], "cpu", f"{said}, which is not available")
        return "cpu"

    def __str__(self) -> str:
        lines = []
        for flag in self._state.flags.values():
            section, last = self._state.place(flag.name)
            kind = "|".join(flag.choices) or flag.kind
            effect = "" if flag.effect else "Without effect. "
            lines.append(f"{flag.name} ({kind})")
            lines.append(f"    Doc: {effect}{flag.doc}")
            lines.append(f"    Value: {getattr(section, last)}")
            lines.append(f"    From: {self._state.sources[flag.name]}")
            lines.append("")
        return "\n".join(lines)


class _Changed(ContextDecorator):
    """What :meth:`Config.change_flags` returns."""

    def __init__(self, owner: Config, wanted: dict[str, object]) -> None:
        self._owner = owner
        self._wanted = wanted
        self._before: list[list[tuple[str, object, str]]] = []
        for name in wanted:
            if name not in owner._state.flags:
                raise owner._state.unknown(name)

    def __enter__(self) -> Config:
        state = self._owner._state
        before = []
        for name in self._wanted:
            section, last = state.place(name)
            before.append((name, getattr(section, last), state.sources[name]))
        self._before.append(before)
        try:
            for name, value in self._wanted.items():
                section, last = state.place(name)
                setattr(section, last, value)
        except ConfigError:
            self.__exit__()
            raise
        return self._owner

    def __exit__(self, *exception: object) -> None:
        state = self._owner._state
        for name, value, source in self._before.pop():
            state.store(state.flags[name], value, source)


def _warn(message: str) -> None:
    # Imported here because it is seldom needed and would double the time of this import.
    import logging

    logging.getLogger("croton").warning("croton: %s", message)


def _load() -> Config:
    try:
        loaded = Config(given=settings(os.environ))
    except SourceError as problem:
        raise ConfigError(str(problem)) from None
    idle = loaded.without_effect()
    if idle:
        said = ", ".join(f"{flag.name} ({source})" for flag, source in idle)
        _warn(f"set, but without effect here (docs/flags.md says why): {said}")
    return loaded


config = _load()
"""The configuration of this process."""
