"""Bodies about images (`docker-networking.md` §4.5; the transcript's §2.4 and §10)."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from linkspan.api.bodies.spelling import docker_name


class ImageItem(Struct, rename=docker_name, kw_only=True):
    """One image of GET /images/json. -1 means "not counted"."""

    containers: int = -1
    created: int
    id: str
    labels: dict[str, str] | None
    parent_id: str = field(name="ParentId", default="")
    repo_digests: list[str]
    repo_tags: list[str]
    shared_size: int = -1
    size: int
    virtual_size: int | UnsetType = UNSET


class GraphDriver(Struct, rename=docker_name, kw_only=True):
    """Where its files are."""

    name: str = "overlay2"
    data: dict[str, str] = field(default_factory=dict)


class RootFs(Struct, rename=docker_name, kw_only=True):
    """The digests of the layers' archives."""

    type: str = "layers"
    layers: list[str]


class ImageMetadata(Struct, rename=docker_name, kw_only=True):
    """What is known of it here only."""

    last_tag_time: str


class ImageBody(Struct, rename=docker_name, kw_only=True):
    """GET /images/{name}/json. `Config` has Docker's fields, without those that are empty.

    `ContainerConfig` left Docker's API with version 1.45; docker-compose 1.29, which asks for the newest version there
    is, ends without it when it makes a container anew.
    """

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    parent: str = ""
    comment: str
    created: str
    docker_version: str
    author: str
    config: dict[str, Any]
    container_config: dict[str, Any]
    architecture: str
    variant: str | UnsetType = UNSET
    os: str = field(name="Os")
    size: int
    virtual_size: int | UnsetType = UNSET
    graph_driver: GraphDriver
    root_fs: RootFs = field(name="RootFS")
    metadata: ImageMetadata


class HistoryItem(Struct, rename=docker_name, kw_only=True):
    """One step of GET /images/{name}/history, the last first."""

    comment: str
    created: int
    created_by: str
    id: str
    size: int
    tags: list[str] | None


class RemovedItem(Struct, rename=docker_name, kw_only=True, omit_defaults=True):
    """One name or image that was removed."""

    untagged: str = ""
    deleted: str = ""


class ImagesPruned(Struct, rename=docker_name, kw_only=True):
    """200 of POST /images/prune."""

    images_deleted: list[RemovedItem] | None
    space_reclaimed: int


class ProgressDetail(Struct, kw_only=True, omit_defaults=True):
    """How many bytes of how many."""

    current: int = 0
    total: int = 0


class ErrorDetail(Struct, kw_only=True):
    """What went wrong; `code` is the exit status of a program that failed."""

    code: int | UnsetType = UNSET
    message: str


class Message(Struct, rename="camel", kw_only=True, omit_defaults=True):
    """One object of a stream about a transfer (Docker's `jsonmessage`)."""

    stream: str = ""
    status: str = ""
    progress_detail: ProgressDetail | UnsetType = UNSET
    progress: str = ""
    id: str = ""
    error_detail: ErrorDetail | UnsetType = UNSET
    error: str = ""
    aux: dict[str, Any] | UnsetType = UNSET


class AuthBody(Struct, kw_only=True):
    """POST /auth, and what X-Registry-Auth holds."""

    username: str = ""
    password: str = ""
    auth: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class AuthAnswer(Struct, rename=docker_name, kw_only=True):
    """200 of POST /auth."""

    status: str
    identity_token: str = ""


class DescriptorBody(Struct, rename="camel", kw_only=True):
    """What a registry has under a name."""

    media_type: str
    digest: str
    size: int


class PlatformBody(Struct, kw_only=True, omit_defaults=True):
    """What an image runs on."""

    architecture: str
    os: str
    variant: str = ""


class DistributionBody(Struct, rename=docker_name, kw_only=True):
    """GET /distribution/{name}/json."""

    descriptor: DescriptorBody
    platforms: list[PlatformBody]
