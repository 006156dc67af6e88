"""Graphs as trees, lines and letters."""

import io

import numpy as np
import pytest
from helpers import compute

import croton
import croton.tensor as T
from croton.gradient import grad
from croton.graph import Apply, Op
from croton.printing import Print, debugprint, draw, min_informative_str, pp, var_descriptor


@pytest.fixture
def variables():
    return T.dmatrix("x"), T.dmatrix("w"), T.dvector("b")


TREE = """\
Elemwise{tanh,no_inplace} [id A] 'h'
 |Elemwise{add,no_inplace} [id B]
   |Elemwise{mul,no_inplace} [id C]
   | |x [id D]
   | |w [id E]
   |Elemwise{mul,no_inplace} [id C]
"""


def tree(x, w):
    product = x * w
    h = T.tanh(product + product)
    h.name = "h"
    return h


def test_tree(variables, capsys):
    x, w, _ = variables
    h = tree(x, w)
    debugprint(h)
    assert capsys.readouterr().out == TREE
    assert debugprint(h, file="str") == TREE
    stream = io.StringIO()
    assert debugprint([h], file=stream) is stream
    assert stream.getvalue() == TREE


@pytest.mark.parametrize("depth, lines", [(1, 1), (2, 2), (3, 4), (-1, 6), (0, 0)])
def test_tree_to_a_depth(variables, depth, lines):
    assert debugprint(tree(*variables[:2]), depth, file="str").count("\n") == lines


def test_tree_with_other_labels(variables):
    h = tree(*variables[:2])
    assert "tanh,no_inplace} 'h'" in debugprint(h, ids="", file="str")
    assert " |x [id 3]\n" in debugprint(h, ids="int", file="str").replace("| |", "|")
    assert f"[id {id(h.owner)}]" in debugprint(h, ids="id", file="str")
    with pytest.raises(ValueError, match="ids"):
        debugprint(h, ids="letters")


def test_tree_with_types(variables):
    text = debugprint(variables[0] + 1, print_type=True, file="str")
    assert "x [id B] <TensorType(float64, matrix)>" in text
    assert text.startswith("Elemwise{add,no_inplace} [id A] <TensorType(float64, matrix)>\n")


def test_tree_stops_on_names(variables):
    h = tree(*variables[:2])
    text = debugprint(h * 2, stop_on_name=True, file="str")
    assert text.count("\n") == 3 and "'h'" in text and "[id D]" not in text


def test_labels_go_on_in_another_call(variables):
    x, w, _ = variables
    done = {}
    debugprint(x + w, file="str", done=done)
    assert "x [id B]" in debugprint(x * 2, file="str", done=done)


def test_tree_of_several_outputs(variables):
    class Two(Op):
        __props__ = ()

        def make_node(self, x):
            return Apply(self, [x], [x.type(), x.type()])

    a, b = Two()(variables[0])
    assert "Two.1 [id A]" in debugprint(b, file="str")
    assert debugprint([a, b], file="str").count("Two.") == 2
    assert pp(b) == "two(x).1"


def test_steps_of_loops_follow():
    x, w = T.dmatrix("x"), T.dvector("w")

    def outer(row):
        inner, _ = croton.scan(lambda v, s: s + v * w, row, T.zeros_like(w), name="inner")
        return inner[-1].sum()

    out, _ = croton.scan(outer, x, name="Outer")
    text = debugprint(out, file="str")
    assert text.startswith("Scan{Outer} [id A]\n |Shape_i{0} [id B]\n | |x [id C]\n |x [id C]\n")
    first, outside, inside = text.split("\n\nScan")
    assert first.endswith("Steps of loops:")
    assert outside.startswith("{Outer} [id A]\n >Sum") and "x[t] [id" in outside
    assert "] -> [id C]" in outside and " >     |Scan{inner} [id" in outside
    assert inside.startswith("{inner} [id") and " >Elemwise{add" in inside
    assert pp(out).startswith("scan{Outer}(x.shape[0], x, ") and len(pp(out)) < 100
    assert debugprint(x, file="str") == "x [id A]\n"


def test_deep_graphs():
    x = T.dscalar("x")
    y = x
    for _ in range(2000):
        y = -y
    assert pp(y).count("-") == 2000
    assert debugprint(y, depth=1500, file="str").count("\n") == 1500
    assert min_informative_str(y).count("\n") == 2000


def test_what_is_no_graph_is_refused():
    for show in (debugprint, pp, min_informative_str):
        with pytest.raises(TypeError, match="variable"):
            show(3)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda x, w, b: x + w * 2, "(x + (w * 2))"),
        (lambda x, w, b: -x, "(-x)"),
        (lambda x, w, b: x**2 / w, "((x ** 2) / w)"),
        (lambda x, w, b: x + b, "(x + b)"),
        (lambda x, w, b: T.dot(x, w) > 0.5, "(dot(x, w) > 0.5)"),
        (lambda x, w, b: T.exp(x.T), "exp(x.T)"),
        (lambda x, w, b: abs(x), "abs(x)"),
        (lambda x, w, b: T.maximum(x, 0), "maximum(x, 0)"),
        (lambda x, w, b: x.sum(), "sum(x)"),
        (lambda x, w, b: x.max(axis=1), "max(x, axis=1)"),
        (lambda x, w, b: x.argmax(axis=0), "argmax(x, axis=0)"),
        (lambda x, w, b: x[1:, ::-1][0], "x[1:, ::-1][0]"),
        (lambda x, w, b: b[b.shape[0] - 1], "b[(b.shape[0] - 1)]"),
        (lambda x, w, b: x[:, T.arange(3)], "x[:, arange(3)]"),
        (lambda x, w, b: T.set_subtensor(b[0], 2.0), "set_subtensor(b[0], float64(2.0))"),
        (lambda x, w, b: T.inc_subtensor(b[:2], b[2:4]), "inc_subtensor(b[:2], b[2:4])"),
        (lambda x, w, b: x.reshape((6,)), "reshape(x, (6,))"),
        (lambda x, w, b: x.shape, "[x.shape[0], x.shape[1]]"),
        (lambda x, w, b: T.join(1, x, w), "join(1, x, w)"),
        (lambda x, w, b: T.cast(x, "float32"), "float32(x)"),
        (lambda x, w, b: T.switch(x > 0, x, w), "switch((x > 0), x, w)"),
        (lambda x, w, b: x.dimshuffle(1, "x", 0), "x.dimshuffle(1, 'x', 0)"),
        (lambda x, w, b: T.nnet.softmax(x), "softmax(x, axis=1)"),
        (lambda x, w, b: [x, x + 1], "[x, (x + 1)]"),
        (lambda x, w, b: ~(x > 1) & (x < 2), "((~(x > 1)) & (x < 2))"),
        (lambda x, w, b: T.constant([1.0, 2.0]) + b, "([1. 2.] + b)"),
    ],
)
def test_one_line(variables, make, text):
    assert pp(make(*variables)) == text


def test_one_line_does_not_repeat_what_is_long(variables):
    y = variables[0]
    for _ in range(100):
        y = T.tanh(y * y + y)
    text = pp(y)
    assert len(text) < 50_000
    assert "; <A> = " in text


def test_one_line_of_a_gradient():
    x = T.dscalar("x")
    assert pp(grad(x**2, x)) == "((1.0 * 2) * (x ** (2 - 1)))"


def test_letters():
    a, b, d, e = (T.matrix(n) for n in "abde")
    c = a + b
    c.name = "c"
    f = d + e
    assert min_informative_str(c * f + f) == (
        "A. Elemwise{add,no_inplace}\n"
        " B. Elemwise{mul,no_inplace}\n"
        "  C. c\n"
        "  D. Elemwise{add,no_inplace}\n"
        "   E. d\n"
        "   F. e\n"
        " <D>"
    )
    assert min_informative_str(c, indent_level=2) == "  A. c"


def test_descriptors_are_those_of_the_structure():
    def build(name):
        x, y = T.dvector("x"), T.dvector(name)
        return T.exp(x * y) + x

    assert var_descriptor(build("y")) == var_descriptor(build("y"))
    assert var_descriptor(build("y")) != var_descriptor(build("z"))
    x, y = T.dvector("x"), T.dvector("y")
    assert var_descriptor(x - y) != var_descriptor(y - x)
    assert "\n" not in var_descriptor(build("y"))


def test_values_are_printed_when_computed(capsys):
    x = T.dvector("x")
    shown = Print("x is", attrs=["shape", "sum"])(x)
    y = (shown * 2).sum()
    assert capsys.readouterr().out == ""
    assert compute(y, {x: [1.0, 2.0]}) == 6
    assert "x is shape = (2,)\nx is sum = 3.0\n" in capsys.readouterr().out
    assert np.array_equal(compute(grad(y, x), {x: [1.0, 2.0]}), [2, 2])


def test_printing_by_a_function_of_ones_own():
    seen = []
    x = T.dscalar("x")
    op = Print("here", global_fn=lambda op, value: seen.append((op.message, float(value))))
    compute(op(x), {x: 2.5})
    assert set(seen) == {("here", 2.5)}
    with pytest.raises(TypeError, match="variable"):
        Print()(3)


def test_compiled_functions_show_their_rewritten_graph():
    x = T.dvector("x")
    f = croton.function([x], [T.exp(x) + x * 1, x.sum()])
    text = debugprint(f, file="str")
    assert "Elemwise{exp,no_inplace}" in text and "mul" not in text
    orders = [int(line.rsplit(None, 1)[1]) for line in text.splitlines() if "no_inplace" in line]
    assert sorted(orders, reverse=True) == orders
    assert pp(f) == "[(exp(x) + x), sum(x)]"
    assert "A. Elemwise{add" in min_informative_str(f)
    assert "<svg" in draw(f)
