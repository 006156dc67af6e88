"""Profile: where a function's time goes, by step and by line of the user's code."""

from __future__ import annotations

import atexit
import sys
from typing import Any

from croton.runtime.program import Copy, Host, Launch, LaunchAt


class Profile:
    """The times of a function's steps.  ``print(f.profile)`` shows them."""

    def __init__(self, call: Any, made: Any, info: Any) -> None:
        self._call = call
        self._made = made
        self._info = info

    @property
    def steps(self) -> list[tuple[str, str, int, float]]:
        """(step, line of the user's code, number of runs, seconds) for each step that took time.

        Computing sizes, checking them and planning memory are one step, the last.
        """
        found = []
        runs, between = 0, 0.0
        program = self._made.program
        for k, (data, instruction) in enumerate(
            zip(self._call.profile_data(), program.instructions, strict=False)
        ):
            count, nanoseconds = data
            if not count:
                continue
            if isinstance(instruction, Launch):
                name = program.kernels[instruction.kernel]
            elif isinstance(instruction, LaunchAt):
                name = "kernel for these sizes"
            elif isinstance(instruction, Host):
                name = f"python {self._made.host[instruction.function].__name__}"
            elif isinstance(instruction, Copy):
                name = "copy"
            else:
                runs, between = max(runs, count), between + nanoseconds * 1e-9
                continue
            found.append((name, self._made.lines[k], count, nanoseconds * 1e-9))
        if runs:
            found.append(("sizes and memory", "", runs, between))
        return found

    def by_line(self) -> dict[str, float]:
        """Seconds by line of the user's code."""
        total: dict[str, float] = {}
        for _, line, _, seconds in self.steps:
            total[line] = total.get(line, 0.0) + seconds
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def reset(self) -> None:
        """Start counting anew."""
        self._call.profile_reset()

    def __str__(self) -> str:
        steps = sorted(self.steps, key=lambda s: -s[3])
        total = sum(s[3] for s in steps) or 1.0
        lines = [f"{self._info.name}: {total * 1e3:.3f} ms in {len(steps)} steps"]
        lines.append(f"{'ms':>10} {'%':>6} {'runs':>8}  step")
        for name, line, count, seconds in steps[:30]:
            lines.append(
                f"{seconds * 1e3:10.3f} {100 * seconds / total:6.1f} {count:8d}  {name}  {line}"
            )
        lines.append("by line:")
        for line, seconds in list(self.by_line().items())[:20]:
            lines.append(f"{seconds * 1e3:10.3f} {100 * seconds / total:6.1f}  {line or '-'}")
        return "\n".join(lines)

    summary = __str__


_shown: list[Profile] = []


def show_at_exit(profile: Profile) -> None:
    """Print ``profile`` on the standard error when the program ends."""
    if not _shown:
        atexit.register(_show)
    _shown.append(profile)


def _show() -> None:
    measured = [(sum(step[3] for step in p.steps), k, p) for k, p in enumerate(_shown) if p.steps]
    for _, _, profile in sorted(measured, reverse=True):
        print(f"\n{profile}", file=sys.stderr)
