"""Symbolic sizes in a normal form, so that equal ones are known to be equal.

A :class:`Size` is a polynomial with integer coefficients over *atoms*: the
dimensions of the arguments, and results of operations that polynomials do not
have (division, minimum, a value read from an integer scalar).

A long sum is not multiplied out but stands as a factor: each layer of a network may add
terms to the sizes before it, and the number of elements of an image would have as many
terms as the square of the depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from croton.graph.apply import Apply
from croton.graph.variable import Constant, Variable
from croton.kernel.nodes import Const, Expr, Op, Var
from croton.runtime.program import OPERATIONS, Question
from croton.tensor.elementwise import Elemwise
from croton.tensor.shapes import MakeVector, Shape_i, shape_i
from croton.tensor.type import TensorType

#: The factors of a product: atoms by their numbers, and long sums.
Monomial = tuple["int | Size", ...]
#: Sums with more terms, of dimensions and of products, are factors as they are.
_LONG, _LONG_OF_PRODUCTS = 4, 64


class Size:
    """An integer that is known up to the values of atoms; compares by value.

    ``value`` is the number, if it is known.
    """

    __slots__ = ("_hash", "terms", "value")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self.value: int | None = None
        if not terms:
            self.value = 0
        elif not terms[0][0] and len(terms) == 1:
            self.value = terms[0][1]

    @staticmethod
    def of(value: int) -> Size:
        """A known size."""
        return _SMALL[value] if 0 <= value < 64 else Size((((), value),) if value else ())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Size) and self.terms == other.terms)

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Size) -> Size:
        if not self.terms:
            return other
        if not other.terms:
            return self
        if self.value is not None and other.value is not None:
            return Size.of(self.value + other.value)
        total = dict(self.terms)
        for monomial, c in other.terms:
            total[monomial] = total.get(monomial, 0) + c
        return _collect(total)

    def __neg__(self) -> Size:
        return Size(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Size) -> Size:
        return self + (-other)

    def __lt__(self, other: Size | int) -> bool:
        # Atoms come first, then sums.
        return isinstance(other, Size) and self.terms < other.terms

    def __gt__(self, other: Size | int) -> bool:
        return not isinstance(other, Size) or self.terms > other.terms

    def __mul__(self, other: Size) -> Size:
        if self.value is not None:
            return other._times(self.value)
        if other.value is not None:
            return self._times(other.value)
        a, b = self._as_factor(), other._as_factor()
        total: dict[Monomial, int] = {}
        for m, c in a.terms:
            for n, d in b.terms:
                key = tuple(sorted(m + n))
                total[key] = total.get(key, 0) + c * d
        return _collect(total)

    def _times(self, number: int) -> Size:
        if self.value is not None:
            return Size.of(self.value * number)
        if number in (0, 1):
            return self if number else ZERO
        return Size(tuple((m, c * number) for m, c in self.terms))

    def _as_factor(self) -> Size:
        """A long sum as one term: a number times the sum divided by it."""
        if len(self.terms) <= _LONG:
            return self
        if len(self.terms) <= _LONG_OF_PRODUCTS and any(len(m) > 1 for m, _ in self.terms):
            return self
        common = math.gcd(*(c for _, c in self.terms))
        common = common if self.terms[0][1] > 0 else -common
        sum_ = Size(tuple((m, c // common) for m, c in self.terms))
        return Size((((sum_,), common),))

    def divided_by(self, other: Size) -> Size | None:
        """The exact quotient, where one term divides every other, or a long sum; else None."""
        if len(other.terms) != 1:
            if self == other and self.terms:
                return ONE
            self, other = self._as_factor(), other._as_factor()
            if len(other.terms) != 1:
                return None
        (divisor, d) = other.terms[0]
        result: dict[Monomial, int] = {}
        for m, c in self.terms:
            if c % d:
                return None
            rest = list(m)
            for atom in divisor:
                if atom not in rest:
                    return None
                rest.remove(atom)
            result[tuple(rest)] = c // d
        return _collect(result)

    def __repr__(self) -> str:
        return " + ".join("*".join([str(c), *map(_shown, m)]) for m, c in self.terms) or "0"


def _shown(factor: int | Size) -> str:
    return f"({factor})" if isinstance(factor, Size) else f"a{factor}"


def _collect(total: dict[Monomial, int]) -> Size:
    terms = sorted((m, c) for m, c in total.items() if c)
    if len(terms) == 1:
        ((monomial, c),) = terms
        if len(monomial) == 1 and isinstance(monomial[0], Size):
            # A sum that nothing multiplies any more.
            terms = [(m, c * d) for m, d in monomial[0].terms]
    return Size(tuple(terms))


_SMALL = [Size((((), v),) if v else ()) for v in range(64)]
ONE, ZERO = Size.of(1), Size.of(0)


def product(sizes: Sequence[Size]) -> Size:
    """The product."""
    result = ONE
    for s in sizes:
        result = result * s
    return result


class Atom:
    """What a polynomial is made of.

    ``kind`` is ``"dimension"`` (``what`` is (variable, axis)), ``"value"``
    (``what`` is a 0-d integer variable), ``"answer"`` (``what`` is a question; ``args`` are
    whether it is asked, and what it is about) or the name of an operation on ``args``.
    """

    __slots__ = ("args", "kind", "what")

    def __init__(self, kind: str, what: Any = None, args: tuple[Size, ...] = ()) -> None:
        self.kind = kind
        self.what = what
        self.args = args


_OPERATIONS = {
    "int_div": "floordiv",
    "mod": "mod",
    "minimum": "minimum",
    "maximum": "maximum",
    "eq": "eq",
    "ne": "ne",
    "lt": "lt",
    "le": "le",
    "abs": "abs",
    "switch": "select",
}


class Sizes:
    """The sizes of one program: from graph variables to normal forms."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._keys: dict[Any, int] = {}
        self._of: dict[Variable, Size] = {}
        self._shapes: dict[Variable, tuple[Size, ...]] = {}
        self._by_node: dict[Apply, Any] = {}
        self._hosts: dict[Variable, bool] = {}
        #: Dimensions that another one, or a number, stands for (see ``unify``).
        self.equal: dict[tuple[Variable, int], Any] = {}
        #: Plans, and what their amounts are for some sizes (see ``products.amounts``).
        self.amounts: dict[Any, tuple[Any, dict[int, Size | int]]] = {}
        #: What is a number, though it is not seen to be one (see ``take``).
        self._numbers: dict[Size, Size] = {}

    def take(self, values: Sequence[tuple[Variable, int]]) -> None:
        """Take each integer variable of ``values`` to be that number wherever it is a size."""
        for v, number in values:
            size = self.of(v)
            if size.value is None:
                self._numbers[size] = Size.of(number)
        self._of.clear()
        self._shapes.clear()

    def _atom(self, key: Any, make: Callable[[], Atom]) -> Size:
        number = self._keys.get(key)
        if number is None:
            number = self._keys[key] = len(self.atoms)
            self.atoms.append(make())
        return Size((((number,), 1),))

    def operation(self, name: str, *args: Size) -> Size:
        """The result of an operation (see ``runtime.program.Compute``)."""
        values = [a.value for a in args]
        if None not in values:
            return Size.of(OPERATIONS[name](*values))
        if name in ("minimum", "maximum") and args[0] == args[1]:
            return args[0]
        if name == "eq" and args[0] == args[1]:
            return ONE
        if name == "maximum" and self.never_negative(args[0]) and args[1] == ZERO:
            return args[0]
        if name == "maximum" and self.never_negative(args[1]) and args[0] == ZERO:
            return args[1]
        if name in ("floordiv", "ceildiv"):
            exact = args[0].divided_by(args[1])
            if exact is not None:
                return exact
        if name == "select" and values[0] is not None:
            return args[1] if values[0] else args[2]
        if name == "and" and 0 in values:
            return ZERO
        if name == "or" and any(values):
            return ONE
        return self._atom((name, args), lambda: Atom(name, args=args))

    def opaque(self, name: str, *args: Size) -> Size:
        """The result of ``add``, ``sub`` or ``mul``, not multiplied out."""
        return self._atom((name, args), lambda: Atom(name, args=args))

    def answer(self, question: Question, when: Size, about: Sequence[Size]) -> Size:
        """The answer to ``question`` about sizes; 0 where ``when`` is."""
        if when == ZERO:
            return ZERO
        args = (when, *about)
        return self._atom(("answer", question, args), lambda: Atom("answer", question, args=args))

    def never_negative(self, size: Size) -> bool:
        """Whether ``size`` can be seen not to be negative."""
        return all(
            c > 0
            and all(
                self.never_negative(a) if isinstance(a, Size) else self.atoms[a].kind == "dimension"
                for a in m
            )
            for m, c in size.terms
        )

    def dimension(self, v: Variable, axis: int) -> Size:
        """Dimension ``axis`` of an argument, or of the result of a Python op."""
        same = self.equal.get((v, axis))
        if same is not None:
            if isinstance(same, int):
                return Size.of(same)
            v, axis = same
        return self._atom(("dimension", v, axis), lambda: Atom("dimension", (v, axis)))

    def learn(self, order: Sequence[Apply]) -> None:
        """Find the sizes of everything that ``order`` computes, inputs first, without recursion."""
        for node in order:
            for v in node.outputs:
                if not isinstance(v.type, TensorType):
                    continue
                self.is_host(v)
                if v.type.ndim:
                    self.shape(v)

    def of(self, v: Variable) -> Size:
        """An integer 0-d variable as a size."""
        found = self._of.get(v)
        if found is None:
            found = self._of[v] = self._make(v)
        return found

    def is_host(self, v: Variable) -> bool:
        """Whether ``v`` is computed from sizes and integer arguments alone."""
        found = self._hosts.get(v)
        if found is None:
            found = self._hosts[v] = self._find_host(v)
        return found

    def _find_host(self, v: Variable) -> bool:
        if not isinstance(v.type, TensorType) or v.type.ndim or v.type.dtype != "int64":
            return False
        if isinstance(v, Constant):
            return True
        owner = v.owner
        if owner is None:
            return True
        if isinstance(owner.op, Shape_i):
            return True
        if isinstance(owner.op, Elemwise):
            name = owner.op.name
            if name == "Cast{int64}":
                (inner,) = owner.inputs
                if inner.owner is None:
                    dtype: str = inner.type.dtype  # type: ignore[attr-defined]
                    return dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32", "bool")
                return self._is_condition(inner)
            if name == "switch":
                return self._is_condition(owner.inputs[0]) and all(
                    self.is_host(u) for u in owner.inputs[1:]
                )
            if name in _OPERATIONS or name in ("add", "sub", "mul", "neg", "identity", "sqr"):
                return all(self._is_small(u) for u in owner.inputs)
        return False

    def _is_small(self, v: Variable) -> bool:
        # Constants of narrower integers stand beside int64 in expressions.
        if isinstance(v, Constant):
            return v.type.ndim == 0 and np.asarray(v.data).dtype.kind in "iub"  # type: ignore[attr-defined]
        return self.is_host(v)

    def _is_condition(self, v: Variable) -> bool:
        if isinstance(v, Constant):
            return v.type.ndim == 0  # type: ignore[attr-defined, no-any-return]
        return (
            v.owner is not None
            and isinstance(v.owner.op, Elemwise)
            and v.owner.op.name in ("eq", "ne", "lt", "le", "gt", "ge")
            and all(self._is_small(u) for u in v.owner.inputs)
        )

    def _make(self, v: Variable) -> Size:
        if isinstance(v, Constant):
            return Size.of(int(np.asarray(v.data)))
        owner = v.owner
        if owner is not None and isinstance(owner.op, Shape_i):
            return self.shape(owner.inputs[0])[owner.op.i]
        if owner is not None and isinstance(owner.op, Elemwise) and _is_integer(owner):
            # Down to what is no arithmetic any more: equal sizes have equal atoms.
            name = owner.op.name
            args = [self.of(u) for u in owner.inputs]
            if name == "add":
                return args[0] + args[1]
            if name == "sub":
                return args[0] - args[1]
            if name == "mul":
                return args[0] * args[1]
            if name == "sqr":
                return args[0] * args[0]
            if name == "neg":
                return -args[0]
            if name in ("identity", "Cast{int64}"):
                return args[0]
            if name in ("gt", "ge"):
                return self.operation({"gt": "lt", "ge": "le"}[name], args[1], args[0])
            return self.operation(_OPERATIONS[name], *args)
        return self._atom(("value", v), lambda: Atom("value", v))

    def atoms_in(self, sizes: Sequence[Size]) -> Iterator[Atom]:
        """The atoms that ``sizes`` are made of, and what those are made of; some more than once."""
        stack = list(sizes)
        while stack:
            for monomial, _ in stack.pop().terms:
                for factor in monomial:
                    if isinstance(factor, Size):
                        stack.append(factor)
                        continue
                    atom = self.atoms[factor]
                    yield atom
                    stack.extend(atom.args)

    def values_in(self, sizes: Sequence[Size]) -> set[Variable]:
        """The variables that must be read from memory to know ``sizes``."""
        return {atom.what for atom in self.atoms_in(sizes) if atom.kind == "value"}

    def shape(self, v: Variable) -> tuple[Size, ...]:
        """The sizes of a tensor."""
        found = self._shapes.get(v)
        if found is not None:
            return found
        static = np.shape(v.data) if isinstance(v, Constant) else v.type.shape  # type: ignore[attr-defined]
        if None not in static:
            result = tuple(Size.of(d) for d in static)
        else:
            given = None
            if v.owner is not None:
                inferred = self._inferred(v.owner)
                if inferred is not None:
                    given = inferred[v.index or 0]
            if given is None:
                result = tuple(
                    Size.of(d) if d is not None else self.dimension(v, axis)
                    for axis, d in enumerate(static)
                )
            else:
                result = tuple(
                    Size.of(d)
                    if d is not None
                    # What only running it tells.
                    else self.dimension(v, axis)
                    if g is None
                    else self.of(g)
                    for axis, (d, g) in enumerate(zip(static, given, strict=True))
                )
        if self._numbers:
            result = tuple(self._numbers.get(size, size) for size in result)
        self._shapes[v] = result
        return result

    def _inferred(self, node: Apply) -> Any:
        """What an application says of the sizes of all its outputs."""
        if node not in self._by_node:
            shapes = [ShapeOf(u) if isinstance(u.type, TensorType) else None for u in node.inputs]
            found = node.op.infer_shape(node, shapes)
            if len(node.outputs) == 1:
                return found
            self._by_node[node] = found
        return self._by_node[node]

    def affine(
        self, e: Expr, loops: dict[str, int], params: dict[str, Size]
    ) -> tuple[dict[int, Size], Size] | None:
        """``e`` as coefficients of the loop variables and a rest; None if it is not affine."""
        if isinstance(e, Const):
            return {}, Size.of(int(e.value))
        if isinstance(e, Var):
            if e.name in loops:
                return {loops[e.name]: ONE}, ZERO
            size = params.get(e.name)
            return None if size is None else ({}, size)
        if isinstance(e, Op) and e.name in ("add", "sub", "mul"):
            a = self.affine(e.args[0], loops, params)
            b = self.affine(e.args[1], loops, params)
            if a is None or b is None:
                return None
            if e.name == "mul":
                if a[0] and b[0]:
                    return None
                if a[0]:
                    a, b = b, a
                return {k: c * a[1] for k, c in b[0].items()}, a[1] * b[1]
            if e.name == "sub":
                b = {k: -c for k, c in b[0].items()}, -b[1]
            total = dict(a[0])
            for k, c in b[0].items():
                total[k] = total[k] + c if k in total else c
            return {k: c for k, c in total.items() if c != ZERO}, a[1] + b[1]
        return None


_ARITHMETIC = frozenset(
    (*_OPERATIONS, "gt", "ge", "add", "sub", "mul", "neg", "sqr", "identity", "Cast{int64}")
)


def _is_integer(node: Any) -> bool:
    """Whether an elementwise application is arithmetic of integer scalars that sizes know."""
    if node.op.name not in _ARITHMETIC or node.outputs[0].type.dtype not in ("int64", "bool"):
        return False
    return all(
        v.type.ndim == 0 and np.dtype(v.type.dtype).kind in "iub" and v.type.dtype != "uint64"
        for v in node.inputs
    )


class ShapeOf:
    """The sizes of a variable as graph scalars, made when asked for."""

    __slots__ = ("_v",)

    def __init__(self, v: Any) -> None:
        self._v = v

    def __len__(self) -> int:
        return self._v.type.ndim  # type: ignore[no-any-return]

    def __getitem__(self, key: Any) -> Any:
        ndim = self._v.type.ndim
        if isinstance(key, slice):
            return tuple(shape_i(self._v, d) for d in range(*key.indices(ndim)))
        if not -ndim <= key < ndim:
            raise IndexError(key)
        return shape_i(self._v, key % ndim)

    def __iter__(self) -> Any:
        return iter(self[:])


def is_vector_of_sizes(v: Variable) -> bool:
    """Whether ``v`` only lists sizes (the result of ``x.shape``)."""
    return v.owner is not None and isinstance(v.owner.op, MakeVector)
