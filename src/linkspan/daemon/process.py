"""The daemon's life: settings, sockets, engine, API; signals; an orderly end. The composition root of the daemon.

SIGTERM and SIGINT end it and leave networks and containers as they are; SIGHUP reads the configuration file again.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from linkspan import __version__
from linkspan.api.host import look
from linkspan.api.rooms import Preferences, Rooms
from linkspan.api.server import Listener, serving
from linkspan.daemon import logs
from linkspan.daemon.listening import listeners
from linkspan.daemon.options import OPTIONS
from linkspan.daemon.settings import Settings, merge, read_settings
from linkspan.daemon.supervision import notify, pid_file
from linkspan.model.errors import LinkspanError
from linkspan.wiring import DataPlane, open_with_images

log = logging.getLogger(__name__)

ENDING = 10.0
"""Seconds from a signal to the end of the process; what is cut off then is put in order at the next start."""

INTERRUPTED = 128 + signal.SIGINT
PROGRAMS = {
    "nft": "nftables",
    "iptables": "iptables",
    "conmon": "conmon",
    "runc": "runc",
    "skopeo": "skopeo",
    "umoci": "umoci",
}
"""What the daemon runs, and the Debian package that has it."""


def run(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; 1 and one sentence when that cannot be."""
    try:
        settings = read_settings(argv)
        if settings.only_validate:
            sys.stderr.write("configuration OK\n")  # dockerd's answer
            return 0
        logs.start(settings.level)
        with pid_file(Path(settings.values["pidfile"])), listeners(settings.hosts, settings.values) as sockets:
            gc.freeze()  # what was imported stays: a full collection need not look at it each time
            asyncio.run(_serve(settings, sockets))
    except LinkspanError as error:
        hint = f" ({error.hint})" if error.hint else ""
        sys.stderr.write(f"linkspan daemon: {error.message}{hint}\n")
        return 1
    except KeyboardInterrupt:  # before the signals are ours
        return INTERRUPTED
    return 0


async def _serve(settings: Settings, sockets: Sequence[Listener]) -> None:
    """Serve until a signal, and then end within `ENDING`: what a client waits for may take longer than anyone waits."""
    loop = asyncio.get_running_loop()
    stopping = _stopped_by(signal.SIGTERM, signal.SIGINT)
    try:
        async with asyncio.timeout(None) as limit, _rooms(settings) as rooms, serving(rooms, sockets):
            loop.add_signal_handler(signal.SIGHUP, _reload, settings, rooms)
            notify("READY=1")
            log.info("serving on %s", ", ".join(settings.hosts))
            await stopping.wait()
            limit.reschedule(loop.time() + ENDING)
            notify("STOPPING=1")
            log.info("stopping: networks and containers stay")
    except TimeoutError:
        if not stopping.is_set():
            raise
        log.warning("a request that took too long was cut off")


@asynccontextmanager
async def _rooms(settings: Settings) -> AsyncIterator[Rooms]:
    """The engine, the containers and the images, open until the block ends."""
    data_root, exec_root = Path(settings.values["data-root"]), Path(settings.values["exec-root"])
    parts = open_with_images(
        data_root=data_root,
        exec_root=exec_root,
        config=settings.engine(),
        data_plane=DataPlane.REMOTE,
        insecure_registries=settings.values["insecure-registries"],
    )
    async with parts as (engine, containers, images):
        for problem in engine.problems:
            log.warning("%s: %s", problem.subject, problem.message)
        machine = look(data_root, __version__, programs=PROGRAMS)
        yield Rooms(engine, containers, machine, images, _preferences(settings))


def _stopped_by(*numbers: signal.Signals) -> asyncio.Event:
    """An event that a signal sets."""
    stopping = asyncio.Event()
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _preferences(settings: Settings) -> Preferences:
    values = settings.values
    return Preferences(
        debug=values["debug"],
        network_options=values.network_options(),
        dns=tuple(str(address) for address in values["dns"]),
        dns_search=values["dns-search"],
        dns_options=values["dns-opts"],
        logging=values.logging(),
    )


def _reload(settings: Settings, rooms: Rooms) -> None:
    """Take from the configuration file what can change while the daemon runs; a bad file changes nothing."""
    notify("RELOADING=1")
    try:
        if settings.config_file is not None:
            _take_over(settings, merge(settings.config_file, settings.flags), rooms.preferences)
        log.info("configuration reloaded")
        rooms.announce("daemon", "reload", rooms.engine.id, datetime.now(UTC), name=rooms.host.name)
    except LinkspanError as error:
        log.error("configuration not reloaded: %s", error.message)
    finally:
        notify("READY=1")


def _take_over(old: Settings, new: Settings, preferences: Preferences) -> None:
    for option in OPTIONS:
        if not option.reloads and old.values[option.name] != new.values[option.name]:
            log.warning("%s has changed: it takes effect when the daemon is started again", option.name)
    logs.set_level(new.level)
    fresh = _preferences(new)
    for field in fields(Preferences):
        setattr(preferences, field.name, getattr(fresh, field.name))
