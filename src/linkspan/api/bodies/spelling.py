"""Docker's spelling of field names."""

_WORDS = {
    "id": "ID",
    "ip": "IP",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "ipam": "IPAM",
    "dns": "DNS",
    "os": "OS",
    "oom": "OOM",
}


def docker_name(name: str) -> str:
    """`enable_ipv6` is `EnableIPv6`, `network_id` is `NetworkID`, but a lone `id` is `Id`."""
    if name == "id":
        return "Id"
    return "".join(_WORDS.get(word, word.capitalize()) for word in name.split("_"))
