"""Plans: which kernels compute something, on what, and in how many items.

They are plain data for a scheduler; all amounts are :data:`~croton.schedule.counts.Count`
expressions of names that the plan's maker documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from croton.kernel.nodes import Function
from croton.schedule.counts import Count, count, renamed

#: In the place of a buffer that a kernel does not look at.
NOTHING = "nothing"


class Step(NamedTuple):
    """One Launch.

    ``buffers`` are names of what the plan is given and of its temporaries,
    ``"epilogue"``, through which the step calls, and ``NOTHING``.  ``scratch`` is in
    bytes, ``grain`` the least number of items that is worth a thread, less than 0 where items
    take less time together (see :class:`croton.runtime.program.Launch`).
    """

    kernel: str
    buffers: tuple[str, ...]
    sizes: tuple[Count, ...]
    items: Count
    grain: Count
    scratch: Count


class Plan(NamedTuple):
    """Steps that run one after the other.

    ``functions`` are the kernels; ``temporaries`` are memory of the plan's dtype, in elements.
    Where ``unsure`` is 1, what is done hangs on the answer to a question, which its maker knows.
    """

    dtype: str
    functions: tuple[Function, ...]
    temporaries: tuple[tuple[str, Count], ...]
    steps: tuple[Step, ...]
    unsure: Count = 0

    def renamed(
        self, names: Mapping[str, Count], buffers: Mapping[str, str], when: Count = 1
    ) -> Plan:
        """The plan with other names for its amounts and buffers, which runs ``when`` that is 1."""
        put = renamed(names)
        return self._replace(
            temporaries=tuple(
                (buffers.get(name, name), count("select", when, put(size), 0))
                for name, size in self.temporaries
            ),
            steps=tuple(
                Step(
                    s.kernel,
                    tuple(buffers.get(b, b) for b in s.buffers),
                    tuple(map(put, s.sizes)),
                    count("select", when, put(s.items), 0),
                    put(s.grain),
                    put(s.scratch),
                )
                for s in self.steps
            ),
        )
