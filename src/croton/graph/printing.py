"""Graphs as text: a tree (``debugprint``), one line of mathematics (``pp``), letters."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from croton.config import config
from croton.graph.apply import Apply
from croton.graph.op import Op
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable


def outputs_of(obj: Any) -> list[Variable]:
    """The variables that ``obj`` stands for: itself, a list of them, or a function's outputs.

    Raises TypeError for what is none of these.
    """
    if isinstance(obj, Variable):
        return [obj]
    if isinstance(obj, Apply):
        return list(obj.outputs)
    if isinstance(obj, list | tuple):
        return [v for part in obj for v in outputs_of(part)]
    fgraph = getattr(getattr(obj, "maker", None), "fgraph", obj)
    found = getattr(fgraph, "outputs", None)
    if isinstance(found, list | tuple) and all(isinstance(v, Variable) for v in found):
        return list(found)
    raise TypeError(
        f"expected a variable, a list of variables or a compiled function, got {type(obj).__name__}"
    )


def letters(number: int) -> str:
    """A, B, ..., Z, AA, AB, ... for 0, 1, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


# -- the tree ----------------------------------------------------------------------------


def debugprint(
    obj: Any,
    depth: int = -1,
    print_type: bool = False,
    file: Any = None,
    ids: str = "CHAR",
    stop_on_name: bool = False,
    done: dict[Any, str] | None = None,
) -> Any:
    """Print a graph as a tree: an application, and below it its inputs.

    ``obj``: a variable, a list of them, or a compiled function (then the lines
    end with the order of execution).  ``depth``: how far down (-1: all the way).
    ``print_type``: show the types.  ``file``: where to (default: the standard
    output; ``"str"``: return the text instead).  ``ids``: ``"CHAR"`` labels with
    letters, ``"int"`` with numbers, ``"id"`` with Python's ids, ``""`` not at all;
    what has been printed before is only referred to.  ``stop_on_name``: do not
    go into what has a name.  ``done`` carries the labels over several calls.
    The steps of loops follow; of what they are given the label outside is shown.

    >>> import croton.tensor as T
    >>> x = T.dvector("x")
    >>> debugprint(T.exp(x) + x)
    Elemwise{add,no_inplace} [id A]
     |Elemwise{exp,no_inplace} [id B]
     | |x [id C]
     |x [id C]
    """
    if ids not in ("CHAR", "int", "id", ""):
        raise ValueError(f"ids is one of 'CHAR', 'int', 'id' and '', got {ids!r}")
    outputs = outputs_of(obj)
    order: dict[Apply, int] = {}
    if hasattr(obj, "maker"):
        order = {node: k for k, node in enumerate(toposort(outputs))}
    tree = _Tree(print_type, ids, stop_on_name, {} if done is None else done, order)
    lines = [line for v in outputs for line in tree.lines(v, depth)]
    lines += tree.steps(depth)
    text = "".join(line + "\n" for line in lines)
    if file == "str":
        return text
    (sys.stdout if file is None else file).write(text)
    return file


class _Tree:
    def __init__(
        self,
        print_type: bool,
        ids: str,
        stop_on_name: bool,
        done: dict[Any, str],
        order: dict[Apply, int],
    ) -> None:
        self.print_type = print_type
        self.ids = ids
        self.stop_on_name = stop_on_name
        self.done = done
        self.order = order
        self.loops: list[Apply] = []
        self.given: dict[Variable, str] = {}

    def steps(self, depth: int) -> list[str]:
        """The lines of the steps of all loops so far, and of the loops in these."""
        found = ["", "Steps of loops:"] if self.loops else []
        for node in self.loops:  # which grows meanwhile
            inner: Any = node.op.inner  # type: ignore[attr-defined]
            for source, v in zip(node.op.layout.sources, inner.inputs, strict=True):  # type: ignore[attr-defined]
                self.given[v] = self._label(_subject(node.inputs[source.outer]))
            found += ["", f"{node.op}{self._label(node)}"]
            for v in inner.outputs:
                found += [" >" + line for line in self.lines(v, depth)]
        return found

    def lines(self, root: Variable, depth: int) -> list[str]:
        """The lines of ``root`` and of what is below it."""
        found: list[str] = []
        # (variable, how it is led to, how its inputs are, how deep to go)
        stack = [(root, "", "", depth)]
        while stack:
            v, lead, below, left = stack.pop()
            if left == 0:
                continue
            owner = None if v in self.given else v.owner
            subject = v if owner is None else owner
            known = subject in self.done
            if owner is not None and not known and hasattr(owner.op, "inner"):
                self.loops.append(owner)
            found.append(lead + self._line(v, self._label(subject)))
            if owner is None or known or (self.stop_on_name and v.name is not None):
                continue
            last = len(owner.inputs) - 1
            for k in range(last, -1, -1):
                # The line at the left goes on to the last input, not beyond it.
                inner = below + ("  " if k == last else " |")
                stack.append((owner.inputs[k], below + " |", inner, left - 1))
        return found

    def _label(self, subject: Any) -> str:
        label = self.done.get(subject)
        if label is None:
            number = len(self.done)
            label = {
                "CHAR": f" [id {letters(number)}]",
                "int": f" [id {number}]",
                "id": f" [id {id(subject)}]",
                "": "",
            }[self.ids]
            self.done[subject] = label
        return label

    def _line(self, v: Variable, label: str) -> str:
        kind = f" <{v.type}>" if self.print_type else ""
        if v in self.given:
            return f"{v}{label}{kind} ->{self.given[v]}"
        if v.owner is None:
            return f"{v}{label}{kind}"
        which = f".{v.index}" if len(v.owner.outputs) > 1 else ""
        name = f" '{v.name}'" if v.name is not None else ""
        when = f"   {self.order[v.owner]}" if v.owner in self.order else ""
        return f"{v.owner.op}{which}{label}{kind}{name}{when}"


def _subject(v: Variable) -> Any:
    return v if v.owner is None else v.owner


#: From how many characters on a text is not repeated.
_LONG = 500

# -- one line ----------------------------------------------------------------------------


def pp(obj: Any) -> str:
    """An expression as one line of mathematics; of several, and of a function's outputs, a list.

    A long expression that is used several times is written once, behind a semicolon.

    >>> import croton.tensor as T
    >>> x = T.dmatrix("x")
    >>> pp(T.exp(-x.T[0]) + 1)
    '(exp((-x.T[0])) + 1)'
    """
    outputs = outputs_of(obj)
    printer = _Line()
    parts = [printer.text(v) for v in outputs]
    text = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    return "; ".join([text, *printer.long])


pprint = pp


class _Line:
    """Texts of variables; long ones that are used several times get a letter.

    ``long`` says what the letters stand for.
    """

    def __init__(self) -> None:
        self.known: dict[Variable, str] = {}
        self.long: list[str] = []

    def text(self, root: Variable) -> str:
        """The text of ``root``."""
        order = toposort([root])
        uses = Counter(v for node in order for v in node.inputs)
        for node in order:
            if all(v in self.known for v in node.outputs):
                continue
            args = [self._known(v) for v in node.inputs]
            whole = _application(node, args)
            for v in node.outputs:
                text = whole + (f".{v.index}" if len(node.outputs) > 1 else "")
                if uses[v] > 1 and len(text) > _LONG:
                    letter = f"<{letters(len(self.long))}>"
                    self.long.append(f"{letter} = {text}")
                    text = letter
                self.known[v] = text
        return self._known(root)

    def _known(self, v: Variable) -> str:
        found = self.known.get(v)
        if found is None:
            found = self.known[v] = _leaf(v)
        return found


def _leaf(v: Variable) -> str:
    if isinstance(v, Constant) and v.name is None:
        data = v.data
        if getattr(data, "size", 1) == 1 and hasattr(data, "item"):
            return str(data.item())
        shown = " ".join(str(data).split())
        return shown if len(shown) <= 40 else shown[:20] + " ... " + shown[-12:]
    return str(v)


def _application(node: Apply, args: list[str]) -> str:
    op: Any = node.op
    own = getattr(op, "pretty", None)
    if callable(own):
        return str(own(node, args))
    scalar = getattr(op, "scalar_op", None)
    if scalar is not None:
        return _elementwise(str(scalar.name), getattr(scalar, "symbol", None), args)
    shown = _SHOWN.get(type(op).__name__)
    if shown is not None:
        return shown(op, args)
    if hasattr(op, "kind") and hasattr(op, "axis"):
        every = tuple(op.axis) == tuple(range(len(op.axis))) and not _rank(node.outputs[0])
        axis = "" if every else f", axis={_axes(op.axis)}"
        return f"{op.kind}({args[0]}{axis})"
    name = type(op).__name__
    name = name if name.isupper() else name[:1].lower() + name[1:]
    settings = [f"{p}={getattr(op, p)!r}" for p in op.__props__]
    return f"{name}({', '.join(args + settings)})"


def _rank(v: Variable) -> int:
    return int(getattr(v.type, "ndim", 0))


def _axes(axis: Sequence[int]) -> str:
    return str(axis[0]) if len(axis) == 1 else str(tuple(axis))


def _elementwise(name: str, symbol: str | None, args: list[str]) -> str:
    if name.startswith("Cast{"):
        return f"{name[5:-1]}({args[0]})"
    if symbol is None or symbol.isalnum():
        return f"{name}({', '.join(args)})"
    if len(args) == 1:
        return f"({symbol}{args[0]})"
    return "(" + f" {symbol} ".join(args) + ")"


def _dimshuffle(op: Any, args: list[str]) -> str:
    order = op.new_order
    kept = [d for d in order if d != "x"]
    if kept == sorted(kept):
        # Only dimensions of size 1 come or go.
        return args[0]
    if list(order) == list(range(len(order) - 1, -1, -1)):
        return f"{args[0]}.T"
    return f"{args[0]}.dimshuffle({', '.join(map(repr, order))})"


def _index(entries: Iterable[Any], scalars: list[str]) -> str:
    def part(p: Any) -> str:
        if p is None:
            return ""
        return scalars[p.position] if hasattr(p, "position") else str(p)

    shown = []
    for e in entries:
        if hasattr(e, "step"):
            step = f":{part(e.step)}" if e.step is not None else ""
            shown.append(f"{part(e.start)}:{part(e.stop)}{step}")
        else:
            shown.append(part(e))
    return ", ".join(shown)


def _advanced(op: Any, scalars: list[str]) -> str:
    return ", ".join([":"] * op.start + scalars)


def _put(op: Any, args: list[str], index: str) -> str:
    verb = "set_subtensor" if op.set_instead_of_inc else "inc_subtensor"
    return f"{verb}({args[0]}[{index}], {args[1]})"


def _tuple(parts: Sequence[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


_SHOWN: dict[str, Callable[[Any, list[str]], str]] = {
    "DimShuffle": _dimshuffle,
    "Dot": lambda op, a: f"dot({', '.join(a)})",
    "Subtensor": lambda op, a: f"{a[0]}[{_index(op.entries, a[1:])}]",
    "IncSubtensor": lambda op, a: _put(op, a, _index(op.entries, a[2:])),
    "AdvancedSubtensor": lambda op, a: f"{a[0]}[{_advanced(op, a[1:])}]",
    "AdvancedIncSubtensor": lambda op, a: _put(op, a, _advanced(op, a[2:])),
    "Shape_i": lambda op, a: f"{a[0]}.shape[{op.i}]",
    "MakeVector": lambda op, a: f"[{', '.join(a)}]",
    "Reshape": lambda op, a: f"reshape({a[0]}, {_tuple(a[1:])})",
    "Alloc": lambda op, a: f"alloc({', '.join(a)})",
    "SpecifyShape": lambda op, a: a[0],
    "Join": lambda op, a: f"join({op.axis}, {', '.join(a)})",
    "ARange": lambda op, a: f"arange({a[1] if (a[0], a[2]) == ('0', '1') else ', '.join(a)})",
    "Argmax": lambda op, a: (
        f"{'argmax' if op.largest else 'argmin'}({a[0]}, axis={_axes(op.axis)})"
    ),
}


# -- letters -----------------------------------------------------------------------------


def min_informative_str(obj: Any, indent_level: int = 0) -> str:
    """How a variable is computed, one letter a line; a named variable is not looked into.

    >>> import croton.tensor as T
    >>> a, b, d = T.dscalar("a"), T.dscalar("b"), T.dscalar("d")
    >>> c = a + b
    >>> c.name = "c"
    >>> print(min_informative_str(c * (d + a)))
    A. Elemwise{mul,no_inplace}
     B. c
     C. Elemwise{add,no_inplace}
      D. d
      E. a
    """
    known: dict[Variable, str] = {}
    lines = []
    stack = [(v, indent_level) for v in reversed(outputs_of(obj))]
    while stack:
        v, level = stack.pop()
        if v in known:
            lines.append(" " * level + f"<{known[v]}>")
            continue
        known[v] = letters(len(known))
        named = v.name is not None or v.owner is None
        lines.append(" " * level + f"{known[v]}. {v if named else v.owner.op}")  # type: ignore[union-attr]
        if not named:
            stack.extend((u, level + 1) for u in reversed(v.owner.inputs))  # type: ignore[union-attr]
    return "\n".join(lines)


def var_descriptor(obj: Any) -> str:
    """How a variable is computed, as one line: equal for graphs that are built alike."""
    known: dict[Variable, int] = {}
    lines: list[str] = []
    for v in outputs_of(obj):
        for node in toposort([v]):
            args = []
            for u in node.inputs:
                if u not in known:
                    known[u] = len(known)
                    lines.append(f"{known[u]}={_leaf(u)}:{u.type}")
                args.append(str(known[u]))
            for u in node.outputs:
                known[u] = len(known)
                lines.append(f"{known[u]}={node.op}.{u.index}({','.join(args)})")
        if v.owner is None:
            lines.append(f"{_leaf(v)}:{v.type}")
    return ";".join(lines)


def hex_digest(text: str) -> str:
    """A short fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


# -- values, while they are computed -----------------------------------------------------


def _print_value(op: Print, value: Any) -> None:
    for attribute in op.attrs:
        shown = getattr(value, attribute)
        print(op.message, attribute, "=", shown() if callable(shown) else shown)


class Print(Op):
    """The input itself; each time it is computed a message and the value are printed.

    ``attrs``: attributes or methods of the array to show.  ``global_fn(op, value)``
    does the printing.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> f = croton.function([x], Print("x is")(x).sum())
    >>> float(f([1.0, 2.0]))
    x is __str__ = [1. 2.]
    3.0
    """

    __props__ = ("message", "attrs", "global_fn")
    view_map = {0: [0]}  # noqa: RUF012 (Theano's protocol)

    def __init__(
        self,
        message: str = "",
        attrs: Sequence[str] = ("__str__",),
        global_fn: Callable[[Any, Any], None] = _print_value,
    ) -> None:
        self.message = message
        self.attrs = tuple(attrs)
        self.global_fn = global_fn

    def make_node(self, x: Any) -> Apply:
        """The same type; TypeError for what is no variable."""
        if not isinstance(x, Variable):
            raise TypeError(f"Print shows the value of a variable, got {x!r}")
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Sequence[list[Any]]) -> None:
        """Print, and hand on."""
        self.global_fn(self, inputs[0])
        outputs[0][0] = inputs[0]

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """The same shape."""
        return [shapes[0]]

    def L_op(self, inputs: Sequence[Any], outputs: Sequence[Any], gradients: Sequence[Any]) -> Any:
        """What flows back is not printed."""
        return [gradients[0]]

    def R_op(self, inputs: Sequence[Any], directions: Sequence[Any]) -> Any:
        """The direction."""
        return [directions[0]]

    def __str__(self) -> str:
        return f"Print{{{self.message!r}}}"


#: How far down an error shows what an application computes.
_ENOUGH = 8


def details(node: Apply) -> str:
    """What an error adds about an application if ``exception_verbosity`` is ``"high"``."""
    if config.exception_verbosity != "high":
        return ""
    text = debugprint(node.outputs, depth=_ENOUGH, print_type=True, file="str").rstrip()
    return "\nIt is, with the types:\n" + "\n".join(f"  {line}" for line in text.splitlines())
