"""Published ports whose server is told who the client is: a label of the container, since Docker has no flag for it."""

from collections.abc import Sequence

from linkspan.model.containers import CreateContainer
from linkspan.model.portspec import parse_target

LABEL = "linkspan.proxy-protocol"


def proxied(wanted: CreateContainer) -> Sequence[str]:
    """The container ports that speak the PROXY protocol (version 2): `linkspan.proxy-protocol=80,8000-8010/tcp`.

    Raises `InvalidError` for what is no port.
    """
    texts = [text.strip() for text in wanted.labels.get(LABEL, "").split(",") if text.strip()]
    for text in texts:
        parse_target(text, field=LABEL)
    return texts
