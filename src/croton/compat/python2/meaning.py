"""What Python 3 parses as Python 2 does, but understands differently.

The tree's rewriting is by calls of helpers (:mod:`croton.compat.python2.operations`), which
decide by the values that they meet when the program runs: ``a / b`` floors two integers,
``d.keys()`` makes a list of a dictionary's keys, and so on.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeVar

_Tree = TypeVar("_Tree", ast.Module, ast.Expression)

ATTRIBUTES = frozenset(
    "keys values items iterkeys itervalues iteritems viewkeys viewvalues viewitems has_key next "
    "sort decode encode message throw xreadlines tostring func_name func_code func_defaults "
    "func_dict func_doc func_globals func_closure im_func im_self im_class".split()
)
"""Attributes that are read through ``__py2_attribute__``."""

_CLASS_METHODS = frozenset(
    "next __nonzero__ __cmp__ __eq__ __div__ __rdiv__ __idiv__ __unicode__ __getslice__ "
    "__setslice__ __delslice__ __long__ __metaclass__".split()
)
_PLACED = (ast.expr, ast.stmt, ast.ExceptHandler, ast.arg, ast.keyword, ast.alias)
_ORDER = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def translate(tree: _Tree, targets: dict[str, str], true_division: bool) -> _Tree:
    """``tree`` with Python 2's meaning; the helpers' names are built-in names."""
    translated: _Tree = _Translator(targets, true_division).visit(tree)
    ast.fix_missing_locations(translated)
    for node in ast.walk(translated):
        # The text that Python compiles is not the user's: columns would mark the wrong words.
        if isinstance(node, _PLACED):
            node.col_offset = node.end_col_offset = -1
            node.end_lineno = node.lineno
    return translated


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _at(node: ast.AST, place: ast.AST) -> ast.AST:
    """``node``, all of it on the line of ``place``."""
    line = getattr(place, "lineno", 1)
    for part in ast.walk(node):
        if isinstance(part, _PLACED):
            part.lineno = part.end_lineno = line
            part.col_offset = part.end_col_offset = 0
    return node


class _Translator(ast.NodeTransformer):
    def __init__(self, targets: dict[str, str], true_division: bool) -> None:
        self._targets = targets
        self._true_division = true_division
        self._temporaries = 0

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"__py2_temporary_{self._temporaries}__"

    # Expressions

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if self._true_division or not isinstance(node.op, ast.Div):
            return node
        return ast.copy_location(_call("__py2_divide__", node.left, node.right), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        signs = [_ORDER.get(type(op)) for op in node.ops]
        operands = [node.left, *node.comparators]
        # The inner operands of a chain are evaluated once: here, that they need no evaluation.
        simple = all(isinstance(o, ast.Name | ast.Constant) for o in operands[1:-1])
        if None in signs or not simple:
            return node
        calls: list[ast.expr] = [
            _call("__py2_order__", ast.Constant(sign), left, right)
            for sign, left, right in zip(signs, operands[:-1], operands[1:], strict=True)
        ]
        whole = calls[0] if len(calls) == 1 else ast.BoolOp(ast.And(), calls)
        return ast.copy_location(whole, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr not in ATTRIBUTES or not isinstance(node.ctx, ast.Load):
            return node
        call = _call("__py2_attribute__", node.value, ast.Constant(node.attr))
        return ast.copy_location(call, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "unicode" and len(node.args) + len(node.keywords) > 1:
            node.func = ast.copy_location(ast.Name("__py2_unicode__", ast.Load()), node.func)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.generic_visit(node)
        for argument in reversed(node.args.args):
            if argument.arg in self._targets:
                pattern = ast.parse(self._targets[argument.arg], mode="eval").body
                node.body = self._unpack(pattern, argument.arg, node.body)
        return ast.fix_missing_locations(node)

    def _unpack(self, pattern: ast.expr, name: str, body: ast.expr) -> ast.expr:
        """``body`` where the names of ``pattern`` have the parts of the value of ``name``."""
        if isinstance(pattern, ast.Name):
            parts: list[ast.expr] = [pattern]
            given: ast.expr = ast.Name(name, ast.Load())
        else:
            assert isinstance(pattern, ast.Tuple)
            parts = pattern.elts
            given = ast.Starred(ast.Name(name, ast.Load()), ast.Load())
        names = [part.id if isinstance(part, ast.Name) else self._temporary() for part in parts]
        for part, part_name in reversed(list(zip(parts, names, strict=True))):
            if not isinstance(part, ast.Name):
                body = self._unpack(part, part_name, body)
        arguments = ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])
        return ast.Call(ast.Lambda(arguments, body), [given], [])

    # Statements

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        if self._true_division or not isinstance(node.op, ast.Div):
            return node
        target = node.target
        before: list[ast.AST] = []
        if isinstance(target, ast.Attribute | ast.Subscript):
            # The object, and the index, are evaluated once.
            target.value = self._once(target.value, before)
            if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant):
                target.slice = self._once(target.slice, before)
        current = _load(target)
        call = _call("__py2_divide_in_place__", current, node.value)
        statements = [*before, ast.Assign([target], call)]
        return [_at_line(statement, node) for statement in statements]

    def _once(self, value: ast.expr, before: list[ast.AST]) -> ast.expr:
        if isinstance(value, ast.Name):
            return value
        name = self._temporary()
        if isinstance(value, ast.Slice) or (
            isinstance(value, ast.Tuple) and any(isinstance(e, ast.Slice) for e in value.elts)
        ):
            value = _slice_as_call(value)
        before.append(ast.Assign([ast.Name(name, ast.Store())], value))
        return ast.Name(name, ast.Load())

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.generic_visit(node)
        if node.name is not None:
            # Python 3 deletes the name after the block; Python 2 keeps it.
            text = self._targets.get(node.name, node.name)
            node.name = self._temporary()
            # An exception unpacked to its arguments in Python 2.
            value = f"{node.name}.args" if text[0] in "([" else node.name
            node.body.insert(0, self._assignment(text, value, node))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        patterns = [
            self._assignment(self._targets[argument.arg], argument.arg, node)
            for argument in node.args.args
            if argument.arg in self._targets
        ]
        start = 1 if ast.get_docstring(node, clean=False) is not None else 0
        node.body[start:start] = patterns
        return node

    def _assignment(self, target: str, value: str, place: ast.AST) -> ast.stmt:
        statement = ast.parse(f"{target} = {value}").body[0]
        _at(statement, place)
        return statement

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        before: list[ast.AST] = []
        defined: set[str] = set()
        for statement in list(node.body):
            if isinstance(statement, ast.FunctionDef):
                defined.add(statement.name)
            elif isinstance(statement, ast.Assign):
                names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
                defined.update(names)
                if "__metaclass__" in names:
                    node.keywords.append(ast.keyword("metaclass", statement.value))
            elif isinstance(statement, ast.ClassDef) and statement.name == "__metaclass__":
                # It must exist before the class that it is to make.
                before.append(statement)
                node.body.remove(statement)
                metaclass = ast.copy_location(ast.Name(statement.name, ast.Load()), statement)
                node.keywords.append(ast.keyword("metaclass", metaclass))
        node.body = node.body or [ast.copy_location(ast.Pass(), node)]
        if defined & _CLASS_METHODS:
            node.decorator_list.append(
                ast.copy_location(ast.Name("__py2_class__", ast.Load()), node)
            )
        return [*before, node]


def _load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    assert isinstance(target, ast.Subscript)
    return ast.Subscript(target.value, target.slice, ast.Load())


def _slice_as_call(value: ast.expr) -> ast.expr:
    """An index with colons as a value: ``slice(...)``, or a tuple of such."""
    if isinstance(value, ast.Slice):
        parts: Sequence[ast.expr | None] = (value.lower, value.upper, value.step)
        return _call("slice", *(part or ast.Constant(None) for part in parts))
    assert isinstance(value, ast.Tuple)
    return ast.Tuple(
        [_slice_as_call(e) if isinstance(e, ast.Slice) else e for e in value.elts], ast.Load()
    )


def _at_line(statement: ast.AST, place: ast.AST) -> ast.AST:
    """``statement``, whose new nodes are where ``place`` is."""
    ast.copy_location(statement, place)
    return ast.fix_missing_locations(statement)
