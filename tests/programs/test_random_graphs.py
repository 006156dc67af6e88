"""Random programs: native code agrees with the reference, whatever the sizes and threads.

How far two correct ways of computing may be apart depends on the program.  It is found by
computing it several times with every rounding operation disturbed a little: where such runs
differ among themselves by much, so may compiled code.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import Program, programs

import croton
from croton.graph.traversal import toposort
from croton.graph.variable import Constant
from croton.runtime.threads import use_threads

#: Elementwise functions that round nothing, or jump where a disturbance would push them.
EXACT = frozenset(
    "neg abs maximum minimum switch clip identity lt le gt ge eq ne isnan isinf and or xor invert "
    "floor ceil trunc round_half_to_even round_half_away_from_zero sgn int_div mod".split()
)
ROUNDING = frozenset("Reduce Dot Softmax LogSoftmax SquaredDeviations IncSubtensor "
                     "AdvancedIncSubtensor".split())  # fmt: skip
RUNS = 4


def rounds(node: Any) -> bool:
    """Whether the result of an application is rounded."""
    kind = type(node.op).__name__
    if kind == "Elemwise":
        name = node.op.name
        if name.startswith("Cast"):
            (x,) = node.inputs
            wide, narrow = np.dtype(x.type.dtype), node.outputs[0].type.dtype
            return not np.can_cast(wide, narrow)
        return name not in EXACT
    if kind == "Reduce":
        return node.op.kind in ("sum", "prod")
    return kind in ROUNDING


def disturbed(x: Any, rng: Any) -> Any:
    """Floats, each a few units in the last place off."""
    if x.dtype.kind != "f":
        return x
    units = 1 if x.dtype == np.float16 else 4
    factor = 1 + units * np.finfo(x.dtype).eps * rng.uniform(-1, 1, x.shape)
    return np.asarray(x * factor.astype(np.promote_types(x.dtype, np.float32)), x.dtype)


def evaluated(
    outputs: list[Any], known: dict[Any, Any], seed: int | None = None, replacing: bool = False
) -> list[Any]:
    """The outputs by each op's NumPy definition; disturbed, if there is a seed.

    With ``replacing`` numbers stand for NaN and infinities that operations give.
    """
    values = dict(known)
    rng = None if seed is None else np.random.default_rng(seed)

    def value(v: Any) -> Any:
        return v.data if v not in values and isinstance(v, Constant) else values[v]

    with np.errstate(all="ignore"):
        for node in toposort(outputs, list(known)):
            inputs = [np.asarray(value(v)) for v in node.inputs]
            rounding = rng is not None and rounds(node)
            if rounding:
                inputs = [disturbed(x, rng) for x in inputs]
            storage: list[list[Any]] = [[None] for _ in node.outputs]
            node.op.perform(node, inputs, storage)
            for v, cell in zip(node.outputs, storage, strict=True):
                result = np.asarray(cell[0])
                values[v] = disturbed(result, rng) if rounding else result
                if rounding and replacing:
                    odd = ~np.isfinite(result)
                    values[v] = np.where(odd, rng.standard_normal(odd.shape), values[v]).astype(
                        result.dtype
                    )
    return [np.asarray(value(v)) for v in outputs]


def not_finite(outputs: list[Any], known: dict[Any, Any]) -> bool:
    """Whether some operation gives NaN or infinity."""
    nodes = toposort(outputs, list(known))
    made = [v for node in nodes for v in node.outputs]
    return not all(np.all(np.isfinite(x.astype(float))) for x in evaluated(made, known))


def slack(
    outputs: list[Any], known: dict[Any, Any], values: list[Any], rewriting: bool = False
) -> list[Any] | None:
    """For each element how far off it may be, NaN where it may be anything.

    None if a disturbance makes the program fail.  Where an operation gives NaN or infinity,
    rewriting may give a number (``x / x`` is 1, the logarithm of a sum does not overflow).
    """
    farthest = [np.zeros(x.shape) for x in values]
    for seed in range(RUNS):
        try:
            runs = evaluated(outputs, known, seed, rewriting)
        except (ValueError, IndexError):
            return None
        for k, (x, y) in enumerate(zip(values, runs, strict=True)):
            if x.shape != y.shape:
                return None
            with np.errstate(all="ignore"):
                off = np.abs(x.astype(float) - y.astype(float))
            same = (x == y) | ((x != x) & (y != y))
            farthest[k] = np.maximum(farthest[k], np.where(same, 0.0, off))
            farthest[k] = np.where(np.isinf(farthest[k]), np.nan, farthest[k])
    found = []
    for x, far in zip(values, farthest, strict=True):
        if x.dtype.kind != "f":
            found.append(np.where(far > 0, np.nan, 0.0))
            continue
        usual = float(np.nanmean(far)) if np.any(far == far) else 0.0
        info = np.finfo(x.dtype)
        size = np.where(np.isfinite(x), np.abs(x.astype(float)), 0.0)
        found.append(16 * far + 4 * usual + 16 * float(info.eps) * size + 4 * float(info.tiny))
    return found


def compare(what: str, want: Any, got: Any, room: Any) -> None:
    """AssertionError where ``got`` is farther from ``want`` than ``room``."""
    assert got.dtype == want.dtype, f"{what}: {want.dtype} came out as {got.dtype}"
    assert got.shape == want.shape, f"{what}: {want.shape} came out as {got.shape}"
    with np.errstate(all="ignore"):
        near = np.abs(got.astype(float) - want.astype(float)) <= room
    bad = ~((got == want) | ((got != got) & (want != want)) | near | (room != room))
    if np.any(bad):
        at = tuple(int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {bad.size} differ, first at {at}: {got[at]!r}, "
            f"expected {want[at]!r} within {float(np.asarray(room)[at]):.3g}"
        )


def attempt(f: Any, arguments: list[Any]) -> Any:
    """The results, or the error."""
    try:
        return f(*arguments)
    except (ValueError, IndexError) as error:
        return error


class Running:
    """A program compiled in both ways."""

    def __init__(self, program: Program) -> None:
        names = program.build()
        self.program = program
        self.variables = [names[i.name] for i in program.inputs if not i.shared]
        self.shared = [names[i.name] for i in program.inputs if i.shared]
        self.outputs = [names[o] for o in program.outputs]
        self.updates = [(names[s], names[e]) for s, e in program.updates]
        self.wanted = [*self.outputs, *(e for _, e in self.updates)]
        self.native = self._function("FAST_RUN")
        self.reference = self._function("reference")

    def _function(self, mode: str) -> Any:
        return croton.function(
            self.variables, self.outputs, updates=self.updates, mode=mode,
            on_unused_input="ignore",
        )  # fmt: skip

    def run(self, f: Any, arguments: list[Any], state: list[Any]) -> Any:
        """Outputs and what the shared variables hold after; the error if it fails."""
        for s, x in zip(self.shared, state, strict=True):
            s.set_value(x)
        found = attempt(f, arguments)
        after = [s.get_value() for s in self.shared]
        if isinstance(found, Exception):
            for x, y in zip(state, after, strict=True):
                np.testing.assert_array_equal(x, y, err_msg="a failed call changed a variable")
            return found
        by_name = dict(zip(self.shared, after, strict=True))
        return [np.asarray(x) for x in found] + [by_name[s] for s, _ in self.updates]

    def check(self, sizes: dict[str, int]) -> Any:
        """Both agree for inputs of these sizes; the native results."""
        program = self.program
        arguments = [i.data(sizes) for i in program.inputs if not i.shared]
        state = [np.array(i.data(sizes), i.dtype) for i in program.inputs if i.shared]
        copies = [a.copy() for a in arguments]
        got = self.run(self.native, arguments, state)
        want = self.run(self.reference, arguments, state)
        for a, b in zip(arguments, copies, strict=True):
            np.testing.assert_array_equal(a, b, err_msg="an argument was changed")
        if isinstance(got, Exception) or isinstance(want, Exception):
            self._check_errors(got, want, copies, state)
            return got
        plain = [np.array(a, a.dtype.newbyteorder("=")) for a in copies]
        # What the rewritten graph means, operation by operation: compiled code computes that.
        graph = self.native.maker.fgraph
        known = dict(zip([*graph.inputs, *self.shared], [*plain, *state], strict=True))
        meant = evaluated(graph.outputs, known)
        room = slack(graph.outputs, known, meant)
        if room is not None:
            for k, (m, g, r) in enumerate(zip(meant, got, room, strict=True)):
                compare(f"output {k} of the compiled program", m, g, r)
        # And that must be what the program means as it was written.
        written = dict(zip([*self.variables, *self.shared], [*plain, *state], strict=True))
        free = slack(self.wanted, written, want, True)
        # A factor that is NaN or infinite may go where nothing was multiplied by it.
        odd = program.special or not_finite(self.wanted, written)
        if room is not None and free is not None:
            for k, (w, m, a, b) in enumerate(zip(want, meant, room, free, strict=True)):
                if odd:
                    b = np.where(np.isfinite(m.astype(float)), b, np.nan)
                compare(f"output {k} after rewriting", w, m, a + b)
        return got

    def _check_errors(self, got: Any, want: Any, arguments: list[Any], state: list[Any]) -> None:
        # What is computed for no output fails in the program as it is written only; so do
        # positions out of bounds in index arrays, whose elements no output needs.
        if isinstance(got, Exception):
            assert isinstance(want, Exception), f"only compiled code fails: {got!r}"
            return
        graph = self.native.maker.fgraph
        plain = [np.array(a, a.dtype.newbyteorder("=")) for a in arguments]
        known = dict(zip([*graph.inputs, *self.shared], [*plain, *state], strict=True))
        with contextlib.suppress(IndexError):
            evaluated(graph.outputs, known)


def same_bits(a: Any, b: Any) -> None:
    """AssertionError unless two runs gave the very same."""
    assert isinstance(a, Exception) == isinstance(b, Exception)
    if not isinstance(a, Exception):
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            assert x.shape == y.shape and x.tobytes() == y.tobytes(), f"output {k} has other bits"


def check(program: Program) -> None:
    """All that is promised of a program's compiled code."""
    running = Running(program)
    first = running.check(program.sizes)
    if program.others != program.sizes:
        running.check(program.others)
    arguments = [i.data(program.sizes) for i in program.inputs if not i.shared]
    state = [np.array(i.data(program.sizes), i.dtype) for i in program.inputs if i.shared]
    try:
        for count in (1, 2, 3):
            use_threads(count)
            same_bits(first, running.run(running.native, arguments, state))
    finally:
        use_threads(croton.config.threads)


QUICK = settings(
    max_examples=120, deadline=None, derandomize=True, print_blob=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
DEEP = settings(QUICK, max_examples=6000)


@QUICK
@given(programs())
def test_random_programs(program: Program) -> None:
    check(program)


@pytest.mark.slow
@DEEP
@given(programs(18), st.integers(0, 2**30))
def test_many_random_programs(program: Program, _: int) -> None:
    assume(len(program.lines) > 2)
    check(program)
