"""What can be wrong with a function's inputs."""

from __future__ import annotations


class MissingInputError(ValueError):
    """The outputs need a variable that is not among the inputs."""


class UnusedInputError(ValueError):
    """No output needs an input."""
