"""What rewriting makes of a few programs, as text, to be read and compared.

After a change that is meant, ``CROTON_UPDATE_GOLDEN=1 pytest tests/golden`` writes
the files anew; the difference is then part of the change.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import croton.tensor as T
from croton.gradient.reverse import grad
from croton.graph.traversal import toposort
from croton.graph.variable import Constant
from croton.rewrite import rewrite
from croton.tensor.elementwise import Elemwise

FILES = Path(__file__).parent / "rewritten"


def listing(outputs):
    """One line for each application, inputs first."""
    names = {}

    def name(v):
        if isinstance(v, Constant):
            values = np.unique(v.data)
            text = f"{values[0].item():g}" if len(values) == 1 else str(v.data.tolist())
            return text
        return names.get(v) or v.name

    lines = []
    for node in toposort(outputs):
        for v in node.outputs:
            names[v] = f"%{len(names)}"
        made = ", ".join(names[v] for v in node.outputs)
        op = node.op.name if isinstance(node.op, Elemwise) else str(node.op)
        args = ", ".join(name(v) for v in node.inputs)
        lines.append(f"{made}: {node.outputs[0].type} = {op}({args})")
    lines.append("return " + ", ".join(name(v) for v in outputs))
    return "\n".join(lines) + "\n"


def logistic_regression():
    x, y = T.fmatrix("x"), T.lvector("y")
    w, b = T.fmatrix("w"), T.fvector("b")
    p = T.nnet.softmax(T.dot(x, w) + b)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    errors = T.mean(T.neq(T.argmax(p, axis=1), y))
    rate = np.float32(0.13)
    return [cost, errors, *(v - rate * g for v, g in zip((w, b), grad(cost, [w, b]), strict=True))]


def binary_classifier():
    x, y = T.fmatrix("x"), T.fvector("y")
    w, b = T.fvector("w"), T.fscalar("b")
    p = 1 / (1 + T.exp(-T.dot(x, w) - b))
    cost = (-y * T.log(p) - (1 - y) * T.log(1 - p)).mean() + np.float32(0.01) * (w**2).sum()
    return [p > 0.5, *grad(cost, [w, b])]


def perceptron():
    x, t = T.fmatrix("x"), T.fmatrix("t")
    w, b, u = T.fmatrix("w"), T.fvector("b"), T.fmatrix("u")
    hidden = T.tanh(T.dot(x, w) + b)
    y = T.nnet.softmax(T.dot(T.nnet.relu(hidden), u))
    cost = T.nnet.categorical_crossentropy(y, t).mean()
    return [cost, *grad(cost, [w, b, u])]


def normalisation():
    x, scale, shift = T.fmatrix("x"), T.fvector("scale"), T.fvector("shift")
    mean, std = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
    y = (x - mean) / std * scale + shift
    return [y, *grad(T.sqr(y).sum(), [x, scale])]


def gates():
    x, h, c = T.fmatrix("x"), T.fmatrix("h"), T.fmatrix("c")
    w, u = T.fmatrix("w"), T.fmatrix("u")
    before = T.dot(x, w) + T.dot(h, u)
    i, f, o, g = (before[:, k * 8 : (k + 1) * 8] for k in range(4))
    new = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
    out = T.nnet.sigmoid(o) * T.tanh(new)
    return [new, out, grad(out.sum(), u)]


PROGRAMS = [logistic_regression, binary_classifier, perceptron, normalisation, gates]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_program(program):
    after, _ = rewrite(program())
    found = listing(after)
    path = FILES / f"{program.__name__}.txt"
    if os.environ.get("CROTON_UPDATE_GOLDEN"):
        FILES.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()
