"""Graphs as pictures: SVG, with nothing else needed."""

from __future__ import annotations

import os
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from croton.graph.apply import Apply
from croton.graph.layout import Placed, place
from croton.graph.printing import outputs_of
from croton.graph.shared import SharedVariable
from croton.graph.traversal import toposort
from croton.graph.variable import Constant, Variable

#: kind -> (what it is, fill, stroke)
KINDS = {
    "input": ("input", "#d9f0d3", "#4d9a4d"),
    "shared": ("shared variable", "#cfecec", "#3a8f8f"),
    "constant": ("constant", "#eeeeee", "#999999"),
    "output": ("output", "#cfe2f9", "#3f72b5"),
    "elementwise": ("elementwise", "#fff3c9", "#c2992c"),
    "reduce": ("reduction", "#fbd9bd", "#c9772f"),
    "product": ("product", "#f6c9c6", "#bb4a45"),
    "move": ("shape and indexing", "#e3e0f3", "#7f76b5"),
    "random": ("random numbers", "#f3d3ec", "#a8539a"),
    "other": ("other", "#ffffff", "#666666"),
}

_FONT = 13
_SMALL = 10
_LETTER = 7.4
_NODE_HEIGHT = 30.0
_LAYER = 74.0
_GAP = 18.0
_MARGIN = 24.0
_LONGEST = 26


class _Box(NamedTuple):
    """A node of the picture; ``subject`` is the variable or application it shows."""

    label: str
    kind: str
    tip: str


class _Edge(NamedTuple):
    """From box to box, as input ``port`` of the latter."""

    start: int
    end: int
    port: int
    variable: Variable


def draw(obj: Any, file: Any = None) -> str:
    """A picture of a graph as SVG text; written to ``file`` (a path or a file) if given.

    ``obj``: a variable, a list of them, or a compiled function.  Inputs are
    above, outputs below; inputs of an application arrive in order from left to
    right.  Tooltips show whole names, types and the lines that made them.
    """
    text = _Picture(outputs_of(obj)).svg()
    if isinstance(file, str | os.PathLike):
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(text)
    elif file is not None:
        file.write(text)
    return text


def pydotprint(fct: Any, outfile: Any = None, **settings: Any) -> None:
    """:func:`draw` under the name of Theano's function.

    The picture is SVG whatever ``format`` says: it is written to ``outfile``
    with the ending ``.svg``, and a line says where.  Other settings are Theano's, of
    its own picture, and have no meaning here.
    """
    path = Path("graph.svg" if outfile is None else outfile).with_suffix(".svg")
    draw(fct, path)
    if settings.get("print_output_file", True):
        print("The output file is available at", path)


class _Picture:
    def __init__(self, outputs: list[Variable]) -> None:
        self.boxes: list[_Box] = []
        self.edges: list[_Edge] = []
        self._nodes: dict[Apply, int] = {}
        self._leaves: dict[Variable, int] = {}
        for node in toposort(outputs):
            self._nodes[node] = self._box(_node_box(node))
            for port, v in enumerate(node.inputs):
                self._edge(v, self._nodes[node], port)
        for v in dict.fromkeys(outputs):
            name = v.name if v.name is not None else "output"
            self._edge(v, self._box(_Box(name, "output", f"{v.type}")), 0)

    def _box(self, box: _Box) -> int:
        self.boxes.append(box)
        return len(self.boxes) - 1

    def _edge(self, v: Variable, end: int, port: int) -> None:
        if v.owner is not None:
            start = self._nodes[v.owner]
        elif isinstance(v, Constant):
            # Each use has its own: long edges to a common 1 tell nothing.
            start = self._box(_leaf_box(v))
        else:
            if v not in self._leaves:
                self._leaves[v] = self._box(_leaf_box(v))
            start = self._leaves[v]
        self.edges.append(_Edge(start, end, port, v))

    def svg(self) -> str:
        """The whole picture."""
        widths = [max(36.0, len(b.label) * _LETTER + 20) for b in self.boxes]
        links = [(e.start, e.end) for e in self.edges]
        room = list(widths)
        for e in self.edges:
            if not isinstance(e.variable, Constant):
                room[e.start] = max(room[e.start], 2 * _text_width(_short_type(e.variable)) - 10)
        placed = place(room, links, _GAP, 4.0)
        kinds = [k for k in KINDS if any(b.kind == k for b in self.boxes)]
        legend = sum(len(KINDS[k][0]) * 6.2 + 34 for k in kinds)
        width = max(placed.width, legend) + 2 * _MARGIN
        shift = (width - placed.width) / 2
        height = 2 * _MARGIN + placed.layers * _LAYER - (_LAYER - _NODE_HEIGHT) + 34
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.1f} {height:.1f}" '
            'font-family="Helvetica, Arial, sans-serif">',
            _STYLE,
            f'<rect width="{width:.1f}" height="{height:.1f}" fill="white"/>',
            f'<g transform="translate({shift:.1f} {_MARGIN})">',
            *self._edge_parts(placed, widths),
            *(
                _box_part(b, placed.x[k], placed.layer[k] * _LAYER, widths[k])
                for k, b in enumerate(self.boxes)
            ),
            "</g>",
            *_legend(kinds, height - _MARGIN),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _edge_parts(self, placed: Placed, widths: list[float]) -> list[str]:
        arriving: dict[int, list[int]] = {}
        for k, e in enumerate(self.edges):
            arriving.setdefault(e.end, []).append(k)
        lines, labels = [], []
        shown: set[Variable] = set()
        for k, e in enumerate(self.edges):
            route = placed.routes[k]
            points = [(x, layer * _LAYER + _NODE_HEIGHT / 2) for x, layer in route]
            points[0] = (points[0][0], points[0][1] + _NODE_HEIGHT / 2)
            ports = sorted(arriving[e.end], key=lambda j: self.edges[j].port)
            # Inputs arrive side by side, in order, within the straight part of the box.
            spread = min(26.0, (widths[e.end] - 16) / len(ports))
            x = points[-1][0] + (ports.index(k) - (len(ports) - 1) / 2) * spread
            points[-1] = (x, points[-1][1] - _NODE_HEIGHT / 2)
            tip = f"{_name(e.variable)}: {e.variable.type}"
            if self.boxes[e.end].kind != "output":
                tip += f"\ninput {e.port} of {self.boxes[e.end].label}"
            lines.append(
                f'<path class="edge" marker-end="url(#arrow)" d="{_curve(points)}">'
                f"<title>{escape(tip)}</title></path>"
            )
            # The type is written once, where the variable leaves what makes it.
            if e.variable not in shown and not isinstance(e.variable, Constant):
                shown.add(e.variable)
                labels.append((e, points[0], _short_type(e.variable)))
        return lines + self._labels(labels)

    def _labels(self, labels: list[tuple[_Edge, tuple[float, float], str]]) -> list[str]:
        count: dict[int, int] = {}
        parts = []
        for e, (x, y), text in labels:
            row = count.get(e.start, 0)
            count[e.start] = row + 1
            if text:
                left, base, width = x + 5, y + 12 + 12 * row, _text_width(text)
                parts.append(
                    f'<rect x="{left - 1:.1f}" y="{base - 9:.1f}" width="{width + 2:.1f}" '
                    'height="11" fill="white" fill-opacity="0.75"/>'
                    f'<text class="type" x="{left:.1f}" y="{base:.1f}">{escape(text)}</text>'
                )
        return parts


_STYLE = f"""<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6"
 markerHeight="6" orient="auto"><path d="M0 0.5L8 4L0 7.5z" fill="#777"/></marker></defs>
<style>
.edge {{ fill: none; stroke: #888; stroke-width: 1.2 }}
.edge:hover {{ stroke: #d33; stroke-width: 2.2 }}
.label {{ font-size: {_FONT}px; text-anchor: middle; fill: #222 }}
.type {{ font-size: {_SMALL}px; fill: #777 }}
.legend {{ font-size: 11px; fill: #444 }}
</style>"""


def _curve(points: list[tuple[float, float]]) -> str:
    """A smooth line that leaves and arrives upright."""
    slopes = [0.0]
    for (x0, y0), (x2, y2) in zip(points, points[2:], strict=False):
        slopes.append((x2 - x0) / (y2 - y0))
    slopes.append(0.0)
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for k, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        # Reaching further at the ends keeps the arrows upright.
        start = (y1 - y0) * (0.5 if k == 0 else 1 / 3)
        end = (y1 - y0) * (0.5 if k == len(points) - 2 else 1 / 3)
        parts.append(
            f"C{x0 + slopes[k] * start:.1f} {y0 + start:.1f} "
            f"{x1 - slopes[k + 1] * end:.1f} {y1 - end:.1f} {x1:.1f} {y1:.1f}"
        )
    return " ".join(parts)


def _box_part(box: _Box, x: float, top: float, width: float) -> str:
    _, fill, stroke = KINDS[box.kind]
    rounding = 4 if box.kind in ("input", "shared", "constant", "output") else _NODE_HEIGHT / 2
    return (
        f'<g><title>{escape(box.tip)}</title><rect x="{x - width / 2:.1f}" y="{top:.1f}" '
        f'width="{width:.1f}" height="{_NODE_HEIGHT}" rx="{rounding}" fill="{fill}" '
        f'stroke="{stroke}"/><text class="label" x="{x:.1f}" '
        f'y="{top + _NODE_HEIGHT / 2 + 4.5:.1f}">{escape(box.label)}</text></g>'
    )


def _legend(kinds: list[str], y: float) -> list[str]:
    parts = []
    x = _MARGIN
    for kind in kinds:
        name, fill, stroke = KINDS[kind]
        parts.append(
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="14" height="10" rx="3" fill="{fill}" '
            f'stroke="{stroke}"/><text class="legend" x="{x + 19:.1f}" y="{y:.1f}">{name}</text>'
        )
        x += len(name) * 6.2 + 34
    return parts


# -- what is written ---------------------------------------------------------------------


def _text_width(text: str) -> float:
    return len(text) * 0.56 * _SMALL


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _name(v: Variable) -> str:
    if v.name is not None:
        return v.name
    return str(v) if v.owner is None else f"output {v.index} of {v.owner.op}"


def _short_type(v: Variable) -> str:
    dtype = getattr(v.type, "dtype", None)
    shape = getattr(v.type, "shape", None)
    if dtype is None or shape is None:
        return _shortened(str(v.type))
    if not shape:
        return str(dtype)
    sign = "×"  # noqa: RUF001
    return f"{dtype} {sign.join('?' if n is None else str(n) for n in shape)}"


def _made(trace: Any) -> str:
    return f"\n{trace[0]}" if trace else ""


def _leaf_box(v: Variable) -> _Box:
    if isinstance(v, Constant):
        data = v.data
        single = getattr(data, "size", 1) == 1 and hasattr(data, "item")
        label = str(data.item()) if single else _short_type(v)
        label = v.name if v.name is not None else label
        return _Box(_shortened(label), "constant", f"{v.type}\n{data}")
    kind = "shared" if isinstance(v, SharedVariable) else "input"
    label = v.name if v.name is not None else _short_type(v)
    return _Box(_shortened(label), kind, f"{v.type}{_made(v.made_at)}")


def _node_box(node: Apply) -> _Box:
    types = "\n".join(f"{_name(v)}: {v.type}" for v in node.outputs)
    names = [v.name for v in node.outputs if v.name is not None]
    label = _label(node.op)
    if names:
        label = f"{label} → {', '.join(names)}"
    return _Box(_shortened(label), _kind(node.op), f"{node.op}\n{types}{_made(node.made_at)}")


def _label(op: Any) -> str:
    scalar = getattr(op, "scalar_op", None)
    if scalar is not None:
        symbol = getattr(scalar, "symbol", None)
        name = str(scalar.name)
        if name.startswith("Cast{"):
            return name[5:-1]
        return symbol if symbol is not None and not symbol.isalnum() else name
    return str(op)


def _kind(op: Any) -> str:
    loop = getattr(op, "loop", None)
    if hasattr(op, "scalar_op"):
        return "elementwise"
    if loop in ("reduce", "product"):
        return loop  # type: ignore[no-any-return]
    subjects = set(type(op).__module__.split("."))
    if "random" in subjects:
        return "random"
    return "move" if subjects & {"shapes", "indexing", "creation", "joining"} else "other"
