"""Who answers the questions of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from croton.compile import measuring
from croton.compile.tailoring import Tailor
from croton.runtime.program import Program
from croton.schedule.tailored import SUBJECT, Tailored


def answers(
    program: Program, tailored: Callable[[], Sequence[Tailored]], key: str | None
) -> list[Callable[..., int]]:
    """What answers each question of ``program``, given the numbers that it is about.

    ``tailored`` gives the loops that it asks kernels of, in their order; ``key`` names the program
    in the cache.  Raises ValueError for a subject that nothing is known of.
    """
    found: list[Callable[..., int]] = []
    for question in program.questions:
        if question.subject != SUBJECT:
            found.append(measuring.answer_to(question))
            continue
        number: Any = dict(question.known)["number"]
        own = None if key is None else f"{key} {number}"
        found.append(Tailor(lambda k=number: tailored()[k], own))  # type: ignore[misc]
    return found
