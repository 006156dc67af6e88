"""What rewriting did: the hits and the time of each rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Named(Protocol):
    """A rule, of whatever kind."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def group(self) -> str:
        """The group that it belongs to."""


@dataclass
class Report:
    """For each rule how often it applied and how long it took, trying included."""

    hits: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    phases: list[tuple[str, float]] = field(default_factory=list)
    nodes_before: int = 0
    nodes_after: int = 0
    total: float = 0.0

    def add(self, rule: Named, seconds: float, hit: bool) -> None:
        """Count one try of ``rule``."""
        name = rule.name
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        if hit:
            self.hits[name] = self.hits.get(name, 0) + 1
            self.groups[name] = rule.group

    def include(self, other: Report) -> None:
        """Add what was done to a graph within this one."""
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        for name, hits in other.hits.items():
            self.hits[name] = self.hits.get(name, 0) + hits
            self.groups[name] = other.groups[name]

    def __str__(self) -> str:
        lines = [
            f"{self.nodes_before} nodes became {self.nodes_after} in {1e3 * self.total:.2f} ms"
        ]
        lines += [f"  {1e3 * seconds:8.2f} ms  {phase}" for phase, seconds in self.phases]
        if self.seconds:
            lines.append("    hits     ms  rule")
        for name in sorted(self.seconds, key=lambda n: (-self.hits.get(n, 0), n)):
            if name in self.hits:
                group = self.groups[name]
                lines.append(
                    f"  {self.hits[name]:6d} {1e3 * self.seconds[name]:6.2f}  {name} ({group})"
                )
        idle = sum(s for n, s in self.seconds.items() if n not in self.hits)
        if idle:
            lines.append(f"         {1e3 * idle:6.2f}  rules that were tried without a match")
        return "\n".join(lines)
