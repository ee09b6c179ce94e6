"""The userland proxy: carries to sandboxes the connections that the kernel's NAT does not."""

from linkspan.dataplane.relay.core import Relay, Served

__all__ = ["Relay", "Served"]
