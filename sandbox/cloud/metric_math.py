"""Metric math over one period: arithmetic, comparisons, AND/OR, IF, FILL, MIN, MAX, SUM, AVG and METRICS.

Source: "Using math expressions with CloudWatch metrics", CloudWatch user guide. A period in which an operand has no
data has no result, except where FILL or IF gives one. Anything else (SEARCH, RATE, …) is refused when the alarm is put.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import cache

Value = float | None
Values = Mapping[str, Value]

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}
_COMPARED: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_REDUCED: dict[str, Callable[[list[float]], float]] = {
    "MIN": min,
    "MAX": max,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}
_PYTHON = ((r"&&|\bAND\b", " and "), (r"\|\||\bOR\b", " or "), (r"\^", "**"))


class Unsupported(Exception):
    """The expression uses what is not modelled; the message says what."""


def check(expression: str, ids: set[str]) -> None:
    """Raise Unsupported for an expression that `calculate` could not work out from these ids."""
    tree = _parse(expression)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - called
    if unknown := names - ids:
        raise Unsupported(f"{', '.join(sorted(unknown))} in {expression!r} is no id of another metric")
    calculate(expression, dict.fromkeys(ids, 1.0))


def calculate(expression: str, values: Values) -> Value:
    """The expression's value for one period, given each metric's by its id."""
    return _value(_parse(expression).body, values)


@cache
def _parse(expression: str) -> ast.Expression:
    text = expression
    for pattern, replacement in _PYTHON:
        text = re.sub(pattern, replacement, text)
    try:
        return ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise Unsupported(f"{expression!r}: {error.msg}") from error


def _value(node: ast.expr, values: Values) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _lift(operator.neg, _value(operand, values))
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            divisor = _value(right, values)
            return None if divisor == 0 else _lift(operator.truediv, _value(left, values), divisor)
        case ast.BinOp(op=kind, left=left, right=right) if type(kind) in _BINARY:
            return _lift(_BINARY[type(kind)], _value(left, values), _value(right, values))
        case ast.Compare(ops=[kind], left=left, comparators=[right]) if type(kind) in _COMPARED:
            return _lift(_COMPARED[type(kind)], _value(left, values), _value(right, values))
        case ast.BoolOp(op=kind, values=parts):
            found = [bool(_value(part, values)) for part in parts]
            return float(all(found) if isinstance(kind, ast.And) else any(found))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, arguments, values)
    raise Unsupported(f"the sandbox's metric math has no {ast.unparse(node)}")


def _lift(function: Callable[..., float], *operands: Value) -> Value:
    return None if None in operands else float(function(*operands))


def _call(name: str, arguments: list[ast.expr], values: Values) -> Value:
    if name == "IF" and len(arguments) in (2, 3):
        condition = _value(arguments[0], values)
        chosen = arguments[1:2] if condition else arguments[2:3]
        return None if condition is None or not chosen else _value(chosen[0], values)
    if name == "FILL" and len(arguments) == 2:
        found = _value(arguments[0], values)
        return _value(arguments[1], values) if found is None else found
    if name in _REDUCED and len(arguments) == 1:
        present = [value for value in _several(arguments[0], values) if value is not None]
        return _REDUCED[name](present) if present else None
    raise Unsupported(f"the sandbox's metric math has no {name} of {len(arguments)} arguments")


def _several(node: ast.expr, values: Values) -> list[Value]:
    match node:
        case ast.List(elts=elements):
            return [_value(element, values) for element in elements]
        case ast.Call(func=ast.Name(id="METRICS"), args=[]):
            return list(values.values())
    raise Unsupported(f"the sandbox's metric math has no series in {ast.unparse(node)}: give a list or METRICS()")
