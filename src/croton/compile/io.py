"""In and Out: inputs and outputs of a function with more said about them."""

from __future__ import annotations

from typing import Any

from croton.graph.variable import Variable


class In:
    """An input of a function.

    ``value``: the default.  ``update``: an expression whose value becomes the
    next default (the function keeps it; see ``f[name]``).  ``name``: for
    keyword arguments.  ``strict``: no conversion; ``allow_downcast``: allow
    (or forbid) a loss of precision.  ``borrow`` and ``mutable``: the function
    never changes an argument, so both change nothing.

    >>> import croton, croton.tensor as T
    >>> x, n = T.dscalars("x n")
    >>> f = croton.function([x, croton.In(n, value=2.0)], x * n)
    >>> f(3.0), f(3.0, n=3.0)
    (array(6.), array(9.))
    """

    def __init__(
        self,
        variable: Any,
        name: str | None = None,
        value: Any = None,
        update: Any = None,
        mutable: bool = False,
        borrow: bool = False,
        strict: bool = False,
        allow_downcast: bool | None = None,
        autoname: bool = True,
        implicit: bool | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"In() has no argument {', '.join(map(repr, unknown))}")
        if not isinstance(variable, Variable):
            raise TypeError(f"In() takes a symbolic variable, got {variable!r}")
        self.variable: Any = variable
        self.name = name if name is not None else (variable.name if autoname else None)
        self.value = value
        self.update = update
        self.mutable = mutable
        self.borrow = borrow
        self.strict = strict
        self.allow_downcast = allow_downcast
        self.implicit = implicit

    def __repr__(self) -> str:
        return f"In({self.variable})"


class Param(In):
    """Theano's older name for :class:`In`, with ``default`` for ``value``.

    >>> import croton, croton.tensor as T
    >>> x = T.dscalar("x")
    >>> croton.function([croton.Param(x, default=4.0)], x + 1)()
    array(5.)
    """

    def __init__(self, variable: Any, default: Any = None, name: str | None = None, **kwargs: Any):
        super().__init__(variable, name=name, value=default, **kwargs)


class Out:
    """An output of a function.

    ``borrow``: where the output is a shared variable's value, hand out its own
    memory, which later calls may change, instead of a copy.

    >>> import croton, croton.tensor as T
    >>> w = croton.shared([1.0, 2.0])
    >>> croton.function([], croton.Out(w, borrow=True))()
    array([1., 2.])
    """

    def __init__(self, variable: Any, borrow: bool = False) -> None:
        self.variable = variable
        self.borrow = borrow

    def __repr__(self) -> str:
        return f"Out({self.variable})"
