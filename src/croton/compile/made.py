"""What stands behind a compiled function: how it was made, what it runs and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from croton.compile.fingerprint import flags_now, with_flags
from croton.compile.io import In
from croton.compile.mode import Mode
from croton.graph.apply import Apply
from croton.graph.fgraph import FunctionGraph
from croton.graph.shared import SharedVariable
from croton.graph.traversal import replace
from croton.graph.variable import Variable
from croton.kernel import text as kernel_text

#: Shared variables by those that stand for them in a graph.
_Behind = dict[Variable, Variable]


class Version:
    """What becomes of a function's graph for known sizes: made when it is asked for.

    ``behind`` tells which shared variables others stand for, that have these sizes.
    """

    def __init__(
        self,
        rewrite: Callable[[_Behind], Any],
        schedule: Callable[[Any, _Behind], Any],
        behind: _Behind,
    ) -> None:
        self.behind = behind
        self.rewritten: Any = None
        self.scheduled: Any = None
        self._rewrite = rewrite
        self._schedule = schedule
        # What is made later is to be the same.
        self._flags = flags_now()

    def rewrite(self) -> Any:
        """The graph after rewriting."""
        if self.rewritten is None:
            with with_flags(self._flags):
                self.rewritten = self._rewrite(self.behind)
        return self.rewritten

    def schedule(self) -> Any:
        """The program with its kernels."""
        if self.scheduled is None:
            rewritten = self.rewrite()
            with with_flags(self._flags):
                self.scheduled = self._schedule(rewritten, self.behind)
        return self.scheduled


class Maker:
    """How a function was made: its specification and its graph."""

    def __init__(
        self, graph: Callable[[], FunctionGraph], mode: Mode, inputs: list[In], outputs: Any
    ) -> None:
        self._graph = graph
        self.mode = mode
        self.inputs = inputs
        self.outputs = outputs

    @property
    def fgraph(self) -> FunctionGraph:
        """The rewritten graph."""
        return self._graph()

    env = fgraph


class Function:
    """What stands behind a compiled function: every attribute of ``f`` but the call itself.

    ``maker.fgraph`` is the rewritten graph, ``program`` what a call runs,
    ``profile`` the times of its steps (if it was made with ``profile=True``),
    ``seconds`` what each pass of compilation took.  A function that came from
    the cache makes its graph and kernels' text again when they are asked for.
    ``rebuild`` makes one like it, of its definition and the values of its state.
    """

    def __init__(
        self,
        name: str,
        mode: Mode,
        inputs: list[In],
        outputs: Any,
        state: dict[Any, Any],
        rewrite: Callable[[_Behind], Any],
        schedule: Callable[..., Any],
        rebuild: Callable[[dict[str, Any], list[Any]], Any],
    ) -> None:
        self.name = name
        self.maker = Maker(self._graph, mode, inputs, outputs)
        self.inputs = inputs
        self.state = state
        self.program: Any = None
        self.seconds: dict[str, float] = {}
        self.profile: Any = None
        self.trust_input = False
        self.definition: dict[str, Any] = {}
        self.shared: list[SharedVariable] = []
        self._make_rewritten = rewrite
        self._make_scheduled = schedule
        self._rebuild = rebuild
        self._shown: FunctionGraph | None = None
        self.version = self.start_anew({})

    def start_anew(self, behind: _Behind) -> Version:
        """Another version, in which others stand for the shared variables ``behind`` them."""
        self.version = Version(self._make_rewritten, self._make_scheduled, behind)
        self._shown = None
        return self.version

    def _graph(self) -> FunctionGraph:
        if self._shown is None:
            graph: FunctionGraph = self.version.rewrite().graph
            outputs = replace(graph.outputs, self.version.behind, _on_others)
            self._shown = FunctionGraph(graph.inputs, outputs)
        return self._shown

    @property
    def scheduled(self) -> Any:
        """The program with its kernels; None in modes that run Python."""
        return None if self.program is None else self.version.schedule()

    @property
    def report(self) -> Any:
        """What rewriting did: the rules that matched, how often, and their time."""
        return self.version.rewrite().report

    def kernels(self, name: str | None = None) -> str:
        """The kernels that a call runs, in a C-like text; that called ``name`` alone, if given.

        Of long ones, such as the product that serves all sizes, only the head is shown unless
        it is asked for by name.  Raises ValueError if there is no kernel of that name.
        """
        functions = () if self.program is None else self.scheduled.functions
        if name is None:
            return "\n".join(kernel_text.abridged(f) for f in functions)
        for f in functions:
            if f.name == name:
                return kernel_text.text(f)
        have = ", ".join(f.name for f in functions) or "none"
        raise ValueError(f"{self.name} has no kernel called {name!r}; it has {have}")

    def get_shared(self) -> list[SharedVariable]:
        """The shared variables that the function reads or updates."""
        return list(self.shared)

    def __reduce__(self) -> Any:
        # As it was defined, with its state; machine code is made anew, or found in the cache.
        kept = [self.state[i.variable].get_value() for i in self._stateful()]
        return self._rebuild, (self.definition, kept)

    def _stateful(self) -> list[In]:
        given = self.definition["inputs"]
        return [i for i in given if isinstance(i, In) and i.update is not None]

    def __getitem__(self, key: Any) -> Any:
        return self.state[self._state_key(key)].get_value()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.state[self._state_key(key)].set_value(value)

    def _state_key(self, key: Any) -> Any:
        if key in self.state:
            return key
        raise KeyError(f"{self.name} has no state called {key!r}")

    def __repr__(self) -> str:
        given = ", ".join(str(i.name or i.variable) for i in self.inputs)
        return f"<croton function {self.name}({given})>"


def _on_others(node: Apply, inputs: list[Variable]) -> list[Variable]:
    """The outputs of the same application to other inputs, of which less is known."""
    # What was rewritten by sizes that were known cannot always be made from types without.
    return Apply(node.op, inputs, [v.type() for v in node.outputs]).outputs
