"""Random vector loops: the scalar form, the lanes and the native code agree."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from croton.kernel import build as b
from croton.kernel.interpret import interpret
from croton.kernel.machine import Machine
from croton.kernel.nodes import (
    Assign,
    Best,
    Buffer,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    Store,
    Var,
)
from croton.kernel.text import text

N, STRIDE = Var("n"), Var("stride")
ROW = Var("i")
ROOM = 16

MACHINES = [
    Machine("wide", 64, 32, 1 << 15, 1 << 20, 1 << 23),
    Machine("narrow", 16, 16, 1 << 15, 1 << 20, 1 << 23),
]


class Draw:
    """Draws the statements of a loop's body, keeping to the rules of the language."""

    def __init__(self, draw, real):
        self.draw = draw
        self.real = real
        self.buffers = {
            "a": Buffer("a", real),
            "v": Buffer("v", "int32"),
            "m": Buffer("m", "bool"),
            "at": Buffer("at", "int64"),
            "o": Buffer("o", real),
            "p": Buffer("p", "int32"),
            "q": Buffer("q", "bool"),
            "r": Buffer("r", real),
            "s": Buffer("s", "int64"),
        }
        # Each iteration has places of its own.
        ways = [ROW, b.sub(b.add(N, b.index(40)), ROW), b.mul(ROW, b.index(3))]
        self.places = {name: self.pick(*ways) for name in "opq"}
        self.names = {real: [], "int32": [], "bool": []}
        self.inner = []
        self.count = 0

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def fresh(self, dtype, prefix="x"):
        self.count += 1
        return Var(f"{prefix}{self.count}", dtype)

    def index(self):
        ways = ["plain", "shifted", "reversed", "twice", "strided", "fixed", "gather"]
        way = self.pick(*ways, *(["inner"] * 3 if self.inner else []))
        shift = b.index(self.draw(st.integers(0, 3)))
        if way == "plain":
            return ROW
        if way == "shifted":
            return b.add(ROW, shift)
        if way == "reversed":
            return b.sub(b.add(N, b.add(shift, b.index(40))), ROW)
        if way == "twice":
            return b.add(b.mul(ROW, b.index(2)), shift)
        if way == "strided":
            return b.add(b.mul(STRIDE, ROW), shift)
        if way == "fixed":
            return b.add(STRIDE, shift)
        if way == "gather":
            return Load(self.buffers["at"], b.add(ROW, shift))
        return b.add(b.mul(ROW, b.index(2)), self.pick(*self.inner))

    def number(self, depth):
        real = self.real
        if depth == 0:
            way = self.pick("load", "load", "constant", "index", "name")
            if way == "name" and self.names[real]:
                return self.pick(*self.names[real])
            if way == "constant":
                return b.const(self.pick(0.0, -1.5, 2.0, 3.25), real)
            if way == "index":
                return b.cast(ROW, real)
            return Load(self.buffers["a"], self.index())
        way = self.pick("two", "two", "one", "select", "cast", "fma")
        if way == "two":
            name = self.pick("add", "sub", "mul", "maximum", "minimum", "div", "copysign")
            return b.op(name, self.number(depth - 1), self.number(depth - 1))
        if way == "one":
            name = self.pick("neg", "abs", "floor", "ceil", "rint", "sqrt", "round_half_away")
            return b.op(name, self.number(depth - 1))
        if way == "fma":
            return b.op("fma", *(self.number(depth - 1) for _ in range(3)))
        if way == "cast":
            return b.cast(self.integer(depth - 1), real)
        return b.select(self.truth(depth - 1), self.number(depth - 1), self.number(depth - 1))

    def integer(self, depth):
        if depth == 0:
            way = self.pick("load", "constant", "name", "index")
            if way == "name" and self.names["int32"]:
                return self.pick(*self.names["int32"])
            if way == "constant":
                return b.const(self.pick(0, 1, -3, 7, 1 << 30), "int32")
            if way == "index":
                return b.cast(ROW, "int32")
            return Load(self.buffers["v"], self.index())
        way = self.pick("two", "one", "shift", "select", "cast")
        if way == "two":
            ways = "add sub mul floordiv mod and or xor maximum minimum".split()
            return b.op(self.pick(*ways), self.integer(depth - 1), self.integer(depth - 1))
        if way == "one":
            return b.op(self.pick("neg", "abs", "not"), self.integer(depth - 1))
        if way == "shift":
            places = b.const(self.draw(st.integers(0, 31)), "int32")
            return b.op(self.pick("shl", "shr"), self.integer(depth - 1), places)
        if way == "cast":
            return b.cast(self.pick(self.number, self.truth)(depth - 1), "int32")
        return b.select(self.truth(depth - 1), self.integer(depth - 1), self.integer(depth - 1))

    def truth(self, depth):
        if depth == 0:
            way = self.pick("load", "compare", "fixed")
            if way == "load":
                return Load(self.buffers["m"], self.index())
            if way == "fixed":
                return b.op("lt", STRIDE, b.index(2))
            return b.op("lt", ROW, b.index(self.draw(st.integers(0, 40))))
        way = self.pick("numbers", "integers", "logic", "not")
        if way == "logic":
            name = self.pick("and", "or", "xor")
            return b.op(name, self.truth(depth - 1), self.truth(depth - 1))
        if way == "not":
            return b.op("not", self.truth(depth - 1))
        make = self.number if way == "numbers" else self.integer
        name = self.pick("eq", "ne", "lt", "le", "gt", "ge")
        return b.op(name, make(depth - 1), make(depth - 1))

    def depth(self):
        return self.draw(st.integers(0, 3))

    def let(self):
        kind = self.pick(self.real, "int32")
        value = (self.number if kind == self.real else self.integer)(self.depth())
        var = self.fresh(kind)
        self.names[kind].append(var)
        return Let(var, value)

    def store(self):
        kind = self.pick("o", "p", "q")
        make = {"o": self.number, "p": self.integer, "q": self.truth}[kind]
        where = self.places[kind]
        mask = self.truth(0) if self.pick(True, False, False) else None
        return Store(self.buffers[kind], where, make(self.depth()), mask)

    def accumulate(self):
        name, family = self.pick(*ACCUMULATORS.items())
        var = Var(name, self.real if family in ("add", "maximum", "fma") else ACCUMULATED[name])
        if name == "total":
            return Assign(var, b.add(var, self.number(1)))
        if name == "dot":
            return Assign(var, b.op("fma", self.number(0), self.number(0), var))
        if name == "top":
            return Assign(var, b.op("maximum", var, self.number(self.depth())))
        if name == "low":
            return Assign(var, b.op("minimum", self.integer(self.depth()), var))
        if name == "bits":
            return Assign(var, b.op("xor", var, self.integer(self.depth())))
        if name == "all":
            return Assign(var, b.op("and", var, self.truth(self.depth())))
        if name == "product":
            return Assign(var, b.mul(var, self.integer(self.depth())))
        value = self.integer(self.depth())
        chosen = b.select(self.truth(0), b.add(var, value), var)
        return Assign(var, chosen)

    def best(self):
        return Best(Var("best", self.real), Var("place"), self.number(1), ROW, True)

    def body(self, depth):
        saved = {k: list(v) for k, v in self.names.items()}
        ways = [self.let, self.store, self.accumulate]
        result = []
        for _ in range(self.draw(st.integers(1, 3))):
            way = self.pick(*ways, *(("if", "if", "for") if depth else ()))
            if way == "if":
                result.append(If(self.truth(1), self.body(depth - 1), self.maybe(depth - 1)))
            elif way == "for":
                result.extend(self.loop(depth - 1))
            else:
                result.append(way())
        self.names = saved
        return tuple(result)

    def maybe(self, depth):
        return self.body(depth) if self.pick(True, False) else ()

    def loop(self, depth):
        total, k = self.fresh("int32", "t"), self.fresh("int64", "k")
        start = Local(total, self.integer(0))
        self.inner.append(k)
        step = Assign(total, b.add(b.op("xor", total, self.integer(1)), b.const(1, "int32")))
        bound = self.pick(STRIDE, b.index(3))
        inner = For(k, b.index(0), bound, (step, *self.maybe(depth)), "serial")
        self.inner.pop()
        self.names["int32"].append(total)
        return [start, inner]


ACCUMULATORS = {
    "total": "add",
    "dot": "fma",
    "top": "maximum",
    "low": "minimum",
    "bits": "xor",
    "all": "and",
    "product": "mul",
    "some": "select",
}
ACCUMULATED = {
    "low": "int32",
    "bits": "int32",
    "all": "bool",
    "product": "int32",
    "some": "int32",
}


@st.composite
def kernels(draw):
    real = draw(st.sampled_from(["float32", "float64"]))
    d = Draw(draw, real)
    body = d.body(2)
    if draw(st.booleans()):
        body = (*body, d.best())
    start = b.index(draw(st.sampled_from([0, 0, 2])))
    stop = draw(st.sampled_from([N, N, b.index(37)]))
    r, s = d.buffers["r"], d.buffers["s"]
    accumulators = {
        "total": b.const(0.5, real),
        "dot": b.const(0.0, real),
        "top": b.const(-2.0, real),
        "low": b.const(100, "int32"),
        "bits": b.const(3, "int32"),
        "all": b.const(True, "bool"),
        "product": b.const(1, "int32"),
        "some": b.const(0, "int32"),
        "best": b.const(-np.inf, real),
        "place": b.index(0),
    }
    head = [Local(Var(n, v.dtype), v) for n, v in accumulators.items()]
    tail = [
        Store(r, b.index(0), Var("top", real)),
        Store(r, b.index(1), Var("best", real)),
        Store(r, b.index(2), Var("total", real)),
        Store(r, b.index(3), Var("dot", real)),
    ]
    for place, name in enumerate(["low", "bits", "all", "product", "some"]):
        value = b.cast(Var(name, accumulators[name].dtype), "int64")
        tail.append(Store(s, b.index(place), value))
    tail.append(Store(s, b.index(5), Var("place")))
    loop = For(ROW, start, stop, body, "vector")
    return Function("f", tuple(d.buffers.values()), (N, STRIDE), (*head, loop, *tail))


def arrays(function, n, stride, seed):
    rng = np.random.default_rng(seed)
    real = function.buffers[0].dtype
    size = max(n, 40) * max(3, stride) + ROOM
    a = rng.normal(size=size).astype(real) * 4
    a[rng.random(size) < 0.1] = np.round(a[rng.random(size) < 0.1].sum())
    a[rng.random(size) < 0.02] = np.nan
    v = rng.integers(-20, 20, size).astype(np.int32)
    v[rng.random(size) < 0.1] = np.iinfo(np.int32).min
    return {
        "a": a,
        "v": v,
        "m": rng.random(size) < 0.5,
        "at": rng.integers(0, size, size),
        "o": np.zeros(size, real),
        "p": np.zeros(size, np.int32),
        "q": np.zeros(size, np.bool_),
        "r": np.zeros(4, real),
        "s": np.zeros(6, np.int64),
    }


def same(have, want, note):
    for name in ("o", "p", "q", "s"):
        np.testing.assert_array_equal(have[name], want[name], f"{name} {note}")
    np.testing.assert_array_equal(have["r"][:2], want["r"][:2], f"r {note}")
    exact = want["a"].dtype == np.float64
    np.testing.assert_allclose(
        have["r"][2:], want["r"][2:], rtol=1e-9 if exact else 1e-3, atol=1e-9 if exact else 1e-2
    )


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    function=kernels(),
    n=st.integers(0, 70),
    stride=st.integers(0, 4),
    seed=st.integers(0, 3),
    machine=st.sampled_from(MACHINES),
    interleave=st.sampled_from([1, 2]),
)
def test_all_forms_agree(native, function, n, stride, seed, machine, interleave):
    sizes = {"n": n, "stride": stride}
    lanes = native.vectorised(function, machine, interleave=interleave)
    want = arrays(function, n, stride, seed)
    assert interpret(function, want, sizes).code == 0
    note = "\n" + text(function) + text(lanes)
    forms = {}
    forms["lanes"] = arrays(function, n, stride, seed)
    interpret(lanes, forms["lanes"], sizes)
    for name, form in (("native scalar", function), ("native lanes", lanes)):
        forms[name] = arrays(function, n, stride, seed)
        assert native.run(form, forms[name], sizes).code == 0
    for name, have in forms.items():
        same(have, want, name + note)
