"""What ps prints, as Docker shows it."""

import pytest

from linkspan.containers.measuring import rows
from linkspan.model.errors import InvalidError

PRINTED = """\
UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 00:01 ?        00:00:02 /sbin/init splash
root          77       1  0 00:02 ?        00:00:00 httpd -f -p 80
root         177       1  0 00:02 ?        00:00:00 sleep 10
"""


def test_only_processes_of_the_container_are_shown_and_commands_keep_their_blanks() -> None:
    titles, found = rows(PRINTED, frozenset({77, 99}))
    assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert found == [["root", "77", "1", "0", "00:02", "?", "00:00:00", "httpd -f -p 80"]]


def test_without_a_column_of_ids_nothing_can_be_told() -> None:
    with pytest.raises(InvalidError, match="Couldn't find PID field"):
        rows("COMMAND\nsh\n", frozenset({1}))
