"""From a Program and its native kernels to something that can be called."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable as AnyCallable
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from croton.runtime._native import CODES, Callable, Cell
from croton.runtime.convert import converter
from croton.runtime.encode import encode
from croton.runtime.program import Error, Program

__all__ = ["Callable", "Cell", "load"]


def _exception_class(name: str) -> type[Exception]:
    if name == "LinAlgError":
        return np.linalg.LinAlgError
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    raise ValueError(f"an error of the unknown class {name!r}")


def _failure(
    name: str, errors: Sequence[Error]
) -> AnyCallable[[int, tuple[int, ...], tuple[int, ...]], Exception]:
    """What makes the exception of error ``index``, from registers and a kernel's details."""
    classes = [_exception_class(error.exception) for error in errors]

    def fail(index: int, registers: tuple[int, ...], details: tuple[int, ...]) -> Exception:
        if not 0 <= index < len(errors):
            return RuntimeError(f"{name}: a kernel failed with status {index + 1}")
        values = (*(registers[r] for r in errors[index].registers), *details)
        return classes[index](errors[index].message.format(*values))

    return fail


def load(
    program: Program,
    kernel_addresses: Sequence[int],
    shared: Sequence[Cell] = (),
    constants: Sequence[NDArray[Any]] = (),
    host_functions: Sequence[AnyCallable[..., Any]] = (),
    *,
    answers: Sequence[AnyCallable[..., int]] = (),
    names: Sequence[str] | None = None,
    result: str | None = None,
    keys: Sequence[Any] = (),
    defaults: Sequence[Any] = (),
    policies: Sequence[str] | str = "safe",
    convert: AnyCallable[[int, Any], NDArray[Any]] | None = None,
    keepalive: object = None,
    owner: object = None,
    adapt: AnyCallable[[], Callable | None] | None = None,
    link: AnyCallable[[int, int, tuple[int, ...]], Sequence[int]] | None = None,
) -> Callable:
    """A callable that runs ``program``.

    ``shared``, ``constants`` and ``host_functions`` are what the program counts by position;
    ``answers`` answer its questions, given the numbers that these are about.
    ``names`` are the names of the function's inputs, where they are not those of the
    program's arguments.  A call returns as ``result`` says: ``"value"`` (the one output),
    ``"list"``, ``"dict"`` (by ``keys``) or ``"none"``; without it ``"value"`` for one output
    and else ``"list"``.  ``defaults`` are the inputs' values where a call gives none; None
    stands for an input that must be given.  ``policies`` (one for all inputs, or one for
    each) are those of :mod:`croton.runtime.convert`; ``convert(position, value)`` replaces
    the conversion of arguments that the native path does not take as they are.
    ``keepalive`` is kept as long as the callable; ``owner`` answers for attributes and repr.
    Where a shared variable has not the shape that the program's argument says, ``adapt()`` may
    give another callable, which then takes this one's place; None: that is an error.
    Kernels whose address is 0 have no code yet: ``link(instruction, kernel, registers)`` gives
    all addresses, with that of this kernel, when a call comes to it at that instruction.
    Several threads may ask at once.
    """
    inputs = {a.position: a for a in program.arguments if a.source == "input"}
    if names is None:
        names = [inputs[i].name if i in inputs else f"input {i}" for i in _positions(inputs)]
    count = len(names)
    if isinstance(policies, str):
        policies = [policies] * count
    if len(policies) != count:
        raise ValueError(f"{program.name}: {len(policies)} policies for {count} inputs")
    if defaults and len(defaults) != count:
        raise ValueError(f"{program.name}: {len(defaults)} defaults for {count} inputs")
    if link is None and not all(kernel_addresses):
        raise ValueError(f"{program.name}: a kernel has no address, and nobody to find it")
    words = encode(program, kernel_addresses, count, policies)
    if convert is None:
        read = [inputs.get(i) for i in range(count)]
        convert = converter(
            [a.dtype if a else "float64" for a in read],
            [len(a.shape) if a else 0 for a in read],
            policies,
            [f"{program.name}: {name}" for name in names],
        )
    if result is None:
        result = "value" if len(program.outputs) == 1 else "list"
    if f"result {result}" not in CODES:
        raise ValueError(f"{program.name}: a result cannot be {result!r}")
    _check_hosts(program, host_functions)
    if len(answers) != len(program.questions):
        raise ValueError(
            f"{program.name}: {len(answers)} answers to {len(program.questions)} questions"
        )
    return Callable(
        words=words,
        name=program.name,
        # Interned, a keyword argument's name is found without comparing characters.
        names=(
            *map(sys.intern, names),
            *(a.name for a in program.arguments if a.source == "shared"),
        ),
        defaults=tuple(defaults) or (None,) * count,
        hosts=(*answers, *host_functions),
        constants=tuple(_as_stored(program, i, c) for i, c in enumerate(constants)),
        cells=tuple(shared),
        convert=convert,
        fail=_failure(program.name, program.errors),
        result=CODES[f"result {result}"],
        keys=tuple(keys),
        keepalive=keepalive,
        owner=owner,
        adapt=adapt,
        link=link,
    )


def _positions(inputs: dict[int, Any]) -> range:
    return range(1 + max(inputs, default=-1))


def _check_hosts(program: Program, functions: Sequence[object]) -> None:
    for instruction in program.instructions:
        function = getattr(instruction, "function", None)
        if function is not None and not 0 <= function < len(functions):
            raise ValueError(f"{program.name}: there is no host function {function}")


def _as_stored(program: Program, position: int, value: NDArray[Any]) -> NDArray[Any]:
    """A constant as the kernels read it: contiguous, aligned, in native byte order."""
    for argument in program.arguments:
        if argument.source == "constant" and argument.position == position:
            array = np.require(value, argument.dtype, ["C", "A"])
            if array.ndim != len(argument.shape):
                raise ValueError(
                    f"{program.name}: constant {argument.name!r} has {array.ndim} dimensions, "
                    f"expected {len(argument.shape)}"
                )
            return np.asarray(array)
    return np.ascontiguousarray(value)
