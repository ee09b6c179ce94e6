import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.api.bodies.networks import EndpointBody, NetworkCreate
from linkspan.api.bodies.syntax import complaint
from linkspan.api.reading import check_content_type, parse
from linkspan.model.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ("bad", "invalid character 'b' looking for beginning of value"),
        ("{", "unexpected EOF"),
        ('{"a"', "unexpected EOF"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("nul", "unexpected EOF"),
        ("nulp", "invalid character 'p' in literal null (expecting 'l')"),
        ('"\x01"', "invalid character '\x01' in string literal"),
        (r'"\x"', "invalid character 'x' in string escape code"),
        (r'"\u12z4"', r"invalid character 'z' in \u hexadecimal character escape"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("1 2", "invalid character '2' after top-level value"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
    ],
)
def test_a_text_that_is_not_json_is_explained_in_gos_words(text: str, expected: str) -> None:
    assert complaint(text.encode()) == expected


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:\\ue1-.0 tfalsn', max_size=20).map(str.encode))
def test_any_bytes_are_a_document_or_one_invalid_error(data: bytes) -> None:
    try:
        json.loads(data)
        valid = True
    except ValueError:
        valid = False
    try:
        parse(data, NetworkCreate)
    except InvalidError as error:
        reason = error.message
    else:
        reason = "invalid JSON: none"
        assert valid
    assert reason.startswith("invalid JSON: ")


_SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)


@given(st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_json_has_nothing_to_complain_about_but_its_encoding(value: object) -> None:
    assert complaint(json.dumps(value).encode()) == "invalid UTF-8 in text"


def test_a_deep_document_is_refused() -> None:
    with pytest.raises(InvalidError, match="invalid JSON"):
        parse(b"[" * 100_000, NetworkCreate)


def test_a_wrong_type_names_the_field() -> None:
    with pytest.raises(InvalidError) as caught:
        parse(b'{"Internal": "yes"}', NetworkCreate)
    assert caught.value.message == (
        "invalid JSON: json: cannot unmarshal string into Go struct field NetworkCreate.Internal of type bool"
    )


def test_null_is_an_empty_object() -> None:
    assert parse(b"null", NetworkCreate) == parse(b"{}", NetworkCreate)


def test_null_leaves_a_field_as_it_is_and_unknown_fields_are_ignored() -> None:
    assert parse(b'{"Name":"a","Driver":null,"IPAM":null,"Labels":null,"New":1}', NetworkCreate) == NetworkCreate(
        name="a"
    )


def test_no_body_is_an_empty_object() -> None:
    assert parse(b"{}", NetworkCreate) == NetworkCreate()


@pytest.mark.parametrize("header", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_accepted_with_parameters(header: str) -> None:
    check_content_type(header)


@pytest.mark.parametrize("header", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(header: str) -> None:
    with pytest.raises(InvalidError, match=r"must be 'application/json'"):
        check_content_type(header)


def test_the_endpoint_the_docker_command_sends_is_read() -> None:
    sent = (
        b'{"IPAMConfig":{},"Links":null,"Aliases":[],"MacAddress":"","DriverOpts":{},"GwPriority":0,"NetworkID":"",'
        b'"EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"",'
        b'"GlobalIPv6PrefixLen":0,"DNSNames":null}'
    )
    body = parse(sent, EndpointBody)
    assert body.aliases == [] and body.driver_opts == {} and body.ipam_config is not None
    assert set(msgspec.to_builtins(body)) == set(json.loads(sent))
