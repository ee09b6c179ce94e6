"""The API in process: a real server on a socket, an engine on a machine in memory behind it."""

import json
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from linkspan.api.host import Host
from linkspan.api.rooms import Rooms
from linkspan.api.server import Listener, serving
from linkspan.engine.core import Engine
from tests.support.engines import World
from tests.support.patience import PATIENCE
from tests.unit.api.fake_containers import FakeContainers
from tests.unit.images.gallery import Gallery

HOST = Host(
    Path("/data"),
    "0.1.0",
    name="vm",
    kernel="6.1.0",
    machine="x86_64",
    python="3.11.7",
    system="Debian",
    cpus=2,
    memory=1,
)


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The text of an error."""
        text: str = self.json["message"]
        return text


class ApiClient:
    """What a client can do."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        engine: Engine,
        world: World,
        rooms: Rooms,
        path: Path,
        containers: FakeContainers,
        gallery: Gallery,
    ) -> None:
        self.session = session
        self.engine = engine
        self.world = world
        self.rooms = rooms
        self.path = path
        self.containers = containers
        self.gallery = gallery

    def url(self, path: str) -> URL:
        """A path as it is, without being encoded once more."""
        return URL(f"http://api{path}", encoded=True)

    async def ask(
        self, method: str, path: str, body: object = None, *, data: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Reply:
        """One request; `body` is sent as JSON."""
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers = {"Content-Type": "application/json", **headers}
        async with self.session.request(method, self.url(path), data=data, headers=headers) as reply:
            return Reply(reply.status, dict(reply.headers), await reply.read())

    async def get(self, path: str) -> Reply:
        """GET."""
        return await self.ask("GET", path)

    async def post(self, path: str, body: object = None) -> Reply:
        """POST."""
        return await self.ask("POST", path, body)


@asynccontextmanager
async def api_client(world: World | None = None) -> AsyncIterator[ApiClient]:
    """A server and a client while the block runs."""
    world = world or World()
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listening:
        path = Path(directory) / "socket"
        listening.bind(str(path))
        gallery = Gallery(Path(directory))
        async with world.engine() as engine, gallery.open(engine.announce) as images:
            containers = FakeContainers(engine)
            rooms = Rooms(engine, containers, HOST, images)
            async with serving(rooms, [Listener(listening)]):
                connector = aiohttp.UnixConnector(str(path))
                async with aiohttp.ClientSession(
                    connector=connector, timeout=aiohttp.ClientTimeout(PATIENCE)
                ) as session:
                    yield ApiClient(session, engine, world, rooms, path, containers, gallery)
            containers.close()
