"""Pushing: an image from here, to a registry."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from linkspan.images.files import Files
from linkspan.images.jobs import Say
from linkspan.images.ports import DIGEST_FILE, Bundle, Transport
from linkspan.images.pulling import short
from linkspan.images.register import Register
from linkspan.model.images import Credentials, Image, ImageProgress, Pushed
from linkspan.model.references import Reference

_BLOB = re.compile(r"Copying blob (?:sha256:)?([0-9a-f]{12,64})(.*)")
_VERSION = "Directory Transport Version: 1.1\n"


@dataclass(frozen=True)
class Pusher:
    """Pushes images."""

    files: Files
    register: Register
    transport: Transport

    async def push(self, image: Image, target: Reference, credentials: Credentials | None, say: Say) -> Pushed:
        """Send an image under a name; it gets its digest there as one more name here. Says what Docker says."""
        say(ImageProgress(f"The push refers to repository [{target.name}]"))
        by_digest = {layer.digest: layer.diff_id for layer in image.layers}
        for diff_id in reversed(by_digest.values()):
            say(ImageProgress("Preparing", short(diff_id)))
        async with self.files.scratch() as scratch:
            bundle = bundle_of(self.files, image, scratch / "image")
            there: set[str] = set()
            async for line in self.transport.send(bundle, target, credentials, scratch):
                self._tell(line, by_digest, there, say)
            for digest, diff_id in by_digest.items():
                say(ImageProgress("Layer already exists" if digest in there else "Pushed", short(diff_id)))
            digest = (scratch / DIGEST_FILE).read_text().strip()
            size = len(await self.transport.manifest(target.with_digest(digest), credentials, scratch))
        if self.register.by_id(image.id) is not None:  # nobody has removed it meanwhile
            await self.register.put(image, [target.with_digest(digest)], None)
        say(ImageProgress(f"{target.tag}: digest: {digest} size: {size}"))
        return Pushed(target.tag, digest, size)

    @staticmethod
    def _tell(line: str, by_digest: dict[str, str], there: set[str], say: Say) -> None:
        match = _BLOB.match(line)
        if match is None:
            return
        for digest, diff_id in by_digest.items():
            if digest.partition(":")[2].startswith(match[1]):
                if "already exists" in match[2] or "skipped" in match[2]:
                    there.add(digest)
                else:
                    say(ImageProgress("Pushing", short(diff_id)))


def bundle_of(files: Files, image: Image, path: Path) -> Bundle:
    """A bundle with an image from here: the blobs are links. The caller has pinned its digests."""
    bundle = Bundle(path)
    bundle.path.mkdir()
    (bundle.path / "version").write_text(_VERSION)
    os.link(files.blob(image.manifest), bundle.manifest)
    for digest in {image.id, *(layer.digest for layer in image.layers)}:
        os.link(files.blob(digest), bundle.blob(digest))
    return bundle
