"""What an image says by default, under what a client asks for."""

from typing import Any

import pytest

from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.resources import HealthConfig
from linkspan.api.defaults import completed
from linkspan.model.images import ImageConfig, ImageHealth


@pytest.mark.parametrize(
    ("image", "asked", "argv"),
    [
        ({"cmd": ("c",)}, {}, ([], ["c"])),
        ({"cmd": ("c",)}, {"cmd": ["x", "y"]}, ([], ["x", "y"])),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {}, (["e"], ["c"])),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {"cmd": ["x"]}, (["e"], ["x"])),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {"entrypoint": ["f"]}, (["f"], [])),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {"entrypoint": ["f"], "cmd": ["x"]}, (["f"], ["x"])),
        ({"entrypoint": ("e",), "cmd": ("c",)}, {"entrypoint": [""], "cmd": ["x"]}, ([], ["x"])),
        ({"cmd": ("c",)}, {"cmd": "word"}, ([], ["word"])),
    ],
)
def test_entrypoint_and_command_are_merged_as_docker_does(
    image: dict[str, Any], asked: dict[str, Any], argv: tuple[list[str], list[str]]
) -> None:
    found = completed(ContainerCreate(**asked), ImageConfig(**image))
    assert (found.entrypoint, found.cmd) == argv


def test_the_client_s_variables_count() -> None:
    found = completed(ContainerCreate(env=["A=client", "GONE"]), ImageConfig(env=("A=image", "B=image", "GONE=x")))
    assert found.env == ["A=client", "GONE", "B=image"]


def test_maps_are_joined() -> None:
    image = ImageConfig(labels={"a": "image", "b": "image"}, exposed=("80/tcp",), volumes=("/data",))
    asked = ContainerCreate(labels={"a": "client"}, exposed_ports={"81/tcp": {}}, volumes={"/more": {}})
    found = completed(asked, image)
    assert found.labels == {"a": "client", "b": "image"}
    assert sorted(found.exposed_ports) == ["80/tcp", "81/tcp"] and sorted(found.volumes) == ["/data", "/more"]


def test_what_is_not_asked_for_is_the_image_s() -> None:
    image = ImageConfig(user="ann", workdir="/w", stop_signal="SIGQUIT")
    found = completed(ContainerCreate(), image)
    assert (found.user, found.working_dir, found.stop_signal) == ("ann", "/w", "SIGQUIT")
    found = completed(ContainerCreate(user="0", working_dir="/", stop_signal="SIGINT"), image)
    assert (found.user, found.working_dir, found.stop_signal) == ("0", "/", "SIGINT")


def test_a_health_check_is_the_client_s_or_the_image_s_with_the_client_s_times() -> None:
    image = ImageConfig(healthcheck=ImageHealth(("CMD", "true"), interval=5, retries=2))
    assert completed(ContainerCreate(), image).healthcheck == HealthConfig(test=["CMD", "true"], interval=5, retries=2)
    asked = ContainerCreate(healthcheck=HealthConfig(interval=9))
    assert completed(asked, image).healthcheck == HealthConfig(test=["CMD", "true"], interval=9, retries=2)
    none = ContainerCreate(healthcheck=HealthConfig(test=["NONE"]))
    assert completed(none, image).healthcheck == HealthConfig(test=["NONE"])


def test_an_image_without_defaults_changes_nothing() -> None:
    asked = ContainerCreate(cmd=["x"], env=["A=b"], labels={"k": "v"})
    assert completed(asked, ImageConfig()) == asked
