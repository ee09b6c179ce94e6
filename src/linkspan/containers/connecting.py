"""Joining and leaving networks. A container that has a sandbox changes at once, any other at its next start."""

from collections.abc import Iterable
from dataclasses import replace

from linkspan.containers.checks import CONTAINER_MODE, DEFAULT_NETWORK, has_own_network
from linkspan.containers.context import Context
from linkspan.containers.links import parse_link
from linkspan.containers.register import Life
from linkspan.model.containers import Container
from linkspan.model.errors import ForbiddenError, InvalidError, NotFoundError
from linkspan.model.networks import Network
from linkspan.model.requests import Connect, Disconnect, EndpointRequest

_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


class Connector:
    """Connects and disconnects."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def check(self, endpoints: Iterable[EndpointRequest]) -> None:
        """`InvalidError`, in Docker's words, for what no network could give, or not the one that is asked."""
        for endpoint in endpoints:
            try:
                self._context.engine.check_endpoint(endpoint)
            except InvalidError as error:
                raise InvalidError(
                    f"invalid config for network {endpoint.network}: invalid endpoint settings:\n{error.message}",
                    field=error.field,
                    value=error.value,
                    hint=error.hint,
                ) from error

    async def connect(self, life: Life, endpoint: EndpointRequest) -> None:
        """Join a network. Raises in Docker's words what cannot be."""
        async with self._context.register.changing(life):
            container, network = life.container, self._context.engine.network(endpoint.network)
            _check_connectable(container, network)
            if self._place(container, network) is not None:
                raise ForbiddenError(
                    f"endpoint with name {container.name} already exists in network {network.name}", field="network"
                )
            endpoint = replace(endpoint, network=network.name)
            if container.id in self._context.engine.sandboxes:
                before = self._context.engine.sandboxes[container.id]
                after = await self._context.engine.apply(Connect(container.id, endpoint))
                self._context.resolution.change(container, before, after)
            wanted = replace(container.wanted, endpoints=(*container.wanted.endpoints, endpoint))
            await self._context.register.save(life, replace(container, wanted=wanted))

    async def disconnect(self, life: Life, reference: str, *, force: bool) -> None:
        """Leave a network; with `force`, one that is gone as well."""
        async with self._context.register.changing(life):
            container = life.container
            network = self._find(reference, force=force)
            name = network.name if network is not None else reference
            if container.wanted.mode == "host" and name == "host":
                raise InvalidError(
                    "cannot disconnect container from host network - container was created in host network mode",
                    field="network",
                )
            if container.wanted.mode == "none" and name == "none":
                await self._leave_none(life)
                return
            place = self._place(container, network) if network is not None else self._named(container, reference)
            if place is None:
                raise NotFoundError(
                    f"container {container.id} is not connected to network {name}", field="network", value=name
                )
            before = self._context.engine.sandboxes.get(container.id)
            if network is not None and before is not None and before.endpoint(network.id) is not None:
                after = await self._context.engine.apply(Disconnect(container.id, network.id))
                self._context.resolution.change(container, before, after)
            endpoints = [each for index, each in enumerate(container.wanted.endpoints) if index != place]
            wanted = replace(container.wanted, endpoints=tuple(endpoints))
            await self._context.register.save(life, replace(container, wanted=wanted))

    async def _leave_none(self, life: Life) -> None:
        """Out of the network `none`: from then on the container can join others, and is like one that has left all."""
        container, engine = life.container, self._context.engine
        if container.id in engine.sandboxes:
            await engine.apply(Disconnect(container.id, "none"))
        await self._context.register.save(
            life, replace(container, wanted=replace(container.wanted, mode=DEFAULT_NETWORK))
        )

    async def unlink(self, life: Life, alias: str) -> None:
        """Remove the link with an alias."""
        context = self._context
        async with context.register.changing(life):
            container = life.container
            left = tuple(text for text in container.wanted.links if parse_link(text)[1] != alias)
            if left == tuple(container.wanted.links):
                raise NotFoundError(f"No such link: /{container.name}/{alias}", field="link", value=alias)
            without = replace(container, wanted=replace(container.wanted, links=left))
            sandbox = context.engine.sandboxes.get(container.id)
            if sandbox is not None:
                context.resolution.unlink(container, without, sandbox)
            await context.register.save(life, without)

    async def reconcile(self, life: Life) -> None:
        """Make what a container records and what its sandbox has agree again, after a death between the two.

        The sandbox is changed first. So what it joined and the container does not know of was never answered, and is
        left again; what it has left is forgotten.
        """
        container, engine = life.container, self._context.engine
        before = engine.sandboxes.get(container.id)
        if before is None:
            return
        await self._context.sandboxes.rename(container)
        if not has_own_network(container.wanted.mode):
            return
        found = [(each, self._find(each.network, force=True)) for each in container.wanted.endpoints]
        known = {network.id: endpoint for endpoint, network in found if network is not None}
        after = before
        for endpoint in before.endpoints:
            if endpoint.network not in known:
                after = await engine.apply(Disconnect(container.id, endpoint.network))
        kept = tuple(endpoint for network, endpoint in known.items() if before.endpoint(network) is not None)
        if after is not before or kept != container.wanted.endpoints:
            self._context.resolution.restore(container, after)
            wanted = replace(container.wanted, endpoints=kept)
            await self._context.register.save(life, replace(container, wanted=wanted))

    def _find(self, reference: str, *, force: bool) -> Network | None:
        try:
            return self._context.engine.network(reference)
        except NotFoundError:
            if force:
                return None
            raise

    def _place(self, container: Container, network: Network) -> int | None:
        """Which of the wanted endpoints is on a network."""
        for index, endpoint in enumerate(container.wanted.endpoints):
            found = self._find(endpoint.network, force=True)
            if found is not None and found.id == network.id:
                return index
        return None

    def _named(self, container: Container, name: str) -> int | None:
        places = (index for index, endpoint in enumerate(container.wanted.endpoints) if endpoint.network == name)
        return next(places, None)


def _check_connectable(container: Container, network: Network) -> None:
    mode = container.wanted.mode
    if network.name == "host":
        text = "cannot connect container to host network - container must be created in host network mode"
    elif mode == "host" or mode.startswith(CONTAINER_MODE):
        text = _SHARED
    elif mode == "none" or network.name == "none":
        text = _PRIVATE
    else:
        return
    raise InvalidError(text, field="network", value=network.name)
