"""Python 2 programs print what Python 2.7 printed."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
PROGRAMS = sorted(HERE.glob("programs/*.py2"))


def run(command, cwd):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "CROTON_FLAGS": ""}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_output(program, tmp_path):
    done = run([sys.executable, "-m", "croton", "run", str(program)], tmp_path)
    assert done.stderr == ""
    assert done.stdout == program.with_suffix(".out").read_text(encoding="utf-8")
    assert done.returncode == 0


@pytest.mark.skipif("CROTON_PYTHON2" not in os.environ, reason="names no Python 2.7")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_python2_agrees(program, tmp_path):
    done = run([os.environ["CROTON_PYTHON2"], str(program)], tmp_path)
    assert done.stdout == program.with_suffix(".out").read_text(encoding="utf-8")
