"""Variables as templates see them: layers, laziness, trust, and what may not leak from one template to another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from shepherd.errors import UndefinedVariable
from shepherd.origin import Origin, Text
from shepherd.templating import OMIT, DelimitersInCondition, Layer, Scope, Templates, drop_omitted, is_template

if TYPE_CHECKING:
    from pathlib import Path

MakeScope = Callable[..., Scope]


def test_the_first_layer_wins_and_a_child_stands_in_front(templates: Templates, scope: MakeScope) -> None:
    outer = scope({"a": 1}, {"a": 2, "b": "{{ a }}"})
    inner = outer.child(Layer({"a": 3}))
    assert (outer["a"], outer["b"]) == (1, 1)
    assert (inner["a"], inner["b"]) == (3, 3)
    assert inner.raw("b") == "{{ a }}"
    assert "a" in inner
    assert "z" not in inner
    assert {"a", "b", "inventory_hostname"} <= set(inner)
    assert len(inner) == len(set(inner))


def test_facts_and_results_are_never_rendered(templates: Templates) -> None:
    evil = "{{ lookup('pipe', 'echo run') }}"
    facts = Layer({"fact": evil, "result": {"stdout": evil, "lines": [evil]}}, trusted=False)
    scope = Scope([facts, Layer({"copy": "{{ fact }}", "more": "<{{ result.stdout }}>"})], templates)
    assert templates.render("{{ fact }}", scope) == evil
    assert templates.render("{{ result.lines }}", scope) == [evil]
    assert scope["copy"] == evil
    assert templates.render("{{ more }}", scope) == f"<{evil}>"


def test_unsafe_text_is_never_rendered(templates: Templates, scope: MakeScope) -> None:
    read = scope('password: !unsafe "a{{b}}c"\nlist: [!unsafe "{% x %}"]')
    assert templates.render("{{ password }}", read) == "a{{b}}c"
    assert read["list"] == ["{% x %}"]
    assert not is_template(Text("{{ x }}", Origin("f"), literal=True))


def test_a_variable_is_rendered_once_for_a_scope(templates: Templates) -> None:
    calls: list[int] = []
    counting = Templates(globals={"count": lambda: calls.append(1) or len(calls)})
    scope = Scope([Layer({"n": "{{ count() }}"})], counting)
    assert [counting.render("{{ n }}", scope) for _ in range(3)] == ["1", "1", "1"]
    assert counting.render("{{ n }}", scope.child()) == "2"


def test_nothing_is_worked_out_when_a_template_is_compiled(tmp_path: Path, scope: MakeScope) -> None:
    calls: list[int] = []
    counting = Templates(filters={"count": lambda x: calls.append(1) or f"{x}{len(calls)}"})
    assert [counting.render("{{ 'a' | count }} {{ 'b' }}", Scope([], counting)) for _ in range(2)] == ["a1 b", "a2 b"]
    for there in (False, True):
        assert counting.condition(f"'{tmp_path}/x' is exists", Scope([], counting)) is there
        (tmp_path / "x").touch()


def test_templates_cannot_change_variables(templates: Templates) -> None:
    values: dict[str, Any] = {"l": [1], "d": {"in": [1]}, "ref": "{{ l }}"}
    facts: dict[str, Any] = {"f": {"x": [1]}}
    scope = Scope([Layer(facts, trusted=False), Layer(values)], templates)
    text = "{% set _ = l.append(2) %}{% set _ = d['in'].append(2) %}{% set _ = f.x.extend([3]) %}{{ [l, d, f] }}"
    for _ in range(2):
        assert templates.render(text, scope) == [[1, 2], {"in": [1, 2]}, {"x": [1, 3]}]
    assert templates.render("{% set _ = ref.append(2) %}{{ ref }}", scope) == [1, 2]
    assert templates.render("{{ d | combine({'in': 5}) }}", scope) == {"in": 5}
    assert templates.condition("l.append(5) is none", scope)
    assert (values["l"], values["d"], facts["f"]) == ([1], {"in": [1]}, {"x": [1]})


def test_keys_that_our_own_types_have_as_attributes(templates: Templates, scope: MakeScope) -> None:
    read = scope("d: {origin: o, literal: l, raw: r, child: c}\ns: text\nl: [1]")
    assert templates.render("{{ d.origin }}{{ d.literal }}{{ d.raw }}{{ d.child }}", read) == "olrc"
    assert (
        templates.render("{{ s.origin is defined }}{{ l.origin is defined }}{{ d.nope is defined }}", read)
        == "FalseFalseFalse"
    )
    host = Scope([Layer({"hostvars": {"h": read}}, trusted=False)], templates)
    assert templates.render("{{ hostvars.h.s }} {{ hostvars['h'].raw is defined }}", host) == "text False"
    assert templates.render("{{ hostvars.h | to_json | from_json | length > 3 }}", host) is True


def test_hostvars_shows_what_is_undefined_as_it_was_written(templates: Templates, scope: MakeScope) -> None:
    host = Scope([Layer({"hostvars": {"h": scope('a: "{{ nosuch }}"\nb: 1')}}, trusted=False)], templates)
    assert templates.render("{{ hostvars['h'].a | default('none') }}", host) == "none"
    assert templates.render("{{ (hostvars['h'] | to_json | from_json).a }}", host) == "{{ nosuch }}"


def test_vars_are_as_written(templates: Templates, scope: MakeScope) -> None:
    read = scope('a: "{{ b }}"\nb: 5')
    assert templates.render("{{ vars['a'] }} {{ vars.b }} {{ 'a' in vars }}", read) == "{{ b }} 5 True"


def test_globals_and_variables_of_the_same_name(templates: Templates, scope: MakeScope) -> None:
    assert templates.render("{{ range(2) }}", scope()) == [0, 1]
    assert templates.render("{{ range }}", scope("range: mine")) == "mine"


def test_omitted_options_are_dropped_in_mappings_alone() -> None:
    assert drop_omitted({"a": OMIT, "b": {"c": OMIT, "d": [OMIT]}, "e": 0}) == {"b": {"d": [OMIT]}, "e": 0}


def test_evaluate_and_conditions(templates: Templates, scope: MakeScope) -> None:
    read = scope("i: 5\nd: {x: 1}\ns: 'false'\ne: ''")
    assert templates.evaluate("i", read) == 5
    assert templates.evaluate("d.x", read) == "1"
    assert templates.evaluate("d", read) == {"x": 1}
    assert templates.condition(["i == 5", True, "s"], read)
    assert not templates.condition("e", read)
    with pytest.warns(DelimitersInCondition):
        assert not templates.condition("{{ s }}", read)


def test_lookups_by_method(templates: Templates, scope: MakeScope) -> None:
    read = scope("users: {a: 1}")
    assert templates.lookup("dict", read["users"], read, wantlist=True) == [{"key": "a", "value": 1}]
    assert templates.lookup("community.general.flattened", [[1, [2, None]], 3], read, wantlist=True) == [1, 2, 3]
    assert templates.lookup("inventory_hostnames", ["all:!web"], read, wantlist=True) == ["h3"]
    assert templates.lookup("inventory_hostnames", ["web:&h2"], read) == "h2"
    assert templates.lookup("items", [["a", "b"]], read) == "a,b"
    more = Templates(lookups={"mine": lambda terms, asking: [asking.text("greet") + str(terms[0])]})
    assert more.render("{{ lookup('mine', 1, greet='hi') }}", scope()) == "hi1"


def test_tables_can_be_added_to() -> None:
    more = Templates(filters={"twice": lambda x: x * 2}, tests={"big": lambda x: x > 9}, settings={"DEFAULT_FORKS": 50})
    text = "{{ 6 | twice is big }} {{ lookup('config', 'DEFAULT_FORKS') }}"
    assert more.render(text, Scope([], more)) == "True 50"


def test_a_changed_file_is_compiled_again(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    path = tmp_path / "t.j2"
    for text in ("one", "two"):
        path.write_text(text)
        assert templates.render_file(str(path), scope()) == text


def test_compiled_templates_are_kept_between_runs(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "templates.cache"
    place = Origin(f"{tmp_path}/play.yml", 1, 1)
    (tmp_path / "t.j2").write_text("{% for x in l %}\n{{ x }}{{ nosuch if x == 3 }}\n{% endfor %}\n")

    def run(values: list[int]) -> Any:
        templates = Templates(cache=str(cache))
        scope = Scope([Layer({"l": values})], templates)
        templates.render("{{ 'not in a file' ~ l }}", scope)
        got = [
            templates.render(Text("{{ l[0] }}{{ 'x' | upper }}", place), scope),
            templates.condition(Text("l", place), scope),
        ]
        try:
            got.append(templates.render_file(str(tmp_path / "t.j2"), scope))
        finally:
            templates.close()
        return got

    assert run([1, 2]) == ["1X", True, "1\n2\n"]
    kept = cache.read_bytes()
    assert cache.stat().st_mode & 0o777 == 0o600
    assert b"not in a file" not in kept
    assert run([4]) == ["4X", True, "4\n"]
    assert cache.read_bytes() == kept
    with pytest.raises(UndefinedVariable) as caught:
        run([3])
    assert str(caught.value.origin) == f"{tmp_path}/t.j2:2:11"
    for damage in (kept[:50], b"", b"nonsense"):
        cache.write_bytes(damage)
        assert run([1])[0] == "1X"
    cache.write_bytes(kept.replace(b"upper", b"lower"))
    assert run([1, 2])[0] == "1x"  # so it is really used
    cache.chmod(0o666)
    assert run([1, 2])[0] == "1X"  # others could have written it


def test_password_files_are_private_and_kept(tmp_path: Path, templates: Templates, scope: MakeScope) -> None:
    template = "{{ lookup('password', 'credentials/db length=16 encrypt=sha512_crypt') }}"
    first = templates.render(template, scope())
    path = tmp_path / "credentials" / "db"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert templates.render(template, scope()) == first
    assert len(templates.render("{{ lookup('password', 'credentials/db') }}", scope())) == 16
    assert sorted(each.name for each in path.parent.iterdir()) == ["db"]


def test_nothing_heavy_is_imported_before_a_template_is_rendered() -> None:
    program = "import shepherd.templating as t, sys; T = t.Templates(); T.render({'a': ['x']}, t.Scope([], T)); "
    program += (
        "T.render('{{ a }}', t.Scope([t.Layer({'a': 1})], T)); print('jinja2' in sys.modules, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
