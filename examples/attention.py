"""A network learns to write words backwards, and shows where it looks while it does.

It reads the letters in both directions, and then writes one letter at a time.  What it looks at
before each it decides from what it has written: additive attention (Bahdanau et al. 2014).  Reading
and writing are loops (``croton.scan``); while it learns, the writer is told the letter that it
should have written before, and later it reads its own.

    python examples/attention.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import croton
import croton.tensor as T

LETTERS = "abcdefgh"
COUNT = len(LETTERS)
#: What the writer is told before the first letter.
BEGIN = COUNT


def weights(rng: Any, size: int) -> dict[str, Any]:
    """Shared variables by name."""
    shapes = {"keys": (2 * size, size), "query": (size, size), "score": (size,)}
    shapes |= {"forwards x": (COUNT, 3 * size), "forwards h": (size, 3 * size)}
    shapes |= {"backwards x": (COUNT, 3 * size), "backwards h": (size, 3 * size)}
    shapes |= {"y": (COUNT + 1, 3 * size), "h": (size, 3 * size), "seen": (2 * size, 3 * size)}
    shapes |= {"out": (size, COUNT)}
    return {
        name: croton.shared(rng.normal(size=shape) / np.sqrt(shape[0]), name=name)
        for name, shape in shapes.items()
    }


def gru(told: Any, h: Any, of_h: Any) -> Any:
    """A gated recurrent unit; ``told`` has what it reads, for each of three gates."""
    size = h.shape[-1]
    z, r = (
        T.nnet.sigmoid(told[:, part] + T.dot(h, of_h[:, part]))
        for part in (slice(0, size), slice(size, 2 * size))
    )
    new = T.tanh(told[:, 2 * size :] + T.dot(r * h, of_h[:, 2 * size :]))
    return z * h + (1 - z) * new


def read(letters: Any, start: Any, w: dict[str, Any]) -> Any:
    """What the network remembers at each letter (times, batch), of both directions."""

    def forwards(k: Any, h: Any) -> Any:
        return gru(w["forwards x"][k], h, w["forwards h"])

    def backwards(k: Any, h: Any) -> Any:
        return gru(w["backwards x"][k], h, w["backwards h"])

    one, _ = croton.scan(forwards, letters, start)
    other, _ = croton.scan(backwards, letters, start, go_backwards=True)
    return T.concatenate([one, other[::-1]], axis=2)


def write_one(before: Any, h: Any, memory: Any, keys: Any, w: dict[str, Any]) -> Any:
    """The scores of the next letter, the new state, and how much each letter read is looked at."""
    scores = T.dot(T.tanh(keys + T.dot(h, w["query"])), w["score"])
    looks = T.nnet.softmax(scores.T)
    seen = (looks.T[:, :, None] * memory).sum(axis=0)
    h = gru(w["y"][before] + T.dot(seen, w["seen"]), h, w["h"])
    return T.dot(h, w["out"]), h, looks


def main(steps: int = 400, size: int = 32, length: int = 8) -> tuple[float, np.ndarray]:
    """Train; return the part of new words that came out right, and the looks of the first one."""
    rng = np.random.default_rng(0)
    w = weights(rng, size)
    letters, wanted, told = T.lmatrices("letters", "wanted", "told")
    start = T.zeros((letters.shape[1], size))
    memory = read(letters, start, w)
    keys = T.dot(memory, w["keys"])

    (scores, _, _), _ = croton.scan(
        lambda k, h: write_one(k, h, memory, keys, w), told, [None, start, None]
    )
    chances = T.nnet.softmax(scores.reshape((-1, COUNT)))
    loss = T.nnet.categorical_crossentropy(chances, wanted.flatten()).mean()
    rate, updates, parameters = T.dscalar("rate"), [], list(w.values())
    for p, g in zip(parameters, T.grad(loss, parameters), strict=True):
        mean, square = (croton.shared(np.zeros_like(p.get_value())) for _ in range(2))
        m, s = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g**2
        updates += [(mean, m), (square, s), (p, p - rate * m / (T.sqrt(s) + 1e-6))]
    train = croton.function([letters, wanted, told, rate], loss, updates=updates)

    def write(k: Any, h: Any) -> Any:
        scores, h, looks = write_one(k, h, memory, keys, w)
        return scores.argmax(axis=1), h, looks

    begin = T.zeros_like(letters[0]) + BEGIN
    (written, _, looks), _ = croton.scan(
        write, outputs_info=[begin, start, None], n_steps=letters.shape[0]
    )
    answer = croton.function([letters], [written, looks])

    for step in range(steps):
        words = rng.integers(COUNT, size=(length, 64))
        right = words[::-1]
        before = np.concatenate([np.full((1, 64), BEGIN), right[:-1]])
        value = float(train(words, right, before, 0.01 * (1 - step / steps)))
        if step % 100 == 0:
            print(f"step {step:4d}   loss {value:.4f}")
    words = rng.integers(COUNT, size=(length, 500))
    found, looked = answer(words)
    part = float((found == words[::-1]).all(axis=0).mean())
    print(f"{part:.1%} of words come out right; where it looks, letter by letter:")
    print(" ", *(LETTERS[k] for k in words[:, 0]))
    for k, row in zip(found[:, 0], looked[:, 0], strict=True):
        print(LETTERS[k], *(" .:*#"[round(4 * v)] for v in row))
    return part, looked[:, 0]


if __name__ == "__main__":
    main()
