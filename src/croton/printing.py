"""Looking at graphs: as trees, as one line, as pictures; and at values while they are computed."""

from croton.graph.printing import (
    Print,
    debugprint,
    hex_digest,
    min_informative_str,
    pp,
    pprint,
    var_descriptor,
)
from croton.graph.svg import draw, pydotprint

__all__ = [
    "Print",
    "debugprint",
    "draw",
    "hex_digest",
    "min_informative_str",
    "pp",
    "pprint",
    "pydotprint",
    "var_descriptor",
]
