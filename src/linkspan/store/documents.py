"""Nouns as JSON documents. The shape is that of the dataclasses themselves; IP values are text."""

from ipaddress import ip_address, ip_interface, ip_network
from typing import TypeVar, get_args

import msgspec
from cattrs import transform_error
from cattrs.errors import BaseValidationError
from cattrs.preconf.msgspec import make_converter

from linkspan.model.addressing import IPAddress, IPInterface, IPNetwork
from linkspan.model.errors import LinkspanError
from linkspan.model.networks import Network
from linkspan.model.sandboxes import Sandbox

Noun = TypeVar("Noun", Network, Sandbox)


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


def encode(noun: Network | Sandbox) -> bytes:
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


def _unreadable(kind: type[Network] | type[Sandbox], reason: str) -> DocumentError:
    return DocumentError(f"a stored {kind.__name__.lower()} cannot be read: {reason}")
