"""Python 2 sources, run by Python 3.

A source goes through three steps, each of which keeps every line where it was:

- :mod:`~croton.compat.python2.syntax` rewrites what Python 3 cannot parse (``print x``,
  ``except E, e``, ``0777``, ...), as text;
- :mod:`~croton.compat.python2.meaning` rewrites what Python 3 understands differently
  (``/``, ``d.keys()``, ``__metaclass__``, ...), in the syntax tree, as calls of
  :mod:`~croton.compat.python2.operations`;
- the code runs with the built-in names and the modules of Python 2
  (:mod:`~croton.compat.python2.names`, :mod:`~croton.compat.python2.modules`).

Text and bytes are not merged again: a string is text, as in Python 3.
"""
