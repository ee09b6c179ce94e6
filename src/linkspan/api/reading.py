"""Bodies of requests, decoded into types, and refused in Docker's words.

As Docker's decoder does: unknown fields are ignored, null leaves a field as it is, no body and null are an empty
object.
"""

import re
from functools import cache
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from linkspan.api.bodies.syntax import complaint
from linkspan.model.errors import InvalidError

Body = TypeVar("Body", bound=msgspec.Struct)

MAX_BODY = 4 << 20
"""Bytes of a JSON body: far above what the largest client sends (65,535 published ports are 4 MB)."""

_EXPECTED = re.compile(r"Expected `([a-z]+)[^`]*`(?:, got `([a-z]+)`)?")
_GO_KINDS = {"str": "string", "int": "number", "float": "number", "bool": "bool", "array": "array", "object": "object"}
_GO_TYPES = {"str": "string", "int": "int", "float": "float64", "bool": "bool", "array": "slice", "object": "map"}


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """The body as `kind`; `InvalidError` says what is wrong with it."""
    data = await request.read()
    if not data:
        return parse(b"{}", kind)
    check_content_type(request.headers.get("Content-Type", ""))
    return parse(data, kind)


def check_content_type(header: str) -> None:
    """A body has to be JSON."""
    if header.partition(";")[0].strip().lower() != "application/json":
        text = f"unsupported Content-Type header ({header}): must be 'application/json'"
        raise InvalidError(text, field="Content-Type", value=header)


def parse(data: bytes, kind: type[Body]) -> Body:
    """A document as `kind`."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = complaint(data) if data.strip() else "got EOF while reading request body"
        raise InvalidError(f"invalid JSON: {reason}", field="body") from error
    try:
        return msgspec.convert(_without_nulls({} if value is None else value, field_names(kind)), kind)
    except msgspec.ValidationError as error:
        raise InvalidError(f"invalid JSON: {_mismatch(str(error), kind)}", field="body") from error


def _without_nulls(value: Any, fields: frozenset[str]) -> Any:
    """Nothing where a field is null; what users name (ports, labels) keeps its nulls."""
    if isinstance(value, dict):
        return {k: _without_nulls(v, fields) for k, v in value.items() if v is not None or k not in fields}
    if isinstance(value, list):
        return [_without_nulls(item, fields) for item in value]
    return value


@cache
def field_names(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Every field name of a type and of the types inside it."""
    _, components = msgspec.json.schema_components([kind])
    return frozenset(name for schema in components.values() for name in schema.get("properties", ()))


def _mismatch(reason: str, kind: type[msgspec.Struct]) -> str:
    """`json: cannot unmarshal string into Go struct field NetworkCreate.Internal of type bool`."""
    text, _, path = reason.partition(" - at `$")
    name = path.strip("`").lstrip(".") or "body"
    match = _EXPECTED.match(text)
    if match is None:
        return f"json: {text} in {kind.__name__}.{name}"
    found = _GO_KINDS.get(match[2] or "", match[2] or "value")
    wanted = _GO_TYPES.get(match[1], match[1])
    return f"json: cannot unmarshal {found} into Go struct field {kind.__name__}.{name} of type {wanted}"
