"""Gated recurrent networks, read in one direction and in both.

The task: which of the ones in a row of bits are the first and the last?  Whether a one is the
first can be told from what was read before it; for the last one needs what comes after.  A
network that also reads from the end learns both, one that does not can only guess.

A layer is a plain function of a sequence: its memory is a loop (``croton.scan``).

    python examples/recurrent.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import croton
import croton.tensor as T

Cell = Callable[..., list[Any]]


def gru(x: Any, h: Any, of_x: Any, of_h: Any, bias: Any) -> list[Any]:
    """A gated recurrent unit (Cho et al. 2014): what it remembers after reading ``x``."""
    size = h.shape[-1]
    z = T.dot(x, of_x) + bias
    gates = T.nnet.sigmoid(z[:, : 2 * size] + T.dot(h, of_h[:, : 2 * size]))
    keep, reset = gates[:, :size], gates[:, size:]
    new = T.tanh(z[:, 2 * size :] + T.dot(reset * h, of_h[:, 2 * size :]))
    return [keep * h + (1 - keep) * new]


def lstm(x: Any, h: Any, c: Any, of_x: Any, of_h: Any, bias: Any) -> list[Any]:
    """A long short-term memory (Hochreiter and Schmidhuber 1997): its output and its memory."""
    size = h.shape[-1]
    z = T.dot(x, of_x) + T.dot(h, of_h) + bias
    i, f, o, g = (z[:, k * size : (k + 1) * size] for k in range(4))
    c = T.nnet.sigmoid(f + 1) * c + T.nnet.sigmoid(i) * T.tanh(g)
    return [T.nnet.sigmoid(o) * T.tanh(c), c]


#: The step, how many arrays it remembers, and for how many gates its weights are.
CELLS: dict[str, tuple[Cell, int, int]] = {"gru": (gru, 1, 3), "lstm": (lstm, 2, 4)}


def layer(kind: str, x: Any, weights: list[Any], size: int, backwards: bool = False) -> Any:
    """What a cell gives after each row of ``x`` (times, batch, features)."""
    cell, states, _ = CELLS[kind]
    start = T.zeros((x.shape[1], size), x.dtype)
    found, _ = croton.scan(
        cell, x, [start] * states, weights, go_backwards=backwards, return_list=True
    )
    return found[0][::-1] if backwards else found[0]


def network(kind: str, both: bool, size: int, rng: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """Weights, and a function from bits (times, batch) to two probabilities for each."""
    gates = CELLS[kind][2]

    def shared(*shape: int) -> Any:
        return croton.shared(rng.normal(size=shape) / np.sqrt(shape[0]))

    sides = [
        [shared(1, gates * size), shared(size, gates * size), croton.shared(np.zeros(gates * size))]
        for _ in range(2 if both else 1)
    ]
    out, bias = shared(len(sides) * size, 2), croton.shared(np.zeros(2))

    def apply(bits: Any) -> Any:
        x = bits[:, :, None]
        read = [layer(kind, x, side, size, backwards=k == 1) for k, side in enumerate(sides)]
        return T.nnet.sigmoid(T.dot(T.concatenate(read, axis=2), out) + bias)

    return [*(w for side in sides for w in side), out, bias], apply


def examples(rng: Any, times: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Bits, and for each whether it is the first one, and the last one."""
    bits = (rng.uniform(size=(times, batch)) < 0.3).astype(float)
    first = bits * (np.cumsum(bits, axis=0) == 1)
    last = bits * (np.cumsum(bits[::-1], axis=0)[::-1] == 1)
    return bits, np.stack([first, last], axis=2)


def main(kind: str = "gru", both: bool = True, steps: int = 300, size: int = 12) -> float:
    """Train; return for which part of new rows every answer is right."""
    rng = np.random.default_rng(0)
    parameters, apply = network(kind, both, size, rng)
    bits, wanted = T.dmatrix("bits"), T.dtensor3("wanted")
    guesses = apply(bits)
    loss = T.nnet.binary_crossentropy(guesses, wanted).mean()
    updates = []
    for p, g in zip(parameters, T.grad(loss, parameters), strict=True):
        mean = croton.shared(np.zeros_like(p.get_value()))
        squares = 0.9 * mean + 0.1 * g**2
        updates += [(mean, squares), (p, p - 0.02 * g / T.sqrt(squares + 1e-8))]
    train = croton.function([bits, wanted], loss, updates=updates)
    answer = croton.function([bits], guesses > 0.5)

    for step in range(steps):
        value = float(train(*examples(rng, 15, 32)))
        if step % 100 == 0:
            print(f"step {step:4d}   loss {value:.4f}")
    new, right = examples(rng, 15, 1000)
    found = float((answer(new) == right).all(axis=(0, 2)).mean())
    print(f"{kind} in {'both directions' if both else 'one direction'}: {found:.1%} of rows right")
    return found


if __name__ == "__main__":
    main("gru", both=False)
    main("gru")
    main("lstm")
