"""The expression graph: types, variables, applications of ops, and how to walk them."""

from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.shared import Container, SharedVariable
from croton.graph.type import Type
from croton.graph.variable import Constant, Variable

__all__ = ["Apply", "Constant", "Container", "Op", "SharedVariable", "Type", "Variable"]
