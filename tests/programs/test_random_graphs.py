"""Random programs: native code agrees with the reference, whatever the sizes and threads."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from disturbance import evaluated, not_finite, slack
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import Program, programs

import croton
from croton.runtime.threads import use_threads


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
        odd = (
            program.special or not_finite(self.wanted, written) or not_finite(graph.outputs, known)
        )
        if odd:
            room = slack(graph.outputs, known, meant, True)
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
        # Where shared variables got other sizes the function was made again, without knowing them.
        first = running.check(program.sizes)
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
