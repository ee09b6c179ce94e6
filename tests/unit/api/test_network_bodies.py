"""Against bodies recorded from dockerd (with the fields that API 1.48 added)."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import msgspec

from linkspan.api.render.networks import member_body, network_body
from linkspan.model.networks import BridgeSettings, Driver, Network, Subnet
from linkspan.model.sandboxes import Endpoint

CREATED = datetime(2026, 11, 24, 2, 21, 59, 449087, UTC)


def bridge(**fields: Any) -> Network:
    defaults: dict[str, Any] = {
        "id": "6e03",
        "name": "n1",
        "driver": Driver.BRIDGE,
        "created": CREATED,
        "subnets": (Subnet(ip_network("172.18.0.0/16"), ip_address("172.18.0.1")),),
        "bridge": BridgeSettings("br-6e03", "02:42:00:00:00:01"),
    }
    return Network(**{**defaults, **fields})


def shown(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


def test_a_fresh_network() -> None:
    assert shown(network_body(bridge())) == {
        "Name": "n1",
        "Id": "6e03",
        "Created": "2026-11-24T02:21:59.449087Z",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


def test_a_network_with_everything() -> None:
    subnet = Subnet(
        ip_network("10.77.0.0/24"),
        ip_address("10.77.0.1"),
        ip_network("10.77.0.128/25"),
        (("h", ip_address("10.77.0.5")),),
    )
    body = shown(
        network_body(
            bridge(
                subnets=(subnet, Subnet(ip_network("fd00:77::/64"), ip_address("fd00:77::1"))),
                internal=True,
                labels=(("k", "v"),),
                options=(("com.docker.network.bridge.name", "brn2"),),
            )
        )
    )
    assert body["IPAM"]["Config"] == [
        {
            "Subnet": "10.77.0.0/24",
            "IPRange": "10.77.0.128/25",
            "Gateway": "10.77.0.1",
            "AuxiliaryAddresses": {"h": "10.77.0.5"},
        },
        {"Subnet": "fd00:77::/64", "Gateway": "fd00:77::1"},
    ]
    assert body["EnableIPv6"] is True and body["Internal"] is True
    assert body["Labels"] == {"k": "v"} and body["Options"] == {"com.docker.network.bridge.name": "brn2"}


def test_members_are_shown_with_their_addresses() -> None:
    endpoint = Endpoint("6ad8", "6e03", "eth1", "02:42:ac:12:00:03", (ip_interface("172.18.0.3/16"),))
    assert shown(network_body(bridge(), {"0ecd": member_body("c1", endpoint)}))["Containers"] == {
        "0ecd": {
            "Name": "c1",
            "EndpointID": "6ad8",
            "MacAddress": "02:42:ac:12:00:03",
            "IPv4Address": "172.18.0.3/16",
            "IPv6Address": "",
        }
    }


def test_the_default_bridge_says_so_in_its_options() -> None:
    options = {
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1500",
    }
    body = shown(network_body(bridge(name="bridge", predefined=True, options=tuple(options.items()))))
    assert body["Options"] == {"com.docker.network.bridge.default_bridge": "true", **options}
    assert body["IPAM"]["Options"] is None


def test_host_and_none_have_no_addresses() -> None:
    for name, driver in (("host", Driver.HOST), ("none", Driver.NULL)):
        body = shown(network_body(Network("1735", name, driver, CREATED, predefined=True)))
        assert body["Driver"] == driver and body["Options"] == {}
        assert body["IPAM"] == {"Driver": "default", "Options": None, "Config": []}
