"""``theano.configparser``: flags, and how a package adds its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from croton.config import Config, ConfigError, Flag, config

__all__ = [
    "AddConfigVar",
    "BoolParam",
    "EnumStr",
    "FloatParam",
    "IntParam",
    "StrParam",
    "TheanoConfigParser",
    "TheanoConfigWarning",
    "change_flags",
    "config",
]

TheanoConfigParser = Config
change_flags = config.change_flags


class TheanoConfigWarning(Warning):
    """Theano's warning of a wrong flag; Croton raises :class:`~croton.config.ConfigError`."""


class _Parameter(NamedTuple):
    kind: str
    default: Any
    choices: tuple[str, ...]
    is_valid: Callable[[Any], bool] | None


def _parameter(kind: str) -> Callable[..., _Parameter]:
    def make(
        default: Any,
        is_valid: Callable[[Any], bool] | None = None,
        allow_override: bool = True,
    ) -> _Parameter:
        return _Parameter(kind, default, (), is_valid)

    return make


BoolParam = _parameter("bool")
FloatParam = _parameter("float")
IntParam = _parameter("int")
StrParam = _parameter("str")


def EnumStr(default: str, *options: str, **more: Any) -> _Parameter:
    """One of several strings, of which the first is the default."""
    return _Parameter("choice", default, (default, *options), None)


def AddConfigVar(
    name: str, doc: str, configparam: _Parameter, root: Any = None, in_c_key: bool = True
) -> None:
    """Add the flag ``name``."""
    default = configparam.default
    if callable(default):
        default = default()
    config.add_flag(Flag(name, configparam.kind, default, doc, configparam.choices))
    section: Any = config
    for part in name.split("."):
        section = getattr(section, part)
    if configparam.is_valid is not None and not configparam.is_valid(section):
        raise ConfigError(f"{config.source(name)}: {name}={section!r} is not valid: {doc}")
