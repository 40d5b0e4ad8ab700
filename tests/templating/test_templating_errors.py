"""What a person reads when a template is wrong: one message, the place, and a next step. Never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from shepherd.documents import load
from shepherd.errors import ShepherdError, TemplateError, UndefinedVariable
from shepherd.templating import Layer, Scope, Templates, find_file

if TYPE_CHECKING:
    from pathlib import Path

MakeScope = Callable[..., Scope]


def written(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "vars.yml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def failure(templates: Templates, value: Any, scope: Scope) -> ShepherdError:
    with pytest.raises(ShepherdError) as caught:
        templates.render(value, scope)
    return caught.value


def test_undefined_names_variable_place_and_nearest(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    read = written(tmp_path, 'server_name: web\nargs:\n  line: "x {{ server_nam }}"\n')
    error = failure(templates, read["args"], scope(read))
    assert isinstance(error, UndefinedVariable)
    assert error.message == "'server_nam' is undefined"
    assert error.name == "server_nam"
    assert str(error.origin) == f"{tmp_path}/vars.yml:3:9"
    assert error.hint == "did you mean 'server_name'?"


def test_undefined_inside_a_variable_is_shown_where_it_was_written(
    tmp_path: Path, templates: Templates, scope: MakeScope
) -> None:
    read = written(tmp_path, 'a: "{{ b }}"\nb: "{{ c | upper }}"\n')
    error = failure(templates, "{{ a }} and more", scope(read))
    assert isinstance(error, UndefinedVariable)
    assert error.origin is not None
    assert error.origin.line == 2


def test_attributes_that_are_missing(templates: Templates, scope: MakeScope) -> None:
    error = failure(templates, "{{ d.colour }}", scope("d: {color: red}"))
    assert error.message == "'dict object' has no attribute 'colour'"
    assert error.hint == "did you mean 'color'?"


@pytest.mark.parametrize("line", [1, 2, 4])
def test_the_line_within_a_block_of_text(tmp_path: Path, templates: Templates, scope: MakeScope, line: int) -> None:
    lines = ["fine"] * 4
    lines[line - 1] = "{{ nosuch | upper }}"
    read = written(tmp_path, "x: 1\ntext: |\n" + "".join(f"  {each}\n" for each in lines))
    error = failure(templates, read["text"], scope(read))
    assert error.origin is not None
    assert error.origin.line == 2 + line


def test_syntax_errors(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    read = written(tmp_path, "text: |\n  one\n  {% if %}\n")
    error = failure(templates, read["text"], scope(read))
    assert error.message.startswith("template syntax: ")
    assert error.origin is not None
    assert error.origin.line == 3


def test_a_variable_that_refers_to_itself(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    read = written(tmp_path, 'a: "{{ b }}"\nb: "x{{ c }}"\nc: ["{{ a }}"]\n')
    error = failure(templates, "{{ a }}", scope(read))
    assert error.message == "a variable that refers to itself: a → b → c → a"
    assert error.origin is not None
    assert failure(templates, "{{ a | default('x') }}", scope('a: "{{ a }}"')).message.endswith("a → a")


def test_hosts_that_refer_to_each_other(templates: Templates) -> None:
    hosts: dict[str, Any] = {}

    class HostVars(dict[str, Any]):
        def __getitem__(self, name: str) -> Scope:
            return Scope([Layer(hosts[name]), Layer({"hostvars": self}, trusted=False)], templates)

    hosts["one"] = {"x": "{{ hostvars['two'].x }}"}
    hosts["two"] = {"x": "{{ hostvars['one'].x }}"}
    error = failure(templates, "{{ hostvars['one'].x }}", HostVars()["one"])
    assert "refer to each other without end" in error.message


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("{{ x | uper }}", "unknown filter 'uper'", "did you mean 'upper'?"),
        ("{{ x is strin }}", "unknown test 'strin'", "did you mean 'string'?"),
        ("{{ x | ipaddr }}", "unknown filter 'ipaddr'", "it belongs to the collection ansible.utils"),
        ("{{ x | community.general.json_query('a') }}", "unknown filter", "the collection community.general"),
        ("{{ ['a'] | map('uper') | list }}", "unknown filter 'uper'", "did you mean 'upper'?"),
        ("{{ lookup('fil', 'x') }}", "lookup plugin (fil) not found", "did you mean 'file'?"),
        ("{{ 'a' | from_json }}", "the filter 'from_json': Expecting value", None),
        ("{{ 1 / 0 }}", "division by zero", None),
        ("{{ 'a' + 1 }}", "can only concatenate str", None),
        ("{{ x.__class__.__mro__ }}", "not allowed in a template", None),
        ("{{ '{0.__class__}'.format(x) }}", "not allowed in a template", None),
        ("{% include 'nope.j2' %}", "cannot find the template 'nope.j2'", None),
        ("{{ lookup('pipe', 'echo oops >&2; exit 3') }}", "returned 3: oops", None),
        ("{{ lookup('file', 'nope') }}", "the lookup 'file': could not find 'nope'", "looked for"),
    ],
)
def test_messages(templates: Templates, scope: MakeScope, template: str, message: str, hint: str | None) -> None:
    error = failure(templates, template, scope("x: 'text'"))
    assert isinstance(error, TemplateError)
    assert message in error.message
    assert (hint or "") in (error.hint or "")


def test_conditions_say_which_one(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    read = written(tmp_path, "when:\n  - true\n  - nosuch == 3\n")
    with pytest.raises(UndefinedVariable) as caught:
        templates.condition(read["when"], scope())
    assert caught.value.message.startswith("The conditional check 'nosuch == 3' failed.")
    assert str(caught.value.origin) == f"{tmp_path}/vars.yml:3:5"


def test_files_show_line_and_column(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    (tmp_path / "t.j2").write_text(
        "#jinja2: lstrip_blocks: true\nfine\n{% for x in [1] %}\n  {{ nosuch }}\n{% endfor %}\n"
    )
    with pytest.raises(UndefinedVariable) as caught:
        templates.render_file(str(tmp_path / "t.j2"), scope())
    assert str(caught.value.origin) == f"{tmp_path}/t.j2:4:6"


def test_errors_in_included_files_are_shown_there(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    (tmp_path / "outer.j2").write_text("a\n{% include 'inner.j2' %}\n")
    (tmp_path / "inner.j2").write_text("a\nb\n{{ nosuch.x }}\n")
    with pytest.raises(UndefinedVariable) as caught:
        templates.render_file(str(tmp_path / "outer.j2"), scope())
    assert str(caught.value.origin) == f"{tmp_path}/inner.j2:3:4"


def test_find_file_lists_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ShepherdError) as caught:
        find_file("files", "a.conf", [f"{tmp_path}/role", f"{tmp_path}"])
    assert caught.value.hint == (
        f"looked for {tmp_path}/role/files/a.conf, {tmp_path}/role/a.conf, {tmp_path}/files/a.conf, {tmp_path}/a.conf"
    )


VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False)
    | some.text().filter(lambda t: "{" not in t),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_holds_no_template_comes_back_as_it_is(value: Any) -> None:
    templates = Templates()
    assert templates.render(value, Scope([], templates)) == value


WORDS = (
    "{{ }} {% %} {# #} if endif for x in y . [ ] ( ) | default upper 'a' \" 1 - + ~ == is not defined set end \\ , :"
)
PIECES = some.sampled_from([*WORDS.split(), "\n"])
SHARED = Templates()


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=300, deadline=None)
@given(some.lists(PIECES, max_size=12).map(" ".join))
def test_any_text_gives_a_value_or_an_error_of_ours(text: str) -> None:
    scope = Scope([Layer({"x": 5, "y": [1, {"a": "{{ x }}"}]})], SHARED)
    for use in (SHARED.render, SHARED.condition):
        try:
            use(text, scope)
        except ShepherdError as error:
            assert error.render()
