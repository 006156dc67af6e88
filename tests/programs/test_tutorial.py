"""A convolutional network as programs of 2016 have it, in Python 2, run by ``croton run``."""

import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import convolve2d
from sklearn.datasets import load_digits

PROGRAM = pathlib.Path(__file__).parent / "tutorial" / "convolutional_net.py2"
TAIL = """
scores = theano.function([X], clean)
np.savez('state.npz', images=teX, scores=scores(teX), *[v.get_value() for v in params])
"""


def maxima(x):
    """Of 2 x 2 windows, those that reach over the end for what they hold."""
    x = np.pad(x, ((0, 0), (0, 0), *((0, n % 2) for n in x.shape[2:])), constant_values=-np.inf)
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).max((3, 5))


def convolved(images, filters, mode):
    found = [
        [sum(map(lambda x, w: convolve2d(x, w, mode), image, f)) for f in filters]
        for image in images
    ]
    return maxima(np.maximum(found, 0))


def scores(images, weights):
    first, second, third, fourth, last = weights
    x = convolved(images, first, "full")
    x = convolved(convolved(x, second, "valid"), third, "valid")
    x = np.maximum(x.reshape(len(x), -1) @ fourth, 0) @ last
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


@pytest.mark.parametrize("dtype, epochs, accuracy", [("float32", 15, 0.85), ("float64", 1, 0.1)])
def test_convolutional_net(tmp_path, dtype, epochs, accuracy):
    images, labels = load_digits(return_X_y=True)
    # Each pixel four times: three convolutions and poolings leave nothing of 8 x 8.
    images = np.kron(images.reshape(-1, 8, 8) / 16, np.ones((1, 2, 2))).reshape(-1, 256)
    order = np.random.default_rng(0).permutation(len(images))
    with (tmp_path / "digits.pkl").open("wb") as f:
        parts = [(images[i], labels[i]) for i in (order[:1500], order[1500:])]
        pickle.dump(tuple(parts), f, protocol=2)
    (tmp_path / "net.py").write_text(PROGRAM.read_text() + TAIL)
    merged = {k: v for k, v in os.environ.items() if not k.startswith("THEANO")}
    merged |= {"HOME": str(tmp_path), "PYTHONWARNINGS": "error", "THEANO_FLAGS": f"floatX={dtype}"}
    done = subprocess.run(
        [sys.executable, *"-m croton run net.py".split(), *f"{epochs} 32 8 16 32 128".split()],
        cwd=tmp_path,
        env=merged,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [int(epoch) for epoch, _ in lines] == list(range(epochs))
    assert float(lines[-1][1]) > accuracy

    state = np.load(tmp_path / "state.npz")
    assert state["scores"].dtype == dtype
    weights = [state[f"arr_{k}"].astype(float) for k in range(5)]
    want = scores(state["images"][:20].astype(float), weights)
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(state["scores"][:20], want, rtol=tolerance, atol=tolerance)
