"""Parsers give a value or one error; tests look at either."""

from collections.abc import Callable
from typing import TypeVar

from linkspan.model.errors import InvalidError

Value = TypeVar("Value")


def answer(call: Callable[[], Value]) -> Value | InvalidError:
    """What a parser makes of a text: its value, or the error that refuses it."""
    try:
        return call()
    except InvalidError as error:
        return error
