"""``import theano``: modules whose names are those of Croton's.

A module of the ``theano`` tree is an :class:`AliasModule` with a list of places to look its
names up in (:mod:`croton.compat.table`).  What is found is Croton's own object, so
``isinstance`` and identity work across both names; what is not is an error that says so.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from typing import Any

from croton.compat.table import MODULES

ROOT = "theano"


class AliasModule(types.ModuleType):
    """A module that finds its names elsewhere, and keeps what it has found."""

    _places: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        if name == "__all__":
            return self._public()
        if self.__name__ == ROOT and full in MODULES:
            # A module there, though Croton has a function of the name (ifelse).
            return importlib.import_module(full)
        if not (name.startswith("__") and name.endswith("__")) or name == "__version__":
            for module in _modules(self._places):
                try:
                    value = getattr(module, name)
                except AttributeError:
                    continue
                if isinstance(value, types.ModuleType) and full in MODULES:
                    # The alias knows Theano's names, the module itself only ours.
                    break
                self.__dict__[name] = value
                return value
            if full in MODULES:
                return importlib.import_module(full)
        raise AttributeError(f"croton does not have {full} (yet)", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a submodule sets it here, but Theano had functions of the same names
        # (theano.compile.function, theano.tensor.sort), and those are what people call.
        inner = isinstance(value, AliasModule) and value.__name__ == f"{self.__name__}.{name}"
        if inner and self.__name__ != ROOT:
            for module in _modules(self._places):
                found = getattr(module, name, value)
                if not isinstance(found, types.ModuleType):
                    return
        super().__setattr__(name, value)

    def _public(self) -> list[str]:
        names = {name for name in self.__dict__ if not name.startswith("_")}
        for place in _modules(self._places):
            names.update(n for n in dir(place) if not n.startswith("_"))
        start = self.__name__ + "."
        for module, places in MODULES.items():
            inner = module[len(start) :]
            if module.startswith(start) and "." not in inner and any(_modules(places[:1])):
                names.add(inner)
        return sorted(names)

    def __dir__(self) -> list[str]:
        return self._public()


def _modules(places: Sequence[str]) -> Iterator[types.ModuleType]:
    """Those of ``places`` that there are."""
    for place in places:
        try:
            yield importlib.import_module(place)
        except ModuleNotFoundError as problem:
            if problem.name is None or not f"{place}.".startswith(f"{problem.name}."):
                raise


def _missing(name: str) -> ImportError:
    # Not a ModuleNotFoundError: `from theano.tensor import x` would hide its message.
    place = MODULES.get(name, ("croton",))[0]
    if not place.startswith("croton"):
        package = place.partition(".")[0]
        return ImportError(f"{name} is the package {package}: pip install {package}", name=name)
    return ImportError(f"croton does not have {name} (yet)", name=name)


class AliasFinder(MetaPathFinder, Loader):
    """Imports the ``theano`` tree."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The alias called ``fullname``; an ImportError where Theano had it and we do not."""
        if fullname.partition(".")[0] != ROOT:
            return None
        if fullname not in MODULES:
            raise _missing(fullname)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """An empty alias."""
        return AliasModule(spec.name, f"Croton's names for {spec.name}.")

    def exec_module(self, module: types.ModuleType) -> None:
        """Say where its names are."""
        places = MODULES[module.__name__]
        module.__dict__["_places"] = places
        if module.__name__ == ROOT:
            module.__dict__["__file__"] = importlib.import_module("croton").__file__
            module.__dict__[ROOT] = module
        if next(_modules(places[:1]), None) is None:
            raise _missing(module.__name__)


def install() -> None:
    """Let ``import theano`` find Croton."""
    if any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        return
    loaded = sys.modules.get(ROOT)
    if loaded is not None:
        raise ImportError(
            f"theano is imported already, from {getattr(loaded, '__file__', 'elsewhere')}; "
            "call croton.install_as_theano() before that"
        )
    sys.meta_path.insert(0, AliasFinder())
