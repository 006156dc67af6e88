"""Old programs: the ``theano`` module tree as names of ours, and Python 2 sources."""

from croton.compat import alias, truth

__all__ = ["install_as_theano"]


def install_as_theano() -> None:
    """Let ``import theano`` find Croton, in this process and from now on.

    ``import theano.tensor as T`` is then ``import croton.tensor as T``, with Theano's other
    modules and names around it, and a variable is true, as it was in Theano.
    """
    alias.install()
    truth.install()
