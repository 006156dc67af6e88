"""``croton run``."""

from __future__ import annotations

from croton import compat
from croton.compat import legacy, running


def run_program(program: str, arguments: list[str], module: bool, version: str) -> None:
    """Run a script (or a module) of Theano's time, of Python ``version`` 2, 3 or auto."""
    compat.install_as_theano()
    legacy.install()
    if module:
        running.run_module(program, arguments, version)
    else:
        running.run_file(program, arguments, version)
