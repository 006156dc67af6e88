"""Native Philox against its NumPy definition."""

import numpy as np
import pytest

from croton.kernel import build, philox
from croton.kernel.nodes import Buffer, For, Function, Load, Store, Var

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
