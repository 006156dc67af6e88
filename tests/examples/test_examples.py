"""The examples run, and what they find is right."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def main_of(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_linear_regression_finds_the_least_squares_line():
    xs = np.linspace(-1, 1, 101)
    ys = 2 * xs + 1 + 0.33 * np.random.default_rng(0).standard_normal(len(xs))
    exact = np.polyfit(xs, ys, 1)
    np.testing.assert_allclose(main_of("linear_regression")(), exact, atol=0.02)


def test_logistic_regression_is_as_good_as_its_kind():
    assert main_of("logistic_regression")() > 0.93


def test_newton_reaches_the_minimum():
    np.testing.assert_allclose(main_of("newton")(), [1, 1], rtol=1e-12)


def test_heat_decays_as_the_closed_form_says():
    # A product of sines is an eigenvector of the discrete Laplacian: it only shrinks.
    size, steps, rate = 51, 400, 0.2
    line = np.sin(np.linspace(0, np.pi, size))
    factor = 1 - 8 * rate * np.sin(np.pi / (2 * (size - 1))) ** 2
    expected = np.outer(line, line) * factor**steps
    np.testing.assert_allclose(main_of("heat")(size, steps, rate), expected, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name, epochs, accuracy", [("digits", 30, 0.93), ("convnet", 12, 0.96)])
def test_networks_learn_to_read(tmp_path, name, epochs, accuracy):
    picture = tmp_path / "digits.png"
    assert main_of(name)(epochs, str(picture)) >= accuracy
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["digits", "convnet"])
def test_networks_as_commands(tmp_path, monkeypatch, capsys, name):
    picture = tmp_path / "digits.png"
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--epochs", "1", "--picture", str(picture)])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert "held-out accuracy" in capsys.readouterr().out
    assert picture.exists()


def test_characters_are_learnt_and_written(capsys):
    loss, written = main_of("characters")(steps=40, size=32)
    assert loss < 1.5 and len(written) == 80
    assert "step    0" in capsys.readouterr().out


def test_kalman_finds_the_error_of_what_is_seen():
    found, filtered, sight = main_of("kalman")()
    np.testing.assert_allclose(found, 0.5, rtol=0.1)
    assert filtered < 0.5 * sight
