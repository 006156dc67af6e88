"""The command line: ``croton run``, ``croton doctor``, ``croton cache``."""

from croton.cli.main import main

__all__ = ["main"]
