"""Playbooks become plays, blocks and tasks with everything inherited merged in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from playbook_trees import flat, loader, play, tasks, write

from shepherd.errors import ParseError
from shepherd.origin import Origin
from shepherd.playbook import load
from shepherd.playbook.model import Block, LoopControl, Task
from shepherd.playbook.settings import defaults_for

if TYPE_CHECKING:
    from pathlib import Path


def one(folder: Path, task: str, **options: Any) -> Task:
    """The one task of a play, from its YAML."""
    indented = task.strip().replace("\n", "\n    ")
    return tasks(play(folder, f"- hosts: all\n  tasks:\n  - {indented}\n", **options))[0]


FORMS: list[tuple[str, str, dict[str, Any]]] = [
    ("debug:", "debug", {}),
    ("debug: msg=hi", "debug", {"msg": "hi"}),
    ("debug: {msg: hi}", "debug", {"msg": "hi"}),
    ("debug: msg='a b' verbosity=2", "debug", {"msg": "a b", "verbosity": "2"}),
    ("debug: {msg: a}\nargs: {msg: b, verbosity: 1}", "debug", {"msg": "a", "verbosity": 1}),
    ("debug:\nargs: {msg: b}", "debug", {"msg": "b"}),
    ("action: debug msg=hi", "debug", {"msg": "hi"}),
    ("action: {module: debug, msg: hi}", "debug", {"msg": "hi"}),
    ("action: {module: debug msg=hi}", "debug", {"msg": "hi"}),
    ("action: {module: debug, args: {msg: hi}}", "debug", {"msg": "hi"}),
    ("action: command echo  a  b chdir=/tmp", "command", {"cmd": "echo  a  b", "chdir": "/tmp"}),
    ('action: "{{ ansible_pkg_mgr }} name=x"', "{{ ansible_pkg_mgr }}", {"name": "x"}),
    ("ansible.builtin.debug: msg=hi", "debug", {"msg": "hi"}),
    ("ansible.legacy.debug: msg=hi", "debug", {"msg": "hi"}),
    ("command: echo hi creates=/x foo=bar", "command", {"cmd": "echo hi foo=bar", "creates": "/x"}),
    ("command: {argv: [echo, hi]}", "command", {"argv": ["echo", "hi"]}),
    ("command: {_raw_params: echo hi, chdir: /}", "command", {"cmd": "echo hi", "chdir": "/"}),
    ('shell: "{{ line }}"', "shell", {"cmd": "{{ line }}"}),
    ("shell: echo\nargs:\n  chdir: /tmp", "shell", {"cmd": "echo", "chdir": "/tmp"}),
    ("set_fact: a=1 b='x y'", "set_fact", {"a": "1", "b": "x y"}),
    ('include_vars: "{{ os }}.yml"', "include_vars", {"file": "{{ os }}.yml"}),
    ("include_tasks: more.yml", "include_tasks", {"file": "more.yml"}),
    ("meta: flush_handlers", "meta", {"free_form": "flush_handlers"}),
]


@pytest.mark.parametrize(("written", "action", "args"), FORMS, ids=[form[0] for form in FORMS])
def test_forms_of_an_action(written: str, action: str, args: dict[str, Any], tmp_path: Path) -> None:
    task = one(tmp_path, written)
    assert (task.action, dict(task.args), task.args_template) == (action, args, None)


def test_the_name_of_the_action_is_kept_as_written(tmp_path: Path) -> None:
    assert one(tmp_path, "ansible.builtin.debug:").written == "ansible.builtin.debug"


@pytest.mark.parametrize("written", ['debug: "{{ options }}"', 'debug:\nargs: "{{ options }}"'])
def test_options_as_one_template(written: str, tmp_path: Path) -> None:
    task = one(tmp_path, written)
    assert (dict(task.args), task.args_template) == ({}, "{{ options }}")


def test_local_action_delegates(tmp_path: Path) -> None:
    assert one(tmp_path, "local_action: command uptime").settings.delegate_to == "localhost"
    assert one(tmp_path, "local_action: command uptime\ndelegate_to: other").settings.delegate_to == "other"
    assert one(tmp_path, "command: uptime").settings.delegate_to is None


LOOPS: list[tuple[str, Any]] = [
    ("loop: [1, 2]", ([1, 2], None)),
    ('loop: "{{ names }}"', ("{{ names }}", None)),
    ("loop: []", ([], None)),
    ("loop:", None),
    ("with_items: [1]", ([1], "items")),
    ("with_ansible.builtin.dict: {a: 1}", ({"a": 1}, "dict")),
    ("with_fileglob: '*.conf'", ("*.conf", "fileglob")),
]


@pytest.mark.parametrize(("written", "expected"), LOOPS, ids=[loop[0] for loop in LOOPS])
def test_loops(written: str, expected: Any, tmp_path: Path) -> None:
    loop = one(tmp_path, f"debug:\n{written}").loop
    assert (None if loop is None else (loop.items, loop.lookup)) == expected


def test_loop_control(tmp_path: Path) -> None:
    control = "{loop_var: host, index_var: n, label: '{{ host }}', pause: 1.5, extended: yes, break_when: host == 'x'}"
    loop = one(tmp_path, f"debug:\nloop: [a]\nloop_control: {control}").loop
    assert loop is not None
    assert loop.control == LoopControl("host", "n", "{{ host }}", 1.5, True, None, ("host == 'x'",))


def test_keywords_of_a_task(tmp_path: Path) -> None:
    task = one(
        tmp_path,
        """
name: 5
command: "true"
register: out
until: out is success
retries: "3"
delay: 0.5
changed_when: false
failed_when: [out.rc > 1, "'x' in out.stdout"]
notify: [one, two]
async: 10
poll: "{{ n }}"
port: "22"
no_log: "yes"
timeout: 5
check_mode: no
environment: {A: b}
when: x is defined
run_once: true
throttle: 2
""",
    )
    assert (task.name, task.register, task.until) == ("5", "out", ("out is success",))
    assert (task.retries, task.delay, task.background, task.poll) == (3, 0.5, 10, "{{ n }}")
    assert (task.changed_when, task.failed_when) == ((False,), ("out.rc > 1", "'x' in out.stdout"))
    assert task.notify == ("one", "two")
    settings = task.settings
    assert (settings.port, settings.no_log, settings.timeout, settings.check_mode) == (22, True, 5, False)
    assert (settings.environment, settings.when, settings.run_once, settings.throttle) == (
        ({"A": "b"},),
        ("x is defined",),
        True,
        2,
    )
    assert task.origin == Origin(str(tmp_path / "play.yml"), 3, 5)


def test_nothing_said_is_none_where_that_differs_from_nothing(tmp_path: Path) -> None:
    task = one(tmp_path, "debug:")
    assert (task.changed_when, task.failed_when, task.until, task.settings.when) == (None, None, (), ())


INHERITED = """
- hosts: all
  become: true
  become_user: play
  environment: {A: play}
  module_defaults: {ansible.builtin.debug: {msg: play, verbosity: 1}}
  vars: {v: play}
  tasks:
  - debug:
  - block:
    - debug:
      become_user: task
      when: task
      environment: [{A: task}, "{{ more }}"]
      notify: own
      vars: {v: task}
      module_defaults: {debug: {msg: task}}
    - block:
      - debug:
        when: [inner, innermost]
    rescue:
    - debug: msg=rescue
    always:
    - debug: msg=always
    name: the block
    become: false
    become_user: block
    when: block
    environment: {A: block}
    notify: everybody
    vars: {v: block}
"""


def test_what_blocks_say_holds_inside(tmp_path: Path) -> None:
    found = play(tmp_path, INHERITED)
    outside, inside, inner, rescue, always = tasks(found)
    assert (outside.settings.become, outside.settings.become_user, outside.vars) == (True, "play", ())
    assert (inside.settings.become, inside.settings.become_user) == (False, "task")
    assert inside.settings.when == ("block", "task")
    assert inside.settings.environment == ({"A": "play"}, {"A": "block"}, {"A": "task"}, "{{ more }}")
    assert inside.notify == ("own", "everybody")
    assert inside.vars == ({"v": "task"}, {"v": "block"})
    assert inner.settings.when == ("block", "inner", "innermost")
    assert rescue.settings.when == always.settings.when == ("block",)
    assert defaults_for(outside.settings, "debug") == {"msg": "play", "verbosity": 1}
    assert defaults_for(inside.settings, "debug") == {"msg": "task"}
    block = found.tasks.tasks[1]
    assert isinstance(block, Block)
    assert (block.name, len(block.tasks), len(block.rescue), len(block.always)) == ("the block", 2, 1, 1)


def test_module_defaults_count_as_given(tmp_path: Path) -> None:
    text = "- hosts: all\n  module_defaults: {copy: %s}\n  tasks: [copy: {src: a}]\n"
    play(tmp_path, text % "{dest: /b}")
    play(tmp_path, text % "'{{ defaults }}'")
    with pytest.raises(ParseError, match="missing required arguments: dest"):
        play(tmp_path, text % "{mode: '0644'}")


PLAY = """
- name: a play
  hosts: [web, "!db"]
  user: deploy
  gather_facts: no
  gather_subset: [min]
  gather_timeout: 5
  fact_path: /facts
  serial: [1, "50%", "{{ n }}"]
  strategy: linear
  order: sorted
  max_fail_percentage: 30%
  force_handlers: true
  any_errors_fatal: "{{ fatal }}"
  vars_files: [a.yml, [b.yml, c.yml]]
  vars_prompt: [{name: password, private: yes}]
"""


def test_keywords_of_a_play(tmp_path: Path) -> None:
    found = play(tmp_path, PLAY)
    assert (found.name, found.hosts, found.settings.remote_user) == ("a play", ["web", "!db"], "deploy")
    assert (found.gather_facts, found.gather_subset, found.gather_timeout, found.fact_path) == (
        False,
        ["min"],
        5,
        "/facts",
    )
    assert (found.serial, found.strategy, found.order) == ((1, "50%", "{{ n }}"), "linear", "sorted")
    assert (found.max_fail_percentage, found.force_handlers) == (30, True)
    assert found.settings.any_errors_fatal == "{{ fatal }}"
    assert found.vars_files == ("a.yml", ["b.yml", "c.yml"])
    assert [prompt["name"] for prompt in found.vars_prompt] == ["password"]


def test_import_tasks_stands_for_what_it_names(tmp_path: Path) -> None:
    files = {
        "play.yml": """
- hosts: all
  vars: {name: deep}
  tasks:
  - import_tasks: "sub/{{ name }}.yml"
    when: outer
    become: true
    tags: t
    vars: {v: 1}
""",
        "sub/deep.yml": "- import_tasks: near.yml\n  when: inner\n- import_tasks: far.yml\n- include_tasks: x.yml\n",
        "sub/near.yml": "- debug: msg=near\n",
        "near.yml": "- debug: msg=wrong\n",
        "far.yml": "- debug: msg=far\n",
    }
    near, far, include = tasks(play(tmp_path, files))
    assert (near.args["msg"], near.settings.when, near.settings.become) == ("near", ("outer", "inner"), True)
    assert (near.settings.tags, near.vars, near.search_path) == ({"t"}, ({"v": 1},), (f"{tmp_path}/sub", str(tmp_path)))
    assert (far.args["msg"], far.settings.when) == ("far", ("outer",))
    assert include.action == "include_tasks"


def test_handlers(tmp_path: Path) -> None:
    files = {
        "play.yml": """
- hosts: all
  handlers:
  - name: one
    debug:
    listen: [topic, other]
  - block:
    - {name: two, debug: , notify: one}
    when: x
  - import_tasks: more.yml
  - name: four
    include_tasks: more.yml
""",
        "more.yml": "- {name: three, debug: , listen: topic}\n",
    }
    found = play(tmp_path, files).handlers
    assert [task.name for task in found] == ["one", "two", "three", "four"]
    assert [task.listen for task in found] == [("topic", "other"), (), ("topic",), ()]
    assert found[1].settings.when == ("x",)


def test_import_playbook(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "play.yml": """
- import_playbook: "{{ which }}/inner.yml"
  vars: {which: sub, v: import}
  tags: t
  when: w
  become: true
- hosts: last
""",
            "sub/inner.yml": """
- hosts: all
  vars: {v: play, u: play}
  tags: p
  roles: [r]
- import_playbook: more.yml
""",
            "sub/more.yml": "- {hosts: all, become: false, tasks: [debug: ]}\n",
            "sub/roles/r/tasks/main.yml": "- debug:\n",
        },
    )
    first, second, third = load(str(tmp_path / "play.yml"), loader=loader()).plays
    assert (first.vars, first.settings.tags) == ({"which": "sub", "v": "import", "u": "play"}, {"t", "p"})
    assert tasks(first)[0].settings.when == ("w",)
    assert (first.settings.become, second.settings.become, third.settings.become) == (True, False, None)
    assert first.path == str(tmp_path / "sub/inner.yml")


def test_names_of_imports_see_vars_files_and_extra_vars(tmp_path: Path) -> None:
    files = {
        "play.yml": "- hosts: all\n  vars: {a: wrong}\n  vars_files: [v.yml, '{{ host }}.yml']\n"
        "  tasks:\n  - import_tasks: '{{ a }}-{{ b }}.yml'\n",
        "v.yml": "a: one\nb: wrong\n",
        "one-two.yml": "- debug: msg=found\n",
    }
    assert tasks(play(tmp_path, files, extra_vars={"b": "two"}))[0].args["msg"] == "found"


def test_an_empty_play_and_empty_entries(tmp_path: Path) -> None:
    found = play(tmp_path, "- hosts: all\n  tasks:\n  -\n  roles:\n  handlers: []\n")
    assert list(flat(found.tasks)) == []


def test_modules_beside_the_playbook_and_in_roles(tmp_path: Path) -> None:
    module = 'SPEC = {"summary": "mine", "options": {"size": {"type": "int"}}}\n\ndef run(task):\n    return {}\n'
    files = {
        "play.yml": "- hosts: all\n  roles: [r]\n  tasks:\n  - mine: size={{ n }}\n  - given: size=1\n",
        "library/mine.py": module,
        "roles/r/library/roles_own.py": module,
        "roles/r/tasks/main.yml": "- roles_own: size=4\n",
        "elsewhere/given.py": module,
    }
    found = tasks(play(tmp_path, files, library=[str(tmp_path / "elsewhere")]))
    assert [task.action for task in found] == ["roles_own", "mine", "given"]
    write(tmp_path, {"library/foreign.py": "#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\n"})
    with pytest.raises(ParseError, match="the module 'foreign' has no SPEC"):
        play(tmp_path, "- hosts: all\n  tasks: [foreign: ]\n")
    with pytest.raises(ParseError, match="unable to convert to int"):
        play(tmp_path, "- hosts: all\n  tasks: [mine: size=big]\n")


def test_two_thousand_tasks_load_without_quadratic_work(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        entry = "  - {name: n, command: echo hi, when: x, tags: [a, b], register: r, vars: {v: 1}, become: yes}\n"
        write(tmp_path, {"play.yml": "- hosts: all\n  tasks:\n" + entry * count})
        start = time.process_time()
        assert len(tasks(load(str(tmp_path / "play.yml"), loader=loader()).plays[0])) == count
        return time.process_time() - start

    seconds(10)
    small = min(seconds(200) for _ in range(3))
    assert min(seconds(2000) for _ in range(2)) < small * 10 * 3


def test_a_module_that_is_not_here_may_stand_behind_a_condition(tmp_path: Path) -> None:
    """Playbooks for several systems name modules that most hosts never reach."""
    playbook = tmp_path / "play.yml"
    playbook.write_text("- hosts: all\n  tasks:\n  - yum: name=httpd state=present\n    when: on_redhat\n")
    (task,) = load(str(playbook), loader=loader()).plays[0].tasks.tasks
    assert isinstance(task, Task)
    assert (task.action, task.args) == ("yum", {"name": "httpd", "state": "present"})
