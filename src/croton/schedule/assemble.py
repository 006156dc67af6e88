"""From a graph to a Program and the kernels that it launches: all of scheduling, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from croton.graph import trace
from croton.graph.shared import SharedVariable
from croton.graph.traversal import graph_inputs, toposort
from croton.graph.variable import Constant, Variable
from croton.kernel.machine import Machine
from croton.kernel.nodes import Function
from croton.runtime import program as p
from croton.schedule.arena import share_slots
from croton.schedule.assembly import Assembly, Emitter
from croton.schedule.emission import Emission
from croton.schedule.group import TILED_DTYPES
from croton.schedule.hoisting import hoist
from croton.schedule.looping import emit_scan
from croton.schedule.product import main_kernel
from croton.schedule.tailored import Tailored
from croton.tensor.type import TensorType

#: What emits the groups that hold a graph themselves.
EMITTERS: Mapping[str, Emitter] = {"scan": emit_scan}


class Scheduled(NamedTuple):
    """A Program and what it refers to.

    ``functions`` are its kernels, in the order of ``program.kernels``;
    ``shared`` and ``constants`` its arguments of those kinds; ``host`` the
    Python functions that it calls; ``lines`` for each instruction the place
    in the user's code that it comes from (or an empty string); ``tailored`` the
    scans that it asks kernels of, by the numbers in its questions.
    """

    program: p.Program
    functions: tuple[Function, ...]
    shared: tuple[SharedVariable, ...]
    constants: tuple[Any, ...]
    host: tuple[Callable[..., Any], ...]
    lines: tuple[str, ...]
    tailored: tuple[Tailored, ...]


def schedule(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
    machine: Machine,
    name: str = "function",
    borrowed: Sequence[bool] = (),
    assumed: Sequence[SharedVariable] = (),
    launched: Callable[[Function], None] | None = None,
) -> Scheduled:
    """The program that computes ``outputs`` from ``inputs`` and updates shared variables.

    The ``assumed`` variables are among its arguments whether or not it reads them.  ``launched``
    is told kernels when they are known, but for those that alternatives alone launch.
    """
    with trace.made_by(()):
        emission = Emission(machine, [s for s, _ in updates], launched)
        wanted = [*outputs, *(v for _, v in updates)]
        if launched is not None:
            for function in product_kernels(wanted, machine):
                launched(function)
        leaves = [*graph_inputs(wanted), *(s for s, _ in updates)]
        assembly = Assembly(emission, outputs, updates, _assumed_sizes(leaves), EMITTERS)
        _bind(assembly, inputs, [*leaves, *assumed])
        assembly.emit()
        given = _outputs(assembly, borrowed or [False] * len(outputs))
        changed = _updates(assembly, {o.buffer for o in given})
    order = hoist(emission.instructions, emission.effects)
    instructions = [emission.instructions[k] for k in order]
    program = p.Program(
        name,
        tuple(emission.arguments),
        tuple(
            share_slots(
                emission.buffers, instructions, emission.registers.constants, emission.heirs
            )
        ),
        emission.registers.count,
        tuple(emission.registers.constants.items()),
        tuple(instructions),
        tuple(given),
        tuple(changed),
        tuple(emission.kernels),
        tuple(emission.errors),
        tuple(emission.registers.questions),
    )
    return Scheduled(
        program,
        tuple(emission.functions[k] for k in emission.kernels),
        tuple(emission.shared),
        tuple(emission.constants),
        tuple(emission.host),
        tuple(emission.lines.get(k, "") for k in order),
        tuple(emission.tailored),
    )


def product_kernels(wanted: Sequence[Variable], machine: Machine) -> list[Function]:
    """Those of a graph's products: large kernels of which the graph alone tells.

    Sure to be launched if it has been rewritten, and hardly ever not if it has yet to be.
    """
    dtypes: set[Any] = {
        getattr(node.outputs[0].type, "dtype", None)
        for node in toposort(wanted)
        if getattr(node.op, "loop", None) == "product"
    }
    return [main_kernel(dtype, machine) for dtype in sorted(dtypes & TILED_DTYPES)]


def _assumed_sizes(leaves: Sequence[Variable]) -> dict[tuple[Variable, int], int]:
    """Sizes that shared variables are taken to have, though their types do not tell."""
    return {(v, d): size for v in leaves for d, size in enumerate(getattr(v.tag, "assumed", ()))}


def _bind(assembly: Assembly, inputs: Sequence[Any], leaves: Sequence[Any]) -> None:
    """Make arguments of inputs, shared variables and constants."""
    emission = assembly.emission

    def bind(source: str, v: Any) -> None:
        buffer, first = emission.argument(source, v)
        assembly.bind(v, buffer, range(first, first + v.type.ndim))

    for v in inputs:
        bind("input", v)
    for v in leaves:
        if v in assembly.number:
            continue
        if isinstance(v, SharedVariable):
            bind("shared", v)
        elif not isinstance(v, Constant) and isinstance(v.type, TensorType):
            raise ValueError(f"{v} is not among the inputs" + trace.describe(v.made_at))
    assembly.bind_constants()


def _outputs(assembly: Assembly, borrowed: Sequence[bool]) -> list[p.Output]:
    """What is handed out, each in memory of its own."""
    buffers = assembly.emission.buffers
    given: set[int] = set()
    in_place = {assembly.number[s] for s in assembly.target.values()}
    found: list[p.Output] = []
    for v, borrow in zip(assembly.outputs, borrowed, strict=True):
        number = assembly.memory_number(v)
        shape = assembly.shape_registers(v)
        argument = buffers[number].kind == "argument"
        # A view of what is handed out is handed out as well; a call copies the second one.
        own = argument or buffers[assembly.emission.whole(number)].kind == "output"
        again = number in given or number in in_place
        if again or not own or (argument and v not in assembly.number):
            number = assembly.copy(number, v)
        given.add(number)
        found.append(p.Output(number, v.type.dtype, shape, borrow))  # type: ignore[attr-defined]
    return found


def _updates(assembly: Assembly, given: set[int]) -> list[p.Update]:
    """New values of shared variables; buffers that are ``given`` are not theirs."""
    emission = assembly.emission
    found: list[p.Update] = []
    for s, v in assembly.updates:
        dtype: str = s.type.dtype  # type: ignore[attr-defined]
        shape = assembly.shape_registers(v)
        position = next(k for k, w in enumerate(emission.shared) if w is s)
        if v in assembly.target:
            found.append(p.Update(position, assembly.number[s], dtype, shape))
        elif v is not s:
            number = assembly.memory_number(v)
            is_output = emission.buffers[number].kind == "output"
            if number in given or not is_output or v not in assembly.number:
                number = assembly.copy(number, v)
            given.add(number)
            found.append(p.Update(position, number, dtype, shape))
    return found
