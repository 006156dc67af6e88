"""Theano's place for :class:`croton.tensor.random.RandomStreams`."""

from croton.tensor.random.streams import RandomStreams

__all__ = ["RandomStreams"]
