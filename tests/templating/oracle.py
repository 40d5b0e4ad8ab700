"""Asks ansible-core what templates give: all cases in one play, run as a program of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
TREE = HERE / "tree"
RECORDED = HERE / "recorded"


def playbook_program() -> str | None:
    """ansible-playbook of the oracle, or None where there is none."""
    folder = os.environ.get("SHEPHERD_ORACLE", "")
    return shutil.which("ansible-playbook", path=folder or None)


def cases(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Variables and cases of a file. A case is a template, or {template:, when:, ours:, why:}."""
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    return spec["vars"], [case if isinstance(case, dict) else {"template": case} for case in spec["cases"]]


def ask(variables: dict[str, Any], wanted: list[dict[str, Any]], tree: Path) -> list[dict[str, Any]]:
    """For each case {gives: value}, {fails: message} or {skipped: True}, from a play in the directory `tree`."""
    tasks: list[dict[str, Any]] = []
    for number, case in enumerate(wanted):
        task: dict[str, Any] = {
            "debug": {"msg": case.get("template", "ran")},
            "ignore_errors": True,
            "register": f"r{number}",
        }
        if "when" in case:
            task["when"] = case["when"]
        tasks.append(task)
    names = ",".join(f"r{number}" for number in range(len(wanted)))
    lines = "{% for r in [" + names + "] %}{{ r | to_json }}\n{% endfor %}"
    tasks.append({"copy": {"dest": str(tree / "answers"), "content": lines}})
    _play(tree, variables, tasks)
    found: list[dict[str, Any]] = []
    for line in (tree / "answers").read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        if result.get("skipped"):
            found.append({"skipped": True})
        elif result.get("failed"):
            found.append({"fails": str(result.get("msg", "")).split("\n\nThe error appears")[0]})
        else:
            found.append({"gives": unplaced(result.get("msg"), tree)})
    return found


def render_files(variables: dict[str, Any], tree: Path) -> dict[str, dict[str, Any]]:
    """What the template module makes of each file in templates/."""
    (tree / "out").mkdir()
    tasks: list[dict[str, Any]] = []
    names = sorted(path.name for path in (tree / "templates").glob("*.j2"))
    for name in names:
        tasks.append({"template": {"src": name, "dest": str(tree / "out" / name)}, "ignore_errors": True})
    _play(tree, variables, tasks)
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        path = tree / "out" / name
        if path.exists():
            found[name] = {"gives": unplaced(path.read_bytes().decode(), tree)}
        else:
            found[name] = {"fails": True}
    return found


def unplaced(value: Any, tree: Path) -> Any:
    """`value` with the directory written as HERE, so that it is the same wherever the tests run."""
    return json.loads(json.dumps(value).replace(json.dumps(str(tree))[1:-1], "HERE"))


def _play(tree: Path, variables: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    program = playbook_program()
    assert program, "SHEPHERD_ORACLE names the bin folder of ansible-core"
    play = [{"hosts": "localhost", "gather_facts": False, "vars": {**variables, "here": str(tree)}, "tasks": tasks}]
    (tree / "play.yml").write_text(yaml.safe_dump(play, sort_keys=False, allow_unicode=True, width=100000))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tree),
        "LANG": "C.UTF-8",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [program, str(tree / "play.yml")], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 2):
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
