"""The OpenAPI document, made from the table of routes and the types of the bodies."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from linkspan.api.bodies.networks import Failure
from linkspan.api.calls import NEWEST, OLDEST, Call, Route, encoded, shown

_PARAMETER = re.compile(r"\{([a-z]+)(?::[^}]*)?\}")
_REFERENCES = "#/components/schemas/{name}"


def plain_path(path: str) -> str:
    """A path without the patterns of its parts."""
    return _PARAMETER.sub(r"{\1}", path)


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document for these routes."""
    routes = list(routes)
    kinds = [kind for route in routes for kind in (route.body, *route.answers.values()) if kind is not None]
    kinds.append(Failure)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCES)
    by_kind = list(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(plain_path(route.path), {})[route.method.lower()] = _operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Linkspan",
            "version": version,
            "description": f"Docker Engine API {shown(OLDEST)} to {shown(NEWEST)}: each path but /linkspan/… also with "
            "the version in front (`/v1.51/networks`).",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: Route, by_kind: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    parameters = [_parameter(name, "path", required=True) for name in _PARAMETER.findall(route.path)]
    parameters += [_parameter(name, "query", text) for name, text in route.query.items()]
    found: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}.{route.method.lower()}",
        "parameters": parameters,
        "responses": {str(status): _answer(kind, by_kind) for status, kind in route.answers.items()},
    }
    found["responses"]["default"] = {"description": "an error", **_content(_schema(Failure, by_kind))}
    if route.body is not None:
        found["requestBody"] = _content(_schema(route.body, by_kind))
    return found


def _parameter(name: str, place: str, text: str = "", *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "description": text, "schema": {"type": "string"}}


def _answer(kind: Any, by_kind: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    return {"description": "success", **({} if kind is None else _content(_schema(kind, by_kind)))}


def _schema(kind: Any, by_kind: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    return next(schema for known, schema in by_kind if known == kind)


def _content(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def with_description(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes, and one more that serves their description, itself included."""

    @cache
    def described(version: str) -> bytes:
        return encoded(document(every, version))

    async def openapi(call: Call) -> web.StreamResponse:
        headers = {"Content-Type": "application/json"}
        return web.Response(body=described(call.rooms.host.version), headers=headers)

    every = (*routes, Route("GET", "/linkspan/v1/openapi.json", openapi, "This document"))
    return every
