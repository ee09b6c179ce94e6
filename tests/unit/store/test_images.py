"""Images in SQLite."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from linkspan.model.images import HistoryEntry, Image, ImageConfig, ImageHealth, Layer, Platform
from linkspan.store.sqlite import SqliteStore
from tests.support.scenes import ENGINE_ID

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = Image("sha256:1", "sha256:2", "sha256:3", Platform("linux", "amd64"), ImageConfig(), (), 0)
FULL = Image(
    id="sha256:4",
    manifest="sha256:5",
    root="sha256:6",
    platform=Platform("linux", "arm", "v7"),
    config=ImageConfig(
        ("e",), ("c",), ("A=b",), "/w", "u", {"k": "v"}, ("80/tcp",), ("/d",), "SIGINT", ImageHealth(("NONE",), 1)
    ),
    layers=(Layer("sha256:7", "sha256:8", 9),),
    size=9,
    created=NOW,
    history=(HistoryEntry(NOW, "by", empty=True),),
    names=("docker.io/library/a:1",),
    tagged=NOW,
)


def test_images_come_back_as_they_were_and_in_their_order(tmp_path: Path) -> None:
    async def whole() -> None:
        store = await SqliteStore.open(tmp_path, new_id=lambda: ENGINE_ID)
        await store.put_images([PLAIN, FULL])
        await store.put_images([PLAIN])
        await store.close()
        again = await SqliteStore.open(tmp_path, new_id=lambda: ENGINE_ID)
        try:
            assert await again.load_images() == [PLAIN, FULL]
            await again.delete_image(PLAIN.id)
            assert await again.load_images() == [FULL]
        finally:
            await again.close()

    asyncio.run(whole())
