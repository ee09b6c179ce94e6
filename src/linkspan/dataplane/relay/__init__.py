"""The userland proxy: carries to sandboxes the connections that the kernel's NAT does not."""
