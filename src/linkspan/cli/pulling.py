"""Transfers of images, as the command shows them: a line for each step."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from linkspan.cli.answers import Json, Record
from linkspan.cli.session import Session
from linkspan.model.errors import UnavailableError

_HUB = "https://index.docker.io/v1/"


def pull_image(session: Session, image: str, platform: str, *, quiet: bool) -> None:
    """Bring an image; what is said goes to standard error."""
    name, tag = split(tagged(image))
    query = {"fromImage": name, "tag": tag, "platform": platform}
    said = session.client.transfer("/images/create", query, headers=auth_header(session, name))
    report(said, (lambda text: None) if quiet else session.warn)


def report(said: Iterator[Json], say: Callable[[str], None]) -> None:
    """Say each step once: numbers that grow are left out. Raises what the daemon says in the stream."""
    last: dict[str, str] = {}
    for item in said:
        message = Record(item)
        if error := message.text("error"):
            raise UnavailableError(error)
        id, status = message.text("id"), message.text("status")
        if stream := message.text("stream"):
            say(stream.rstrip("\n"))
        elif status and not (id and last.get(id) == status):
            last[id] = status
            say(f"{id}: {status}" if id else status)


def tagged(image: str) -> str:
    """A name with its tag, `latest` when it has neither tag nor digest."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def split(image: str) -> tuple[str, str]:
    """A name, and its tag or digest; empty without."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, slash, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag


def auth_header(session: Session, name: str) -> dict[str, str]:
    """Who we are to the registry of an image, as `docker login` has remembered it in `~/.docker/config.json`."""
    home = session.environment.get("DOCKER_CONFIG") or f"{session.environment.get('HOME', '/root')}/.docker"
    try:
        found = Record(json.loads(Path(home, "config.json").read_bytes()))
    except (OSError, ValueError):
        return {}
    entry = found.record("auths").record(_registry(name))
    if not entry.value:
        return {}
    import base64

    fields = {"auth": entry.text("auth"), "identitytoken": entry.text("identitytoken")}
    text = json.dumps({key: value for key, value in fields.items() if value})
    return {"X-Registry-Auth": base64.urlsafe_b64encode(text.encode()).decode()}


def _registry(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first if slash and (any(mark in first for mark in ".:") or first == "localhost") else _HUB
