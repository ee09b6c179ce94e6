"""Go templates: what is understood, and that nothing runs for ever."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.cli.answers import Json
from linkspan.cli.functions import Item, TemplateError
from linkspan.cli.templates import Template

VALUE: Item = {
    "Name": "web",
    "State": "running",
    "Ports": [{"Port": 80, "Type": "tcp"}, {"Port": 53, "Type": "udp"}],
    "Labels": {"b": "2", "a": "1"},
    "Health": None,
    "Empty": [],
    "Tty": False,
    "Label": lambda name: f"<{name}>",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Name}}", "web"),
        ("{{ .Name }}: {{.State}}", "web: running"),
        ("{{.Labels.a}}", "1"),
        ("{{json .Labels}}", '{"b":"2","a":"1"}'),
        ("{{.Labels | json}}", '{"b":"2","a":"1"}'),
        ("{{len .Ports}}", "2"),
        ("{{range .Ports}}{{.Port}}/{{.Type}} {{end}}", "80/tcp 53/udp "),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range $key, $value := .Labels}}{{$key}}={{$value}};{{end}}", "a=1;b=2;"),
        ("{{range $i, $port := .Ports}}{{$i}}:{{$port.Port}} {{end}}", "0:80 1:53 "),
        ("{{range .Ports}}{{$.Name}} {{end}}", "web web "),
        ("{{(index .Ports 1).Type}}", "udp"),
        ('{{index .Labels "a"}}{{index .Labels "nosuch"}}', "1"),
        ('{{if eq .State "running"}}up{{else}}down{{end}}', "up"),
        ("{{if .Health}}a{{else if .Tty}}b{{else}}c{{end}}", "c"),
        ("{{with .Health}}{{.}}{{else}}{{.Name}}{{end}}", "web"),
        ("{{with .Labels}}{{.b}}{{end}}", "2"),
        ("{{$name := .Name}}{{upper $name}}", "WEB"),
        ('{{join (split "a b" " ") "-"}}', "a-b"),
        ('{{printf "%-5s|%3d|%q|%v%%" .Name 7 .State .Tty}}', 'web  |  7|"running"|false%'),
        ("{{title .Name}} {{truncate .State 3}} {{lower `ABC`}}", "Web run abc"),
        ('{{if and (gt (len .Ports) 1) (not .Tty) (or .Health .Name) (ne .Name "x")}}yes{{end}}', "yes"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{/* nothing */}}{{.Name}}", "web"),
        (r"{{.Name}}\t{{.State}}", "web\trunning"),
        (r'{{println .Name}}{{print "a\tb"}}', "web\na\tb"),
        ("{{.Health}} {{.Tty}} {{.Empty}} {{.Labels}}", "<no value> false [] map[a:1 b:2]"),
        ('{{.Label "x"}}', "<x>"),
        ("{{json .Name}}", '"web"'),
    ],
)
def test_a_template_says(template: str, text: str) -> None:
    assert Template(template).render(VALUE) == text


def test_json_of_a_row_leaves_its_methods_out() -> None:
    assert "Label" not in json.loads(Template("{{json .}}").render(VALUE))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{.Nosuch}}", "there is no field Nosuch"),
        ("{{.Name.More}}", "'web' has no field More"),
        ("{{nosuch .Name}}", "there is no function 'nosuch'"),
        ("{{$nosuch}}", "there is no variable $nosuch"),
        ("{{", "{{ without }}"),
        ("{{.Name", "{{ without }}"),
        ("{{if .Name}}", "{{if}} has no {{end}}"),
        ("{{range .Ports}}{{else}}", "{{range}} has no {{end}}"),
        ("{{if .Name}}{{else}}{{else}}{{end}}", "{{if}} has no {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if}}x{{end}}", "a value is missing"),
        ("{{(len .Name}}", "( without )"),
        ("{{.Name )}}", "unexpected ')'"),
        ("{{len .Tty}}", "'false' has no length"),
        ("{{len}}", "len takes 1 values, not 0"),
        ("{{range .Name}}x{{end}}", "range cannot go through 'web'"),
        ("{{index .Ports 7}}", "index 7 is out of range: there are 2"),
        ("{{upper .Tty}}", "'false' is not a text"),
        ("{{gt .Name 1}}", "'web' is not a number"),
        ("{{$a, $b := .Name}}", "only range sets two variables"),
        ("{{.Name ~}}", "'~' is not understood"),
        ('{{.Name "x"}}', "'web' is not a function"),
        ("{{if .Name}}" * 100, "blocks are nested deeper than 64"),
        ("{{" + "(" * 100 + "}}", "brackets are nested deeper than 64"),
        ("x" * 70_000, "the template is longer than 64 KiB"),
        ('{{printf "%2147483647s" .Name}}{{.Nosuch}}', "there is no field Nosuch"),
    ],
)
def test_a_mistake_is_one_sentence(template: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template).render(VALUE)
    assert caught.value.message == f"invalid template: {reason}"


@pytest.mark.slow
def test_loops_in_loops_end() -> None:
    numbers: list[Json] = [*range(200)]
    template = "{{range .}}" + "{{range $}}" * 8 + "x" + "{{end}}" * 9
    with pytest.raises(TemplateError, match="too many steps"):
        Template(template).render(numbers)


@given(st.text(alphabet='{}.$|()-"`\\ aNif range end else := ,0', max_size=60))
def test_any_text_is_a_template_or_one_error(text: str) -> None:
    with suppress(TemplateError):
        Template(text).render(VALUE)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_json_of_a_value_is_that_value(value: Json) -> None:
    assert json.loads(Template("{{json .}}").render(value)) == value
