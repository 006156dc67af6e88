"""Gradients that flow only where a condition holds: what they need is computed only then.

An op that hands on one of its inputs may define ``gates(node)``, which tells for each input the
output whose gradient reaches it, and the :class:`Gate` through which that comes; or None.  What is
computed from a gradient is linear in it.  So it is zero behind a closed gate, and the gate may as
well stand where the flow ends: then everything before it is left out with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from croton.graph.disconnected import NullType, is_disconnected


class Gate(Protocol):
    """A condition.  Gates by the same condition for the same case are equal."""

    @property
    def other(self) -> Gate:
        """The gate that is open where this one is not."""

    def enter(self, g: Any, v: Any) -> Any:
        """``g``, a gradient of ``v`` if the gate is open, and else zeros."""

    def only(self, g: Any, v: Any) -> Any:
        """The same of a ``g`` that would be zeros as well."""

    def either(self, here: Any, there: Any) -> Any:
        """``here`` if the gate is open, and else ``there``, gradients of the same variable."""


class Flow(NamedTuple):
    """A gradient, and the gates that it has to pass, the outermost first."""

    value: Any
    gates: tuple[Gate, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is no marker."""
        return not is_disconnected(self.value) and not isinstance(self.value.type, NullType)

    def through(self, gate: Gate, v: Any) -> Flow:
        """The same as a gradient of ``v``, which it reaches through ``gate``."""
        if gate.other in self.gates:
            return Flow(v.zeros_like())
        # Where the gate is closed it need not have the shape of v.
        value = gate.enter(self.value, v)
        return Flow(value, self.gates if gate in self.gates else (*self.gates, gate))

    def behind(self, count: int, v: Any) -> Any:
        """What comes of it, a gradient of ``v``, behind all gates but the first ``count``."""
        value = self.value
        for gate in reversed(self.gates[count:]):
            value = gate.only(value, v)
        return value


def total(parts: Sequence[Flow], v: Any) -> Flow:
    """The sum of numbers that flow to ``v``; those of two cases meet without an addition."""
    flows: list[Flow] = []
    for part in parts:
        flows.append(part)
        while True:
            last = flows[-1]
            same = next((f for f in flows[:-1] if f.gates == last.gates), None)
            if same is not None:
                flows[flows.index(same)] = Flow(same.value + last.value, same.gates)
                flows.pop()
                break
            turned = (*last.gates[:-1], last.gates[-1].other) if last.gates else None
            beside = next((f for f in flows[:-1] if f.gates == turned), None)
            if beside is None:
                break
            flows.remove(beside)
            met = last.gates[-1].either(last.value, beside.value)
            flows[-1] = Flow(met, last.gates[:-1])
    if len(flows) == 1:
        return flows[0]
    count = common(flows)
    result = flows[0].behind(count, v)
    for f in flows[1:]:
        result = result + f.behind(count, v)
    return Flow(result, flows[0].gates[:count])


def common(flows: Sequence[Flow]) -> int:
    """How many outermost gates all have."""
    count = 0
    for gates in zip(*(f.gates for f in flows), strict=False):
        if any(g != gates[0] for g in gates):
            break
        count += 1
    return count
