"""Go templates, as much of them as people write behind `--format`.

`{{.Name}}`, `{{.NetworkSettings.Ports}}`, `{{json .}}`, `{{.Name | upper}}`, `{{range .Ports}}…{{else}}…{{end}}`,
`{{range $key, $value := .Labels}}`, `{{if eq .State "running"}}…{{else if …}}…{{end}}`, `{{with .Health}}`,
`{{$name := .Name}}`, `{{index .Labels "a"}}`, `{{len .Ports}}`, `{{join .Args ","}}`, `{{printf "%s %d" .A .B}}`,
`{{- trimmed -}}`, `{{/* comment */}}`.

A text becomes nodes once (`syntax.py`), which are then walked with each value. Both are bounded, also the steps and
characters of one rendering, so that no template runs for ever.
"""

from collections.abc import Iterator, Mapping, Sequence

from linkspan.cli.answers import Json
from linkspan.cli.functions import FUNCTIONS, Item, TemplateError, printed, text, true
from linkspan.cli.syntax import Block, Call, Constant, Expression, Field, Node, Show, Text, Variable, parse

MAX_STEPS = 200_000
MAX_OUTPUT = 64 * 1024 * 1024


class Template:
    """A template that was understood."""

    def __init__(self, source: str) -> None:
        """Raises `TemplateError`. Written-out tabs and line ends become real ones, as in Docker."""
        self._nodes = parse(source.replace("\\t", "\t").replace("\\n", "\n"))

    def render(self, value: Item) -> str:
        """The text for a value. Raises `TemplateError` for what the value does not have."""
        return _Rendering(value).text(self._nodes)


class _Rendering:
    """One walk through the nodes."""

    def __init__(self, value: Item) -> None:
        self._dot: Item = value
        self._variables: dict[str, Item] = {"$": value}
        self._steps = 0
        self._length = 0
        self._parts: list[str] = []

    def text(self, nodes: Sequence[Node]) -> str:
        """Everything that the nodes say."""
        self._walk(nodes)
        return "".join(self._parts)

    def _walk(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self._step()
            if isinstance(node, Text):
                self._say(node.text)
            elif isinstance(node, Show) and node.name:
                self._variables[node.name] = self._value(node.expression)
            elif isinstance(node, Show):
                self._say(printed(self._value(node.expression)))
            else:
                self._block(node)

    def _say(self, said: str) -> None:
        self._length += len(said)
        if self._length > MAX_OUTPUT:
            raise TemplateError("it makes too much text")
        self._parts.append(said)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TemplateError("it takes too many steps")

    def _block(self, block: Block) -> None:
        found = self._value(block.expression)
        before = self._dot, dict(self._variables)
        if block.kind == "range":
            self._range(block, found)
        elif true(found):
            self._dot = found if block.kind == "with" else self._dot
            self._walk(block.body)
        else:
            self._walk(block.otherwise)
        self._dot, self._variables = before

    def _range(self, block: Block, found: Item) -> None:
        empty = True
        for key, item in _elements(found):
            empty = False
            self._dot = item
            self._variables.update(zip(block.names, (item,) if len(block.names) == 1 else (key, item), strict=False))
            self._walk(block.body)
        if empty:
            self._walk(block.otherwise)

    def _value(self, expression: Expression) -> Item:
        self._step()
        if isinstance(expression, Constant):
            return expression.value
        if isinstance(expression, Variable):
            if expression.name not in self._variables:
                raise TemplateError(f"there is no variable {expression.name}")
            return self._variables[expression.name]
        if isinstance(expression, Field):
            found = self._dot if expression.base is None else self._value(expression.base)
            for name in expression.names:
                found = _member(found, name)
            return found
        return self._called(expression)

    def _called(self, call: Call) -> Item:
        arguments = [self._value(argument) for argument in call.arguments]
        if not isinstance(call.function, str):
            method = self._value(call.function)
            if not callable(method) or len(arguments) != 1:
                raise TemplateError(f"{printed(method)!r} is not a function")
            return method(text(arguments[0]))
        least, most, function = FUNCTIONS[call.function]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"at least {least}"
            raise TemplateError(f"{call.function} takes {wanted} values, not {len(arguments)}")
        return function(*arguments)


def _elements(found: Item) -> Iterator[tuple[Json, Item]]:
    """Keys and values, in order."""
    if found is None:
        return
    if isinstance(found, Mapping):
        yield from ((key, found[key]) for key in sorted(found))
    elif isinstance(found, Sequence) and not isinstance(found, str):
        yield from enumerate(found)
    else:
        raise TemplateError(f"range cannot go through {printed(found)!r}")


def _member(found: Item, name: str) -> Item:
    if not isinstance(found, Mapping):
        raise TemplateError(f"{printed(found)!r} has no field {name}")
    if name not in found:
        raise TemplateError(
            f"there is no field {name}", hint=f"there are {', '.join(sorted(found))}" if found else None
        )
    return found[name]
