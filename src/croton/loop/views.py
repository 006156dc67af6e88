"""Loops of a special form: map, reduce, fold, and loops that keep little for their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from croton.loop.calling import place
from croton.loop.given import as_list, tensor
from croton.loop.returned import take_apart, until
from croton.loop.scanning import as_steps, begun, repeat, scan
from croton.loop.updates import OrderedUpdates
from croton.tensor.convert import constant
from croton.tensor.creation import arange, zeros
from croton.tensor.elementwise import lt, minimum, switch
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
    >>> croton.reduce(lambda v, product: v * product, x, 1)[0].eval({x: [2.0, 3.0, 4.0]})
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
    >>> x = T.constant([1.0, 2.0, 3.0])
    >>> croton.foldl(lambda v, total: total / 2 + v, x, 0)[0].eval()
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
    >>> x = T.constant([1.0, 2.0, 3.0])
    >>> croton.foldr(lambda v, total: total / 2 + v, x, 0)[0].eval()
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
    last step (that which ends the loop by :class:`until`, if it is returned), in one row.  States
    are what they were a step ago (no other taps); the number of steps need not be a multiple of
    ``save_every_N``, and ``padding``, which Theano had for that, means nothing.

    >>> import croton, croton.tensor as T
    >>> x = T.dvector("x")
    >>> last, _ = croton.scan_checkpoints(lambda v, h: T.tanh(v + h), x, 0, save_every_N=2)
    >>> last.eval({x: [1.0, 2.0, 3.0]}).shape
    (1,)
    """
    if not callable(fn):
        raise TypeError(f"scan_checkpoints takes a function of one step, got {fn!r}")
    if not isinstance(save_every_N, int | np.integer) or save_every_N < 1:
        raise ValueError(f"save_every_N is a number of steps, got {save_every_N!r}")
    given = [_without_taps(x, k) for k, x in enumerate(as_list(sequences))]
    infos = [_last_step(info, k) for k, info in enumerate(as_list(outputs_info))]
    steps, turned = as_steps(n_steps)
    if turned:
        raise ValueError(f"scan_checkpoints goes forwards, n_steps is {n_steps}")
    if steps is None:
        if not given:
            raise ValueError("scan_checkpoints needs n_steps, or a sequence to go through")
        steps = given[0].shape[0]
        for x in given[1:]:
            steps = minimum(steps, x.shape[0])
    steps = steps.astype("int64")
    infos = begun(fn, given, infos, non_sequences)
    chunks = switch(lt(steps, 0), steps, (steps + (save_every_N - 1)) // save_every_N)
    ends: list[bool] = []

    @wraps(fn)
    def step(*rows: Any) -> Any:
        returned = take_apart(fn(*rows), place(fn))
        condition = returned.condition
        ends[:] = [condition is not None]
        found = constant(False) if condition is None else condition.boolean
        results = ([*returned.outputs, found], returned.updates)
        return results if condition is None else (*results, condition)

    def chunk(first: Any, *rest: Any) -> Any:
        rows, states = rest[: len(given)], list(rest[len(given) :])
        before = [None if info is None else states.pop(0) for info in infos]
        fewer = minimum(steps - first, save_every_N)
        found, updates = scan(
            step, list(rows), [*before, None] if before else None, non_sequences, fewer,
            name=name, return_list=True,
        )  # fmt: skip
        *last, ended = [v[-1] for v in found]
        return (last, updates, until(ended)) if ends[0] else (last, updates)

    grouped = [_in_chunks(x, steps, chunks, save_every_N) for x in given]
    found, updates = repeat(
        chunk, [arange(chunks) * save_every_N, *grouped], infos or None, None, chunks, -1,
        False, name, False, True, "recompute",
    )  # fmt: skip
    last = [v[-1:] for v in found]
    return last if len(last) != 1 else last[0], updates


def _without_taps(x: Any, number: int) -> Any:
    if isinstance(x, Mapping):
        if set(x) - {"input", "taps"} or x.get("taps") not in (None, 0, [0], (0,)):
            raise ValueError(f"scan_checkpoints takes sequences without taps, got {dict(x)}")
        x = x.get("input")
    return tensor(x, f"sequence {number}")


def _last_step(info: Any, number: int) -> Any:
    if isinstance(info, Mapping) and info.get("taps") not in (None, -1, [-1], (-1,)):
        raise ValueError(
            f"output {number}: scan_checkpoints takes states of the last step alone, got taps "
            f"{info['taps']}"
        )
    return info.get("initial") if isinstance(info, Mapping) else info


def _in_chunks(x: Any, steps: Any, chunks: Any, size: int) -> Any:
    """The first rows of ``x`` in ``chunks`` groups of ``size``, with zeros behind the last one.

    If there are fewer than ``steps``, these are too few for as many groups, which is an error.
    """
    sizes = shape_tuple(x)
    missing = chunks * size - steps
    filled = join(0, x[:steps], zeros((missing, *sizes[1:]), x.type.dtype))
    return reshape(filled, (chunks, size, *sizes[1:]))
