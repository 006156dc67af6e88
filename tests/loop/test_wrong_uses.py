"""What is said of loops that make no sense: the line of the step, what was expected, what came."""

from functools import partial

import numpy as np
import pytest
from helpers import refuses

import croton
import croton.tensor as T
from croton.loop import fori_loop, scan, scan_checkpoints, until, while_loop

zero = T.constant(0.0, dtype="float64")
x, m, n = T.dvector("x"), T.dmatrix("m"), T.lscalar("n")


def _place(function, below=0):
    line = function.__code__.co_firstlineno + below
    return f'{__file__}", line {line}, in {function.__name__}'


def test_a_step_that_takes_something_else():
    def step(v, h):
        return v + h

    gets = r"a step gets x\[t\] \(of sequence 0\).*\(v, h\).*missing a required argument: 'h'"
    with pytest.raises(TypeError, match=gets) as caught:
        scan(step, x)
    assert _place(step) in str(caught.value) and "outputs_info" in str(caught.value)
    with pytest.raises(TypeError, match=r"gets .*x\[t\] \(of sequence 0\).* before .*too many"):
        scan(lambda v: v, x, zero)
    for loop in (
        lambda: croton.reduce(step, x, None),
        lambda: croton.map(partial(step), x),
        lambda: scan_checkpoints(step, x, None),
    ):
        with pytest.raises(TypeError, match="missing a required argument: 'h'") as caught:
            loop()
        assert _place(step) in str(caught.value)
    with pytest.raises(TypeError, match=r"body_fun gets i, val.*too many positional") as caught:
        fori_loop(0, 3, lambda v: v, x)
    assert "line" in str(caught.value)
    with pytest.raises(TypeError, match=r"cond_fun gets val.*'b'"):
        while_loop(lambda a, b: a > b, lambda v: v, (n, n))
    with pytest.raises(TypeError, match=r"body_fun gets val.*'b'"):
        while_loop(lambda v: v[0] > v[1], lambda a, b: (a, b), (n, n))


def test_an_error_inside_a_step_stays_as_it_is():
    def step(v):
        return step()

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        scan(step, x)


def test_results_that_make_no_sense_name_the_step_function():
    count = croton.shared(0, "count")

    def nothing(v):
        v * 2

    def one_too_many(v, h):
        return v + h, v

    def no_shared_variable(v):
        return v, [(count, count + 1), (v, 3)]

    def pair(v):
        return v, (count, count + 1)

    def twice(v):
        return v, {count: count + 1}, {count: count + 2}

    for step, info, text in (
        (nothing, None, "None cannot be an output"),
        (one_too_many, zero, "returned 2 outputs, but outputs_info tells of 1"),
        (no_shared_variable, None, r"updates shared variables, not x\[t\]"),
        (pair, None, r"put .*in a list, \[\(count, \.\.\.\)\]"),
        (twice, None, "updates were returned twice"),
    ):
        with pytest.raises((TypeError, ValueError), match=text) as caught:
            scan(step, x, info)
        assert _place(step) in str(caught.value)


def test_arguments_are_named():
    for call, text in (
        (lambda: scan(lambda v: v, [None, x]), "sequence 0: cannot make a tensor"),
        (lambda: scan(lambda v, w: v, x, None, {"w": x}), "non-sequence 0: cannot make a tensor"),
        (lambda: scan(lambda v, h: v, x, "zero"), "output 0: cannot make a tensor"),
        (lambda: scan(lambda h: h, None, x, n_steps="3"), "n_steps is an integer, got '3'"),
        (lambda: scan(lambda v: v, x, truncate_gradient="3"), "truncate_gradient .* got '3'"),
        (lambda: fori_loop(0, "3", lambda i, v: v, x), "upper is an integer scalar, got '3'"),
        (
            lambda: while_loop(lambda v: v, lambda v: v - 1, T.dscalar("s")),
            "the condition of while_loop is a boolean scalar, got s",
        ),
        (
            lambda: while_loop(lambda v: None, lambda v: v, n),
            r"condition of while_loop: cannot make(.|\n)*wrong_uses\.py",
        ),
        (
            lambda: fori_loop(0, 3, lambda i, v: None, n),
            r"part 0 of what body_fun returns: cannot make(.|\n)*wrong_uses\.py",
        ),
        (lambda: fori_loop(0, 3, lambda i, v: v, (n, None)), "part 1: cannot make a tensor"),
        (lambda: croton.ifelse("yes", x, x), "the condition of ifelse: cannot make a tensor"),
        (lambda: croton.ifelse(n > 0, x, None), "the branches of ifelse: cannot make a tensor"),
        (
            lambda: scan_checkpoints(lambda a, b: a, dict(input=x, taps=[-1, 0])),
            "scan_checkpoints takes sequences without taps",
        ),
        (
            lambda: scan_checkpoints(lambda a: a, None, dict(initial=x, taps=[-2]), n_steps=3),
            r"scan_checkpoints takes states of the last step .* got taps \[-2\]",
        ),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            call()


def test_a_row_outside_of_its_step():
    kept = []

    def step(v, h):
        kept.append(h * 2)
        return v + h

    scan(step, x, zero)
    with pytest.raises(ValueError, match=r"of a step function.* outside of it"):
        croton.function([x], kept[0], on_unused_input="ignore")


def test_states_whose_sizes_are_known_late():
    films = T.dtensor3("films")

    def step(row, h):
        return h + row

    out, _ = scan(step, films, T.zeros((1, 3), "float64"))
    f = croton.function([films], out)
    with pytest.raises(ValueError) as caught:
        f(np.ones((4, 2, 3)))
    assert _place(step, 1) in str(caught.value)


def test_what_is_computed_outside_of_the_loop_keeps_its_line():
    w, q = T.dmatrix("w"), T.dmatrix("q")

    def before(row, h):
        return T.dot(row, w) + h

    def behind(row, h):
        h = T.tanh(h + row)
        return h, T.dot(h, w)

    def product(row, column):
        return row * column

    ones = np.ones
    for step, out, given, below in (
        (before, scan(before, m, x)[0], {m: ones((3, 2)), w: ones((3, 2)), x: ones(2)}, 1),
        (behind, scan(behind, m, [x, None])[0], {m: ones((3, 2)), w: ones((3, 2)), x: ones(2)}, 2),
        (product, scan(product, [m, q])[0], {m: ones((3, 2)), q: ones((3, 3))}, 1),
    ):
        f = croton.function(list(given), out)
        with pytest.raises(ValueError) as caught:
            f(*given.values())
        assert _place(step, below) in str(caught.value)


def test_gradients_name_the_lines_of_the_step():
    w, b = T.dmatrix("w"), T.dvector("b")

    def network(row, h):
        return T.tanh(T.dot(h, w) + row)

    def biased(row, h):
        return h * T.exp(row + b)

    ones = np.ones
    for step, v, value in ((network, w, ones((3, 2))), (biased, b, ones(3))):
        out, _ = scan(step, m, T.zeros_like(m[0]))
        f = croton.function([m, v], T.grad(out[-1].sum(), v))
        with pytest.raises(ValueError) as caught:
            f(ones((4, 2)), value)
        assert _place(step, 1) in str(caught.value)


def test_checkpoints_of_fewer_rows_than_steps():
    last, _ = scan_checkpoints(lambda v, h: v + h, x, zero, n_steps=n, save_every_N=4)
    refuses(last, {x: np.ones(5), n: 6}, ValueError)


def test_until_takes_no_words():
    with pytest.raises(TypeError, match="until takes a boolean scalar, got 'yes'"):
        scan(lambda v: (v, until("yes")), x)


def test_numbers_tell_of_no_line_that_is_not_theirs():
    # Equal numbers are one constant, which is no reason to name the line that wrote it first.
    def elsewhere():
        return x + 0.625

    elsewhere()
    with pytest.raises(TypeError, match="same rank") as caught:
        croton.ifelse(n > 0, x, 0.625)
    assert "elsewhere" not in str(caught.value)
