"""What a client says about registries: who it is, and which image it means."""

import base64
from typing import TypeVar

import msgspec

from linkspan.api.bodies.images import AuthBody
from linkspan.api.calls import Call
from linkspan.model.errors import InvalidError
from linkspan.model.images import Credentials
from linkspan.model.references import Reference, parse_reference, with_tag

Value = TypeVar("Value")

AUTH_HEADER = "X-Registry-Auth"
_MAX_HEADER = 64 << 10


def credentials_of(call: Call) -> Credentials | None:
    """Who the client is to the registry. What cannot be read is nobody, as in Docker."""
    body = decoded(call.request.headers.get(AUTH_HEADER, ""), AuthBody)
    return None if body is None else credentials(body)


def decoded(text: str, kind: type[Value]) -> Value | None:
    """JSON in base64, as a header holds it; None when it cannot be read."""
    if not text or len(text) > _MAX_HEADER:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None


def credentials(body: AuthBody) -> Credentials | None:
    """The credentials in Docker's form."""
    if body.registrytoken:
        raise InvalidError("registry tokens are not supported: log in with a name and a password", field=AUTH_HEADER)
    username, password = body.username, body.password
    if body.auth and not username:
        try:
            username, _, password = base64.b64decode(body.auth).decode().partition(":")
        except ValueError as error:
            raise InvalidError("the credentials cannot be read", field=AUTH_HEADER) from error
    if "\0" in username + password or ":" in username:
        raise InvalidError("the credentials hold what no user name can", field=AUTH_HEADER)
    if not (username or body.identitytoken):
        return None
    return Credentials(username, password, body.identitytoken, body.serveraddress)


def pulled(image: str, tag: str) -> Reference:
    """`fromImage` and `tag`; without a tag the reference has none, which means every one."""
    reference = parse_reference(image)
    return with_tag(reference, tag) if tag else reference


def named(repo: str, tag: str) -> Reference | None:
    """`repo` and `tag` of what is made here; None without a name."""
    if not repo:
        return None
    reference = parse_reference(repo)
    if reference.digest:
        raise InvalidError("cannot import digest reference", field="repo", value=repo)
    return with_tag(reference, tag).tagged if tag else reference.tagged
