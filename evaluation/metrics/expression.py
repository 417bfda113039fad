"""Arithmetic from a file: `density * (Vx**2 + Vy**2) / 2` in, its value on fields out.

Names, numbers, + - * / ** and brackets; nothing else, so a file can run no code.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from data_shards.errors import UserError

ValueT = TypeVar("ValueT")

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def evaluate(text: str, values: Mapping[str, ValueT]) -> ValueT:
    """Value of an expression.

    Args:
        text: the expression; its names are among those of `values`.
        values: by name; anything that knows arithmetic.

    Raises:
        UserError: not such an expression, or a name without a value.
    """
    missing = names_of(text) - set(values)
    if missing:
        raise UserError(
            f"expression {text!r}: {', '.join(sorted(missing))} is neither a channel nor a "
            f"parameter; known: {', '.join(sorted(values))}"
        )
    result: ValueT = _value(_parsed(text), values)
    return result


def names_of(text: str) -> set[str]:
    """Names that occur in an expression.

    Raises:
        UserError: it is not one of the expressions above.
    """
    return {node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name)}


@cache
def _parsed(text: str) -> ast.expr:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise UserError(f"expression {text!r}: not readable as arithmetic") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.BinOp(left=left, right=right, op=op) if type(op) in _BINARY:
            _check(left, text)
            _check(right, text)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand, text)
        case ast.Name() | ast.Constant(value=int() | float()):
            pass
        case _:
            raise UserError(
                f"expression {text!r}: {ast.unparse(node)!r} is not allowed; "
                "wanted names, numbers, + - * / ** and brackets"
            )


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, values)
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant)
    return node.value
