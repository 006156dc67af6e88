"""Every pass from a user's expressions to something callable, in order, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from croton.codegen.targets import cpu
from croton.compile import kernels
from croton.compile.mode import Mode
from croton.graph.fgraph import FunctionGraph
from croton.graph.shared import SharedVariable
from croton.graph.variable import Variable
from croton.kernel.nodes import Function
from croton.rewrite import FAST_COMPILE, FAST_RUN, rewrite
from croton.schedule.assemble import Scheduled, product_kernels, schedule

_PHASES = {"fast_run": FAST_RUN, "fast_compile": FAST_COMPILE, "merge": ()}


class Rewritten(NamedTuple):
    """A graph after rewriting."""

    graph: FunctionGraph
    outputs: list[Variable]
    updates: list[tuple[SharedVariable, Variable]]
    report: Any


def begin_early(wanted: Sequence[Variable], ahead: kernels.Ahead) -> None:
    """Begin what takes longest of the graph before it is rewritten."""
    for function in product_kernels(wanted, cpu.host().machine):
        ahead.begin(function, at_once=True)


def rewrite_graph(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
    replacements: Mapping[Variable, Variable],
    mode: Mode,
) -> Rewritten:
    """The graph with ``replacements`` put in, simplified as the mode asks."""
    wanted = [*outputs, *(v for _, v in updates)]
    new, report = rewrite(
        wanted,
        _PHASES.get(mode.optimizer, mode.optimizer),
        excluding=mode.exclude,
        including=mode.include,
        replacements=replacements,
    )
    count = len(outputs)
    shared = [s for s, _ in updates]
    return Rewritten(
        FunctionGraph(inputs, new),
        new[:count],
        list(zip(shared, new[count:], strict=True)),
        report,
    )


def schedule_graph(
    rewritten: Rewritten,
    inputs: Sequence[Variable],
    name: str,
    borrowed: Sequence[bool],
    assumed: Sequence[SharedVariable],
    launched: Callable[[Function], None] | None,
) -> Scheduled:
    """The graph as a Program and the kernels that it launches.

    A call finds out whether the ``assumed`` variables have the shapes that they were taken to
    have, even where nothing but these shapes is left of them.  ``launched`` is told kernels that
    are not only for some sizes, as soon as they are known.
    """
    return schedule(
        inputs, rewritten.outputs, rewritten.updates, cpu.host().machine, name, borrowed, assumed,
        launched,
    )  # fmt: skip


def link(scheduled: Scheduled, wanted: Iterable[int], ahead: kernels.Ahead) -> kernels.Code:
    """Machine code of the program's kernels: now of those ``wanted``, of others on demand."""
    code = kernels.Code.of(scheduled.functions, ahead.key)
    code.need(wanted, ahead)
    return code
