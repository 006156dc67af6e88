"""Apply: one application of an op."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING

from croton.graph import trace
from croton.graph.variable import Variable

if TYPE_CHECKING:
    from croton.graph.op import Op


_serials = count()


def next_serial() -> int:
    """A serial number greater than those of all applications made so far, less than all others."""
    return next(_serials)


class Apply:
    """``op`` applied to ``inputs``, giving ``outputs``: a node of the graph.

    ``serial`` numbers the applications of a process in the order in which they are made.
    ``part_of`` is the op that the user's code applied, if rewriting has made this of it.

    >>> import croton.tensor as T
    >>> node = (T.dscalar("x") + 1).owner
    >>> node.inputs[0], len(node.outputs)
    (x, 1)
    """

    __slots__ = ("__weakref__", "inputs", "made_at", "op", "outputs", "part_of", "serial")

    def __init__(self, op: Op, inputs: Iterable[Variable], outputs: Iterable[Variable]) -> None:
        self.op = op
        self.serial = next(_serials)
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.made_at = trace.user_frames()
        self.part_of: Op | None = None
        for i, output in enumerate(self.outputs):
            output.owner = self
            output.index = i
            output.made_at = self.made_at

    @property
    def out(self) -> Variable:
        """The only output; ValueError if there are several."""
        return self.default_output()

    @property
    def nin(self) -> int:
        """The number of inputs."""
        return len(self.inputs)

    @property
    def nout(self) -> int:
        """The number of outputs."""
        return len(self.outputs)

    def default_output(self) -> Variable:
        """The only output, or the one that the op names as its default."""
        which = getattr(self.op, "default_output", None)
        if which is None:
            if len(self.outputs) != 1:
                raise ValueError(f"{self.op} has {len(self.outputs)} outputs and no default one")
            which = 0
        return self.outputs[which]

    def get_parents(self) -> list[Variable]:
        """The inputs."""
        return list(self.inputs)

    def clone_with_new_inputs(self, inputs: Iterable[Variable]) -> Apply:
        """The same op applied to other inputs of fitting types."""
        return self.op.make_node(*inputs)

    def __str__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.inputs))})"

    def __repr__(self) -> str:
        return str(self)
