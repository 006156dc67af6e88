"""The programs of the 2016 talk, as its slides have them, run by ``croton run``."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

TALK = pathlib.Path(__file__).parent / "talk"


@pytest.fixture
def croton(tmp_path):
    """Runs a program of the talk in a home directory of its own; what it printed."""

    def run(name, tail="", rc=False, **environment):
        script = tmp_path / f"{name}.py"
        script.write_text((TALK / f"{name}.py2").read_text() + tail)
        if rc:
            shutil.copy(TALK / "theanorc", tmp_path / ".theanorc")
        merged = {k: v for k, v in os.environ.items() if not k.startswith(("THEANO", "CROTON"))}
        merged.update({"HOME": str(tmp_path), "PYTHONWARNINGS": "error", **environment})
        done = subprocess.run(
            [sys.executable, "-m", "croton", "run", script.name],
            cwd=tmp_path,
            env=merged,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_multiply(croton):
    done = croton("multiply")
    assert done.stdout == "2.0\n9.0\n"
    assert done.stderr == ""


def descend(inputs, targets, dtype):
    """What the training comes to, by NumPy."""
    w = dtype(0)
    for _ in range(100):
        for x, y in zip(inputs.astype(dtype), targets.astype(dtype), strict=True):
            w = w - 2 * (x * w - y) * x * dtype(0.01)
    return w


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_linear_regression(croton, tmp_path, dtype):
    tail = "\nprint(repr(float(w.get_value()))); np.savez('data.npz', x=trX, y=trY)\n"
    tail += "print(w.get_value().dtype)"
    done = croton("linear_regression", tail, THEANO_FLAGS=f"floatX={dtype.__name__}")
    assert done.stderr == ""
    value, kind = done.stdout.split()
    assert kind == dtype.__name__
    data = np.load(tmp_path / "data.npz")
    expected = descend(data["x"], data["y"], dtype)
    assert abs(float(value) - 2) < 0.5
    np.testing.assert_allclose(float(value), expected, rtol=1e-10 if dtype is np.float64 else 1e-4)


def check_exp(output, dtype):
    lines = output.splitlines()
    assert lines[0] == f"[Elemwise{{exp,no_inplace}}(<TensorType({dtype}, vector)>)]"
    assert re.fullmatch(r"Looping 1000 times took \d+\.\d{6} seconds", lines[1])
    assert lines[-1] == "Used the cpu"
    shown = re.search(r"\[(.*)\]", " ".join(lines[2:-1]))[1].split()
    expected = np.exp(np.asarray(np.random.RandomState(22).rand(230400), dtype))
    np.testing.assert_allclose(np.array(shown[:3], float), expected[:3], rtol=1e-6)
    np.testing.assert_allclose(np.array(shown[-3:], float), expected[-3:], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gpu_test_on_the_cpu(croton, dtype):
    done = croton("gpu_test", THEANO_FLAGS=f"mode=FAST_RUN,device=cpu,floatX={dtype}")
    assert done.stderr == ""
    check_exp(done.stdout, dtype)


def test_gpu_test_with_the_talks_file(croton):
    done = croton("gpu_test", rc=True)
    check_exp(done.stdout, "float32")
    notes = done.stderr.splitlines()
    assert any("nvcc.fastmath" in note and "cuda.root" in note for note in notes)
    assert any("device=gpu is not available; using the CPU" in note for note in notes)
    assert len(notes) == 2


def test_a_gpu_that_must_be_there(croton, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import theano\n")
    done = subprocess.run(
        [sys.executable, "-m", "croton", "run", str(script)],
        env={**os.environ, "HOME": str(tmp_path), "THEANO_FLAGS": "device=gpu,force_device=True"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "device=gpu cannot be used here, and force_device=True" in done.stderr
