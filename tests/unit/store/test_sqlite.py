"""Desired state in SQLite: whole or not at all, and one engine at a time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linkspan.model.errors import ConflictError, UnavailableError
from linkspan.model.requests import CreateNetwork, CreateSandbox, RemoveSandbox
from linkspan.model.state import Change, State
from linkspan.store.documents import DocumentError
from linkspan.store.sqlite import FORMAT, SqliteStore, StoreError
from tests.support.scenes import ENGINE_ID, Scene, content


@asynccontextmanager
async def opened(root: Path, new_id: Callable[[], str] = lambda: ENGINE_ID) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(root, new_id=new_id)
    try:
        yield store
    finally:
        await store.close()


def everything(state: State) -> Change:
    return Change(dict(state.networks), dict(state.sandboxes))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def load(root: Path) -> State:
    async def read() -> State:
        async with opened(root) as store:
            return await store.load()

    return asyncio.run(read())


def commit(root: Path, *changes: Change) -> None:
    async def write() -> None:
        async with opened(root) as store:
            for change in changes:
                await store.commit(change)

    asyncio.run(write())


def scene() -> Scene:
    scene = Scene()
    scene.do(CreateNetwork("n", ipv6=True))
    scene.do(CreateSandbox("x", networks=["n"], publish=["8080:80"]))
    scene.do(CreateSandbox("y", mode="container:x"))
    return scene


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    built = scene()
    commit(tmp_path, everything(built.state))
    assert content(load(tmp_path)) == content(built.state)


def test_removals_and_changes_are_remembered(tmp_path: Path) -> None:
    built = scene()
    before = everything(built.state)
    removal = built.decide(RemoveSandbox("y")).change
    commit(tmp_path, before, removal)
    built.state.apply(removal)
    assert content(load(tmp_path)) == content(built.state)


def test_the_order_of_creation_is_kept(tmp_path: Path) -> None:
    built = scene()
    commit(tmp_path, everything(built.state))
    assert list(load(tmp_path).sandboxes) == list(built.state.sandboxes)


def test_the_engines_id_is_chosen_once(tmp_path: Path) -> None:
    ids = iter(["a" * 64, "b" * 64])

    async def identify() -> str:
        async with opened(tmp_path, lambda: next(ids)) as store:
            return store.engine_id

    assert [asyncio.run(identify()) for _ in range(2)] == ["a" * 64, "a" * 64]


def test_a_change_that_fails_half_way_is_not_there_at_all(tmp_path: Path) -> None:
    built = scene()
    commit(tmp_path, everything(built.state))
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("CREATE TRIGGER refuse BEFORE DELETE ON sandboxes BEGIN SELECT RAISE(ABORT, 'no'); END")
    database.close()
    first, second = built.state.sandboxes.values()
    renamed = Change(
        sandboxes={first.id: None, second.id: None}, networks={n.id: n for n in built.state.networks.values()}
    )
    with pytest.raises(StoreError, match="the state database failed"):
        commit(tmp_path, renamed)
    assert content(load(tmp_path)) == content(built.state)


def test_a_data_root_belongs_to_one_engine_at_a_time(tmp_path: Path) -> None:
    async def twice() -> None:
        async with opened(tmp_path):
            before = open_files()
            with pytest.raises(ConflictError, match="in use by another engine") as caught:
                await SqliteStore.open(tmp_path, new_id=lambda: ENGINE_ID)
            assert open_files() == before
            assert (caught.value.field, caught.value.value) == ("data_root", str(tmp_path))
        async with opened(tmp_path):
            pass

    asyncio.run(twice())


def test_a_data_root_is_made_with_its_parents_and_not_for_everybody(tmp_path: Path) -> None:
    root = tmp_path / "var" / "lib"
    load(root)
    assert root.stat().st_mode & 0o777 & ~0o710 == 0


def test_what_is_remembered_is_for_its_owner_alone_whoever_made_the_data_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    def modes() -> set[int]:
        return {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}

    async def while_open() -> set[int]:
        async with opened(tmp_path) as store:
            await store.commit(everything(scene().state))
            return modes()

    assert asyncio.run(while_open()) == {0}


def test_a_data_root_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UnavailableError) as caught:
        load(file / "root")
    assert caught.value.field == "data_root"


@pytest.mark.parametrize("text", ["this is no database" * 100, "\0" * 8192])
def test_a_damaged_database_is_a_store_error_and_lets_go_of_the_data_root(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.db").write_text(text)
    for _ in range(2):
        with pytest.raises(StoreError):
            load(tmp_path)


def test_another_format_is_a_store_error_that_names_both(tmp_path: Path) -> None:
    load(tmp_path)
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    with pytest.raises(StoreError, match=rf"has format {FORMAT + 1}, this version reads format {FORMAT}"):
        load(tmp_path)


def damage(root: Path, statement: str) -> None:
    with sqlite3.connect(root / "state.db") as database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sandboxes SET document = CAST('{}' AS BLOB)",
        "UPDATE networks SET document = x'00'",
        "UPDATE networks SET document = substr(document, 1, 40)",
    ],
)
def test_a_damaged_document_is_a_document_error(tmp_path: Path, statement: str) -> None:
    commit(tmp_path, everything(scene().state))
    damage(tmp_path, statement)
    with pytest.raises(DocumentError):
        load(tmp_path)


def test_documents_that_do_not_fit_together_are_a_document_error(tmp_path: Path) -> None:
    commit(tmp_path, everything(scene().state))
    damage(tmp_path, """DELETE FROM networks WHERE CAST(document AS TEXT) LIKE '%"name":"n"%'""")
    with pytest.raises(DocumentError):
        load(tmp_path)
