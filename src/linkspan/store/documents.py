"""Nouns as JSON documents. The shape is that of the dataclasses themselves; IP values are text."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from cattrs import transform_error
from cattrs.errors import BaseValidationError
from cattrs.preconf.msgspec import make_converter

from linkspan.model.addressing import IPAddress, IPInterface, IPNetwork
from linkspan.model.containers import Container
from linkspan.model.errors import LinkspanError
from linkspan.model.images import Image
from linkspan.model.networks import Network
from linkspan.model.sandboxes import Sandbox
from linkspan.model.volumes import Volume

Noun = TypeVar("Noun", Network, Sandbox, Container, Volume, Image)


class DocumentError(LinkspanError):
    """A stored document cannot be read: it is damaged, or from a version with another shape."""

    kind = "store"


_converter = make_converter()
_converter.register_structure_hook(IPAddress, lambda text, _: ip_address(text))
_converter.register_structure_hook(IPNetwork, lambda text, _: ip_network(text))
_converter.register_structure_hook(IPInterface, lambda text, _: ip_interface(text))
for _kind in (IPAddress, IPNetwork, IPInterface):
    for _written in (_kind, *get_args(_kind)):
        _converter.register_unstructure_hook(_written, str)


def _is_sequence(kind: Any) -> bool:
    return get_origin(kind) is Sequence


def _tuple(values: Any, kind: Any) -> tuple[Any, ...]:
    """What the model calls a sequence is frozen, like the noun that has it."""
    return tuple(_converter.structure(value, get_args(kind)[0]) for value in values)


_converter.register_structure_hook_func(_is_sequence, _tuple)


def encode(noun: Network | Sandbox | Container | Volume | Image) -> bytes:
    """The document of a noun."""
    return _converter.dumps(noun, type(noun))


def decode(kind: type[Noun], document: bytes) -> Noun:
    """The noun of a document; `DocumentError` when it is not one."""
    try:
        noun: Noun = _converter.loads(document, kind)
    except BaseValidationError as error:
        raise _unreadable(kind, "; ".join(transform_error(error, "document"))) from error
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        raise _unreadable(kind, str(error)) from error
    return noun


def _unreadable(kind: type[Any], reason: str) -> DocumentError:
    return DocumentError(f"a stored {kind.__name__.lower()} cannot be read: {reason}")
