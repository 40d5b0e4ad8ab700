"""Roles are found, read and used: files, variables, dependencies and handlers, statically and while a play runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playbook_trees import flat, loader, play, tasks, write

from shepherd.errors import ParseError
from shepherd.playbook import find_tasks, load, load_role, load_tasks

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from shepherd.playbook import Loader
    from shepherd.playbook.model import Play, Task

WEB = {
    "roles/web/defaults/main.yml": "port: 80\n",
    "roles/web/vars/main.yaml": "user: www\n",
    "roles/web/tasks/main.yml": "- name: install\n  command: install\n- import_tasks: more.yml\n",
    "roles/web/tasks/more.yml": "- debug: msg=more\n",
    "roles/web/tasks/other.yml": "- debug: msg=other\n",
    "roles/web/handlers/main.yml": "- name: restart\n  command: restart\n",
    "roles/web/meta/main.yml": "dependencies:\n- role: base\n  level: 3\n  tags: b\n",
    "roles/base/tasks/main.yml": "- debug: msg=base\n",
    "roles/base/handlers/main.yml": "- name: reload\n  command: reload\n",
}


def one_play(folder: Path, roles: str, files: dict[str, str] = WEB, **options: Any) -> Play:
    return play(folder, {**files, "play.yml": f"- hosts: all\n  roles: {roles}\n"}, **options)


def test_a_role_with_a_dependency(tmp_path: Path) -> None:
    found = one_play(tmp_path, "[{role: web, size: 8080, vars: {v: 1}, tags: w, when: c, become: yes}]")
    base, web = found.all_roles
    assert (web.name, web.path, web.parents) == ("web", str(tmp_path / "roles/web"), ())
    assert (web.defaults, web.vars, web.params) == ({"port": 80}, {"user": "www"}, {"size": 8080})
    assert (base.name, base.params) == ("base", {"level": 3})
    assert [parent.name for parent in base.parents] == ["web"]
    assert [dependency.name for dependency in web.dependencies] == ["base"]
    assert [block.role.name for block in found.roles if block.role] == ["base", "web"]
    of_base, install, more = tasks(found)
    assert (of_base.settings.tags, of_base.settings.when, of_base.settings.become) == ({"w", "b"}, ("c",), True)
    assert (install.settings.tags, install.vars, install.role) == ({"w"}, ({"v": 1},), web)
    assert of_base.vars == ({"v": 1},)
    assert more.search_path == (f"{tmp_path}/roles/web", f"{tmp_path}/roles/web/tasks", str(tmp_path))
    assert of_base.search_path[:2] == (f"{tmp_path}/roles/base", f"{tmp_path}/roles/web")


def test_handlers_of_roles_stand_before_the_plays_and_once(tmp_path: Path) -> None:
    files = {
        **WEB,
        "play.yml": "- hosts: all\n  roles: [{role: web, x: 1}, {role: web, x: 2}]\n"
        "  handlers: [{name: mine, debug: }]\n  tasks: [import_role: name=base]\n",
    }
    handlers = play(tmp_path, files).handlers
    assert [(task.name, task.role and task.role.params) for task in handlers] == [
        ("restart", {"x": 2}),
        ("reload", {}),
        ("mine", None),
    ]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("base", "{role: base}", True),
        ("base", "{name: base}", True),
        ("base", "{role: base, x: 1}", False),
        ("{role: base, x: 1}", "{x: 1, role: base}", True),
        ("base", "{role: base, tags: t}", False),
        ("{role: base, when: a}", "{role: base, when: b}", False),
        ("{role: base, vars: {a: 1}}", "{role: base, vars: {a: 1}}", True),
    ],
)
def test_uses_that_are_the_same_have_the_same_key(first: str, second: str, same: bool, tmp_path: Path) -> None:
    one, two = one_play(tmp_path, f"[{first}, {second}]").all_roles
    assert (one.key == two.key) is same


def test_a_dependency_is_the_same_whoever_pulls_it_in(tmp_path: Path) -> None:
    files = {
        "roles/a/meta/main.yml": "dependencies: [c]",
        "roles/b/meta/main.yml": "dependencies: [{role: c}]\nallow_duplicates: yes",
        "roles/c/tasks/main.yml": "- debug:",
    }
    found = one_play(tmp_path, "[{role: a, when: x}, b]", files).all_roles
    assert [role.name for role in found] == ["c", "a", "c", "b"]
    assert found[0].key == found[2].key
    assert [role.allow_duplicates for role in found] == [False, False, False, True]


def test_where_roles_are_looked_for(tmp_path: Path) -> None:
    files = {
        "play.yml": "- hosts: all\n  vars: {n: named}\n"
        f"  roles: [near, '{{{{ n }}}}', shared, beside, ./sub/by_path, '{tmp_path}/sub/by_path', next]\n",
        "roles/near/tasks/main.yml": "- debug: msg=near",
        "roles/named/tasks/main.yml": "- debug: msg=named",
        "shared/near/tasks/main.yml": "- debug: msg=wrong",
        "shared/shared/tasks/main.yml": "- import_role: name=sibling",
        "shared/sibling/tasks/main.yml": "- debug: msg=sibling",
        "beside/tasks/main.yml": "- debug: msg=beside",
        "sub/by_path/tasks/main.yml": "- debug: msg=path",
        "next/tasks/main.yml": "- debug: msg=next",
    }
    found = play(tmp_path, files, roles_path=[str(tmp_path / "shared")])
    assert [task.args["msg"] for task in tasks(found)] == ["near", "named", "sibling", "beside", "path", "path", "next"]


def test_endings_and_folders_of_a_roles_files(tmp_path: Path) -> None:
    files = {
        "roles/r/tasks/main.yml": "- debug: msg=yml",
        "roles/r/tasks/main.yaml": "- debug: msg=yaml",
        "roles/r/vars/main/20.yml": "a: second\n",
        "roles/r/vars/main/10.yml": "a: first\nb: first\n",
        "roles/r/vars/main/sub/30.yaml": "c: third\n",
        "roles/r/defaults/main.json": '{"d": 1}',
        "roles/r/defaults/other.yml": "d: 2\n",
        "play.yml": "- hosts: all\n  roles: [r]\n  tasks:\n"
        "  - import_role: {name: r, tasks_from: main.yaml, defaults_from: other}\n",
    }
    found = play(tmp_path, files)
    assert [task.args["msg"] for task in tasks(found)] == ["yml", "yaml"]
    first, second = found.all_roles
    assert first.vars == {"a": "second", "b": "first", "c": "third"}
    assert (first.defaults, second.defaults) == ({"d": 1}, {"d": 2})


def test_import_role(tmp_path: Path) -> None:
    files = {
        **WEB,
        "play.yml": "- hosts: all\n  tasks:\n  - block:\n"
        "    - import_role: {name: web, tasks_from: other}\n      vars: {v: 1}\n      when: w\n      notify: h\n"
        "    vars: {u: 1}\n  - import_role: {role: base, public: no}\n",
    }
    found = play(tmp_path, files)
    base, other, again = tasks(found)
    assert (base.args["msg"], other.args["msg"], again.args["msg"]) == ("base", "other", "base")
    assert (other.vars, other.settings.when, other.notify) == (({"v": 1}, {"u": 1}), ("w",), ("h",))
    assert [role.name for role in found.all_roles] == ["base", "web"]
    assert [role.allow_duplicates for role in found.all_roles] == [False, True]
    assert {task.name for task in found.handlers} == {"restart", "reload"}


def test_a_role_may_import_another_of_its_own_files(tmp_path: Path) -> None:
    files = {
        "roles/r/tasks/main.yml": "- import_role: {name: r, tasks_from: x}",
        "roles/r/tasks/x.yml": "- debug: msg=x",
    }
    (task,) = tasks(one_play(tmp_path, "[r]", files))
    assert task.role is not None
    assert [parent.name for parent in task.role.parents] == ["r"]


INCLUDING = """
- hosts: all
  become: true
  tasks:
  - block:
    - include_tasks: {file: more.yml, apply: {tags: applied}}
      tags: own
      when: own
      vars: {v: include}
    - include_role: {name: web}
      ignore_errors: true
    when: block
    vars: {v: block}
"""


def including(folder: Path) -> tuple[Loader, list[Task]]:
    write(folder, {**WEB, "play.yml": INCLUDING, "more.yml": "- debug: msg=more\n- include_tasks: deeper/last.yml\n"})
    write(folder, {"deeper/last.yml": "- debug: msg=last\n"})
    known = loader()
    return known, list(flat(load(str(folder / "play.yml"), loader=known).plays[0].tasks))


def test_what_an_include_brings_in_stands_where_the_include_stands(tmp_path: Path) -> None:
    known, (include, _) = including(tmp_path)
    assert (include.settings.tags, include.settings.when) == ({"own"}, ("block", "own"))
    item = {"item": 1}
    block = load_tasks(
        str(tmp_path / "more.yml"),
        parent=include,
        loader=known,
        apply={"tags": "applied", "when": "a"},
        variables=[item],
    )
    more, nested = flat(block)
    assert (more.settings.tags, more.settings.when, more.settings.become) == ({"applied"}, ("block", "a"), True)
    assert (more.vars, more.params) == (({"v": "block"},), (item, {"v": "include"}))
    (last,) = flat(load_tasks(str(tmp_path / "deeper/last.yml"), parent=nested, loader=known))
    assert (last.settings.tags, last.settings.when) == ({"applied"}, ("block", "a"))
    assert last.params == (item, {"v": "include"})
    assert last.search_path == (str(tmp_path / "deeper"), str(tmp_path))


def test_where_an_include_finds_its_file(tmp_path: Path) -> None:
    files = {
        "play.yml": "- hosts: all\n  roles: [r]\n  tasks:\n  - import_tasks: sub/in.yml\n",
        "sub/in.yml": "- include_tasks: x.yml\n",
        "sub/x.yml": "",
        "x.yml": "",
        "top.yml": "",
        "roles/r/tasks/main.yml": "- import_tasks: sub/in.yml\n",
        "roles/r/tasks/sub/in.yml": "- include_tasks: x.yml\n- import_tasks: x.yml\n",
        "roles/r/tasks/sub/x.yml": "- debug: msg=sub\n",
        "roles/r/tasks/x.yml": "- debug: msg=role\n",
        "roles/r/tasks/sub/near.yml": "",
    }
    known = loader()
    write(tmp_path, files)
    found = load(str(tmp_path / "play.yml"), loader=known).plays[0]
    of_role, imported, of_play = tasks(found)
    assert imported.args["msg"] == "sub"  # an import looks beside its file first, an include in the role
    looked = {
        "x.yml": find_tasks("x.yml", parent=of_role, loader=known),
        "near.yml": find_tasks("near.yml", parent=of_role, loader=known),
        "top.yml": find_tasks("top.yml", parent=of_role, loader=known),
        "of the play": find_tasks("x.yml", parent=of_play, loader=known),
    }
    assert {name: path.removeprefix(f"{tmp_path}/") for name, path in looked.items()} == {
        "x.yml": "roles/r/tasks/x.yml",
        "near.yml": "roles/r/tasks/sub/near.yml",
        "top.yml": "top.yml",
        "of the play": "sub/x.yml",
    }
    with pytest.raises(ParseError, match="Could not find or access") as caught:
        find_tasks("nope.yml", parent=of_role, loader=known)
    assert "roles/r/tasks/nope.yml" in (caught.value.hint or "")


def test_a_file_may_include_itself_while_running(tmp_path: Path) -> None:
    known, (include, _) = including(tmp_path)
    write(tmp_path, {"self.yml": "- include_tasks: self.yml\n  when: n > 0\n"})
    task: Task = include
    for _ in range(3):
        (task,) = flat(load_tasks(str(tmp_path / "self.yml"), parent=task, loader=known))
    assert task.settings.when == ("block", "n > 0")


def test_a_role_included_while_running(tmp_path: Path) -> None:
    known, (_, include) = including(tmp_path)
    role, block, handlers = load_role(
        "web", parent=include, loader=known, options={"tasks_from": "other", "apply": {"become": False}, "public": None}
    )
    base, other = flat(block)
    assert (role.name, other.role, role.allow_duplicates) == ("web", role, True)
    assert (base.args["msg"], other.args["msg"]) == ("base", "other")
    assert (other.settings.become, other.settings.ignore_errors, other.settings.when) == (False, None, ("block",))
    assert {task.name for task in handlers} == {"restart", "reload"}
    with pytest.raises(ParseError, match="tasks/nope"):
        load_role("web", parent=include, loader=known, options={"tasks_from": "nope"})
    with pytest.raises(ParseError, match="the role 'nope' was not found"):
        load_role("nope", parent=include, loader=known)


def test_an_include_that_no_playbook_holds(tmp_path: Path) -> None:
    known, (include, _) = including(tmp_path)
    alone = include._replace(search_path=(str(tmp_path),))
    (more, _) = flat(load_tasks(str(tmp_path / "more.yml"), parent=alone, loader=known))
    assert more.settings.become is True
