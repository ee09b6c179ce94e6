"""The text of a Go template as nodes: the first half of `templates.py`, which says what is understood.

Texts and actions alternate; an action is a row of tokens, read from the left. Length and depth are bounded.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, Union

from linkspan.cli.answers import Json
from linkspan.cli.functions import FUNCTIONS, TemplateError

MAX_TEMPLATE = 64 * 1024
MAX_DEPTH = 64

_ACTION = re.compile(r"\{\{(-(?=\s))?((?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|(?!-?\}\}).)*?)(-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\"|`[^`]*`)|(?P<number>-?[0-9]+(?:\.[0-9]+)?)(?![\w.])"
    r"|(?P<field>(?:\.[A-Za-z_]\w*)+)|(?P<variable>\$\w*)(?P<path>(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<mark>:=|[.()|,=]))"
)


class Token(NamedTuple):
    """A piece of an action: its kind, and what it says."""

    kind: str
    text: str


class Constant(NamedTuple):
    """A text, a number, or a word that means one."""

    value: Json


class Field(NamedTuple):
    """`.A.B` of the dot, of a variable, or of an expression in brackets."""

    base: "Expression | None"
    names: tuple[str, ...]


class Variable(NamedTuple):
    """`$name`; `$` alone is the value that the template was given."""

    name: str


class Call(NamedTuple):
    """A function or a method with arguments."""

    function: "str | Expression"
    arguments: "tuple[Expression, ...]"


Expression: TypeAlias = Union[Constant, Field, Variable, Call]  # noqa: UP007 - forward references


class Text(NamedTuple):
    """What stands between actions."""

    text: str


class Show(NamedTuple):
    """`{{expression}}`, or `{{$name := expression}}`."""

    expression: Expression
    name: str = ""


class Block(NamedTuple):
    """`if`, `with` or `range`; `names` are the variables that a `range` sets."""

    kind: str
    expression: Expression
    names: tuple[str, ...]
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]"


Node: TypeAlias = Union[Text, Show, Block]  # noqa: UP007 - forward references


def parse(text: str) -> tuple[Node, ...]:
    """The nodes of a text. Raises `TemplateError`."""
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"the template is longer than {MAX_TEMPLATE >> 10} KiB")
    return _Parser(text).nodes()


class _Parser:
    """Turns texts and actions, which alternate, into nodes."""

    def __init__(self, text: str) -> None:
        self._pieces = _pieces(text)
        self._depth = 0
        self._end = ""

    def nodes(self) -> tuple[Node, ...]:
        """The whole template."""
        found = self._block()
        if self._end:
            raise TemplateError(f"unexpected {{{{{self._end}}}}}")
        return found

    def _block(self) -> tuple[Node, ...]:
        """Up to `end` or `else`, which `_end` then holds, or to the end of the template."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"blocks are nested deeper than {MAX_DEPTH}")
        found: list[Node] = []
        self._end = ""
        for piece in self._pieces:
            if isinstance(piece, str):
                found.append(Text(piece))
                continue
            words = _Words(piece)
            keyword = words.keyword()
            if keyword in ("end", "else"):
                self._end = keyword
                self._else = words
                break
            found.append(self._opened(keyword, words) if keyword else _shown(words))
        self._depth -= 1
        return tuple(found)

    def _opened(self, kind: str, words: "_Words") -> Block:
        names = words.names() if kind == "range" else ()
        expression = words.pipeline()
        words.finish()
        body = self._block()
        otherwise: tuple[Node, ...] = ()
        if self._end == "else":
            otherwise = self._otherwise()
        if self._end != "end":
            raise TemplateError(f"{{{{{kind}}}}} has no {{{{end}}}}")
        self._end = ""
        return Block(kind, expression, names, body, otherwise)

    def _otherwise(self) -> tuple[Node, ...]:
        """After `else`: a block, or `if` again, which the same `end` closes."""
        words = self._else
        again = words.keyword()
        if not again:
            words.finish()
            return self._block()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"blocks are nested deeper than {MAX_DEPTH}")
        block = self._opened(again, words)
        self._depth -= 1
        self._end = "end"
        return (block,)


def _shown(words: "_Words") -> Show:
    names = words.names()
    if len(names) > 1:
        raise TemplateError("only range sets two variables")
    expression = words.pipeline()
    words.finish()
    return Show(expression, names[0] if names else "")


def _pieces(text: str) -> Iterator[str | list[Token]]:
    """Texts and the tokens of actions; `{{-` and `-}}` take the blanks beside them away."""
    at, trim = 0, False
    for match in _ACTION.finditer(text):
        between = text[at : match.start()]
        between = between.lstrip() if trim else between
        between = between.rstrip() if match[1] else between
        if between:
            yield _checked(between)
        at, trim = match.end(), bool(match[3])
        inside = match[2].strip()
        if not (inside.startswith("/*") and inside.endswith("*/")):
            yield list(_tokens(inside))
    rest = text[at:].lstrip() if trim else text[at:]
    if rest:
        yield _checked(rest)


def _checked(text: str) -> str:
    if "{{" in text:
        raise TemplateError("{{ without }}")
    return text


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            if not text[at:].strip():
                return
            raise TemplateError(f"{text[at:].strip()[:40]!r} is not understood")
        if match["variable"] is not None:
            yield Token("variable", match["variable"])
            if match["path"]:
                yield Token("path", match["path"])
        else:
            kind = match.lastgroup
            follows = kind == "field" and match.start("field") == at > 0 and text[at - 1] == ")"
            yield Token("path" if follows else kind, match[kind])
        at = match.end()


class _Words:
    """The tokens of one action, read from the left."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def keyword(self) -> str:
        """`if`, `with`, `range`, `else` or `end` when it comes next."""
        token = self._peek()
        if token.kind == "word" and token.text in ("if", "with", "range", "else", "end"):
            self._at += 1
            return token.text
        return ""

    def names(self) -> tuple[str, ...]:
        """`$a :=` or `$a, $b :=`."""
        start = self._at
        found: list[str] = []
        while self._peek().kind == "variable":
            found.append(self._take().text)
            if self._peek().text in (":=", "="):
                self._take()
                return tuple(found)
            if self._peek().text != ",":
                break
            self._take()
        self._at = start
        return ()

    def pipeline(self) -> Expression:
        """Commands with `|` between them: each is the last argument of the next."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"brackets are nested deeper than {MAX_DEPTH}")
        found = self._command(None)
        while self._peek() == Token("mark", "|"):
            self._take()
            found = self._command(found)
        self._depth -= 1
        return found

    def finish(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise TemplateError(f"unexpected {self._peek().text!r}")

    def _command(self, piped: Expression | None) -> Expression:
        token = self._peek()
        more = (piped,) if piped is not None else ()
        if token.kind == "word" and token.text not in ("true", "false", "nil"):
            self._take()
            if token.text not in FUNCTIONS:
                known = ", ".join(sorted(FUNCTIONS))
                raise TemplateError(f"there is no function {token.text!r}", hint=f"there are {known}")
            return Call(token.text, (*self._operands(), *more))
        first = self._operand()
        arguments = (*self._operands(), *more)
        return Call(first, arguments) if arguments else first

    def _operands(self) -> list[Expression]:
        found = []
        while (token := self._peek()).kind and (token.kind != "mark" or token.text in "(."):
            found.append(self._operand())
        return found

    def _operand(self) -> Expression:
        token = self._take()
        found: Expression
        if token == Token("mark", "("):
            found = self.pipeline()
            if self._take() != Token("mark", ")"):
                raise TemplateError("( without )")
        else:
            found = _simple(token)
        while self._peek().kind == "path":
            found = Field(found, _names(self._take().text))
        return found

    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else Token("", "")

    def _take(self) -> Token:
        token = self._peek()
        self._at += 1
        return token


_CONSTANTS: Mapping[str, Json] = {"true": True, "false": False, "nil": None}


def _simple(token: Token) -> Expression:
    """An operand of one token."""
    kind, text = token
    if kind == "text":
        return Constant(text[1:-1] if text.startswith("`") else unescaped(text[1:-1]))
    if kind == "number":
        return Constant(float(text) if "." in text else int(text[:19]))
    if kind == "field":
        return Field(None, _names(text))
    if kind == "variable":
        return Variable(text)
    if kind == "word" and text in FUNCTIONS:
        return Call(text, ())
    if kind == "word" and text in _CONSTANTS:
        return Constant(_CONSTANTS[text])
    if text == ".":
        return Field(None, ())
    raise TemplateError(f"unexpected {text!r}" if kind else "a value is missing")


def _names(path: str) -> tuple[str, ...]:
    return tuple(path[1:].split("."))


_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def unescaped(text: str) -> str:
    """A text in which a backslash and a letter stand for a tab or a new line."""
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)
