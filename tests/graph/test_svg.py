"""Pictures: where things are put, and that everything is there."""

import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import croton.tensor as T
from croton.gradient import grad
from croton.graph.layout import crossings, place
from croton.printing import draw, pydotprint
from croton.tensor.random import RandomStreams
from croton.tensor.variable import TensorSharedVariable

SVG = "{http://www.w3.org/2000/svg}"


def random_graph(seed, count):
    rng = np.random.default_rng(seed)
    edges = [
        (int(a), b) for b in range(1, count) for a in rng.choice(b, min(b, rng.integers(1, 4)))
    ]
    return list(rng.uniform(10, 60, count)), edges


@pytest.mark.parametrize("seed, count", [(0, 1), (1, 2), (2, 12), (3, 60), (4, 300)])
def test_nodes_keep_their_distance_and_edges_lead_down(seed, count):
    widths, edges = random_graph(seed, count)
    placed = place(widths, edges, gap=5.0, bend=2.0)
    assert all(placed.layer[a] < placed.layer[b] for a, b in edges)
    for (a, b), route in zip(edges, placed.routes, strict=True):
        assert route[0] == (placed.x[a], placed.layer[a])
        assert route[-1] == (placed.x[b], placed.layer[b])
        assert [k for _, k in route] == list(range(placed.layer[a], placed.layer[b] + 1))
    for a, b in itertools.combinations(range(count), 2):
        if placed.layer[a] == placed.layer[b]:
            apart = abs(placed.x[a] - placed.x[b]) - (widths[a] + widths[b]) / 2
            assert apart >= 5 - 1e-6
    for x, w in zip(placed.x, widths, strict=True):
        assert x - w / 2 >= -1e-6 and x + w / 2 <= placed.width + 1e-6
    assert placed.layers == max(placed.layer) + 1


def test_layers_are_longest_paths():
    placed = place([1] * 5, [(0, 1), (1, 2), (0, 2), (3, 2), (2, 4)])
    # What nothing leads to stands right above what it is for.
    assert placed.layer == [0, 1, 2, 1, 3]


def test_a_tree_has_no_crossings():
    edges = [(2 * n + k, n) for n in range(15) for k in (1, 2)]
    widths = [10.0] * 31
    placed = place(widths, edges)
    rows = [[] for _ in range(placed.layers)]
    for n, k in enumerate(placed.layer):
        rows[k].append(n)
    down = [[b for a, b in edges if a == n] for n in range(31)]
    for row in rows:
        row.sort(key=placed.x.__getitem__)
    assert crossings(rows, down) == 0


def test_crossings_are_counted():
    assert crossings([[0, 1], [2, 3]], [[3], [2], [], []]) == 1
    assert crossings([[0, 1], [2, 3]], [[2, 3], [2, 3], [], []]) == 1
    assert crossings([[0, 1, 2], [3, 4, 5]], [[5], [4], [3], [], [], []]) == 3
    assert crossings([[0, 1], [2]], [[2], [2], []]) == 0


def test_no_cycles():
    with pytest.raises(ValueError, match="cycle"):
        place([1, 1], [(0, 1), (1, 0)])


def test_nothing():
    assert place([], []).layers == 0


def network():
    x, y = T.fmatrix("x"), T.ivector("y")
    w = TensorSharedVariable(T.TensorType("float32", (None, None)), None, name="w")
    h = T.tanh(T.dot(x, w)) * RandomStreams(1).binomial((3, 4), p=0.5, dtype="float32")
    cost = T.nnet.categorical_crossentropy(T.nnet.softmax(h), y).mean()
    cost.name = "cost"
    return cost, w - np.float32(0.1) * grad(cost, w)


def test_a_picture_has_every_node_and_edge():
    outputs = network()
    root = ElementTree.fromstring(draw(list(outputs)))
    from croton.graph.traversal import toposort

    nodes = toposort(outputs)
    boxes = [g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}rect") is not None]
    labels = [g.find(f"{SVG}text").text for g in boxes if g.find(f"{SVG}title") is not None]
    assert len([p for p in root.iter(f"{SVG}path") if p.get("class") == "edge"]) == sum(
        len(n.inputs) for n in nodes
    ) + len(outputs)
    for name in ("x", "y", "w", "dot", "tanh", "Softmax{axis=1}", "cost", "/ → cost"):
        assert name in labels, name
    tips = [t.text for t in root.iter(f"{SVG}title")]
    assert any("TensorType(float32, matrix)" in t and "test_svg.py" in t for t in tips)
    legend = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "legend"]
    assert {"input", "shared variable", "product", "random numbers", "reduction"} <= set(legend)


def test_names_are_escaped():
    x = T.dscalar("<x> & 'y'")
    root = ElementTree.fromstring(draw(x + 1))
    assert "<x> & 'y'" in [t.text for t in root.iter(f"{SVG}text")]


def test_files(tmp_path, capsys):
    cost, _ = network()
    text = draw(cost, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == text
    with open(tmp_path / "b.svg", "w", encoding="utf-8") as stream:
        draw(cost, stream)
    assert (tmp_path / "b.svg").read_text(encoding="utf-8") == text
    pydotprint(cost, outfile=str(tmp_path / "c.png"), var_with_name_simple=True)
    assert (tmp_path / "c.svg").exists() and "c.svg" in capsys.readouterr().out


def test_a_leaf_alone():
    assert "out" in draw(T.dscalar("out"))
