"""What the results of health checks mean."""

from datetime import UTC, datetime, timedelta

import pytest

from linkspan.containers.probing import go_duration, judged, pause_before
from linkspan.model.containers import ContainerState, Status
from linkspan.model.health import Condition, Health, HealthCheck, Probe

START = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = HealthCheck(("true",), interval=30, start_period=10, start_interval=1, retries=2)


def after(*codes: int, late: float = 60) -> Health:
    """What is known after probes, the first so many seconds after the start."""
    health = Health()
    for number, code in enumerate(codes):
        begun = START + timedelta(seconds=late + number)
        health = judged(CHECK, health, Probe(begun, begun, code, ""), START)
    return health


def test_one_success_is_health() -> None:
    assert after(0).condition is Condition.HEALTHY
    assert after(1, 1, 0).condition is Condition.HEALTHY and after(1, 1, 0).streak == 0


def test_so_many_failures_in_a_row_are_illness() -> None:
    assert after(1).condition is Condition.STARTING
    assert after(1, 1).condition is Condition.UNHEALTHY
    assert after(0, 1, 0, 1).condition is Condition.HEALTHY
    assert after(0, -1, 137).condition is Condition.UNHEALTHY


def test_failures_do_not_count_while_it_starts() -> None:
    assert after(1, 1, 1, 1, late=0).condition is Condition.STARTING
    assert after(1, 1, 1, 1, late=0).streak == 0


def test_the_last_five_results_are_kept() -> None:
    assert [probe.exit_code for probe in after(1, 2, 3, 4, 5, 6, 7).probes] == [3, 4, 5, 6, 7]


def test_it_is_looked_at_more_often_while_it_starts() -> None:
    state = ContainerState(Status.RUNNING, 1, started=START, health=Health())
    assert pause_before(CHECK, state, START + timedelta(seconds=9)) == 1
    assert pause_before(CHECK, state, START + timedelta(seconds=10)) == 30
    healthy = ContainerState(Status.RUNNING, 1, started=START, health=Health(Condition.HEALTHY))
    assert pause_before(CHECK, healthy, START) == 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "500ms"), (1, "1s"), (1.5, "1.5s"), (30, "30s"), (60, "1m0s"), (90, "1m30s"), (3661, "1h1m1s")],
)
def test_a_time_limit_is_told_as_docker_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
