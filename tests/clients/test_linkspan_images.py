"""The linkspan command and images, against a daemon and a real registry."""

import sys

import pytest

from tests.clients.machine import DockerMachine, Outcome
from tests.support.images import archive, busybox
from tests.support.registry import registry

pytestmark = pytest.mark.slow


async def linkspan(machine: DockerMachine, *words: str, stdin: bytes = b"") -> Outcome:
    program = (sys.executable, "-m", "linkspan", *words)
    return await machine.run("env", f"LINKSPAN_HOST=unix://{machine.socket}", *program, stdin=stdin)


async def test_an_image_is_loaded_run_saved_and_removed(machine: DockerMachine) -> None:
    await machine.serve()
    picture = busybox()
    loaded = await linkspan(machine, "load", stdin=archive([(picture, ["busybox:latest"])]))
    assert (loaded.status, loaded.out) == (0, "Loaded image: busybox:latest")
    listed = await linkspan(machine, "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert listed.out == f"busybox:latest {picture.id[7:19]}"
    ran = await linkspan(machine, "run", "--rm", "busybox", "sh", "-c", "echo inside; exit 3")
    assert (ran.status, ran.out) == (3, "inside")
    assert (await linkspan(machine, "run", "--dry-run", "busybox")).out != ""
    path = machine.root / "saved.tar"
    assert (await linkspan(machine, "save", "-o", str(path), "busybox")).status == 0
    removed = await linkspan(machine, "rmi", "busybox")
    assert removed.out == f"Untagged: busybox:latest\nDeleted: {picture.id}"
    assert (await linkspan(machine, "load", "-i", str(path))).out == "Loaded image: busybox:latest"
    cut = await linkspan(machine, "load", stdin=path.read_bytes()[:5000])
    assert cut.status == 1 and cut.err.startswith("linkspan: invalid archive")


async def test_a_file_system_is_imported(machine: DockerMachine) -> None:
    await machine.serve()
    made = await linkspan(
        machine, "import", "-c", 'CMD ["echo", "imported"]', "-m", "by hand", "-", "made:1", stdin=busybox().layers[0]
    )
    assert made.status == 0 and made.out.startswith("sha256:")
    assert (await linkspan(machine, "run", "--rm", "made:1")).out == "imported"
    assert (await linkspan(machine, "history", "--format", "{{.Comment}}", "made:1")).out == "by hand"


async def test_run_pulls_what_is_not_there(machine: DockerMachine) -> None:
    await machine.serve()
    async with registry(machine.site, machine.root / "registry") as server:
        name = f"{server.name}/busybox:1"
        await linkspan(machine, "load", stdin=archive([(busybox(), [name])]))
        pushed = await linkspan(machine, "push", name)
        assert pushed.status == 0 and pushed.out.splitlines()[-1].startswith("1: digest: sha256:")
        await linkspan(machine, "rmi", name)
        ran = await linkspan(machine, "run", "--rm", name, "echo", "pulled")
        assert ran.out == "pulled" and f"Status: Downloaded newer image for {name}" in ran.err
        missing = await linkspan(machine, "run", "--rm", f"{server.name}/busybox:2")
        assert missing.status == 125 and "not found: manifest unknown" in missing.err
        pruned = await linkspan(machine, "image", "prune", "-af")
        assert pruned.status == 0 and "Total reclaimed space" in pruned.out
        assert (await linkspan(machine, "images", "-q")).out == ""
