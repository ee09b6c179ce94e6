"""What the body of POST /commit makes of a container's configuration."""

from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.resources import HealthConfig
from linkspan.api.committing import with_config
from linkspan.model.images import ImageConfig, ImageHealth

CONTAINER = ImageConfig(
    entrypoint=("e",),
    cmd=("c",),
    env=("A=1", "B=2"),
    workdir="/w",
    user="ann",
    labels={"k": "v"},
    exposed=("80/tcp",),
    volumes=("/v",),
    stop_signal="SIGINT",
    healthcheck=ImageHealth(("CMD", "true")),
    shell=("/bin/ash",),
)


def test_a_client_that_asks_for_nothing_gets_what_the_container_has() -> None:
    assert with_config(ContainerCreate(), CONTAINER) == CONTAINER


def test_what_the_client_asks_for_counts_and_maps_are_joined() -> None:
    asked = ContainerCreate(
        cmd=["d"],
        env=["A=3"],
        working_dir="/x",
        user="bob",
        labels={"m": "n"},
        exposed_ports={"81-82/tcp": {}},
        volumes={"/u": {}},
        stop_signal="SIGHUP",
        healthcheck=HealthConfig(test=["CMD-SHELL", "false"]),
    )
    assert with_config(asked, CONTAINER) == ImageConfig(
        entrypoint=("e",),
        cmd=("d",),
        env=("A=3", "B=2"),
        workdir="/x",
        user="bob",
        labels={"k": "v", "m": "n"},
        exposed=("80/tcp", "81/tcp", "82/tcp"),
        volumes=("/v", "/u"),
        stop_signal="SIGHUP",
        healthcheck=ImageHealth(("CMD-SHELL", "false")),
        shell=("/bin/ash",),
    )


def test_an_entrypoint_takes_the_command_away() -> None:
    found = with_config(ContainerCreate(entrypoint=["f"]), CONTAINER)
    assert (found.entrypoint, found.cmd) == (("f",), ())
