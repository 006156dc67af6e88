"""Answers to the questions of programs: which algorithm is the fastest, by measuring it once.

What was found is kept in the object cache, for the machine, the threads and the class of the
sizes: that is all of them, but for the batch, which is rounded up to a power of two.  So later
calls, functions and processes do as the first one did.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from croton.codegen.targets import cpu
from croton.compile import kernels
from croton.compile.caching import build_id, object_cache
from croton.runtime import executable, host, threads
from croton.runtime import program as p
from croton.schedule.convolution import names, plan
from croton.schedule.convolution.choice import NEAR, candidates
from croton.schedule.convolution.names import extent
from croton.schedule.counts import Count, evaluate
from croton.schedule.steps import NOTHING, Plan

#: Rounds of calls at least, and seconds that all of them take about.
ROUNDS, SECONDS = 3, 0.05
#: What the candidates hang on, of what is known of a convolution beforehand.
OPTIONS = ("kind", "dtype", "epilogue", "accurate", "constant", "settled", "outer")
#: What another algorithm's time must be, for the model of costs to be taken to be wrong.
MARGIN = 0.97

_STAMP = b"croton measurement 1\n"

_known: dict[Any, int] = {}
_measuring = threading.RLock()


def answer_to(question: p.Question) -> Callable[..., int]:
    """What answers ``question``, given the numbers that it is about.

    Raises ValueError for a subject that nothing is known of.
    """
    if question.subject != "convolution":
        raise ValueError(f"there is no measurement of {question.subject!r}")
    return partial(_answer, question)


def _answer(question: p.Question, *about: int) -> int:
    options: dict[str, Any] = dict(question.known)
    sizes = dict(zip(names.sizes(options["kind"]), about, strict=True))
    # A power of two, but 0 for none.
    sizes["batch"] = 1 << (sizes["batch"] - 1).bit_length() if sizes["batch"] else 0
    key = question, tuple(sizes.values()), threads.thread_count()
    with _measuring:
        if key not in _known:
            _known[key] = _find(options, sizes)
        return _known[key]


def _find(options: dict[str, Any], sizes: dict[str, int]) -> int:
    """The number of the fastest algorithm, known from before or measured now."""
    machine = cpu.host().machine
    possible = candidates(machine=machine, **{n: options[n] for n in OPTIONS})
    costs = {
        name: evaluate(cost, sizes)
        for name, (fits, cost) in possible.items()
        if evaluate(fits, sizes)
    }
    order = sorted(costs, key=lambda name: costs[name])
    several = [name for name in order if NEAR * costs[name] <= (NEAR + 1) * costs[order[0]]]
    cache, key = object_cache(), _key(several, options, sizes)
    found = _read(cache.get(key), several)
    if found is None:
        # What an epilogue does, all of them do.
        plain = options | {"epilogue": False}
        calls = {
            name: _call(plan(machine=machine, only=name, **plain), options, sizes)
            for name in several
        }
        times = measure(calls, time.perf_counter)
        found = fastest(times)
        cache.put(key, _STAMP + json.dumps({"fastest": found, "seconds": times}).encode())
    return list(possible).index(found)


def measure(
    calls: Mapping[str, Callable[[], object]], clock: Callable[[], float]
) -> dict[str, float]:
    """The least time of each of ``calls``, which take turns."""
    for call in calls.values():
        call()
    found = dict.fromkeys(calls, float("inf"))
    start, rounds = clock(), 0
    while rounds < ROUNDS or clock() - start < SECONDS:
        for name, call in calls.items():
            before = clock()
            call()
            found[name] = min(found[name], clock() - before)
        rounds += 1
    return found


def fastest(times: Mapping[str, float]) -> str:
    """The first one, unless another one takes clearly less time."""
    first = next(iter(times))
    best = min(times, key=lambda name: times[name])
    return best if times[best] < MARGIN * times[first] else first


def _key(several: Sequence[str], options: dict[str, Any], sizes: dict[str, int]) -> str:
    # The kernels follow from these.
    parts = build_id(), host.identity(), threads.thread_count(), several, options, sizes
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _read(data: bytes | None, several: Sequence[str]) -> str | None:
    """The algorithm that an entry of the cache names, if it is one that there is."""
    if data is None or not data.startswith(_STAMP):
        return None
    try:
        found = json.loads(data[len(_STAMP) :])["fastest"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if found in several else None


def _call(made: Plan, options: dict[str, Any], sizes: dict[str, int]) -> Callable[[], object]:
    """A call of the steps of a plan, for these sizes; it prepares ``constant`` filters once."""
    first, second, result = names.KINDS[options["kind"]]
    rng = np.random.default_rng(0)
    given = {
        name: np.resize(rng.standard_normal(1 << 16), extent(name, sizes)).astype(made.dtype)
        for name in (first, second)
    }
    fixed = ["w"] if options["constant"] and second == "w" else []
    program = _program(made, [first, second], fixed, result, sizes)
    code = kernels.link(made.functions)
    call = executable.load(
        program,
        code.addresses,
        constants=[given[name] for name in fixed],
        keepalive=code,
    )
    arrays = [given[name] for name in (first, second) if name not in fixed]
    return lambda: call(*arrays)


def _program(
    made: Plan, given: Sequence[str], fixed: Sequence[str], result: str, sizes: dict[str, int]
) -> p.Program:
    """The plan for sizes that are known, as a program of flat arrays."""
    registers: dict[int, int] = {}
    buffers: list[p.Buffer] = []
    arguments: list[p.Argument] = []
    number: dict[str, int] = {}
    code: list[p.Instruction] = []

    def register(count: Count) -> int:
        return registers.setdefault(evaluate(count, sizes), len(registers))

    def buffer(name: str, kind: str) -> int:
        number[name] = len(buffers)
        buffers.append(p.Buffer(kind, made.dtype))
        return number[name]

    for name in given:
        source = "constant" if name in fixed else "input"
        position = sum(a.source == source for a in arguments)
        where = buffer(name, "argument")
        arguments.append(p.Argument(source, position, where, made.dtype, (None,), -1, name))
    count = register(extent(result, sizes))
    code.append(p.Allocate(buffer(result, "output"), count, (count,)))
    kept = {s.buffers[-1] for s in made.steps if set(s.buffers[:-1]) <= {*fixed}}
    elements = dict(made.temporaries)
    for name, total in made.temporaries:
        buffer(name, "kept" if name in kept else "temporary")
        if name not in kept:
            code.append(p.Allocate(number[name], register(total)))
    for step in made.steps:
        target = step.buffers[-1]
        if target in kept:
            code.append(p.Keep(number[target], register(elements[target])))
        code.append(
            p.Launch(
                [f.name for f in made.functions].index(step.kernel),
                tuple(-1 if name == NOTHING else number[name] for name in step.buffers),
                tuple(map(register, step.sizes)),
                register(step.items),
                register(step.grain),
                register(step.scratch),
            )
        )
    return p.Program(
        "measurement",
        tuple(arguments),
        tuple(buffers),
        len(registers),
        tuple((where, value) for value, where in registers.items()),
        tuple(code),
        (p.Output(number[result], made.dtype, (count,)),),
        (),
        tuple(f.name for f in made.functions),
        (),
    )
