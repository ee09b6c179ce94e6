"""Decisions about names: what a sandbox is called on a network, the links it has there, the servers it asks."""

import re
from collections.abc import Iterable, Sequence

from linkspan.engine.decisions import Context
from linkspan.model.addressing import IPAddress, parse_address
from linkspan.model.dataplane import Link
from linkspan.model.errors import InvalidError
from linkspan.model.networks import Network
from linkspan.model.requests import EndpointRequest
from linkspan.model.sandboxes import Sandbox

_LABEL = r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_SHORT = 12
"""Digits of an id that is a name."""

MAX_DOMAIN_NAME = 253
"""Characters of a domain name in text (RFC 1035 has 255 octets on the wire)."""


def check_domain_name(text: str, *, field: str) -> str:
    """A name that can be asked for, relative to its network; it may begin with `*.` and stand for all below."""
    if not _NAME.fullmatch(text) or len(text) > MAX_DOMAIN_NAME:
        raise InvalidError(
            f"invalid {field} {text!r}: expected labels of letters, digits, '-' and '_', 63 characters at most each, "
            "with dots between them",
            field=field,
            value=text,
        )
    return text


def check_scope(network: Network, request: EndpointRequest) -> None:
    """Predefined networks answer no names, so what would be one is refused there, in Docker's words."""
    for field, given in (("aliases", request.aliases), ("links", request.links)):
        if given and network.predefined:
            raise InvalidError(
                f"network-scoped {field} are only supported for user-defined networks",
                field=field,
                value=given[0],
                hint="connect the containers to a network of their own",
            )


def check_hostname(text: str) -> str:
    """Any one line of text, as in Docker; one that DNS cannot carry is no name on the networks."""
    if not text.isprintable():  # a line of its own in what is printed, or no Unicode that could be stored
        raise InvalidError(f"invalid hostname {text!a}: not printable", field="hostname", value=text)
    return text


def endpoint_names(sandbox: Sandbox, network: Network, aliases: Sequence[str]) -> tuple[str, ...]:
    """What the sandbox is called on the network, Docker's names in Docker's order; none on predefined networks."""
    if not network.answers_names:
        return ()
    checked = [check_domain_name(alias, field="aliases") for alias in aliases]
    return _distinct([sandbox.name, *checked, sandbox.id[:_SHORT], sandbox.hostname])


def renamed(names: Sequence[str], name: str) -> tuple[str, ...]:
    """The names of an endpoint whose sandbox has another name from now on."""
    return _distinct([name, *names[1:]]) if names else ()


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, whatever its case: the first spelling stays."""
    found: dict[str, str] = {}
    for name in names:
        if name:
            found.setdefault(name.lower(), name)
    return tuple(found.values())


def endpoint_links(context: Context, network: Network, request: EndpointRequest) -> tuple[Link, ...]:
    """The links of a request. What one leads to is looked up when it is asked for, so it need not exist (Docker's)."""
    return tuple(_link(context, network, text) for text in request.links)


def _link(context: Context, network: Network, text: str) -> Link:
    if not text:
        raise InvalidError("empty string specified for links", field="links", value=text)
    name, colon, alias = text.partition(":")
    if ":" in alias or not name or (colon and not alias):
        raise InvalidError(f"bad format for links: {text}", field="links", value=text)
    if name.startswith("/"):  # as Docker keeps the links of a container: /db:/web/database
        name, alias = name[1:], alias.rpartition("/")[2]
    check_domain_name(alias or name, field="links")
    return Link(network.id, alias or name, _on_network(context, network, name))


def _on_network(context: Context, network: Network, name: str) -> str:
    """The name that the target has on the network: a full id, which no server answers, is written short."""
    target = context.state.sandboxes.get(name)
    return target.id[:_SHORT] if target is not None and target.endpoint(network.id) is not None else name


def servers(texts: Sequence[str]) -> tuple[IPAddress, ...]:
    """The name servers of a sandbox's own (Docker's `--dns`)."""
    return tuple(parse_address(text, field="dns") for text in texts)
