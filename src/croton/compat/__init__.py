"""Old programs: the ``theano`` module tree as names of ours, and Python 2 sources."""

from croton.compat.alias import install as install_as_theano

__all__ = ["install_as_theano"]
