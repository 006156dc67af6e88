"""Random programs over all of the language, as hypothesis strategies.

A program is text: lines of Python that make variables, so that what fails can be read and kept
as a test.  While lines are drawn each is evaluated on example values by the ops' NumPy
definitions, so that the next ones can be drawn to fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from random_data import FLOATS, INTEGERS, LAYOUTS, array, laid_out
from random_lines import KINDS

import croton
import croton.tensor as T
from croton.gradient.numeric import evaluate

SIZES = (2, 3, 1, 4, 5, 0, 7, 8, 16, 17, 33)
LARGE = (70, 129, 257, 600)
#: No value of a program has more elements, and none is larger, so that it stays comparable.
MOST_ELEMENTS, MOST = 200_000, 1e5


class Doubled(croton.Op):
    """A user's own op, which runs in Python and does not tell its shape."""

    __props__ = ()

    def make_node(self, x: Any) -> Any:
        x = croton.as_tensor_variable(x)
        return croton.Apply(self, [x], [T.TensorType(x.dtype, (None,) * x.ndim)()])

    def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
        with np.errstate(over="ignore"):
            outputs[0][0] = np.asarray(inputs[0] + inputs[0], inputs[0].dtype)


class Input(NamedTuple):
    """An input or a shared variable; ``sizes`` are numbers, or letters that stand for one."""

    name: str
    dtype: str
    sizes: tuple[int | str, ...]
    known: tuple[int | None, ...]
    seed: int
    kind: str
    layout: str
    shared: bool

    def data(self, sizes: dict[str, int]) -> Any:
        """Its value where letters stand for ``sizes``."""
        shape = tuple(sizes[s] if isinstance(s, str) else s for s in self.sizes)
        return laid_out(array(self.dtype, shape, self.seed, self.kind), self.layout)


class Program(NamedTuple):
    """Lines of Python that compute ``outputs`` from ``inputs``, and two choices of sizes."""

    inputs: list[Input]
    sizes: dict[str, int]
    others: dict[str, int]
    lines: list[str]
    outputs: list[str]
    updates: list[tuple[str, str]]
    special: bool

    def build(self) -> dict[str, Any]:
        """Its variables, by name."""
        names = declared(self.inputs, self.sizes)
        for line in self.lines:
            exec(line, names)
        return names

    def __repr__(self) -> str:
        text = ["", f"sizes = {self.sizes}, then {self.others}"]
        text += map(str, self.inputs)
        text += self.lines
        text.append(f"outputs {', '.join(self.outputs)}; updates {self.updates}")
        return "\n".join(text)


def declared(inputs: list[Input], sizes: dict[str, int]) -> dict[str, Any]:
    """Names that lines of a program may use, and its inputs."""
    names: dict[str, Any] = {"T": T, "np": np, "doubled": Doubled()}
    for i in inputs:
        if i.shared:
            names[i.name] = croton.shared(np.array(i.data(sizes), i.dtype, order="C"), i.name)
        else:
            names[i.name] = T.tensor(i.dtype, i.known, name=i.name)
    return names


class Drawing:
    """A program while it is drawn; ``number(low, high)`` is what all choices are made by."""

    def __init__(self, number: Callable[[int, int], int]) -> None:
        self.number = number
        self.special = number(0, 3) == 3
        self.lines: list[str] = []
        self.inputs: list[Input] = []
        self.names: dict[str, Any] = {}
        self.values: dict[Any, Any] = {}
        self.pool: list[str] = []

    # Choosing

    def one(self, options: Any) -> Any:
        """One of several."""
        listed = list(options)
        return listed[self.number(0, len(listed) - 1)]

    def order(self, count: int) -> list[int]:
        """The numbers below ``count`` in some order."""
        rest = list(range(count))
        return [rest.pop(self.number(0, len(rest) - 1)) for _ in range(count)]

    def chance(self, of: int) -> bool:
        """True once in ``of`` times, about; False when shrunk."""
        return self.number(0, of - 1) == of - 1

    def some(self, fits: Any = None) -> str | None:
        """A variable of the pool, preferably a recent one, for which ``fits`` holds."""
        found = [n for n in self.pool if fits is None or fits(self.names[n], self.value(n))]
        if not found:
            return None
        k = self.number(0, 2 * len(found) - 1)
        return found[-1 - k // 2] if k % 2 else found[-1 - k // 4]

    def value(self, name: str) -> Any:
        """Its example value."""
        return self.values[self.names[name]]

    # Adding

    def add(self, text: str) -> str | None:
        """The name of a new variable made by ``text``; None if that does not fit."""
        try:
            made = eval(text, self.names)
            if isinstance(made, np.ndarray | np.generic | int | float) or made in self.values:
                return None
            with np.errstate(all="ignore"):
                (value,) = evaluate([made], self.values)
        except (TypeError, ValueError, IndexError, OverflowError, NotImplementedError):
            return None
        value = np.asarray(value)
        kind = made.type
        assert (value.dtype, value.ndim) == (kind.dtype, kind.ndim) and all(
            d in (None, n) for d, n in zip(kind.shape, value.shape, strict=True)
        ), f"{kind} came out as {value.dtype} of shape {value.shape}: {[*self.lines, text]}"
        if value.size > MOST_ELEMENTS or value.ndim > 6:
            return None
        if value.dtype.kind == "f":
            with np.errstate(all="ignore"):
                size = np.abs(value.astype(np.float64))
                limit = 1e3 if value.dtype == np.float16 else MOST
                fine = bool(np.all(size <= limit))
            if not fine and not (self.special and self.chance(2)):
                return None
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.names[name] = made
        self.values[made] = value
        self.pool.append(name)
        return name


def _elements(given: Sequence[int | str], sizes: dict[str, int]) -> int:
    # Kernels go through the rows of what is empty: these are few as well.
    return math.prod(max(sizes[g] if isinstance(g, str) else g, 1) for g in given)


def _inputs(d: Drawing) -> dict[str, int]:
    """Draw sizes and inputs; example values of the first sizes are known from here on."""
    sizes = {letter: int(d.one(SIZES)) for letter in "nmk"}
    if d.chance(5):
        sizes["n"] = int(d.one(LARGE))
    kinds = ["normal", "normal", "grid"] + (["special"] * 4 if d.special else [])
    first = d.one(["float32", "float64", "float32", "float16"])
    for k in range(d.number(1, 4)):
        rank = d.one([2, 2, 1, 3, 2, 0, 4, 5])
        dtype = first if d.chance(2) or k == 0 else d.one([*FLOATS, "bool", "int64", *INTEGERS])
        given: list[int | str] = []
        known: list[int | None] = []
        for _ in range(rank):
            letter = d.one(["n", "m", "n", "m", "k", "1"])
            if letter == "1":
                given.append(1)
                known.append(1)
            elif d.chance(6):
                given.append(sizes[letter])
                known.append(sizes[letter])
            else:
                given.append(letter)
                known.append(None)
        if _elements(given, sizes) > MOST_ELEMENTS / 8:
            given, known = given[:1], known[:1]
        kind = d.one(kinds)
        layout = d.one(LAYOUTS)
        shared = d.chance(6)
        seed = d.number(0, 99)
        d.inputs.append(
            Input(f"x{k}", dtype, tuple(given), tuple(known), seed, kind, layout, shared)
        )
    d.names = declared(d.inputs, sizes)
    for i in d.inputs:
        d.values[d.names[i.name]] = np.array(i.data(sizes), i.dtype)
        d.pool.append(i.name)
    return sizes


def drawn(d: Drawing, most: int) -> Program:
    """A program of up to ``most`` lines."""
    sizes = _inputs(d)
    for _ in range(d.number(2, most)):
        text = d.one(KINDS)(d)
        if text is not None:
            d.add(text)
    others = {letter: int(d.one(SIZES)) for letter in "nmk"} if d.chance(2) else sizes
    if any(_elements(i.sizes, others) > MOST_ELEMENTS / 8 for i in d.inputs):
        others = sizes
    made = [n for n in d.pool if n.startswith("v")] or d.pool
    outputs = [made[-1]]
    for _ in range(d.number(0, 4)):
        name = d.one(d.pool if d.chance(6) else made)
        if name not in outputs:
            outputs.append(name)
    updates = []
    for i in d.inputs:
        if i.shared:
            rank = d.value(i.name).ndim
            shape = d.value(i.name).shape if d.chance(2) else None
            new = d.some(
                lambda v, x, i=i, rank=rank, shape=shape: (
                    x.dtype == i.dtype and x.ndim == rank and shape in (None, x.shape)
                )
            )
            if new is not None and new != i.name:
                updates.append((i.name, new))
    return Program(d.inputs, sizes, others, d.lines, outputs, updates, d.special)


@st.composite
def programs(draw: Any, most: int = 10) -> Program:
    """Programs of up to ``most`` lines."""
    return drawn(Drawing(lambda low, high: draw(st.integers(low, high))), most)
