"""Builds: what is brought, given, told and kept. A program in memory builds."""

import asyncio
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from linkspan.images.buildah import failure_of
from linkspan.images.building import Teller
from linkspan.images.core import Images
from linkspan.images.ports import Site
from linkspan.model.builds import BuildLine, BuildRequest
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError, UnimplementedError
from linkspan.model.images import Image, ImageProgress
from linkspan.model.references import parse_reference
from tests.support.images import Entry, Picture, archive, layer
from tests.unit.images.gallery import Gallery, pieces

BASE = Picture([layer(Entry("base", b"1"))])


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path)


def context(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def built(images: Images, files: Mapping[str, str], request: BuildRequest | None = None) -> tuple[str, Image]:
    """What was told, and the image."""
    said, image = "", None
    async for news in images.build(pieces(context(files)), request or BuildRequest()):
        if isinstance(news, BuildLine):
            said += news.text
        elif isinstance(news, ImageProgress):
            said += f"{news.status}\n"
        else:
            image = news
    assert image is not None
    return said, image


async def test_a_build_makes_an_image_with_its_names_and_labels(gallery: Gallery) -> None:
    request = BuildRequest(names=(parse_reference("my:1"),), labels={"k": "v"})
    async with gallery.open() as images:
        said, image = await built(images, {"Dockerfile": "FROM scratch\nCOPY a /b", "a": "text"}, request)
        assert images.get("my:1").id == image.id and image.config.labels == {"k": "v"}
        assert (images.root(image) / "b").read_text() == "text"
        assert said.startswith("Step 1/3 : FROM scratch\nStep 2/3 : COPY a /b\n ---> ")
    assert gallery.happened()[-1] == "tag my:1"


async def test_an_image_that_is_here_is_given_to_the_program_under_its_full_name(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await images.load(pieces(archive([(BASE, ["base:1"])])))
        short = BASE.id[7:19]
        await built(images, {"Dockerfile": f"FROM base:1\nFROM {short}"})
        assert gallery.builder.taken == ["docker.io/library/base:1", f"localhost/linkspan:{BASE.id[7:]}"]


async def test_an_image_that_is_not_here_is_pulled_first(gallery: Gallery) -> None:
    gallery.registry.put(BASE, "registry.test/base:1")
    async with gallery.open() as images:
        said, _ = await built(images, {"Dockerfile": "FROM registry.test/base:1"})
        assert "Pull complete" in said and images.get("registry.test/base:1").id == BASE.id
        with pytest.raises(NotFoundError):
            await built(images, {"Dockerfile": "FROM registry.test/nosuch"})


async def test_steps_reach_the_network_that_is_asked_for_until_the_build_ends(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await built(images, {"Dockerfile": "FROM scratch"})
        await built(images, {"Dockerfile": "FROM scratch"}, BuildRequest(network="net"))
        with pytest.raises(NotFoundError, match="network nosuch not found"):
            await built(images, {"Dockerfile": "FROM scratch"}, BuildRequest(network="nosuch"))
    assert [network.namespace for network in gallery.builder.networks] == ["/netns/default", "/netns/net"]
    assert gallery.networks.left == 2


async def test_an_image_for_another_machine_is_no_beginning(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await images.load(pieces(archive([(BASE, ["registry.test/base:1"])])))
        with pytest.raises(NotFoundError, match="manifest for"):
            await built(images, {"Dockerfile": "FROM registry.test/base:1"}, BuildRequest(platform="linux/s390x"))


async def test_what_the_kernel_holds_of_a_build_that_a_crash_ended_is_taken_away_at_start(gallery: Gallery) -> None:
    (gallery.root / "images/tmp/left").mkdir(parents=True)
    async with gallery.open():
        assert gallery.builder.recovered == ["left"]


@pytest.mark.parametrize(
    ("files", "request_", "reason"),
    [
        ({"a": ""}, BuildRequest(), "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": "\n# nothing"}, BuildRequest(), "cannot be empty"),
        ({"Dockerfile": "FROM a"}, BuildRequest("../x"), "Forbidden path outside the build context"),
        ({"Dockerfile": "FROM INVALID"}, BuildRequest(), "must be lowercase"),
        ({"Dockerfile": "FROM scratch\nCOPY nosuch /"}, BuildRequest(), "COPY failed"),
        ({"Dockerfile": "FROM scratch\nRUN false"}, BuildRequest(), "returned a non-zero code: 1"),
    ],
)
async def test_a_build_that_fails_leaves_nothing(
    gallery: Gallery, files: dict[str, str], request_: BuildRequest, reason: str
) -> None:
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match=reason):
            await built(images, files, request_)
        assert not images.all() and not gallery.files()


async def test_a_dockerfile_that_is_a_link_out_of_the_context_is_refused(gallery: Gallery) -> None:
    info = tarfile.TarInfo("Dockerfile")
    info.type, info.linkname = tarfile.SYMTYPE, "../../../../escape"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(info)
    async with gallery.open() as images:
        with pytest.raises(InvalidError):
            async for _ in images.build(pieces(buffer.getvalue()), BuildRequest()):
                pass


async def test_an_archive_that_ends_in_the_middle_of_a_block_is_read(gallery: Gallery) -> None:
    data = context({"Dockerfile": "FROM scratch"})[: tarfile.BLOCKSIZE + 20]
    async with gallery.open() as images:
        found = [news async for news in images.build(pieces(data), BuildRequest())]
    assert isinstance(found[-1], Image)


async def test_without_the_program_the_error_names_its_package(gallery: Gallery) -> None:
    gallery.builder.missing = True
    async with gallery.open() as images:
        with pytest.raises(UnimplementedError, match="install the package buildah"):
            await built(images, {"Dockerfile": "FROM scratch"})


async def test_what_builds_keep_is_thrown_away_but_not_under_a_build(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await built(images, {"Dockerfile": "FROM scratch"})
        assert await images.builds_size() == 8 and images.builds_since() is not None
        async with asyncio.TaskGroup() as tasks:
            sleeping = tasks.create_task(built(images, {"Dockerfile": "FROM scratch\nRUN sleep"}))
            await gallery.builder.sleeping.wait()
            with pytest.raises(ConflictError, match="a build is running"):
                await images.prune_builds()
            sleeping.cancel()
        assert await images.prune_builds() == 8
        assert await images.builds_size() == await images.prune_builds() == 0 and images.builds_since() is None


async def test_leftovers_are_tidied_away_only_when_nothing_else_is_built(gallery: Gallery) -> None:
    async with gallery.open() as images:
        async with asyncio.TaskGroup() as tasks:
            sleeping = tasks.create_task(built(images, {"Dockerfile": "FROM scratch\nRUN sleep"}))
            await gallery.builder.sleeping.wait()
            await built(images, {"Dockerfile": "FROM scratch"})
            assert gallery.builder.tidied == 1
            sleeping.cancel()
        await built(images, {"Dockerfile": "FROM scratch"})
        assert gallery.builder.tidied == 2


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[1/2] STEP 3/9: RUN x", "Step 1/2 : RUN x\n"),
        ("STEP 3/9: RUN x", "Step 1/2 : RUN x\n"),
        ("--> Using cache 0123456789abcdef", " ---> Using cache\n ---> 0123456789ab\n"),
        ("--> 0123456789a", " ---> 0123456789a\n"),
        ("[2/2] COMMIT my:1", ""),
        ("anything else", "anything else\n"),
        ('time="2026-01-01T00:00:00Z" level=warning msg="missing \\"B\\" build argument"', ""),
        (
            "[Warning] one or more build args were not consumed: [X]",
            "[Warning] One or more build-args [X] were not consumed\n",
        ),
    ],
)
def test_the_program_is_heard_in_dockers_words(line: str, shown: str) -> None:
    assert Teller(2).shown(line) == shown


@pytest.mark.parametrize(
    ("said", "step", "message", "status"),
    [
        (
            'Error: building at STEP "RUN exit 7": exit status 7',
            "RUN --mount=type=cache,target=/x exit 7",
            "The command '/bin/sh -c exit 7' returned a non-zero code: 7",
            7,
        ),
        (
            'Error: building at STEP "RUN [\\"a\\",\\"b\\"]": while running runtime: exit status 1',
            'RUN ["a", "b"]',
            "The command 'a b' returned a non-zero code: 1",
            1,
        ),
        (
            'Error: building at STEP "COPY nix /": checking on sources under "/s/context": copier: stat: "/nix": '
            "no such file or directory",
            "COPY nix /",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat nix: file does not exist",
            0,
        ),
        (
            'time="x" level=error msg="noise"\nError: building at STEP "RUNX ": Build error: Unknown instruction: '
            '"RUNX" &imagebuilder.Step{}',
            "RUNX ",
            "dockerfile parse error: unknown instruction: RUNX",
            0,
        ),
        (
            'error running container: from /r creating container for [/x]: time="x" level=error msg="runc create '
            'failed: unable to start container process: exec: \\"/x\\": no"\n'
            'Error: building at STEP "RUN /x": exit status 1',
            'RUN ["/x"]',
            "failed to create task for container: OCI runtime create failed: runc create failed: "
            'unable to start container process: exec: "/x": no',
            0,
        ),
        (
            'Error: The target "x" was not found in the provided Dockerfile',
            "",
            "failed to reach build target x in Dockerfile",
            0,
        ),
        ('Error: building at STEP "ADD x": reading "/s/context/x": no', "ADD x /", 'reading "/context/x": no', 0),
    ],
)
def test_what_failed_is_said_in_dockers_words(said: str, step: str, message: str, status: int) -> None:
    failure = failure_of(said, step, Site(Path("/s"), Path("/w")))
    assert (failure.message, failure.status) == (message, status)
