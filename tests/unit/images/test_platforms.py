"""Which of several images is meant."""

import pytest

from linkspan.images.documents import ManifestList, parse_list
from linkspan.images.platforms import choose, fits, machine_platform, parse_platform
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.images import Platform
from tests.support.images import Picture, digest, layer, manifest_list

AMD64, ARM = Platform("linux", "amd64"), Platform("linux", "arm", "v7")


def listed(*pictures: Picture) -> ManifestList:
    found = parse_list(manifest_list(pictures))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("", AMD64),
        ("linux", AMD64),
        ("arm64", Platform("linux", "arm64")),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("Linux/AMD64", AMD64),
    ],
)
def test_a_platform_is_read_as_docker_reads_it(text: str, platform: Platform) -> None:
    assert parse_platform(text, AMD64) == platform


@pytest.mark.parametrize("text", ["/", "a/b/c/d", "linux/", "linux/a b", "bogus"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match=r"invalid argument$"):
        parse_platform(text, AMD64)


def test_the_kernel_s_names_of_machines_are_not_go_s() -> None:
    assert machine_platform("x86_64") == AMD64 and machine_platform("armv7l") == ARM


def test_the_image_for_the_machine_is_chosen() -> None:
    one, other = Picture([layer()]), Picture([layer()], architecture="arm64", variant="v8")
    assert choose(listed(other, one), AMD64).digest == digest(one.manifest())
    assert choose(listed(one, other), Platform("linux", "arm64")).digest == digest(other.manifest())


def test_among_variants_the_usual_one_is_chosen() -> None:
    old = Picture([layer()], architecture="arm", variant="v6")
    usual = Picture([layer()], architecture="arm", variant="v7")
    assert choose(listed(old, usual), Platform("linux", "arm")).digest == digest(usual.manifest())
    assert choose(listed(old, usual), Platform("linux", "arm", "v6")).digest == digest(old.manifest())


def test_no_image_for_the_machine_is_an_error_in_docker_s_words() -> None:
    with pytest.raises(NotFoundError, match="no matching manifest for linux/amd64 in the manifest list entries"):
        choose(listed(Picture([layer()], architecture="s390x")), AMD64)


def test_a_variant_counts_only_when_it_is_asked_for() -> None:
    assert fits(Platform("linux", "arm64"), Platform("linux", "arm64", "v8"))
    assert not fits(Platform("linux", "arm", "v6"), ARM)
