"""Bodies about networks (`docker-networking.md` §4.3; the transcript's §2.3 and §4)."""

from msgspec import UNSET, Struct, UnsetType, field

from linkspan.api.bodies.spelling import docker_name


class SubnetBody(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """One prefix of a network's IPAM configuration; what is unset is chosen."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = field(default_factory=dict)


class IpamBody(Struct, rename=docker_name, kw_only=True):
    """How a network gets its addresses."""

    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[SubnetBody] = field(default_factory=list)


class ConfigReference(Struct, rename=docker_name, kw_only=True):
    """The network another takes its configuration from."""

    network: str = ""


class NetworkCreate(Struct, rename=docker_name, kw_only=True):
    """POST /networks/create. `CheckDuplicate` of older clients is ignored: names are unique."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    ipam: IpamBody = field(default_factory=IpamBody)
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


class NetworkCreated(Struct, rename=docker_name, kw_only=True):
    """201 of POST /networks/create."""

    id: str
    warning: str = ""


class NetworkMember(Struct, rename=docker_name, kw_only=True):
    """A running container, as a network sees it."""

    name: str
    endpoint_id: str
    mac_address: str
    ipv4_address: str = ""
    ipv6_address: str = ""


class NetworkBody(Struct, rename=docker_name, kw_only=True):
    """A network as inspected. In a list, `Containers` is always empty."""

    name: str
    id: str
    created: str
    scope: str = "local"
    driver: str
    enable_ipv4: bool
    enable_ipv6: bool
    ipam: IpamBody
    internal: bool
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference = field(default_factory=ConfigReference)
    config_only: bool = False
    containers: dict[str, NetworkMember] = field(default_factory=dict)
    options: dict[str, str]
    labels: dict[str, str]


class EndpointIpam(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """Addresses a user asks for; empty text means none."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] = field(name="LinkLocalIPs", default_factory=list)


class EndpointBody(Struct, rename=docker_name, kw_only=True):
    """A container's place on a network: in requests a wish, whose report fields are ignored; in answers a report."""

    ipam_config: EndpointIpam | None = None
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = None


class NetworkConnect(Struct, rename=docker_name, kw_only=True):
    """POST /networks/{id}/connect."""

    container: str = ""
    endpoint_config: EndpointBody | None = None


class NetworkDisconnect(Struct, rename=docker_name, kw_only=True):
    """POST /networks/{id}/disconnect."""

    container: str = ""
    force: bool = False


class NetworksPruned(Struct, rename=docker_name, kw_only=True):
    """200 of POST /networks/prune: names, or null when there were none."""

    networks_deleted: list[str] | None = None


class Failure(Struct, kw_only=True):
    """Every error. `hint` says what to do about it, where there is something; Docker's clients ignore it."""

    message: str
    hint: str | UnsetType = UNSET
