"""Running a graph by each op's NumPy definition: the reference for all compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from croton.graph import trace
from croton.graph.printing import details
from croton.graph.shared import SharedVariable
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable
from croton.runtime.convert import to_array


class ReferenceCallable:
    """Runs a graph node by node.  Called as a compiled function is."""

    def __init__(
        self,
        inputs: Sequence[Any],
        names: Sequence[str],
        defaults: Sequence[Any],
        policies: Sequence[str],
        outputs: Sequence[Variable],
        updates: Sequence[tuple[SharedVariable, Variable]],
        result: Callable[[list[Any]], Any],
        owner: Any,
    ) -> None:
        self.inputs = list(inputs)
        self.names = list(names)
        self.defaults = list(defaults)
        self.policies = list(policies)
        self.outputs = list(outputs)
        self.updates = list(updates)
        self.result = result
        self.owner = owner
        wanted = [*outputs, *(v for _, v in updates)]
        self.order = toposort(wanted)

    def __getattr__(self, name: str) -> Any:
        if name == "owner":
            raise AttributeError(name)
        return getattr(self.owner, name)

    def __reduce__(self) -> Any:
        return self.owner.__reduce__()

    def __getitem__(self, key: Any) -> Any:
        return self.owner[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.owner[key] = value

    def __repr__(self) -> str:
        return repr(self.owner)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        name = self.owner.name
        if len(args) > len(self.inputs):
            raise TypeError(f"{name}: takes {len(self.inputs)} arguments, got {len(args)}")
        given = list(args) + [None] * (len(self.inputs) - len(args))
        filled = [True] * len(args) + [False] * (len(self.inputs) - len(args))
        for key, value in kwargs.items():
            if key not in self.names:
                raise TypeError(f"{name}: no input is called {key!r}")
            k = self.names.index(key)
            if filled[k]:
                raise TypeError(f"{name}: input {key!r} is given twice")
            given[k], filled[k] = value, True
        values = []
        for k, v in enumerate(self.inputs):
            value = given[k]
            if not filled[k]:
                if self.defaults[k] is None:
                    raise TypeError(f"{name}: input {k} ({self.names[k]}) is missing")
                value = self.defaults[k]
            what = f"{name}: {self.names[k]}"
            dtype = np.dtype(v.type.dtype)
            data = to_array(value, dtype, v.type.ndim, self.policies[k], what)
            for d, (want, have) in enumerate(zip(v.type.shape, data.shape, strict=True)):
                if want is not None and want != have:
                    raise ValueError(f"{what}: dimension {d} is {have}, expected {want} ({v.type})")
            values.append(data)
        return values

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute every node with NumPy, in order."""
        values: dict[Variable, Any] = dict(zip(self.inputs, self._bind(args, kwargs), strict=True))

        def value(v: Variable) -> Any:
            if v in values:
                return values[v]
            if isinstance(v, Constant):
                return v.data
            return v.container.value  # type: ignore[attr-defined]

        for node in self.order:
            storage: list[list[Any]] = [[None] for _ in node.outputs]
            try:
                node.op.perform(node, [value(v) for v in node.inputs], storage)
            except Exception as error:
                shapes = ", ".join(str(np.shape(value(v))) for v in node.inputs)
                error.add_note(
                    f"in {node.op} of {shapes}" + details(node) + trace.describe(node.made_at)
                )
                raise
            for v, cell in zip(node.outputs, storage, strict=True):
                values[v] = np.asarray(cell[0])
        # A result never shares memory with an argument, a shared variable or another result.
        results = [np.array(value(v)) for v in self.outputs]
        fresh = [(s, np.array(value(v))) for s, v in self.updates]
        for s, data in fresh:
            s.container.value = data
        return self.result(results)
