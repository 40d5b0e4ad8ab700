"""`shepherd inventory`: what no recorded case can hold, and large inventories."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from shepherd.cli import main

HEAVY = {"yaml", "jinja2", "paramiko", "asyncio", "subprocess"}
MEASURE = f"""
import sys
from shepherd.cli import main
code = main(["inventory", "-i", sys.argv[1], "--graph"])
heavy = {HEAVY!r} & set(sys.modules)
# not ru_maxrss: that counts what the process was a copy of before it ran Python
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024
print(code, sorted(heavy), peak, file=sys.stderr)
"""


def run(capsys, *arguments):
    assert main(["inventory", *arguments]) == 0
    return capsys.readouterr()


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "ranges"])
def test_sixty_thousand_hosts_need_little_memory_and_no_heavy_module(tmp_path, lines):
    path = tmp_path / "hosts"
    with path.open("w") as handle:
        for group in range(200):
            handle.write(f"[group{group}]\n")
            if lines:
                handle.writelines(
                    f"h{group}-{number} ansible_host=10.0.{group}.{number} rack={number} note='a b'\n"
                    for number in range(300)
                )
            else:
                handle.write(f"h{group}-[1:300] rack={group}\n")
        handle.write("[top:children]\n" + "".join(f"group{group}\n" for group in range(200)) + "[top:vars]\nx=1\n")
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    code, heavy, peak = done.stderr.rsplit(maxsplit=2)
    assert (code, heavy) == ("0", "[]")
    assert int(peak) < 200  # MB; the bar is 600
    assert done.stdout.count("\n") == 60_203


def test_yaml_of_an_inventory_reads_back_the_same(tmp_path, monkeypatch, capsys):
    (tmp_path / "hosts.ini").write_text(
        "[web]\nw[1:3] a=1 b='x y'\nl\n[web:vars]\nansible_group_priority=3\nc=[1, 'é']\n"
    )
    (tmp_path / "more.yml").write_text("top: {children: {web: , db: {hosts: {d: {t: !unsafe '{{ x }}', n: null}}}}}\n")
    monkeypatch.chdir(tmp_path)
    sources = ["-i", "hosts.ini", "-i", "more.yml", "--list"]
    (tmp_path / "again.yml").write_text(run(capsys, *sources, "--export", "--yaml").out)
    again = ["-i", "again.yml", "--list"]
    assert json.loads(run(capsys, *again).out) == json.loads(run(capsys, *sources).out)
    assert json.loads(run(capsys, *again, "--export").out) == json.loads(run(capsys, *sources, "--export").out)


def test_json_of_an_inventory_is_that_of_a_program(tmp_path, monkeypatch, capsys):
    (tmp_path / "hosts.yml").write_text("web: {hosts: {w: {t: !unsafe '{{ x }}', l: [1, {a: b}]}}, vars: {v: 1}}\n")
    monkeypatch.chdir(tmp_path)
    listed = run(capsys, "-i", "hosts.yml", "--list").out
    (tmp_path / "program").write_text(f"#!/bin/sh\ncat <<'END'\n{listed}\nEND\n")
    (tmp_path / "program").chmod(0o755)
    assert run(capsys, "-i", "program", "--list").out == listed


def test_output_to_a_file(tmp_path, capsys):
    path = tmp_path / "listed"
    assert run(capsys, "-i", "h,", "--list", "--output", str(path)).out == ""
    assert json.loads(path.read_text())["ungrouped"] == {"hosts": ["h"]}


def test_host_as_yaml(capsys):
    shown = run(capsys, "-i", "h:22,", "--host", "h", "--yaml", "-e", '{"a": [1, true]}').out
    assert yaml.safe_load(shown) == {"ansible_port": 22, "a": [1, True]}


def test_localhost_needs_no_inventory(capsys):
    shown = run(capsys, "--host", "localhost")
    assert json.loads(shown.out) == {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    assert "only localhost" in shown.err


def test_inventory_from_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ANSIBLE_INVENTORY", str(tmp_path))
    (tmp_path / "hosts").write_text("[web]\nh\n")
    assert "--h\n" in run(capsys, "--graph").out


def test_toml(tmp_path, capsys):
    (tmp_path / "hosts.toml").write_text(
        '[all.vars]\nx = 1\n[web]\nchildren = ["app"]\n[web.hosts]\n"w[1:2]" = {}\nw3 = {port = 2}\n'
        '[app.hosts."a:22"]\n'
    )
    found = json.loads(run(capsys, "-i", str(tmp_path / "hosts.toml"), "--list").out)
    assert found["web"] == {"children": ["app"], "hosts": ["w1", "w2", "w3"]}
    assert found["_meta"]["hostvars"]["w3"] == {"port": 2, "x": 1}
    assert found["_meta"]["hostvars"]["a"] == {"ansible_port": 22, "x": 1}


def test_escapes_in_names_do_not_reach_the_terminal(tmp_path, capsys):
    (tmp_path / "hosts.yml").write_text('web: {hosts: {"h\\ec": {x: "\\e[2J\\x9b2J"}}}\n')
    for arguments in (["--graph", "--vars"], ["--list"], ["--list", "--yaml"]):
        shown = run(capsys, "-i", str(tmp_path / "hosts.yml"), *arguments).out
        assert set("\x1b\x9b").isdisjoint(shown)


def test_warnings_go_to_standard_error(tmp_path, capsys):
    (tmp_path / "hosts").write_text("[web]\nweb\n[a-b]\n")
    shown = run(capsys, "-i", str(tmp_path / "hosts"), "--graph")
    assert "[WARNING]: a group and a host are both called 'web'" in shown.err
    assert "'a-b'" in shown.err
    assert "WARNING" not in shown.out
