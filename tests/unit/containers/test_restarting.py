"""When containers are started again, and after how long."""

from datetime import UTC, datetime, timedelta

import pytest

from linkspan.containers.restarting import next_wait, starts_again, starts_with_us
from linkspan.model.containers import ContainerState, Status
from linkspan.model.resources import Restart, RestartPolicy

START = datetime(2026, 1, 1, tzinfo=UTC)


def ended(code: int = 1, *, stopped: bool = False, restarts: int = 0, seconds: float = 1) -> ContainerState:
    finished = START + timedelta(seconds=seconds)
    return ContainerState(
        Status.EXITED, exit_code=code, started=START, finished=finished, stopped=stopped, restarts=restarts
    )


@pytest.mark.parametrize(
    ("policy", "state", "again"),
    [
        (RestartPolicy(), ended(1), False),
        (RestartPolicy(Restart.ALWAYS), ended(0), True),
        (RestartPolicy(Restart.ALWAYS), ended(0, stopped=True), False),
        (RestartPolicy(Restart.UNLESS_STOPPED), ended(0), True),
        (RestartPolicy(Restart.UNLESS_STOPPED), ended(0, stopped=True), False),
        (RestartPolicy(Restart.ON_FAILURE), ended(0), False),
        (RestartPolicy(Restart.ON_FAILURE), ended(1, restarts=99), True),
        (RestartPolicy(Restart.ON_FAILURE, 2), ended(1, restarts=1), True),
        (RestartPolicy(Restart.ON_FAILURE, 2), ended(1, restarts=2), False),
    ],
)
def test_after_an_exit(policy: RestartPolicy, state: ContainerState, again: bool) -> None:
    assert starts_again(policy, state) is again


@pytest.mark.parametrize(
    ("policy", "state", "starts"),
    [
        (RestartPolicy(Restart.ALWAYS), ended(0, stopped=True), True),
        (RestartPolicy(Restart.ALWAYS), ContainerState(), False),
        (RestartPolicy(Restart.UNLESS_STOPPED), ended(0, stopped=True), False),
        (RestartPolicy(Restart.UNLESS_STOPPED), ended(0), True),
        (RestartPolicy(), ended(1), False),
    ],
)
def test_when_the_daemon_starts(policy: RestartPolicy, state: ContainerState, starts: bool) -> None:
    assert starts_with_us(policy, state) is starts


def test_each_wait_is_twice_the_one_before_up_to_a_minute() -> None:
    waits = [0.0]
    for _ in range(12):
        waits.append(next_wait(waits[-1], ended()))
    assert waits[1:5] == [0.1, 0.2, 0.4, 0.8] and waits[-1] == 60.0


def test_after_a_good_run_the_wait_is_short_again() -> None:
    assert next_wait(25.6, ended(seconds=10)) == 0.1
