"""From expressions to callables: ``function``, modes, shared variables."""

from croton.compile.errors import MissingInputError, UnusedInputError
from croton.compile.evaluation import evaluate
from croton.compile.function import function
from croton.compile.io import In, Out, Param
from croton.compile.made import Function
from croton.compile.mode import FAST_COMPILE, FAST_RUN, REFERENCE, Mode, get_mode
from croton.compile.shared import SharedVariable, shared

__all__ = [
    "FAST_COMPILE",
    "FAST_RUN",
    "REFERENCE",
    "Function",
    "In",
    "MissingInputError",
    "Mode",
    "Out",
    "Param",
    "SharedVariable",
    "UnusedInputError",
    "evaluate",
    "function",
    "get_mode",
    "shared",
]
