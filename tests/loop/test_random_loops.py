"""Random loops: values and gradients against the same steps one after the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import croton
import croton.tensor as T
from croton.gradient import Rop, grad
from croton.gradient.numeric import evaluate
from croton.loop import scan, until

SIZE = 3

#: What a step may do with two vectors and a matrix; the results stay small.
WORDS = {
    "add": lambda lib, a, b, w: lib.tanh(a + b),
    "mul": lambda lib, a, b, w: a * lib.sin(b),
    "dot": lambda lib, a, b, w: lib.tanh(lib.dot(a, w) - b),
    "sigmoid": lambda lib, a, b, w: a / (1 + lib.exp(-b)),
    "choice": lambda lib, a, b, w: lib.where(a > b, a, 0.5 * b),
    "sum": lambda lib, a, b, w: lib.tanh(a * b.sum()),
}


class Loop(NamedTuple):
    """A loop over vectors: its taps, and lines that each make a value of two earlier ones.

    The word ``"loop"`` is another loop, over the rows of the matrix.  With ``twice`` the same
    steps go the other way round as well.
    """

    sequences: list[list[int]]
    states: list[list[int]]
    collected: int
    lines: list[tuple[str, int, int]]
    results: list[int]
    backwards: bool
    ends: bool
    twice: bool

    @property
    def all(self) -> list[Loop]:
        """The loops that there are."""
        return [self, self._replace(backwards=not self.backwards)] if self.twice else [self]


_taps = st.lists(st.integers(-2, 2), min_size=1, max_size=2, unique=True)
_lags = st.lists(st.integers(-3, -1), min_size=1, max_size=2, unique=True)


@st.composite
def loops(draw: Any) -> Loop:
    sequences = draw(st.lists(_taps, min_size=1, max_size=2))
    states = draw(st.lists(_lags, min_size=0, max_size=2))
    collected = draw(st.integers(0 if states else 1, 1))
    count = sum(map(len, [*sequences, *states])) + 1
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        word = draw(st.sampled_from([*WORDS, "loop"]))
        lines.append((word, draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))))
        count += 1
    outputs = len(states) + collected
    results = draw(st.lists(st.integers(0, count - 1), min_size=outputs, max_size=outputs))
    results[draw(st.integers(0, outputs - 1))] = count - 1
    flags = [draw(st.booleans()) for _ in range(3)]
    return Loop(sequences, states, collected, lines, results, *flags)


def _step(loop: Loop, lib: Any, rows: Any, w: Any, v: Any, inner: Any) -> list[Any]:
    """What a step makes of its ``rows``; ``inner`` runs the loop within."""
    values = [*rows, v]
    for word, a, b in loop.lines:
        a, b = values[a], values[b]
        values.append(inner(a, b, w) if word == "loop" else WORDS[word](lib, a, b, w))
    return [lib.tanh(values[k]) for k in loop.results]


def _ends(value: Any) -> Any:
    return value.sum() > 1.2


def _inner_scan(a: Any, b: Any, w: Any) -> Any:
    found, _ = scan(lambda row, s, b: T.tanh(s * row + b), w, a, b)
    return found[-1]


def _inner_unrolled(lib: Any, a: Any, b: Any, w: Any) -> Any:
    for k in range(SIZE):
        a = lib.tanh(a * w[k] + b)
    return a


def _symbolic(loop: Loop, inputs: dict[str, Any]) -> list[Any]:
    def step(*arguments: Any) -> Any:
        *rows, w, v = arguments
        new = _step(loop, T, rows, w, v, _inner_scan)
        return (new, until(_ends(new[0]))) if loop.ends else new

    infos: list[Any] = [
        inputs[f"h{k}"] if taps == [-1] else dict(initial=inputs[f"h{k}"], taps=taps)
        for k, taps in enumerate(loop.states)
    ]
    found, _ = scan(
        step,
        [dict(input=inputs[f"x{k}"], taps=taps) for k, taps in enumerate(loop.sequences)],
        [*infos, *[None] * loop.collected],
        [inputs["w"], inputs["v"]],
        go_backwards=loop.backwards,
        return_list=True,
    )
    return found


def _unrolled(loop: Loop, lib: Any, inputs: dict[str, Any], steps: int, length: int) -> Any:
    """The same, step after step: for each output a list of its rows."""
    past = []
    for k, taps in enumerate(loop.states):
        start = inputs[f"h{k}"]
        past.append([start] if taps == [-1] else [start[j] for j in range(-min(taps))])
    depths = [len(p) for p in past]
    collected: list[Any] = [[] for _ in range(loop.collected)]
    for s in range(steps):
        rows = []
        for k, taps in enumerate(loop.sequences):
            low, high = min(*taps, 0), max(*taps, 0)
            last = length - 1 - (high - low)
            time = last - s if loop.backwards else s
            rows += [inputs[f"x{k}"][time + tap - low] for tap in taps]
        for rows_before, taps in zip(past, loop.states, strict=True):
            rows += [rows_before[tap] for tap in taps]
        inner = lambda a, b, w: _inner_unrolled(lib, a, b, w)
        new = _step(loop, lib, rows, inputs["w"], inputs["v"], inner)
        for k, value in enumerate(new):
            (past[k] if k < len(past) else collected[k - len(past)]).append(value)
    return [p[d:] for p, d in zip(past, depths, strict=True)] + collected


def _steps(loop: Loop, values: dict[str, Any], length: int) -> int:
    spans = [max(*taps, 0) - min(*taps, 0) for taps in loop.sequences]
    most = max(length - max(spans), 0)
    if loop.ends:
        rows = _unrolled(loop, np, values, most, length)[0]
        return next((k + 1 for k, row in enumerate(rows) if _ends(row)), most)
    return most


def _example(loop: Loop, seed: int, length: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and values for the inputs."""
    rng = np.random.default_rng(seed)
    shapes = {f"x{k}": (length, SIZE) for k in range(len(loop.sequences))}
    for k, taps in enumerate(loop.states):
        shapes[f"h{k}"] = (SIZE,) if taps == [-1] else (-min(taps), SIZE)
    shapes |= {"w": (SIZE, SIZE), "v": (SIZE,)}
    values = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return {n: T.TensorType("float64", (None,) * x.ndim)(n) for n, x in values.items()}, values


def _check(loop: Loop, seed: int) -> None:
    variables, _ = _example(loop, seed, 1)
    given = list(variables.values())
    found = [v for one in loop.all for v in _symbolic(one, variables)]
    weights = [1.0, -0.7, 0.3, 0.5, 1.1, -0.4]
    cost = sum(w * (v**2).sum() for w, v in zip(weights, found, strict=False))
    derivatives = grad(cost, given, disconnected_inputs="ignore")
    along = Rop(cost, given, [T.ones_like(v) for v in given], "ignore")
    f = croton.function(given, [*found, *derivatives, along])
    for length in (7, 4, 5):
        _, values = _example(loop, seed + length, length)
        steps = [_steps(one, values, length) for one in loop.all]
        got = f(*values.values())

        def unrolled(lib: Any, inputs: Any, steps: Any = steps, length: Any = length) -> Any:
            both = zip(loop.all, steps, strict=True)
            return [r for one, n in both for r in _unrolled(one, lib, inputs, n, length)]

        want = unrolled(np, values)
        for rows, result in zip(want, got, strict=False):
            assert result.shape[0] == len(rows)
            np.testing.assert_allclose(
                result, np.reshape(rows, result.shape), rtol=1e-9, atol=1e-12
            )
        rows = unrolled(T, variables)
        long = sum(
            (w * sum((v**2).sum() for v in r) for w, r in zip(weights, rows, strict=False)),
            T.constant(0.0, dtype="float64"),
        )
        expected = evaluate(
            grad(long, given, disconnected_inputs="ignore"),
            dict(zip(given, values.values(), strict=True)),
        )
        for name, g, e in zip(values, got[len(found) :], expected, strict=False):
            np.testing.assert_allclose(g, e, rtol=1e-7, atol=1e-10, err_msg=name)
        total = sum(float(e.sum()) for e in expected)
        np.testing.assert_allclose(got[-1], total, rtol=1e-7, atol=1e-9)


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(loops(), st.integers(0, 1000))
def test_loops_agree_with_their_steps(loop, seed):
    _check(loop, seed)


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(loops(), st.integers(0, 1000))
def test_many_loops_agree_with_their_steps(loop, seed):
    _check(loop, seed)
