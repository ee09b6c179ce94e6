"""Tables laid out as Docker's."""

from linkspan.cli.tables import short, shortened, table


def test_columns_are_three_blanks_apart_and_at_least_ten_wide() -> None:
    assert table([["NETWORK ID", "NAME", "DRIVER"], ["0123456789ab", "a", "bridge"]]) == [
        "NETWORK ID     NAME      DRIVER",
        "0123456789ab   a         bridge",
    ]


def test_the_last_column_does_not_widen_anything() -> None:
    assert table([["A", "B"], ["x", "y" * 50]])[0] == "A         B"


def test_nothing_is_an_empty_table() -> None:
    assert table([]) == []
    assert table([["NAMES"]]) == ["NAMES"]


def test_long_texts_and_ids_are_shortened() -> None:
    assert shortened("abcdef", 4) == "abc…" and shortened("abc", 4) == "abc"
    assert short("sha256:0123456789abcdef") == "0123456789ab"
