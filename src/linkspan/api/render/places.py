"""Where the files of a container are, as Docker shows it."""

from linkspan.api.bodies.inspect import ContainerBody, GraphDriverBody
from linkspan.containers.layout import Places
from linkspan.model.containers import Container


def located(body: ContainerBody, container: Container, places: Places, names: Places | None) -> ContainerBody:
    """A container's body with its directories, and with `names`, where its /etc/hosts and the like are."""
    body.graph_driver = GraphDriverBody(
        data={
            "LowerDir": container.wanted.rootfs,
            "MergedDir": str(places.rootfs),
            "UpperDir": str(places.upper),
            "WorkDir": str(places.work),
        }
    )
    if names is not None:
        body.hosts_path, body.hostname_path = str(names.hosts), str(names.hostname)
        body.resolv_conf_path = str(names.resolv_conf)
    return body
