"""Why a text is not JSON, in the words of Docker's (Go's) decoder. Only looked for once decoding has failed.

A pushdown automaton over characters, as Go's `encoding/json/scanner.go` is: `wants` says what may come next, `open`
holds the brackets that are open.
"""

import re

_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = ("true", "false", "null")
_SPACE = " \t\r\n"
_AFTER = {"{": "after object key:value pair", "[": "after array element", "": "after top-level value"}


class _SyntaxError(Exception):
    """The text stops being JSON at a position, in a context."""

    def __init__(self, position: int, context: str) -> None:
        super().__init__(context)
        self.position = position
        self.context = context


def complaint(data: bytes) -> str:
    """`invalid character 'b' looking for beginning of value`, or `unexpected EOF`."""
    text = data.decode("utf-8", "replace")
    try:
        _walk(text)
    except _SyntaxError as error:
        if error.position >= len(text):
            return "unexpected EOF"
        return f"invalid character {_quoted(text[error.position])} {error.context}"
    return "invalid UTF-8 in text"


def _quoted(char: str) -> str:
    return {"'": r"'\''", '"': "'\"'", "\n": r"'\n'", "\t": r"'\t'", "\r": r"'\r'"}.get(char, f"'{char}'")


def _walk(text: str) -> None:
    """Raise `_SyntaxError` where the text stops being JSON."""
    open: list[str] = []
    at = _space(text, 0)
    while True:
        at = _value(text, at, open)
        at = _close(text, _space(text, at), open)
        if not open:
            if at < len(text):
                raise _SyntaxError(at, _AFTER[""])
            return


def _space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _value(text: str, at: int, open: list[str]) -> int:
    """A scalar, an empty container, or the brackets and key before one; returns where it ends."""
    while text[at : at + 1] in ("{", "["):
        bracket = text[at]
        at = _space(text, at + 1)
        if text[at : at + 1] == ("}" if bracket == "{" else "]"):
            return at + 1
        open.append(bracket)
        if bracket == "{":
            at = _key(text, at, "looking for beginning of object key string")
    return _scalar(text, at)


def _scalar(text: str, at: int) -> int:
    char = text[at : at + 1]
    if char == '"':
        return _string(text, at)
    if char == "-" or char.isdecimal():
        return _number(text, at)
    literal = next((word for word in _LITERALS if char and word.startswith(char)), None)
    if literal is None:
        raise _SyntaxError(at, "looking for beginning of value")
    for offset, expected in enumerate(literal):
        if text[at + offset : at + offset + 1] != expected:
            raise _SyntaxError(at + offset, f"in literal {literal} (expecting '{expected}')")
    return at + len(literal)


def _string(text: str, at: int) -> int:
    match = _STRING.match(text, at)
    assert match is not None
    end = match.end()
    if text[end : end + 1] == '"':
        return end + 1
    if text[end : end + 2] == "\\u":
        bad = next((i for i in range(end + 2, end + 6) if not re.match("[0-9a-fA-F]", text[i : i + 1])), end + 6)
        raise _SyntaxError(bad, r"in \u hexadecimal character escape")
    if text[end : end + 1] == "\\":
        raise _SyntaxError(end + 1, "in string escape code")
    raise _SyntaxError(end, "in string literal")


def _number(text: str, at: int) -> int:
    match = _NUMBER.match(text, at)
    if match is None:
        raise _SyntaxError(at + 1, "in numeric literal")
    end = match.end()
    if text[end : end + 1] == "." and "." not in match[0] and "e" not in match[0].lower():
        raise _SyntaxError(end + 1, "after decimal point in numeric literal")
    if text[end : end + 1] in ("e", "E") and "e" not in match[0].lower():
        signed = text[end + 1 : end + 2] in ("+", "-")
        raise _SyntaxError(end + 1 + signed, "in exponent of numeric literal")
    return end


def _key(text: str, at: int, context: str) -> int:
    """`"key":` and the space behind it."""
    if text[at : at + 1] != '"':
        raise _SyntaxError(at, context)
    at = _space(text, _string(text, at))
    if text[at : at + 1] != ":":
        raise _SyntaxError(at, "after object key")
    return _space(text, at + 1)


def _close(text: str, at: int, open: list[str]) -> int:
    """Behind a value: brackets that close, or a comma and what leads to the next value."""
    while open:
        char = text[at : at + 1]
        if char == ("}" if open[-1] == "{" else "]"):
            open.pop()
            at = _space(text, at + 1)
        elif char == ",":
            at = _space(text, at + 1)
            return _key(text, at, "looking for beginning of object key string") if open[-1] == "{" else at
        else:
            raise _SyntaxError(at, _AFTER[open[-1]])
    return at
