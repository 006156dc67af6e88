"""Native Philox against its NumPy definition."""

import numpy as np
import pytest

from croton.kernel import build, philox
from croton.kernel.interpret import interpret
from croton.kernel.nodes import Buffer, For, Function, Let, Load, Op, Store, Var, walk_statements
from croton.kernel.uniform import post_order, statement_expressions

STATE = Buffer("state", "int64")
OUT = Buffer("out", "uint32")
ROW = Var("row")
FIRST = Var("first")
COLUMNS = Var("columns")


def kernel(word, kind):
    key, step = (Load(STATE, build.index(k)) for k in (0, 1))
    c = Var("c")
    bits = build.philox(build.add(c, FIRST), ROW, step, key, *word)
    loop = For(c, build.index(0), COLUMNS, (Store(OUT, c, bits),), kind)
    return Function("bits", (STATE, OUT), (ROW, FIRST, COLUMNS), (loop,))


@pytest.mark.parametrize("word", [(3, 0, 0), (2, 0, 0), (2, 1, 1)])
@pytest.mark.parametrize("kind", ["serial", "vector"])
@pytest.mark.parametrize("columns", [1, 16, 63, 64, 65, 200])
@pytest.mark.parametrize("first", [0, 5, 64, 2**33])
def test_native(native, word, kind, columns, first):
    function = kernel(word, kind)
    if kind == "vector":
        function = native.vectorised(function)
    state = np.array([-(2**61) + 12345, 2**40 + 7], np.int64)
    out = np.zeros(columns, np.uint32)
    native.run(function, {"state": state, "out": out}, dict(row=9, first=first, columns=columns))
    want = philox.element(np.arange(columns) + first, 9, state[1], state[0], *word)
    assert np.array_equal(out, want)


@pytest.mark.parametrize("word", [(3, 0, 0), (2, 0, 0), (2, 1, 1)])
@pytest.mark.parametrize("columns", [10, 16, 20, 32, 40, 64, 100])
@pytest.mark.parametrize("item", [0, 3])
def test_aligned_lanes_share_their_evaluations(native, word, columns, item):
    # A loop of known length from a multiple of 64 on; short ones have fewer lanes.
    start, c = Var("start"), Var("c")
    key, step = (Load(STATE, build.index(k)) for k in (0, 1))
    bits = build.philox(c, ROW, step, key, *word)
    stop = build.add(start, build.index(columns))
    loop = For(c, start, stop, (Store(OUT, build.sub(c, start), bits),), "vector")
    body = (Let(start, build.mul(FIRST, build.index(64))), loop)
    function = native.vectorised(Function("bits", (STATE, OUT), (ROW, FIRST), body))
    ops = {
        e.attrs
        for s in walk_statements(function.body)
        for root in statement_expressions(s)
        for e in post_order(root, {})
        if isinstance(e, Op) and e.name == "philox"
    }
    # Where lanes cannot be masked, what is left over is computed one by one.
    alone = set() if native.target.machine.vector >= 64 else {word}
    assert {(*word, "aligned")} <= ops <= {(*word, "aligned"), *alone}
    state = np.array([3, 2**63 - 1], np.int64)
    out, same = np.zeros((2, columns), np.uint32)
    sizes = {"row": 2, "first": item}
    native.run(function, {"state": state, "out": out}, sizes)
    interpret(function, {"state": state, "out": same}, sizes)
    want = philox.element(np.arange(columns) + 64 * item, 2, state[1], state[0], *word)
    assert np.array_equal(out, want) and np.array_equal(same, want)
