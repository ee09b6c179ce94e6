"""The only room that touches the kernel: namespaces, netlink, firewall, sysctls, ports, conntrack."""
