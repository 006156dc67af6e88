"""Old programs: the ``theano`` module tree as names of ours, and Python 2 sources."""


def install_as_theano() -> None:
    pass
