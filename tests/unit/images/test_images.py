"""Images as their callers see them, on a registry and a store in memory."""

import asyncio
from pathlib import Path

import pytest

from linkspan.images.core import Images
from linkspan.model.errors import ConflictError, InvalidError, LinkspanError, NotFoundError, UnavailableError
from linkspan.model.images import Credentials, ImageConfig, ImageProgress, ImageUse, Pushed
from linkspan.model.references import parse_reference
from tests.support.images import Entry, Picture, archive, digest, layer, manifest_list
from tests.unit.images.gallery import Gallery, pieces

BASE = layer(Entry("a", b"1"))
ONE = Picture([BASE, layer(Entry("b", b"=B"))], config={"Cmd": ["one"], "Labels": {"k": "v"}})
TWO = Picture([BASE, layer(Entry("c", b"333"))], config={"Cmd": ["two"]})
EMPTY = Picture([], config={"Cmd": ["none"]})
TOOL = parse_reference("registry.test/tool:1")
FULL = "registry.test/tool:1"


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path)


async def load(images: Images, *pictures: tuple[Picture, list[str]]) -> None:
    await images.load(pieces(archive(pictures)))


async def pull(images: Images, name: str = FULL, **more: object) -> list[str]:
    said = [progress async for progress in images.pull(parse_reference(name), **more)]  # type: ignore[arg-type]
    return [f"{each.id}: {each.status}" if each.id else each.status for each in said]


async def test_what_is_loaded_is_found_by_name_id_and_prefix(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        for text in ("one:1", "docker.io/library/one:1", ONE.id, ONE.id[7:], ONE.id[7:19]):
            assert images.get(text).id == ONE.id
        found = images.get("one:1")
        assert found.size == 3 and found.config.cmd == ("one",)
        assert sorted(path.name for path in images.root(found).iterdir()) == ["a", "b"]


async def test_the_id_is_the_digest_of_the_configuration_as_it_came(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, []))
        assert [image.id for image in images.all()] == [digest(ONE.document)]


@pytest.mark.parametrize("text", ["one", "one:2", "sha256:" + "0" * 64, "0" * 64])
async def test_what_is_not_there_is_not_found_in_docker_s_words(gallery: Gallery, text: str) -> None:
    shown = text if ":" in text or len(text) == 64 else f"{text}:latest"
    async with gallery.open() as images:
        with pytest.raises(NotFoundError, match=f"^No such image: {shown}$"):
            images.get(text)


async def test_images_are_remembered_with_their_names(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1", "one:2"]), (TWO, []))
        before = images.all()
    async with gallery.open() as images:
        assert images.all() == before and images.get("one:2").id == ONE.id


async def test_a_name_goes_to_who_got_it_last(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["x:1"]))
        (loaded,) = await images.load(pieces(archive([(TWO, ["x:1"])])))
        assert loaded.renamed == ((parse_reference("x:1"), ONE.id),)
        assert images.get("x:1").id == TWO.id and images.get(ONE.id).names == ()


async def test_layers_are_unpacked_once_for_all_images_that_have_them(gallery: Gallery) -> None:
    same = Picture(ONE.layers, config={"Cmd": ["other"]})
    async with gallery.open() as images:
        await asyncio.gather(*(load(images, (each, [])) for each in (ONE, same, ONE)))
        assert gallery.unpacker.unpacked == 1 and len(images.all()) == 2


@pytest.mark.parametrize("cut", [10, 1000, 5000])
async def test_a_truncated_archive_leaves_nothing(gallery: Gallery, cut: int) -> None:
    data = archive([(ONE, ["one:1"])])
    async with gallery.open() as images:
        with pytest.raises(InvalidError):
            await images.load(pieces(data[:cut]))
        assert images.all() == [] and gallery.files() == set()


async def test_an_archive_with_a_wrong_layer_leaves_nothing(gallery: Gallery) -> None:
    data = archive([(TWO, ["two:1"]), (ONE, ["one:1"])]).replace(b"=B", b"=C")
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match="invalid"):
            await images.load(pieces(data))
        assert images.all() == [] and gallery.files() == set()


async def test_an_archive_with_another_configuration_than_it_says_leaves_nothing(gallery: Gallery) -> None:
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match="has another digest"):
            await images.load(pieces(archive([(ONE, ["one:1"])]).replace(b'"linux"', b'"limux"')))
        assert images.all() == [] and gallery.files() == set()


async def test_a_layer_that_cannot_be_unpacked_leaves_nothing(gallery: Gallery) -> None:
    gallery.unpacker.failure = InvalidError("invalid image: its layers cannot be unpacked")
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match="cannot be unpacked"):
            await load(images, (ONE, ["one:1"]))
        assert gallery.files() == set()
        await load(images, (ONE, ["one:1"]))


async def test_what_the_store_refuses_is_not_there(gallery: Gallery) -> None:
    gallery.store.failure = LinkspanError("the disk is full")
    async with gallery.open() as images:
        with pytest.raises(LinkspanError, match="full"):
            await load(images, (ONE, ["one:1"]))
        assert images.all() == [] and gallery.files() == set()


async def test_a_start_takes_away_what_nobody_remembers(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
    kept = gallery.files()
    top = gallery.root / "images"
    (top / "tmp/half").mkdir()
    (top / "roots" / ("f" * 64)).mkdir()
    (top / "blobs/sha256" / ("e" * 64)).write_text("x")
    async with gallery.open():
        assert gallery.files() == kept


async def test_the_files_of_a_container_stay_when_its_image_is_forced_away(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        root = images.root(images.get("one:1"))
        gallery.uses = [ImageUse("c" * 64, ONE.id, str(root), running=False)]
        await images.remove("one:1", force=True)
        assert images.all() == [] and (root / "a").exists()
    async with gallery.open():
        assert root.exists()
    gallery.uses = []
    async with gallery.open():
        assert gallery.files() == set()


async def test_an_image_cannot_go_while_a_container_is_made_of_it(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        with images.holding("one:1"):
            with pytest.raises(ConflictError):
                await images.remove("one:1")
            assert (await images.prune(lambda image: True))[0] == []
        assert (await images.remove("one:1")).deleted == (ONE.id,)


async def test_removal_takes_what_no_other_image_has(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        alone = gallery.files()
        await load(images, (TWO, ["two:1"]))
        await images.remove("two:1")
        assert gallery.files() == alone


async def test_a_removal_leaves_the_files_of_what_is_just_being_added(gallery: Gallery) -> None:
    async with gallery.open() as images, asyncio.TaskGroup() as tasks:
        await load(images, (ONE, ["one:1"]))
        gallery.unpacker.open.clear()
        gallery.unpacker.waiting.clear()
        loading = tasks.create_task(load(images, (EMPTY, ["empty:1"]), (TWO, ["two:1"])))
        await gallery.unpacker.waiting.wait()  # the first is in place, and not yet remembered
        await images.remove("one:1")
        gallery.unpacker.open.set()
        await loading
        assert images.root(images.get("empty:1")).exists()
        data = b"".join([each async for each in images.save(["empty:1", "two:1"])])
        assert len(await images.load(pieces(data))) == 2


async def test_prune_removes_what_is_chosen_and_not_used(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]), (TWO, ["two:1"]))
        gallery.uses = [ImageUse("c" * 64, ONE.id, "", running=False)]
        removals, freed = await images.prune(lambda image: True)
        assert [removal.deleted for removal in removals] == [(TWO.id,)] and freed > 0
        assert [image.id for image in images.all()] == [ONE.id]


async def test_a_pull_says_what_docker_says(gallery: Gallery) -> None:
    found = gallery.registry.put(ONE, FULL)
    short = [digest(each)[7:19] for each in ONE.packed()]
    async with gallery.open() as images:
        said = await pull(images)
        again = await pull(images)
    assert said[0] == "1: Pulling from tool"
    assert said[1:3] == [f"{each}: Pulling fs layer" for each in short]
    assert said[-2:] == [f"Digest: {found}", "Status: Downloaded newer image for registry.test/tool:1"]
    assert {f"{each}: Pull complete" for each in short} <= set(said)
    assert again[1:] == [f"Digest: {found}", "Status: Image is up to date for registry.test/tool:1"]


async def test_a_name_that_is_new_here_is_news_of_an_image_that_is_not(gallery: Gallery) -> None:
    gallery.registry.put(ONE, FULL)
    gallery.registry.put(ONE, "registry.test/tool:2")
    async with gallery.open() as images:
        await pull(images)
        said = await pull(images, "registry.test/tool:2")
    assert said[-1] == "Status: Downloaded newer image for registry.test/tool:2"


async def test_the_name_of_what_is_empty_is_reserved(gallery: Gallery) -> None:
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match=r"^'scratch' is a reserved name$"):
            await pull(images, "scratch")


async def test_what_is_pulled_has_its_name_and_its_digest(gallery: Gallery) -> None:
    found = gallery.registry.put(ONE, FULL)
    async with gallery.open() as images:
        await pull(images)
        assert images.get(FULL).names == (FULL, f"registry.test/tool@{found}")
        assert images.get(f"registry.test/tool@{found}").id == ONE.id


async def test_layers_that_are_there_are_not_fetched_again(gallery: Gallery) -> None:
    gallery.registry.put(ONE, FULL)
    gallery.registry.put(TWO, "registry.test/tool:2")
    async with gallery.open() as images:
        await pull(images)
        said = await pull(images, "registry.test/tool:2")
    assert f"{digest(TWO.packed()[0])[7:19]}: Already exists" in said
    assert gallery.registry.fetched == [digest(each) for each in (*ONE.packed(), TWO.packed()[1])]


async def test_pulls_of_one_image_at_one_time_are_one_pull(gallery: Gallery) -> None:
    gallery.registry.put(ONE, FULL)
    gallery.registry.open.clear()
    async with gallery.open() as images, asyncio.TaskGroup() as tasks:
        pulls = [tasks.create_task(pull(images)) for _ in range(3)]
        await gallery.registry.waiting.wait()
        gallery.registry.open.set()
        first, *others = [await each for each in pulls]
    assert len(gallery.registry.fetched) == 2 and all(other == first for other in others)


async def test_a_pull_that_nobody_follows_ends_and_leaves_nothing(gallery: Gallery) -> None:
    gallery.registry.put(ONE, FULL)
    gallery.registry.open.clear()
    async with gallery.open() as images:
        stream = images.pull(TOOL)
        await anext(stream)
        await stream.aclose()
    assert gallery.files() == set() and gallery.store.images == {}


async def test_the_image_for_the_machine_is_pulled_from_a_list(gallery: Gallery) -> None:
    other = Picture([layer(Entry("z"))], architecture="arm64", variant="v8")
    for picture in (ONE, other):
        gallery.registry.put(picture, "registry.test/tool:parts")
    listed = manifest_list([other, ONE])
    gallery.registry.put_list(listed, FULL)
    async with gallery.open() as images:
        assert f"Digest: {digest(listed)}" in await pull(images)
        assert images.get(FULL).id == ONE.id
        await pull(images, platform="linux/arm64")
        assert images.get(FULL).id == other.id
        with pytest.raises(NotFoundError, match="no matching manifest for linux/s390x"):
            await pull(images, platform="linux/s390x")
        with pytest.raises(NotFoundError, match="does not match the specified platform"), images.holding(FULL, "amd64"):
            pass


async def test_a_pull_shows_who_asks(gallery: Gallery) -> None:
    gallery.registry.put(ONE, FULL)
    gallery.registry.password = "p"
    async with gallery.open() as images:
        with pytest.raises(UnavailableError, match="unauthorized: authentication required"):
            await pull(images)
        assert await pull(images, credentials=Credentials("ann", "p"))


async def test_what_is_pushed_can_be_pulled_and_has_a_digest(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, [FULL]))
        said = [each async for each in images.push(TOOL)]
        assert said[0] == ImageProgress("The push refers to repository [registry.test/tool]")
        pushed = said[-1]
        assert isinstance(pushed, Pushed) and pushed.tag == "1"
        assert said[-2] == ImageProgress(f"1: digest: {pushed.digest} size: {pushed.size}")
        assert f"registry.test/tool@{pushed.digest}" in images.get(FULL).names
        await images.remove(ONE.id, force=True)
        await pull(images)
        assert images.get(FULL).id == ONE.id


async def test_what_is_not_there_cannot_be_pushed(gallery: Gallery) -> None:
    async with gallery.open() as images:
        with pytest.raises(NotFoundError, match=r"An image does not exist locally with the tag: registry\.test/tool"):
            async for _ in images.push(TOOL):
                pass


async def test_of_a_repository_without_that_tag_the_tag_is_missing(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["registry.test/tool:2"]))
        with pytest.raises(NotFoundError, match=r"^tag does not exist: registry\.test/tool:1$"):
            async for _ in images.push(TOOL):
                pass


async def test_what_is_saved_loads_again(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1", "one:2"]), (TWO, ["two:1"]))
        data = b"".join([each async for each in images.save(["one", TWO.id])])
        for image in images.all():
            await images.remove(image.id, force=True)
        loaded = await images.load(pieces(data))
    found = {each.image.id: [name.familiar for name in each.names] for each in loaded}
    assert found == {ONE.id: ["one:1", "one:2"], TWO.id: []}


async def test_what_cannot_be_saved_is_said_at_once(gallery: Gallery) -> None:
    async with gallery.open() as images:
        with pytest.raises(NotFoundError, match=r"^No such image: one$"):
            images.save(["one"])


async def test_an_imported_archive_becomes_an_image_of_one_layer(gallery: Gallery) -> None:
    async with gallery.open() as images:
        image = await images.make(
            pieces(BASE), parse_reference("made"), changes=['CMD ["x"]'], message="m", platform="linux/arm64"
        )
        assert images.get("made:latest") == image
        assert (image.config.cmd, image.comment, str(image.platform)) == (("x",), "m", "linux/arm64")
        assert [each.diff_id for each in image.layers] == [digest(BASE)]
        assert [path.name for path in images.root(image).iterdir()] == ["a"]


async def test_a_digest_cannot_be_a_tag(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        with pytest.raises(InvalidError, match="refusing to create a tag with a digest reference"):
            await images.tag("one:1", parse_reference("two@sha256:" + "a" * 64))


async def test_the_name_of_digests_cannot_be_a_tag(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        with pytest.raises(InvalidError, match="refusing to create an ambiguous tag using digest algorithm as name"):
            await images.tag("one:1", parse_reference("sha256:1"))


async def test_an_image_cannot_be_imported_for_another_system(gallery: Gallery) -> None:
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match="operating system is not supported"):
            await images.make(pieces(BASE), None, platform="plan9/amd64")


async def test_everything_that_happens_is_announced(gallery: Gallery) -> None:
    gallery.registry.put(TWO, FULL)
    async with gallery.open() as images:
        await load(images, (ONE, ["one:1"]))
        await images.tag("one:1", parse_reference("two"))
        await images.remove("two")
        await pull(images)
        _ = [each async for each in images.save(["one:1"])]
        await images.remove("one:1")
    assert gallery.happened() == [
        f"load {ONE.id}",
        "tag two:latest",
        f"untag {ONE.id}",
        "pull registry.test/tool",
        f"save {ONE.id}",
        f"untag {ONE.id}",
        f"delete {ONE.id}",
    ]
    assert dict(gallery.events[0].attributes)["k"] == "v"
    assert gallery.events[3].actor == FULL


async def test_names_of_what_is_made_here_are_announced(gallery: Gallery) -> None:
    async with gallery.open() as images:
        made = await images.make(pieces(BASE), parse_reference("made"))
        await images.make(pieces(BASE), None)
        await images.commit(pieces(layer(Entry("d", b"4"))), parse_reference("more"), made.id, ImageConfig())
    assert gallery.happened()[:2] == ["tag made:latest", f"import {made.id}"]
    assert gallery.happened()[3:] == ["tag more:latest"]


async def test_a_container_s_image_is_shown_by_its_id_when_another_has_its_name(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["x:1"]))
        assert images.shown("x:1", ONE.id) == "x:1"
        await load(images, (TWO, ["x:1"]))
        assert images.shown("x:1", ONE.id) == ONE.id


async def test_a_commit_says_what_the_container_ran(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await load(images, (ONE, ["one"]))
        config = ImageConfig(cmd=("sleep", "9"))
        made = await images.commit(pieces(layer(Entry("d", b"4"))), None, ONE.id, config, message="why")
        assert [(step.created_by, step.comment) for step in made.history[-1:]] == [("sleep 9", "why")]
