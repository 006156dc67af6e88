"""SSA values of one function: names, value numbering, expressions.

A pure instruction is known by its text: asking for a text that was emitted
before, in a block that dominates this one, gives its name again.  The table of
texts is a dict used as a stack (insertion order), so leaving a block forgets
what was computed in it.  A load is pure as long as nothing was stored to its
buffer; its key has the buffer's version in it.

A value is the text of an operand: ``%name`` or a literal.  A scalar int64
literal is a Python int, so that index arithmetic folds while it is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from croton.codegen.types import SIZE, constant, memory_type, suffix_of, type_of
from croton.kernel.nodes import Buffer, Const, Expr, KernelError, Load, Op, Var
from croton.kernel.ops import FUNCTIONS, RARE

Value = str | int

#: What a function computes, behind the nodes in it that stand for its arguments.
Expansion = tuple[tuple[Expr, ...], Expr]

#: Where recursion over expressions ends.
_DEEP = 100

#: Renders one operation, given its operands.
Rule = Callable[..., Value]


@cache
def _uniform(name: str, dtype: str, lanes: int, arity: int) -> tuple[str, str, str]:
    """An intrinsic's full name, its type and its declaration."""
    kind, full = type_of(dtype, lanes), f"{name}.{suffix_of(dtype, lanes)}"
    return full, kind, f"declare {kind} @llvm.{full}({', '.join([kind] * arity)})"


_LINEAR = ("add", "sub", "mul")


class Values:
    """Emits the instructions of expressions into ``lines``."""

    def __init__(
        self,
        rules: dict[str, Rule],
        expansions: Callable[[Op], Expansion],
        features: frozenset[str],
    ) -> None:
        self.rules = rules
        self.expansions = expansions
        self.features = features
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self.table: dict[str, str] = {}
        self.environment: dict[str, Value] = {}
        self.parts: dict[Value, tuple[Value, int]] = {}
        self.pointers: dict[str, str] = {}
        #: The variables that hold where cursors begin.
        self.cursors: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        #: Which buffers share memory with which.
        self.aliases: dict[str, set[str]] = {}
        #: Which node holds which value; dropped where names change their meaning.
        self.memo: dict[int, Value] = {}
        #: A choice, given its condition and its usual value; without it, as any other one.
        self.branch: Callable[[Op, Value, Value], Value] | None = None
        #: The arguments of the function that is being expanded.
        self.arguments: tuple[Expr, ...] = ()
        self.names: set[str] = set()
        self.fast = ""
        self._depth = 0
        self._count = 0
        self._version = 0
        self._last = ""

    # -- instructions ------------------------------------------------------------------

    def emit(self, text: str, key: str | None = None) -> str:
        """The name of the value that instruction ``text`` computes."""
        key = key or text
        name = self.table.get(key)
        if name is None:
            self._count += 1
            name = f"%.{self._count}"
            self.lines.append(f"  {name} = {text}")
            self.table[key] = name
            self._last = key
        return name

    def fresh(self, name: str) -> str:
        """An operand name that reads like ``name`` and is not taken."""
        candidate, number = name, 1
        while candidate in self.names:
            candidate = f"{name}.{number}"
            number += 1
        self.names.add(candidate)
        return f"%{candidate}"

    def name_last(self, value: Value, name: str) -> Value:
        """Rename ``value`` if it is the latest instruction and has no name of its own.

        Nor may a variable hold it, which would go on to refer to it by the old name.
        """
        held = self.environment.values()
        if type(value) is str and value.startswith("%.") and value not in held:
            prefix = f"  {value} = "
            line = self.lines[-1]
            if line.startswith(prefix) and self.table.get(self._last) == value:
                renamed = self.fresh(name)
                self.lines[-1] = f"  {renamed} = {line[len(prefix) :]}"
                table = self.table
                # A function's key follows that of the instruction it ends with.
                for key in reversed(table):
                    if table[key] != value:
                        break
                    table[key] = renamed
                return renamed
        return value

    def call(self, dtype: str, lanes: int, name: str, *operands: tuple[str, Value]) -> str:
        """A call of the intrinsic ``llvm.name``; it is declared along the way."""
        result = type_of(dtype, lanes)
        if name not in self.declarations:
            types = ", ".join([t for t, _ in operands])
            self.declarations[name] = f"declare {result} @llvm.{name}({types})"
        arguments = ", ".join([f"{t} {v}" for t, v in operands])
        return self.emit(f"call {result} @llvm.{name}({arguments})")

    def intrinsic(self, name: str, dtype: str, lanes: int, *operands: Value) -> str:
        """An intrinsic whose operands and result have one type."""
        full, kind, declaration = _uniform(name, dtype, lanes, len(operands))
        self.declarations[full] = declaration
        arguments = f", {kind} ".join(map(str, operands))
        return self.emit(f"call {kind} @llvm.{full}({kind} {arguments})")

    # -- expressions -------------------------------------------------------------------

    def value(self, root: Expr) -> Value:
        """The operand that holds ``root``, computed here unless it is known already."""
        memo = self.memo
        known = memo.get(id(root))
        if known is not None:
            return known
        if isinstance(root, Op):
            if root.attrs == RARE and self.branch is not None:
                memo[id(root)] = result = self._rarely(root)
                return result
            if self._depth == _DEEP:
                return self._deep(root)
            self._depth += 1
            operands = [self.value(arg) for arg in root.args]
            self._depth -= 1
            result = self._apply(root, operands)
        elif isinstance(root, Var):
            known = self.environment.get(root.name)
            if known is None:
                raise KernelError(f"the name {root.name!r} is used before it is bound")
            result = known
        elif isinstance(root, Load):
            result = self._load(root)
        elif isinstance(root, Const):
            if root.dtype == "int64" and root.lanes == 1:
                result = int(root.value)
            else:
                result = constant(root.value, root.dtype, root.lanes)
        else:
            raise KernelError(f"not an expression of the kernel language: {root!r}")
        memo[id(root)] = result
        return result

    def _deep(self, root: Op) -> Value:
        """The same without recursion, for what lies below many operations."""
        memo = self.memo
        stack: list[Expr] = [root]
        while stack:
            expr = stack[-1]
            if expr.__class__ is Op and (expr.attrs != RARE or self.branch is None):
                pending = [a for a in expr.args if id(a) not in memo]
                if pending:
                    pending.reverse()
                    stack.extend(pending)
                    continue
                if id(expr) not in memo:
                    memo[id(expr)] = self._apply(expr, [memo[id(a)] for a in expr.args])
            else:
                self.value(expr)
            stack.pop()
        return memo[id(root)]

    def _rarely(self, expr: Op) -> Value:
        """A choice whose second argument is computed only if some lane needs it."""
        assert self.branch is not None
        condition, _, fast = expr.args
        return self.branch(expr, self.value(condition), self.value(fast))

    def apart(self, expr: Expr) -> Value:
        """The value of ``expr``; what is computed for it is known only to it."""
        memo = self.memo
        self.memo = dict(memo)
        result = self.value(expr)
        self.memo = memo
        return result

    def _apply(self, expr: Op, operands: list[Value]) -> Value:
        rule = self.rules.get(expr.name)
        if rule is not None:
            return rule(self, expr, *operands)
        if expr.name in FUNCTIONS:
            return self._function(expr, operands)
        raise KernelError(f"no instruction for the operation {expr.name!r}")

    def _function(self, expr: Op, operands: list[Value]) -> Value:
        key = f"{expr.name} {expr.dtype} {expr.lanes} {operands} {expr.attrs}"
        known = self.table.get(key)
        if known is not None:
            return known
        arguments, expansion = self.expansions(expr)
        memo, fast, outer = self.memo, self.fast, self.arguments
        self.memo = {id(a): v for a, v in zip(arguments, operands, strict=True)}
        self.fast, self.arguments = "", arguments
        result = self.value(expansion)
        self.memo, self.fast, self.arguments = memo, fast, outer
        self.table[key] = result  # type: ignore[assignment]
        return result

    # -- memory ------------------------------------------------------------------------

    def touch(self, buffer: str) -> None:
        """``buffer`` changed: what was loaded from it is no longer known."""
        self._version += 1
        for name in self.aliases.get(buffer, (buffer,)):
            self.versions[name] = self._version

    def alias(self, *buffers: str) -> None:
        """``buffers`` may be names of the same memory."""
        group = set(buffers).union(*(self.aliases.get(name, ()) for name in buffers))
        for name in group:
            self.aliases[name] = group
        self.touch(buffers[0])

    def affine(self, expr: Expr) -> tuple[Value, int]:
        """A scalar int64 as a value (0: none) plus a literal, for addresses that share a base."""
        return self._affine(expr, {})

    def _affine(self, expr: Expr, known: dict[int, tuple[Value, int]]) -> tuple[Value, int]:
        if expr.__class__ is Op and expr.dtype == "int64" and expr.name in _LINEAR:
            # Parts may be shared, and theirs again: each is looked at once.
            found = known.get(id(expr))
            if found is None:
                found = known[id(expr)] = self._linear(expr, known)
            return found
        return self._split(self.value(expr))

    def _split(self, value: Value) -> tuple[Value, int]:
        if type(value) is int:
            return 0, value
        return self.parts.get(value, (value, 0))

    def _linear(self, expr: Op, known: dict[int, tuple[Value, int]]) -> tuple[Value, int]:
        first, second = expr.args
        a, p = self._affine(first, known)
        b, q = self._affine(second, known)
        if expr.name == "add":
            return self._plus(a, b), p + q
        if expr.name == "sub":
            return (self.emit(f"sub i64 {a}, {b}") if b != 0 else a), p - q
        if a == 0:
            a, p, b, q = b, q, a, p
        if b == 0:
            if a != 0 and q != 1:
                a = self.emit(f"mul i64 {a}, {q}")
            return a, p * q
        return self._split(self.value(expr))

    def _plus(self, a: Value, b: Value) -> Value:
        if a == 0:
            return b
        if b == 0:
            return a
        if str(a) > str(b):
            a, b = b, a
        return self.emit(f"add i64 {a}, {b}")

    def address(self, buffer: Buffer, index: Expr) -> str:
        """The address of ``buffer[index]``, ``index`` a scalar."""
        try:
            place = self.cursors.get(buffer.name)
            pointer = str(self.environment[place]) if place else self.pointers[buffer.name]
        except KeyError:
            raise KernelError(f"the buffer {buffer.name!r} is not bound") from None
        element = memory_type(buffer.dtype, 1)
        parts: tuple[Expr, ...] = (index,)
        if index.__class__ is Op and index.name == "add" and index.args[0].__class__ is Var:
            # A place, and something beside it: many targets add in the access itself.
            parts = index.args
        offset = 0
        for part in parts:
            base, more = self.affine(part)
            offset += more
            if base != 0:
                pointer = self.emit(f"getelementptr {element}, ptr {pointer}, i64 {base}")
        if offset != 0:
            pointer = self.emit(f"getelementptr {element}, ptr {pointer}, i64 {offset}")
        return pointer

    def addresses(self, buffer: Buffer, index: Expr) -> str:
        """The vector of addresses ``buffer[index]``."""
        indices = self.value(index)
        kind = type_of(index.dtype, index.lanes)
        element = memory_type(buffer.dtype, 1)
        pointer = self.address(buffer, Const(0, "int64"))
        return self.emit(f"getelementptr {element}, ptr {pointer}, {kind} {indices}")

    def _load(self, expr: Load) -> Value:
        dtype, lanes = expr.dtype, expr.lanes
        kind = memory_type(dtype, lanes)
        align = SIZE[dtype]
        buffer = expr.buffer
        suffix = suffix_of("uint8" if dtype == "bool" else dtype, lanes)
        version = f" ;{self.versions.get(buffer.name, 0)}"
        if expr.index.lanes > 1:
            pointers = self.addresses(buffer, expr.index)
            name = f"masked.gather.{suffix}.v{lanes}p0"
            vector = f"<{lanes} x ptr>"
            mask = self.mask(expr.mask, lanes)
            text = (
                f"call {kind} @llvm.{name}({vector} {pointers}, i32 {align}, "
                f"<{lanes} x i1> {mask}, {kind} zeroinitializer)"
            )
            self.declarations.setdefault(
                name, f"declare {kind} @llvm.{name}({vector}, i32, <{lanes} x i1>, {kind})"
            )
        elif expr.mask is not None:
            pointer = self.address(buffer, expr.index)
            # A vector of one lane reads nothing at all where its mask is off.
            kind = f"<1 x {kind}>" if lanes == 1 else kind
            name = f"masked.load.{'v1' if lanes == 1 else ''}{suffix}.p0"
            mask = self.mask(expr.mask, lanes)
            text = (
                f"call {kind} @llvm.{name}(ptr {pointer}, i32 {align}, "
                f"<{lanes} x i1> {mask}, {kind} zeroinitializer)"
            )
            self.declarations.setdefault(
                name, f"declare {kind} @llvm.{name}(ptr, i32, <{lanes} x i1>, {kind})"
            )
        else:
            text = f"load {kind}, ptr {self.address(buffer, expr.index)}, align {align}"
        value = self.emit(text, text + version)
        if expr.mask is not None and lanes == 1:
            value = self.emit(f"extractelement {kind} {value}, i64 0")
            kind = memory_type(dtype, 1)
        if dtype == "bool":
            value = self.emit(f"icmp ne {kind} {value}, {'0' if lanes == 1 else 'splat (i8 0)'}")
        return value

    def mask(self, mask: Expr | None, lanes: int) -> Value:
        """A mask operand (``<1 x i1>`` for a scalar); without a mask every lane is on."""
        if mask is None:
            return "splat (i1 true)"
        value = self.value(mask)
        if lanes == 1:
            if value in ("true", "false"):
                return f"<i1 {value}>"
            return self.emit(f"insertelement <1 x i1> poison, i1 {value}, i64 0")
        return value

    def enter(self) -> int:
        """Start a block: what ``leave`` needs to forget what is computed in it."""
        self.memo = {}
        return len(self.table)

    def leave(self, mark: int) -> None:
        """End the block that ``enter`` started."""
        self.forget(mark)
        self.memo = {}

    def forget(self, mark: int) -> None:
        """Forget what was computed since there were ``mark`` values."""
        table = self.table
        while len(table) > mark:
            table.popitem()
