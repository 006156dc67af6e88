"""Random streams: what a user draws from; every draw advances by itself in every call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from croton.tensor.random import distributions
from croton.tensor.random.bits import STATE
from croton.tensor.variable import TensorSharedVariable

_MASK = 2**64 - 1


def _mix(z: int) -> int:
    # The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)


class Keys:
    """The keys that follow from ``seed`` (an int, ints, or None: different every time)."""

    def __init__(self, seed: Any) -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        self.state = 0
        for part in seed if isinstance(seed, Sequence | np.ndarray) else [seed]:
            if not isinstance(part, int | np.integer):
                raise TypeError(f"a seed is an integer, a sequence of them or None, got {seed!r}")
            mixed = (self.state ^ _mix(int(part) & _MASK)) + 0x9E3779B97F4A7C15
            self.state = _mix(mixed & _MASK)

    def next(self) -> int:
        """The next key."""
        self.state = self.state + 0x9E3779B97F4A7C15 & _MASK
        return _mix(self.state)


class RandomStreams:
    """Symbolic random numbers from a seed: each method call is one stream of draws.

    A function that uses a draw gets new numbers in every call.  The same seed and
    the same order of draws give the same numbers on every machine.

    >>> import croton
    >>> from croton.tensor.shared_randomstreams import RandomStreams
    >>> f = croton.function([], RandomStreams(seed=1).uniform((2,)))
    >>> bool((f() == f()).any())
    False

    ``state_updates`` lists each stream's state (a shared variable of its key and
    the number of draws) with the expression that advances it.
    """

    open_ends = False

    def __init__(self, seed: Any = None) -> None:
        self.default_instance_seed = seed
        self.state_updates: list[tuple[Any, Any]] = []
        self._keys = Keys(seed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seed={self.default_instance_seed!r})"

    def _state(self) -> Any:
        """A new stream's state."""
        state = TensorSharedVariable(STATE, np.array([self._keys.next(), 0], np.uint64))
        state.name = f"random state {len(self.state_updates)}"
        advanced = state + np.array([0, 1], np.uint64)
        state.default_update = advanced
        self.state_updates.append((state, advanced))
        return state

    def seed(self, seed: Any = None) -> None:
        """Start all streams again from ``seed`` (None: from the one given at first).

        >>> from croton.tensor.random import RandomStreams
        >>> import croton
        >>> streams = RandomStreams(1)
        >>> f = croton.function([], streams.uniform())
        >>> first = f()
        >>> streams.seed(1)
        >>> bool(f() == first)
        True
        """
        self._keys = Keys(self.default_instance_seed if seed is None else seed)
        for state, _ in self.state_updates:
            state.set_value(np.array([self._keys.next(), 0], np.uint64))

    def updates(self) -> list[tuple[Any, Any]]:
        """Pairs of a state and its next value; functions apply them by themselves."""
        return list(self.state_updates)

    def _draw(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        before, key = len(self.state_updates), self._keys.state
        try:
            return function(self._state(), *args, **kwargs)
        except Exception:
            # A call that failed leaves no stream behind, and those that follow keep theirs.
            del self.state_updates[before:]
            self._keys.state = key
            raise

    def uniform(
        self,
        size: Any = None,
        low: Any = 0.0,
        high: Any = 1.0,
        ndim: int | None = None,
        dtype: Any = None,
        nstreams: Any = None,
    ) -> Any:
        """Uniform in [low, high); ``dtype`` defaults to ``floatX`` and the bounds' together.

        The bounds broadcast to ``size`` (None: their shape).

        >>> from croton.tensor.random import RandomStreams
        >>> u = RandomStreams(1).uniform((2, 3), low=5, high=6)
        >>> u.type.shape, bool((u.eval() >= 5).all())
        ((2, 3), True)
        """
        return self._draw(
            distributions.uniform, size, low, high, ndim, dtype, open_ends=self.open_ends
        )

    def normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: int | None = None,
        dtype: Any = None,
        nstreams: Any = None,
    ) -> Any:
        """Normal with mean ``avg`` and standard deviation ``std``.

        ``avg`` and ``std`` broadcast to ``size`` (None: their shape).

        >>> from croton.tensor.random import RandomStreams
        >>> RandomStreams(1).normal((3,), avg=[1.0, 2.0, 3.0], std=0.0).eval()
        array([1., 2., 3.])
        """
        return self._draw(distributions.normal, size, avg, std, ndim, dtype)

    def binomial(
        self,
        size: Any = None,
        n: Any = 1,
        p: Any = 0.5,
        ndim: int | None = None,
        dtype: Any = "int64",
        nstreams: Any = None,
        prob: Any = None,
    ) -> Any:
        """How many of ``n`` events of probability ``p`` happen (n = 1: 0 or 1).

        >>> from croton.tensor.random import RandomStreams
        >>> RandomStreams(1).binomial((3,), n=4, p=1.0).eval()
        array([4, 4, 4])
        """
        p = p if prob is None else prob
        return self._draw(distributions.binomial, size, n, p, ndim, dtype)

    def multinomial(
        self,
        size: Any = None,
        n: Any = 1,
        pvals: Any = (0.5, 0.5),
        ndim: int | None = None,
        dtype: Any = "int64",
        nstreams: Any = None,
    ) -> Any:
        """How often each position comes up in ``n`` draws with probabilities ``pvals``.

        ``pvals``: (..., k) gives counts of the same shape after ``size``; they sum to ``n``.

        >>> from croton.tensor.random import RandomStreams
        >>> RandomStreams(1).multinomial(n=5, pvals=[[0.0, 1.0], [1.0, 0.0]]).eval()
        array([[0, 5],
               [5, 0]])
        """
        return self._draw(distributions.multinomial, size, n, pvals, ndim, dtype)

    def random_integers(
        self,
        size: Any = None,
        low: Any = 0,
        high: Any = 1,
        ndim: int | None = None,
        dtype: Any = "int64",
    ) -> Any:
        """Integers from ``low`` to ``high``, both included.

        >>> from croton.tensor.random import RandomStreams
        >>> RandomStreams(1).random_integers((2,), low=7, high=7).eval()
        array([7, 7])
        """
        return self._draw(distributions.random_integers, size, low, high, ndim, dtype)

    def choice(
        self,
        size: Any = None,
        a: Any = 2,
        replace: bool = True,
        p: Any = None,
        ndim: int | None = None,
        dtype: Any = "int64",
        nstreams: Any = None,
    ) -> Any:
        """Elements of ``a`` (a number: of ``arange(a)``), with probabilities ``p``.

        >>> from croton.tensor.random import RandomStreams
        >>> RandomStreams(1).choice((2,), a=5, p=[0.0, 0.0, 0.0, 1.0, 0.0]).eval()
        array([3, 3])
        """
        return self._draw(distributions.choice, size, a, replace, p, ndim, dtype)

    def permutation(
        self, size: Any = None, n: Any = 1, ndim: int | None = None, dtype: Any = "int64"
    ) -> Any:
        """The numbers of 0 ... n - 1 in random order, in rows of the given sizes.

        >>> from croton.tensor.random import RandomStreams
        >>> sorted(RandomStreams(1).permutation(n=4).eval().tolist())
        [0, 1, 2, 3]
        """
        return self._draw(distributions.permutation, size, n, ndim, dtype)

    def shuffle_row_elements(self, input: Any) -> Any:
        """``input`` with the elements along its last dimension in random order, row by row.

        >>> from croton.tensor.random import RandomStreams
        >>> sorted(RandomStreams(1).shuffle_row_elements([3, 1, 2]).eval().tolist())
        [1, 2, 3]
        """
        return self._draw(distributions.shuffle_row_elements, input)

    def poisson(
        self, size: Any = None, lam: Any = 1.0, ndim: int | None = None, dtype: Any = "int64"
    ) -> Any:
        """How many events happen, of which ``lam`` are expected.

        >>> from croton.tensor.random import RandomStreams
        >>> RandomStreams(1).poisson((3,), lam=0.0).eval()
        array([0, 0, 0])
        """
        return self._draw(distributions.poisson, size, lam, ndim, dtype)

    def truncated_normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: int | None = None,
        dtype: Any = None,
        nstreams: Any = None,
    ) -> Any:
        """Normal within two standard deviations of the mean.

        >>> from croton.tensor.random import RandomStreams
        >>> z = RandomStreams(1).truncated_normal((100,)).eval()
        >>> bool((abs(z) <= 2).all())
        True
        """
        return self._draw(distributions.truncated_normal, size, avg, std, ndim, dtype)


class MRG_RandomStreams(RandomStreams):
    """:class:`RandomStreams` under the name of Theano's other generator.

    As there, uniform numbers never are 0 or 1, so that their logarithm is finite.

    >>> from croton.tensor.random import MRG_RandomStreams
    >>> MRG_RandomStreams(7).uniform((2, 3)).type.shape
    (2, 3)
    """

    open_ends = True

    def __init__(self, seed: Any = 12345, use_cuda: Any = None) -> None:
        super().__init__(seed)

    def set_rstate(self, seed: Any) -> None:
        """Theano's name for :meth:`seed`."""
        self.seed(seed)

    def multinomial_wo_replacement(
        self,
        size: Any = None,
        n: Any = 1,
        pvals: Any = None,
        ndim: int | None = None,
        dtype: Any = "int64",
        nstreams: Any = None,
    ) -> Any:
        """In each row ``n`` different positions, with the probabilities ``pvals``."""
        return self._draw(distributions.choice, n, 2, False, pvals, None, dtype)
