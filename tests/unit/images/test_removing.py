"""Docker's rules of removal (daemon/images/image_delete.go)."""

import pytest

from linkspan.images.removing import verdict
from linkspan.model.errors import ConflictError
from linkspan.model.images import Image, ImageConfig, ImageUse, Platform
from linkspan.model.references import parse_reference

ID = "sha256:" + "1" * 64
DIGEST = "docker.io/library/a@sha256:" + "2" * 64
RUNNING = ImageUse("c" * 64, ID, "", running=True)
STOPPED = ImageUse("d" * 64, ID, "", running=False)


def image(*names: str) -> Image:
    return Image(ID, "", "", Platform("linux", "amd64"), ImageConfig(), (), 0, names=names)


A, B, OTHER = "docker.io/library/a:1", "docker.io/library/a:2", "docker.io/library/b:1"


def test_the_last_name_takes_the_image_along() -> None:
    found = verdict(image(A), parse_reference("a:1"), [], force=False)
    assert (found.untag, found.delete) == ((A,), True)


def test_one_of_several_names_is_only_a_name() -> None:
    found = verdict(image(A, B), parse_reference("a:1"), [RUNNING], force=False)
    assert (found.untag, found.delete) == ((A,), False)


def test_with_the_last_tag_of_a_repository_its_digests_go() -> None:
    found = verdict(image(A, DIGEST), parse_reference("a:1"), [], force=False)
    assert (found.untag, found.delete) == ((A, DIGEST), True)
    found = verdict(image(A, DIGEST, OTHER), parse_reference("a:1"), [], force=False)
    assert (found.untag, found.delete) == ((A, DIGEST), False)
    found = verdict(image(A, B, DIGEST), parse_reference("a:1"), [], force=False)
    assert (found.untag, found.delete) == ((A,), False)


def test_a_name_that_a_container_needs_must_be_forced() -> None:
    text = (
        r'unable to remove repository reference "a:1" \(must force\) - container dddddddddddd is using its referenced'
    )
    with pytest.raises(ConflictError, match=text):
        verdict(image(A), parse_reference("a:1"), [STOPPED], force=False)
    assert verdict(image(A), parse_reference("a:1"), [STOPPED], force=True).delete


def test_force_leaves_the_image_of_a_running_container_without_a_name() -> None:
    found = verdict(image(A), parse_reference("a:1"), [RUNNING], force=True)
    assert (found.untag, found.delete) == ((A,), False)


def test_by_its_id_an_image_goes_with_all_names_of_one_repository() -> None:
    found = verdict(image(A, DIGEST), None, [], force=False)
    assert (found.untag, found.delete) == ((A, DIGEST), True)


def test_by_its_id_an_image_of_several_names_must_be_forced() -> None:
    with pytest.raises(ConflictError, match=r"must be forced\) - image is referenced in multiple repositories"):
        verdict(image(A, OTHER), None, [], force=False)
    assert verdict(image(A, OTHER), None, [], force=True).delete


def test_by_its_id_the_image_of_a_running_container_never_goes() -> None:
    text = r"unable to delete 111111111111 \(cannot be forced\) - image is being used by running container cccccccccccc"
    with pytest.raises(ConflictError, match=text):
        verdict(image(A), None, [STOPPED, RUNNING], force=True)


def test_by_its_id_the_image_of_a_container_that_has_ended_must_be_forced() -> None:
    text = r"\(must be forced\) - image is being used by stopped container dddddddddddd"
    with pytest.raises(ConflictError, match=text):
        verdict(image(A), None, [STOPPED], force=False)
    assert verdict(image(A), None, [STOPPED], force=True).delete
