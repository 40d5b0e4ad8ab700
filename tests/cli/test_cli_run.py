"""`shepherd run`: what it prints, compared with Ansible's ad-hoc command as it was seen to print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from commands import Said, shepherd

if TYPE_CHECKING:
    from pathlib import Path

HOST = "h1 ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
BOTH = "sh -c 'echo hi; echo b; echo ho >&2'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hosts").write_text(HOST)
    (tmp_path / "more.yml").write_text("- debug: {msg: more}\n")
    (tmp_path / "plays" / "group_vars").mkdir(parents=True)
    (tmp_path / "plays" / "group_vars" / "all").write_text("beside: the plays\n")
    return tmp_path


def _run(folder: Path, *words: str) -> Said:
    return shepherd(["run", "-i", "hosts", "h1", *words], folder)


PRINTED = {
    ("echo hi",): (0, "h1 | CHANGED | rc=0 >>\nhi\n"),
    ("-a", "echo hi"): (0, "h1 | CHANGED | rc=0 >>\nhi\n"),
    (BOTH,): (0, "h1 | CHANGED | rc=0 >>\nhi\nb\nho\n"),
    (BOTH, "-o"): (0, "h1 | CHANGED | rc=0 | (stdout) hi\\nb (stderr) ho\n"),
    ("echo hi", "-o"): (0, "h1 | CHANGED | rc=0 | (stdout) hi\n"),
    ("/bin/false",): (2, "h1 | FAILED | rc=1 >>\nnon-zero return code\n"),
    ("-m", "ping"): (0, 'h1 | SUCCESS => {\n    "changed": false,\n    "ping": "pong"\n}\n'),
    ("-m", "ping", "-o"): (0, 'h1 | SUCCESS => {"changed": false,"ping": "pong"}\n'),
    ("-m", "fail", "-a", "msg=x"): (2, "h1 | FAILED! =>\n    msg: x\n"),
    ("--list-hosts",): (0, "  hosts (1):\n    h1\n"),
    ("-m", "shell", "-a", "echo a=b | cat"): (0, "h1 | CHANGED | rc=0 >>\na=b\n"),
    ("-m", "debug", "-a", '{"msg": "x"}'): (0, 'h1 | SUCCESS => {\n    "changed": false,\n    "msg": "x"\n}\n'),
    ("-C", "echo hi"): (0, "h1 | SKIPPED\n"),
    ("-B", "60", "-P", "1", "echo hi"): (0, "h1 | CHANGED | rc=0 >>\nhi\n"),
    ("-m", "import_tasks", "-a", "more.yml"): (
        0,
        'h1 | SUCCESS => {\n    "changed": false,\n    "include": "more.yml",\n    "include_args": {}\n}\n'
        'h1 | SUCCESS => {\n    "changed": false,\n    "msg": "more"\n}\n',
    ),
    ("--playbook-dir", "plays", "-m", "debug", "-a", "var=beside"): (
        0,
        'h1 | SUCCESS => {\n    "beside": "the plays",\n    "changed": false\n}\n',
    ),
}


@pytest.mark.parametrize("words", PRINTED, ids=" ".join)
def test_prints(words: tuple[str, ...], folder: Path) -> None:
    said = _run(folder, *words)
    assert (said.code, said.out) == PRINTED[words]


REFUSED = {
    (): (5, "the module command needs a command"),
    ("-m", "shell"): (5, "the module shell needs a command"),
    ("-m", "import_playbook", "-a", "x.yml"): (5, "shepherd play"),
    ("-m", "ping", "-l", "localhost"): (1, "no host of 'h1' matches the limit 'localhost' too"),
    ("-B", "60", "-P", "0", "true"): (4, "poll"),
    ("-t", "hosts/x", "true"): (1, "cannot make the folder hosts/x"),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refuses_before_anything_runs(words: tuple[str, ...], folder: Path) -> None:
    code, part = REFUSED[words]
    said = _run(folder, *words)
    assert (said.code, said.out) == (code, "")
    assert part in said.err


def test_a_file_for_each_host(folder: Path) -> None:
    assert _run(folder, "-m", "ping", "-t", "results/of ping").code == 0
    assert (folder / "results" / "of ping" / "h1").read_text() == '{"changed": false, "ping": "pong"}'


def test_difference(folder: Path) -> None:
    said = _run(folder, "-m", "copy", "-a", f"content=x dest={folder}/new", "-C", "-D")
    expected = (
        f"--- before\n+++ after: {folder}/new\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n\nh1 | CHANGED => {{\n"
    )
    assert said.out.startswith(expected)


def test_unreachable(folder: Path) -> None:
    said = _run(folder, "-c", "ssh", "-e", "ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1", "true")
    assert said.code == 4
    assert said.out.startswith("h1 | UNREACHABLE! =>\n    msg:")


def test_json(folder: Path) -> None:
    events = [json.loads(line) for line in _run(folder, "echo hi", "--output", "json").out.splitlines()]
    assert [event["event"] for event in events] == ["PlaybookStart", "PlayStart", "TaskStart", "HostResult", "Recap"]
    assert events[3]["result"]["stdout"] == "hi"
