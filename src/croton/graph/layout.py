"""Placing the nodes of a directed graph in layers (after Sugiyama, Tagawa and Toda 1981).

1. Every node gets the layer behind its last predecessor; what nothing leads to
   moves up to its first successor.
2. An edge over several layers gets a bend in each, so that edges join neighbours.
3. Sweeps order each layer by the mean position of the neighbours in the one
   before; the order with the fewest crossings is kept.
4. Each layer's places are those nearest to the means of the neighbours' places
   that keep the order and the gaps.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_SWEEPS = 24
_ROUNDS = 40


class Placed(NamedTuple):
    """Centres of the nodes, and for each edge the points that it runs through.

    ``x`` counts in the unit of the widths, from 0; ``layers`` counts the layers.
    """

    x: list[float]
    layer: list[int]
    routes: list[list[tuple[float, int]]]
    width: float
    layers: int


def place(
    widths: Sequence[float], edges: Sequence[tuple[int, int]], gap: float = 1.0, bend: float = 0.0
) -> Placed:
    """Places for nodes of the given ``widths``; ``edges`` lead down, from layer to later layer.

    ``gap`` is what stays free between neighbours; ``bend`` is the width that an
    edge takes where it passes a layer.  The graph must have no cycle.
    """
    layer = _layers(len(widths), edges)
    chains, node_layer, node_width = _bend(layer, widths, edges, bend)
    order = _order(node_layer, [pair for chain in chains for pair in pairwise(chain)])
    x = _coordinates(order, node_width, chains, len(widths), gap)
    left = min((c - w / 2 for c, w in zip(x, node_width, strict=True)), default=0.0)
    x = [c - left for c in x]
    right = max((c + w / 2 for c, w in zip(x, node_width, strict=True)), default=0.0)
    routes = [[(x[n], node_layer[n]) for n in chain] for chain in chains]
    return Placed(x[: len(widths)], layer, routes, right, max(layer, default=-1) + 1)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        after[a].append(b)
        before[b].append(a)
    waiting = [len(b) for b in before]
    ready = [n for n in range(count) if not waiting[n]]
    layer = [0] * count
    done = 0
    while ready:
        n = ready.pop()
        done += 1
        for m in after[n]:
            layer[m] = max(layer[m], layer[n] + 1)
            waiting[m] -= 1
            if not waiting[m]:
                ready.append(m)
    if done < count:
        raise ValueError("a graph with a cycle has no layers")
    for n in range(count):
        if not before[n] and after[n]:
            layer[n] = min(layer[m] for m in after[n]) - 1
    return layer


def _bend(
    layer: Sequence[int], widths: Sequence[float], edges: Sequence[tuple[int, int]], bend: float
) -> tuple[list[list[int]], list[int], list[float]]:
    node_layer, node_width = list(layer), list(widths)
    chains = []
    for a, b in edges:
        chain = [a]
        for between in range(layer[a] + 1, layer[b]):
            chain.append(len(node_layer))
            node_layer.append(between)
            node_width.append(bend)
        chains.append([*chain, b])
    return chains, node_layer, node_width


# -- order -------------------------------------------------------------------------------


def _order(layer: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for n, k in enumerate(layer):
        rows[k].append(n)
    up: list[list[int]] = [[] for _ in layer]
    down: list[list[int]] = [[] for _ in layer]
    for a, b in pairs:
        down[a].append(b)
        up[b].append(a)
    best, fewest = [list(r) for r in rows], crossings(rows, down)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        neighbours = up if downwards else down
        for k in range(len(rows)) if downwards else reversed(range(len(rows))):
            _sort(rows, k, neighbours, -1 if downwards else 1)
        found = crossings(rows, down)
        if found < fewest:
            best, fewest = [list(r) for r in rows], found
    return best


def _sort(rows: list[list[int]], k: int, neighbours: Sequence[Sequence[int]], other: int) -> None:
    if not 0 <= k + other < len(rows):
        return
    place = {n: p for p, n in enumerate(rows[k + other])}
    row = rows[k]
    means = {}
    for p, n in enumerate(row):
        near = [place[m] for m in neighbours[n]]
        # What has no neighbour there keeps its share of the row.
        means[n] = sum(near) / len(near) if near else p * len(place) / max(len(row), 1)
    row.sort(key=means.__getitem__)


def crossings(rows: Sequence[Sequence[int]], down: Sequence[Sequence[int]]) -> int:
    """How many pairs of edges between neighbouring rows cross."""
    total = 0
    for row, below in pairwise(rows):
        place = {n: p for p, n in enumerate(below)}
        seen: list[int] = []
        for n in row:
            ends = sorted(place[m] for m in down[n])
            total += sum(len(seen) - bisect_left(seen, e + 1) for e in ends)
            for e in ends:
                insort(seen, e)
    return total


# -- places ------------------------------------------------------------------------------


def _coordinates(
    rows: Sequence[Sequence[int]],
    widths: Sequence[float],
    chains: Sequence[Sequence[int]],
    real: int,
    gap: float,
) -> list[float]:
    x = [0.0] * len(widths)
    neighbours: list[list[tuple[int, float]]] = [[] for _ in widths]
    for chain in chains:
        for a, b in pairwise(chain):
            # Long edges are pulled straight.
            weight = 1.0 + 3.0 * (a >= real) + 3.0 * (b >= real)
            neighbours[a].append((b, weight))
            neighbours[b].append((a, weight))
    for row in rows:
        position = 0.0
        for n in row:
            x[n] = position + widths[n] / 2
            position += widths[n] + gap
        for n in row:
            x[n] -= position / 2
    for turn in range(_ROUNDS):
        for row in rows if turn % 2 == 0 else reversed(rows):
            wanted, weights = [], []
            for n in row:
                near = neighbours[n]
                total = sum(w for _, w in near)
                wanted.append(sum(x[m] * w for m, w in near) / total if near else x[n])
                weights.append(total if near else 0.01)
            for n, place in zip(row, _spread(row, wanted, weights, widths, gap), strict=True):
                x[n] = place
    return x


def _spread(
    row: Sequence[int],
    wanted: Sequence[float],
    weights: Sequence[float],
    widths: Sequence[float],
    gap: float,
) -> list[float]:
    """The places nearest to those wanted that keep the order and the distances.

    Less the least distances it is a regression by a rising sequence, for which
    neighbours that are in each other's way are pooled.
    """
    offsets = [0.0]
    for a, b in pairwise(row):
        offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        mean, total, count = want - offset, weight, 1
        while pools and pools[-1][0] >= mean:
            m, w, c = pools.pop()
            mean = (mean * total + m * w) / (total + w)
            total, count = total + w, count + c
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [m + o for m, o in zip(means, offsets, strict=True)]
