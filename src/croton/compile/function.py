"""``function``: from inputs and outputs to a callable."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from croton._lazy import LazyModule
from croton.compile import alternatives, store
from croton.compile.assumed import assume, broken, filters, stand_in
from croton.compile.caching import build_id, object_cache
from croton.compile.errors import MissingInputError, UnusedInputError
from croton.compile.fingerprint import fingerprint
from croton.compile.fitting import fit_given, fit_update
from croton.compile.io import In, Out
from croton.compile.made import Function
from croton.compile.mode import Mode, get_mode
from croton.compile.profile import Profile, show_at_exit
from croton.compile.reference import ReferenceCallable
from croton.compile.shared import shared
from croton.config import config
from croton.graph import trace
from croton.graph.garbage import collected_later
from croton.graph.shared import SharedVariable
from croton.graph.traversal import graph_inputs, replace
from croton.graph.variable import Constant, Variable
from croton.runtime import executable, host, threads
from croton.tensor.convert import as_tensor_variable
from croton.tensor.type import TensorType

# Rewriting, scheduling and code generation are not needed to write expressions.
pipeline: Any = LazyModule("croton.compile.pipeline")
kernels: Any = LazyModule("croton.compile.kernels")
answering: Any = LazyModule("croton.compile.answers")


def function(
    inputs: Any,
    outputs: Any = None,
    mode: Any = None,
    updates: Any = None,
    givens: Any = None,
    no_default_updates: Any = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: bool | None = None,
    on_unused_input: str | None = None,
) -> Any:
    """A callable that computes ``outputs`` from ``inputs``, and applies ``updates``.

    ``inputs``: a list of variables, or :class:`In` for defaults and more.
    ``outputs``: a variable (the call returns its value), a list (a list), a
    dict (a dict), or None.  ``updates``: pairs (shared variable, expression) or
    a dict; all see the old values, and all happen or none.  ``givens``: pairs
    or a dict of variables and what stands in their place.
    ``allow_input_downcast``: True allows arguments to lose precision, False
    nothing, None only Python floats for ``floatX`` inputs.  ``on_unused_input``:
    ``"raise"``, ``"warn"`` or ``"ignore"``.

    Raises MissingInputError, UnusedInputError, and TypeError or ValueError for
    updates and givens that do not fit.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> f = croton.function([x], (x**2).sum())
    >>> f([1.0, 2.0, 3.0])
    array(14.)
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"the name of a function is a string, got {name!r}")
    definition = {
        "inputs": inputs,
        "outputs": outputs,
        "mode": get_mode(mode),
        "updates": _own(updates),
        "givens": _own(givens),
        "no_default_updates": no_default_updates,
        "name": name or "function",
        "allow_input_downcast": allow_input_downcast,
        "profile": config.profile if profile is None else bool(profile),
        "on_unused_input": on_unused_input or config.on_unused_input,
    }
    with collected_later():
        made = _Definition(**definition).make()
    made.owner.definition = definition
    return made


def _own(pairs: Any) -> Any:
    return dict(pairs) if isinstance(pairs, Mapping) else list(pairs or ())


def _rebuild(definition: dict[str, Any], state: list[Any]) -> Any:
    """A function that was pickled or copied."""
    made = function(**definition)
    for entry, value in zip(made.owner._stateful(), state, strict=True):
        made[entry.variable] = value
    return made


class _Definition:
    """The arguments of :func:`function`, checked and brought into one form."""

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        mode: Mode,
        updates: Any,
        givens: Any,
        no_default_updates: Any,
        name: str,
        allow_input_downcast: bool | None,
        profile: bool,
        on_unused_input: str,
    ) -> None:
        if on_unused_input not in ("raise", "warn", "ignore"):
            raise ValueError(
                f"on_unused_input is 'raise', 'warn' or 'ignore', got {on_unused_input!r}"
            )
        self.mode = mode
        self.name = name
        self.allow_downcast = allow_input_downcast
        self.profile = profile
        self.on_unused = on_unused_input
        self.state: dict[Any, SharedVariable] = {}
        self._read_inputs(inputs)
        self._read_outputs(outputs)
        self._read_updates(updates)
        self.replacements = self._read_givens(givens)
        self._add_default_updates(no_default_updates)

    def _read_inputs(self, inputs: Any) -> None:
        if isinstance(inputs, Variable | In):
            raise TypeError(f"inputs must be a list, got {inputs!r}: write [{inputs}]")
        if not isinstance(inputs, list | tuple):
            raise TypeError(f"inputs must be a list of variables, got {inputs!r}")
        self.inputs: list[In] = []
        self.state_updates: list[tuple[SharedVariable, Variable]] = []
        self.state_of: dict[Variable, Variable] = {}
        seen: set[Variable] = set()
        for given in inputs:
            entry = _as_in(given)
            v = entry.variable
            if isinstance(v, SharedVariable):
                raise TypeError(
                    f"the shared variable {v} cannot be an input: it keeps its own value; "
                    "use givens to put another value in its place"
                )
            if isinstance(v, Constant):
                raise TypeError(f"the constant {v} cannot be an input")
            if not isinstance(v.type, TensorType):
                raise TypeError(f"the input {v} is no tensor: {v.type}")
            if v in seen:
                raise ValueError(f"the input {v} is given twice")
            seen.add(v)
            if entry.update is not None:
                if entry.value is None:
                    raise ValueError(f"the input {v} has an update, so it needs a value")
                kept = shared(v.type.filter(entry.value), name=entry.name)
                self.state[v] = self.state[entry.name] = kept
                self.state_of[v] = kept
                self.state_updates.append((kept, fit_update(kept, entry.update)))
            else:
                self.inputs.append(entry)

    def _read_outputs(self, outputs: Any) -> None:
        self.keys: tuple[Any, ...] = ()
        if outputs is None:
            self.result, given = "none", []
        elif isinstance(outputs, Mapping):
            for key in outputs:
                if not isinstance(key, str):
                    raise TypeError(f"the keys of outputs are strings, got {key!r}")
            self.keys = tuple(sorted(outputs))
            self.result, given = "dict", [outputs[k] for k in self.keys]
        elif isinstance(outputs, list | tuple):
            self.result, given = "list", list(outputs)
        else:
            self.result, given = "value", [outputs]
        self.outputs: list[Variable] = []
        self.borrowed: list[bool] = []
        for o in given:
            entry = o if isinstance(o, Out) else Out(o)
            try:
                v = as_tensor_variable(entry.variable)
            except TypeError as error:
                raise TypeError(f"an output must be a symbolic expression: {error}") from None
            self.outputs.append(v)
            self.borrowed.append(entry.borrow)

    def _read_updates(self, updates: Any) -> None:
        self.updates: list[tuple[SharedVariable, Variable]] = list(self.state_updates)
        pairs = updates.items() if isinstance(updates, Mapping) else (updates or [])
        seen: set[Variable] = set()
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise TypeError(f"updates are pairs (shared variable, expression), got {pair!r}")
            target, expression = pair
            if not isinstance(target, SharedVariable):
                raise TypeError(f"only shared variables can be updated, got {target!r}")
            if target in seen:
                raise ValueError(f"the shared variable {target} is updated twice")
            seen.add(target)
            self.updates.append((target, fit_update(target, expression)))

    def _read_givens(self, givens: Any) -> dict[Variable, Variable]:
        pairs = list(givens.items() if isinstance(givens, Mapping) else (givens or []))
        found: dict[Variable, Variable] = dict(self.state_of)
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise TypeError(f"givens are pairs (variable, replacement), got {pair!r}")
            old, new = pair
            if not isinstance(old, Variable):
                raise TypeError(f"givens replace symbolic variables, got {old!r}")
            if old in found:
                raise ValueError(f"{old} is replaced twice by givens")
            found[old] = fit_given(old, new)
        # A replacement may use variables that are replaced themselves.
        for _ in range(len(found)):
            settled = dict(zip(found, replace(list(found.values()), found), strict=True))
            changed = any(settled[k] is not found[k] for k in found)
            found = settled
            if not changed:
                break
        return found

    def _add_default_updates(self, without: Any) -> None:
        if without is True:
            return
        skip = set(without) if isinstance(without, list | tuple | set) else set()
        explicit = {s for s, _ in self.updates} | skip
        wanted = [*self.outputs, *(v for _, v in self.updates)]
        while True:
            current = replace(wanted, self.replacements) if self.replacements else wanted
            added = []
            for v in graph_inputs(current):
                if isinstance(v, SharedVariable) and v.default_update is not None:
                    if v not in explicit:
                        explicit.add(v)
                        added.append((v, fit_update(v, v.default_update)))
            if not added:
                return
            self.updates += added
            wanted += [v for _, v in added]

    # Checking the whole.

    def _check_used(self) -> None:
        wanted = [*self.outputs, *(v for _, v in self.updates)]
        current = replace(wanted, self.replacements) if self.replacements else wanted
        given = [i.variable for i in self.inputs]
        leaves = set(graph_inputs(current, given))
        known = set(given)
        for v in leaves:
            if v not in known and not isinstance(v, Constant | SharedVariable):
                if isinstance(v.type, TensorType) and v.owner is None:
                    why = "which is not among the inputs"
                    if getattr(v.tag, "of_step", False):
                        why = (
                            "which is of a step function and has no value outside of it: return "
                            "from the step what you need of it"
                        )
                    raise MissingInputError(
                        f"the outputs need the variable {v} of type {v.type}, {why}"
                        + trace.describe(v.made_at)
                    )
        if self.on_unused == "ignore":
            return
        for k, entry in enumerate(self.inputs):
            if entry.variable not in leaves:
                message = (
                    f"input {k} ({entry.variable}) is not needed by any output; leave it out, or "
                    "pass on_unused_input='ignore'" + trace.describe(entry.variable.made_at)
                )
                if self.on_unused == "raise":
                    raise UnusedInputError(message)
                warnings.warn(message, stacklevel=4)

    def _policy(self, entry: In) -> str:
        if entry.strict:
            return "strict"
        allowed = entry.allow_downcast if entry.allow_downcast is not None else self.allow_downcast
        if allowed:
            return "downcast"
        if allowed is None and entry.variable.type.dtype == config.floatX:
            return "float"
        return "safe"

    def make(self) -> Any:
        """The callable."""
        self._check_used()
        given = [i.variable for i in self.inputs]
        wanted = [*self.outputs, *(v for _, v in self.updates)]
        if self.replacements:
            wanted = replace(wanted, self.replacements)
        outputs = wanted[: len(self.outputs)]
        updates = [(s, v) for (s, _), v in zip(self.updates, wanted[len(outputs) :], strict=True)]
        # An input may be an intermediate variable; what is above it is cut off.
        fresh = [_fresh_input(v) for v in given]
        swaps = dict(zip(given, fresh, strict=True))
        native = self.mode.linker == "native"

        def rewrite(behind: Mapping[Any, Any]) -> Any:
            stands = {s: stand for stand, s in behind.items()}
            targets = [(stands.get(s, s), v) for s, v in updates]
            return pipeline.rewrite_graph(fresh, outputs, targets, swaps | stands, self.mode)

        def schedule(rewritten: Any, behind: Mapping[Any, Any], launched: Any = None) -> Any:
            return pipeline.schedule_graph(
                rewritten, fresh, self.name, self.borrowed, list(behind), launched
            )

        info = Function(
            self.name, self.mode, self.inputs, self.outputs, self.state, rewrite, schedule, _rebuild
        )
        names = [str(i.name) if i.name else f"input {k}" for k, i in enumerate(self.inputs)]
        defaults = [_default(i) for i in self.inputs]
        policies = [self._policy(i) for i in self.inputs]
        if not native:
            rewritten = info.version.rewrite()
            targets = [*rewritten.outputs, *(v for _, v in rewritten.updates)]
            info.shared = [v for v in graph_inputs(targets) if isinstance(v, SharedVariable)]
            return ReferenceCallable(
                fresh, names, defaults, policies, rewritten.outputs, rewritten.updates,
                self._shape_result, info,
            )  # fmt: skip
        leaves = [*graph_inputs([*outputs, *(v for _, v in updates)]), *(s for s, _ in updates)]
        wrong: set[SharedVariable] = set()

        def compiled() -> Any:
            """The callable, for the sizes that shared variables have now."""
            assumed = assume(leaves, wrong)
            try:
                made = self._native(info, given, outputs, updates, assumed)
            except (IndexError, TypeError, ValueError):
                if not assumed:
                    raise
                # Values that are there for the time being need not fit the expression.
                assumed = {}
                made = self._native(info, given, outputs, updates, assumed)
            return self._load(info, made, names, defaults, policies, lambda: adapted(assumed))

        def adapted(assumed: dict[SharedVariable, Any]) -> Any:
            """Another callable, without sizes that turned out wrong; None if there are none."""
            found = broken(assumed)
            wrong.update(found)
            return compiled() if found else None

        return compiled()

    def _load(
        self,
        info: Function,
        made: _Native,
        names: list[str],
        defaults: list[Any],
        policies: list[str],
        adapt: Callable[[], Any],
    ) -> Any:
        threads.use_threads(config.threads)
        program, code = made.program, made.code

        def link(instruction: int, kernel: int, registers: Sequence[int]) -> Sequence[int]:
            start = time.perf_counter()
            code.need({kernel, *alternatives.needed(program, instruction, registers)})
            spent = info.seconds.get("kernels", 0.0) + time.perf_counter() - start
            info.seconds["kernels"] = spent
            return code.addresses  # type: ignore[no-any-return]

        call = executable.load(
            program,
            code.addresses,
            [_cell(s) for s in made.shared],
            made.constants,
            made.host,
            answers=answering.answers(program, made.tailored, made.key)
            if program.questions
            else (),
            names=names,
            result=self.result,
            keys=self.keys,
            defaults=defaults,
            policies=policies,
            keepalive=(code, made.shared),
            owner=info,
            adapt=adapt,
            link=link,
        )
        if self.profile:
            call.profiling = True
            info.profile = Profile(call, made, info)
            if config.profile:
                show_at_exit(info.profile)
        return call

    def _native(
        self,
        info: Function,
        given: list[Variable],
        outputs: list[Variable],
        updates: list[tuple[SharedVariable, Variable]],
        assumed: dict[SharedVariable, Any],
    ) -> _Native:
        """The program and its machine code: from the cache if the graph is unchanged.

        Shared variables are ``assumed`` to have known shapes.
        """
        start = time.perf_counter()
        known = filters([*outputs, *(v for _, v in updates)]) if assumed else set()
        behind: dict[Any, Any] = {stand_in(s, shape, s in known): s for s, shape in assumed.items()}
        version = info.start_anew(behind)
        settings = (
            build_id(), host.identity(), self.mode.optimizer, sorted(self.mode.exclude),
            sorted(self.mode.include), self.borrowed, self.name, config.exception_verbosity,
        )  # fmt: skip
        cache = object_cache()
        identified = fingerprint(given, outputs, updates, settings, assumed)
        if identified is not None:
            key, leaves = identified
            kept = store.find(cache, key, leaves)
            if kept is not None:
                info.program, info.shared = kept.program, kept.shared
                code = kernels.Code(kept.keys, {}, lambda: version.schedule().functions)
                code.need(_wanted(kept.program))
                info.seconds = {"cache": time.perf_counter() - start}
                return _Native(
                    kept.program, code, kept.shared, kept.constants, (), kept.lines,
                    lambda: version.schedule().tailored, key,
                )  # fmt: skip
        with kernels.Ahead() as ahead:
            pipeline.begin_early([*outputs, *(v for _, v in updates)], ahead)
            rewritten = version.rewrite()
            scheduled = info._make_scheduled(rewritten, behind, ahead.begin)
            shared = tuple(behind.get(s, s) for s in scheduled.shared)
            scheduled = scheduled._replace(shared=shared)
            info.program, info.shared = scheduled.program, list(shared)
            scheduling = time.perf_counter()
            code = pipeline.link(scheduled, _wanted(scheduled.program), ahead)
        info.seconds = {
            "rewrite": rewritten.report.total,
            "all before kernels": scheduling - start,
            "kernels": time.perf_counter() - scheduling,
        }
        if identified is not None:
            store.keep(cache, key, scheduled, code.keys, leaves)
        return _Native(
            scheduled.program,
            code,
            list(scheduled.shared),
            list(scheduled.constants),
            scheduled.host,
            list(scheduled.lines),
            lambda: scheduled.tailored,
            None if identified is None else key,
        )

    def _shape_result(self, values: list[Any]) -> Any:
        if self.result == "none":
            return None
        if self.result == "value":
            return values[0]
        if self.result == "dict":
            return dict(zip(self.keys, values, strict=True))
        return values


class _Native(NamedTuple):
    """What it takes to call a program."""

    program: Any
    code: Any
    shared: list[SharedVariable]
    constants: list[Any]
    host: Any
    lines: list[str]
    tailored: Callable[[], Any]
    key: str | None


def _wanted(program: Any) -> Collection[int]:
    """The kernels that are compiled when a function is made."""
    return range(len(program.kernels)) if config.compile_ahead else alternatives.always(program)


def _as_in(given: Any) -> In:
    if isinstance(given, In):
        return given
    if isinstance(given, Variable):
        return In(given)
    if isinstance(given, list | tuple) and len(given) == 2:
        name, v = given
        if isinstance(name, str) and isinstance(v, Variable):
            return In(v, name=name)
    raise TypeError(f"an input is a symbolic variable or an In, got {given!r}")


def _fresh_input(v: Any) -> Any:
    fresh = v.type(v.name)
    fresh.made_at = v.made_at
    return fresh


def _default(entry: In) -> Any:
    if entry.value is None:
        return None
    value = entry.value
    if isinstance(value, SharedVariable):
        value = value.get_value()
    return np.array(entry.variable.type.filter(value, allow_downcast=True))


def _cell(v: SharedVariable) -> executable.Cell:
    """The variable's native storage, put in the place of its first container."""
    if not isinstance(v.container, executable.Cell):
        exposed, value = v.container.exposed, v.container.value
        v.container = executable.Cell(np.ascontiguousarray(value).reshape(np.shape(value)))
        v.container.exposed = exposed
    return v.container
