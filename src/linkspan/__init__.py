"""Linkspan: container networking for Linux.

`Engine.open` gives an engine; requests (`CreateNetwork`, `CreateSandbox`, …) are values that it applies or only plans.
Names are imported when they are first used, so that importing a part of the package stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linkspan.model.config import AddressPool, Config, FirewallBackend
    from linkspan.model.errors import LinkspanError
    from linkspan.model.requests import (
        Connect,
        CreateNetwork,
        CreateSandbox,
        Disconnect,
        EndpointRequest,
        Publish,
        RemoveNetwork,
        RemoveSandbox,
        SubnetRequest,
        Unpublish,
    )
    from linkspan.wiring import Engine

__version__ = "0.1.0"

__all__ = [
    "AddressPool",
    "Config",
    "Connect",
    "CreateNetwork",
    "CreateSandbox",
    "Disconnect",
    "EndpointRequest",
    "Engine",
    "FirewallBackend",
    "LinkspanError",
    "Publish",
    "RemoveNetwork",
    "RemoveSandbox",
    "SubnetRequest",
    "Unpublish",
]

_HOME = {
    "Engine": "wiring",
    "LinkspanError": "model.errors",
    **dict.fromkeys(("AddressPool", "Config", "FirewallBackend"), "model.config"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'model.requests')}"), name)
