"""A recurrent network reads a text letter by letter, and then writes on in its manner.

Its memory is a loop (``croton.scan``): a step reads a letter and what it remembers.  Writing is
another loop, in which a step draws the next letter from what the last one left.

    python examples/characters.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import croton
import croton.tensor as T
from croton.tensor.shared_randomstreams import RandomStreams

TEXT = "the rain in spain stays mainly in the plain, and the train to spain waits in the rain. " * 4
LETTERS = sorted(set(TEXT))


def lstm(z: Any, c: Any, size: int) -> tuple[Any, Any]:
    """The new output and memory of a long short-term memory; ``z`` has its gates side by side."""
    i, f, o, g = (z[..., k * size : (k + 1) * size] for k in range(4))
    c = T.nnet.sigmoid(f + 1) * c + T.nnet.sigmoid(i) * T.tanh(g)
    return T.nnet.sigmoid(o) * T.tanh(c), c


def main(steps: int = 200, size: int = 64, length: int = 80) -> tuple[float, str]:
    """Train; return the last loss (in nats a letter) and ``length`` letters that it wrote."""
    rng = np.random.default_rng(0)
    count = len(LETTERS)

    def weight(*shape: int) -> Any:
        return croton.shared(rng.normal(size=shape) * 0.1)

    of_letter, of_output, out = weight(count, 4 * size), weight(size, 4 * size), weight(size, count)
    parameters = [of_letter, of_output, out]
    start = T.zeros((size,))

    def read(letter: Any, h: Any, c: Any) -> tuple[Any, Any]:
        return lstm(of_letter[letter] + T.dot(h, of_output), c, size)

    text = T.lvector("text")
    (h, _), _ = croton.scan(read, text[:-1], [start, start])
    guesses = T.nnet.softmax(T.dot(h, out))
    loss = T.nnet.categorical_crossentropy(guesses, text[1:]).mean()
    updates = []
    for p, g in zip(parameters, T.grad(loss, parameters), strict=True):
        mean = croton.shared(np.zeros_like(p.get_value()))
        squares = 0.9 * mean + 0.1 * g**2
        updates += [(mean, squares), (p, p - 0.01 * g / T.sqrt(squares + 1e-8))]
    train = croton.function([text], loss, updates=updates)

    streams = RandomStreams(1)

    def write(letter: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
        h, c = read(letter, h, c)
        drawn = streams.multinomial(pvals=T.nnet.softmax(T.dot(h, out)))
        return drawn.argmax(), h, c

    first = T.lscalar("first")
    (letters, _, _), drawing = croton.scan(
        write, outputs_info=[first, start, start], n_steps=length
    )
    continue_from = croton.function([first], letters, updates=drawing)

    numbers = np.array([LETTERS.index(c) for c in TEXT])
    value = 0.0
    for step in range(steps):
        value = float(train(numbers))
        if step % 50 == 0:
            print(f"step {step:4d}   loss {value:.3f}")
    written = "".join(LETTERS[k] for k in continue_from(LETTERS.index("t")))
    print(f"loss {value:.3f}\nt{written}")
    return value, written


if __name__ == "__main__":
    main()
