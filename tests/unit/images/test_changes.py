"""`--change`: instructions of a Dockerfile."""

import pytest

from linkspan.images.changes import changed
from linkspan.model.errors import InvalidError
from linkspan.model.images import ImageConfig, ImageHealth

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ('CMD ["a", "b c"]', ImageConfig(cmd=("a", "b c"))),
        ("cmd a b", ImageConfig(cmd=("/bin/sh", "-c", "a b"))),
        ('ENTRYPOINT ["x"]', ImageConfig(entrypoint=("x",))),
        ("ENV A=b 'C=d e'", ImageConfig(env=("A=b", "C=d e"))),
        ("ENV A b c", ImageConfig(env=("A=b c",))),
        ("EXPOSE 80 53/udp", ImageConfig(exposed=("53/udp", "80/tcp"))),
        ("EXPOSE 8000-8002/udp", ImageConfig(exposed=("8000/udp", "8001/udp", "8002/udp"))),
        ('LABEL a=b c="d e"', ImageConfig(labels={"a": "b", "c": "d e"})),
        ("USER ann:70", ImageConfig(user="ann:70")),
        ('VOLUME ["/b"]', ImageConfig(volumes=("/b",))),
        ("VOLUME /b /a", ImageConfig(volumes=("/a", "/b"))),
        ("STOPSIGNAL SIGINT", ImageConfig(stop_signal="SIGINT")),
        ("ONBUILD RUN x", ImageConfig(onbuild=("RUN x",))),
        ("HEALTHCHECK NONE", ImageConfig(healthcheck=ImageHealth(("NONE",)))),
        (
            "HEALTHCHECK --interval=1m30s --retries=3 CMD wget x",
            ImageConfig(healthcheck=ImageHealth(("CMD-SHELL", "wget x"), interval=90 * SECOND, retries=3)),
        ),
    ],
)
def test_an_instruction_changes_its_field(text: str, config: ImageConfig) -> None:
    assert changed(ImageConfig(), [text]) == config


def test_instructions_follow_one_another() -> None:
    found = changed(ImageConfig(env=("A=1", "B=2")), ["ENV A=3", "WORKDIR /a", "WORKDIR b"])
    assert found == ImageConfig(env=("A=3", "B=2"), workdir="/a/b")


@pytest.mark.parametrize("text", ["RUN x", "FROM y", "ENV", "ENV =x", 'LABEL "a', "HEALTHCHECK x", "EXPOSE a"])
def test_what_no_change_can_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        changed(ImageConfig(), [text])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RUN x", "run is not a valid change command"),
        ("LABEL", "LABEL requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("EXPOSE abc", "invalid containerPort: abc"),
        ("HEALTHCHECK FOO x", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
    ],
)
def test_what_is_wrong_is_said_in_docker_s_words(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        changed(ImageConfig(), [text])
    assert caught.value.message == said
