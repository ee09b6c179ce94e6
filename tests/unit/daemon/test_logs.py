import logging
import sys

from linkspan.daemon.logs import KeyValues


def line(message: str, *arguments: object, failed: bool = False) -> str:
    info = None
    if failed:
        try:
            raise ValueError("bad\nnews")
        except ValueError:
            info = sys.exc_info()
    record = logging.LogRecord("linkspan.engine.worker", logging.WARNING, "x.py", 1, message, arguments, info)
    record.created = 0.0
    return KeyValues().format(record)


def test_a_line_is_made_of_keys_and_values() -> None:
    assert line("started") == "time=1970-01-01T00:00:00.000+00:00 level=warning msg=started from=engine.worker"


def test_text_that_could_mislead_is_quoted() -> None:
    assert 'msg="a=b \\"c\\" \\\\ d\\ne"' in line("a=b %s \\ d\ne", '"c"')


def test_a_traceback_stays_on_its_line() -> None:
    text = line("failed", failed=True)
    assert "\n" not in text and "ValueError: bad\\nnews" in text
