"""Desired state in SQLite: a document per network, per sandbox and per container.

Write-ahead logging with `synchronous=NORMAL`: a commit survives the death of the process at any moment without waiting
for the disk. A power cut may lose the last commits, but it also empties the kernel they described.

SQLite runs on a thread of its own, so that a checkpoint that waits for the disk never stops the event loop.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from linkspan.model.containers import Container
from linkspan.model.errors import LinkspanError
from linkspan.model.images import Image
from linkspan.model.networks import Network
from linkspan.model.sandboxes import Sandbox
from linkspan.model.state import Change, State
from linkspan.model.volumes import Volume
from linkspan.store.documents import DocumentError, decode, encode
from linkspan.store.locking import lock

Result = TypeVar("Result")

FORMAT = 1
"""Version of the tables and documents (`PRAGMA user_version`)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS engine (id TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS networks (id TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sandboxes (id TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS volumes (id TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
"""

_SELECT = "SELECT document FROM {} ORDER BY rowid"
_DELETE = "DELETE FROM {} WHERE id = ?"
_UPSERT = "INSERT INTO {} VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document"


class StoreError(LinkspanError):
    """The database cannot be read or written."""

    kind = "store"


class SqliteStore:
    """One data root's state. Made by `open`, which also keeps other processes out of the data root."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor, lock: int, engine_id: str) -> None:
        self._database = database
        self._thread = thread
        self._lock = lock
        self._engine_id = engine_id

    @property
    def engine_id(self) -> str:
        """64 hex digits, chosen when the data root was first used."""
        return self._engine_id

    @classmethod
    async def open(cls, data_root: Path, *, new_id: Callable[[], str]) -> "SqliteStore":
        """Open or create the state under `data_root`.

        Raises `ConflictError` when another process has it open, `UnavailableError` when it cannot be written.
        """
        held = await lock(data_root / "lock", field="data_root", mode=0o710)
        thread = ThreadPoolExecutor(1, "linkspan-store")
        try:
            database, engine_id = await _on(thread, lambda: _connect(data_root / "state.db", new_id))
        except BaseException:
            thread.shutdown()
            os.close(held)
            raise
        return cls(database, thread, held, engine_id)

    async def load(self) -> State:
        """Everything remembered; `DocumentError` when a document is damaged or refers to one that is missing."""
        networks, sandboxes = await _on(self._thread, self._read)
        try:
            return State((decode(Network, row) for row in networks), (decode(Sandbox, row) for row in sandboxes))
        except KeyError as error:
            raise DocumentError(f"the stored documents do not fit together: there is no network {error}") from error

    def _read(self) -> tuple[list[bytes], list[bytes]]:
        return self._rows("networks"), self._rows("sandboxes")

    def _rows(self, table: str) -> list[bytes]:
        return [row[0] for row in self._database.execute(_SELECT.format(table))]

    async def commit(self, change: Change) -> None:
        """Remember `change`, whole or not at all."""
        rows = {
            "networks": {id: encode(noun) if noun else None for id, noun in change.networks.items()},
            "sandboxes": {id: encode(noun) if noun else None for id, noun in change.sandboxes.items()},
        }
        await _on(self._thread, lambda: self._write(rows))

    def _write(self, tables: dict[str, dict[str, bytes | None]]) -> None:
        with self._database:
            for table, rows in tables.items():
                for id, document in rows.items():
                    if document is None:
                        self._database.execute(_DELETE.format(table), (id,))
                    else:
                        self._database.execute(_UPSERT.format(table), (id, document))

    async def recall(self, name: str) -> str | None:
        """The text that was remembered under a name."""
        query = "SELECT text FROM notes WHERE name = ?"
        row = await _on(self._thread, lambda: self._database.execute(query, (name,)).fetchone())
        return None if row is None else str(row[0])

    async def remember(self, name: str, text: str) -> None:
        """Remember a text under a name, in place of an earlier one."""
        if await self.recall(name) != text:
            await _on(self._thread, lambda: self._note(name, text))

    def _note(self, name: str, text: str) -> None:
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, text))

    async def load_containers(self) -> Sequence[Container]:
        """Every container, in order of creation; `DocumentError` when a document is damaged."""
        rows = await _on(self._thread, lambda: self._rows("containers"))
        return [decode(Container, row) for row in rows]

    async def put_container(self, container: Container) -> None:
        """Remember a container as it is now."""
        rows: dict[str, bytes | None] = {container.id: encode(container)}
        await _on(self._thread, lambda: self._write({"containers": rows}))

    async def delete_container(self, id: str) -> None:
        """Forget a container."""
        rows: dict[str, bytes | None] = {id: None}
        await _on(self._thread, lambda: self._write({"containers": rows}))

    async def load_volumes(self) -> Sequence[Volume]:
        """Every volume, in order of creation; `DocumentError` when a document is damaged."""
        return [decode(Volume, row) for row in await _on(self._thread, lambda: self._rows("volumes"))]

    async def put_volume(self, volume: Volume) -> None:
        """Remember a volume."""
        rows: dict[str, bytes | None] = {volume.name: encode(volume)}
        await _on(self._thread, lambda: self._write({"volumes": rows}))

    async def delete_volume(self, name: str) -> None:
        """Forget a volume."""
        rows: dict[str, bytes | None] = {name: None}
        await _on(self._thread, lambda: self._write({"volumes": rows}))

    async def load_images(self) -> Sequence[Image]:
        """Every image, in the order in which they came; `DocumentError` when a document is damaged."""
        rows = await _on(self._thread, lambda: self._rows("images"))
        return [decode(Image, row) for row in rows]

    async def put_images(self, images: Sequence[Image]) -> None:
        """Remember images as they are now, all or none."""
        rows: dict[str, bytes | None] = {image.id: encode(image) for image in images}
        await _on(self._thread, lambda: self._write({"images": rows}))

    async def delete_image(self, id: str) -> None:
        """Forget an image."""
        rows: dict[str, bytes | None] = {id: None}
        await _on(self._thread, lambda: self._write({"images": rows}))

    async def close(self) -> None:
        """Close the database and let other processes have the data root."""
        try:
            await _on(self._thread, self._database.close)
        finally:
            self._thread.shutdown()
            os.close(self._lock)


async def _on(thread: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the state database failed: {error}", hint="is the disk full or read-only?") from error


def _connect(path: Path, new_id: Callable[[], str]) -> tuple[sqlite3.Connection, str]:
    # Environments of containers hold passwords, and the directory may have been made by somebody who lets everyone in.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # The connection is used by the store's one thread only, and closed there.
    database = sqlite3.connect(path)
    try:
        return database, _prepare(database, path, new_id)
    except BaseException:
        database.close()
        raise


def _prepare(database: sqlite3.Connection, path: Path, new_id: Callable[[], str]) -> str:
    """Settings and tables; returns the engine's id."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, FORMAT):
        raise StoreError(
            f"{path} has format {found}, this version reads format {FORMAT}", hint="use the version that wrote it"
        )
    with database:
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO engine SELECT ? WHERE NOT EXISTS (SELECT 1 FROM engine)", (new_id(),))
        database.execute(f"PRAGMA user_version = {FORMAT}")
    id: str = database.execute("SELECT id FROM engine").fetchone()[0]
    return id
