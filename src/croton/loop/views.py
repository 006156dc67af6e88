"""Loops of a special form: map, reduce, fold, and loops that keep little for their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from croton.loop.given import as_list
from croton.loop.scanning import repeat, scan
from croton.loop.updates import OrderedUpdates
from croton.tensor.convert import as_tensor_variable
from croton.tensor.creation import arange, zeros
from croton.tensor.elementwise import minimum
from croton.tensor.joining import join
from croton.tensor.shapes import reshape, shape_tuple


def map(
    fn: Callable[..., Any],
    sequences: Any,
    non_sequences: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
) -> tuple[Any, OrderedUpdates]:
    """``fn`` of each row of ``sequences``; the arguments are those of :func:`scan`.

    >>> import croton, croton.tensor as T
    >>> x = T.dmatrix("x")
    >>> croton.map(lambda row: row.sum() ** 2, x)[0].eval({x: [[1.0, 2.0], [3.0, 4.0]]})
    array([ 9., 49.])
    """
    return scan(
        fn, sequences, None, non_sequences, None, truncate_gradient, go_backwards, name=name
    )


def reduce(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
) -> tuple[Any, OrderedUpdates]:
    """What outputs are after the last step of :func:`scan`.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> start = T.constant(1.0, dtype="float64")
    >>> croton.reduce(lambda v, product: v * product, x, start)[0].eval({x: [2.0, 3.0, 4.0]})
    array(24.)
    """
    outputs, updates = scan(
        fn, sequences, outputs_info, non_sequences, go_backwards=go_backwards, name=name
    )
    last = [v[-1] for v in outputs] if isinstance(outputs, list) else outputs[-1]
    return last, updates


def foldl(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Any = None,
    name: str | None = None,
) -> tuple[Any, OrderedUpdates]:
    """:func:`reduce` from the first row to the last.

    >>> import croton, croton.tensor as T
    >>> start = T.constant(0.0, dtype="float64")
    >>> x = T.constant([1.0, 2.0, 3.0])
    >>> croton.foldl(lambda v, total: total / 2 + v, x, start)[0].eval()
    array(4.25)
    """
    return reduce(fn, sequences, outputs_info, non_sequences, False, name=name)


def foldr(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Any = None,
    name: str | None = None,
) -> tuple[Any, OrderedUpdates]:
    """:func:`reduce` from the last row to the first.

    >>> import croton, croton.tensor as T
    >>> start = T.constant(0.0, dtype="float64")
    >>> x = T.constant([1.0, 2.0, 3.0])
    >>> croton.foldr(lambda v, total: total / 2 + v, x, start)[0].eval()
    array(2.75)
    """
    return reduce(fn, sequences, outputs_info, non_sequences, True, name=name)


def scan_checkpoints(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    name: str = "checkpointscan_fn",
    n_steps: Any = None,
    save_every_N: int = 10,
    padding: bool = True,
) -> tuple[Any, OrderedUpdates]:
    """:func:`scan` whose gradient keeps states of every ``save_every_N``-th step only.

    The steps between are computed again on the way back.  Outputs are what they are after the
    last step, in one row.  States are what they were a step ago (no other taps); the number of
    steps need not be a multiple of ``save_every_N``, and ``padding``, which Theano had for that,
    means nothing.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> start = T.constant(0.0, dtype="float64")
    >>> last, _ = croton.scan_checkpoints(lambda v, h: T.tanh(v + h), x, start, save_every_N=2)
    >>> last.eval({x: [1.0, 2.0, 3.0]}).shape
    (1,)
    """
    if not isinstance(save_every_N, int | np.integer) or save_every_N < 1:
        raise ValueError(f"save_every_N is a number of steps, got {save_every_N!r}")
    given = [as_tensor_variable(x) for x in as_list(sequences)]
    if n_steps is None:
        if not given:
            raise ValueError("scan_checkpoints needs n_steps, or a sequence to go through")
        n_steps = given[0].shape[0]
        for x in given[1:]:
            n_steps = minimum(n_steps, x.shape[0])
    n_steps = as_tensor_variable(n_steps).astype("int64")
    chunks = (n_steps + (save_every_N - 1)) // save_every_N

    def chunk(first: Any, *rest: Any) -> Any:
        rows, states = rest[: len(given)], list(rest[len(given) :])
        before = [None if info is None else states.pop(0) for info in as_list(outputs_info)]
        steps = minimum(n_steps - first, save_every_N)
        found, updates = scan(
            fn, list(rows), before, non_sequences, steps, name=name, return_list=True
        )
        return [v[-1] for v in found], updates

    found, updates = repeat(
        chunk,
        [arange(chunks) * save_every_N, *(_in_chunks(x, chunks, save_every_N) for x in given)],
        outputs_info, None, chunks, -1, False, name, False, True, "recompute",
    )  # fmt: skip
    last = [v[-1:] for v in found]
    return last if len(last) != 1 else last[0], updates


def _in_chunks(x: Any, chunks: Any, size: int) -> Any:
    """The rows of ``x`` in ``chunks`` groups of ``size``, with zeros behind the last one."""
    sizes = shape_tuple(x)
    whole = chunks * size
    missing = whole - minimum(sizes[0], whole)
    filled = join(0, x[:whole], zeros((missing, *sizes[1:]), x.type.dtype))
    return reshape(filled, (chunks, size, *sizes[1:]))
